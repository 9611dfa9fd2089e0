"""Certified moves of weights: against attacks, brute force, and the checker."""

import json
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.certify import Verdict, certify_weights, check, save_certificates
from flow.certify.box import Box
from flow.certify.certificate import content_digest
from flow.certify.recheck_weights import _held
from flow.certify.recheck_weights import _least as plain_least
from flow.certify.weights import half_step, moved_layers
from flow.certify.weights_box import Moves, least, moved_sums
from flow.errors import ClaimError, InputError
from flow.ir import Edge, Graph, IntType, Node
from flow.ops import ArgMax, MatVec, Threshold
from tests.certify.networks import fitting_chains
from tests.certify.weight_moves import corner_moves, evaluate_moved, worst_moves
from tests.engine.chains import BIPOLAR, chains, random_chain, random_inputs, random_labels
from tests.engine.images import image_graphs

GRAPHS = st.one_of(chains(), fitting_chains(), image_graphs())


@pytest.mark.parametrize(
    ("scale", "offset", "holds"),
    [(1, 0, True), (1, 2, True), (1, 3, False), (1, -11, True), (1, -12, False), (-2, 1, False)],
)
def test_the_checker_compares_scaled_and_moved_sums_with_the_register(scale, offset, holds):
    kind = IntType(4, signed=True)  # -8 to 7
    assert _held(kind, [0, 3], [0, 5], [1, scale], [0, offset]) == holds


def classifier(graph):
    """``graph`` with an ArgMax over its flattened end; None where it has one class only."""
    from flow.ops import Reshape

    if isinstance(graph.nodes[-1].op, ArgMax):
        return graph
    size = graph.edge(graph.output).elements
    if size < 2 or graph.edge(graph.output).type.bipolar:
        return None
    flat = Node("flat_end", Reshape((size,)), (graph.output,), "flat_end_out")
    last = Node("class_end", ArgMax(), ("flat_end_out",), "class")
    return Graph(graph.name, graph.input, graph.input_edge, (*graph.nodes, flat, last), "class")


def radius(certificate):
    return Fraction(certificate.detail.get("epsilon", 0))


def test_no_moves_are_the_graph_itself():
    for seed in range(60):
        graph = random_chain(seed)
        x = random_inputs(graph, 5)
        assert (evaluate_moved(graph, x, {}) == graph.evaluate(x)).all()


@settings(max_examples=60, deadline=None)
@given(GRAPHS, st.integers(0, 2**32 - 1), st.booleans())
def test_no_moves_within_the_radius_change_a_certified_label(graph, seed, jointly):
    graph = classifier(graph)
    if graph is None:
        return
    rng = np.random.default_rng(seed)
    x = random_inputs(graph, 4)
    y = graph.evaluate(x)
    every = moved_layers(graph)
    layers = every if jointly or not every else (every[rng.integers(len(every))],)
    if not layers:
        return
    found = certify_weights(graph, x, y=y, layers=layers, places=4)
    for k, certificate in enumerate(found.certificates):
        epsilon = radius(certificate)
        assert (certificate.verdict is Verdict.PROVED) == (epsilon > 0)
        for _ in range(4 if epsilon else 0):
            moves = {
                name: corner_moves(graph.node(name).op, epsilon, rng)
                * Fraction(int(rng.integers(0, 5)) or 4, 4)
                for name in layers
            }
            assert evaluate_moved(graph, x[k : k + 1], moves)[0] == y[k]


@settings(max_examples=40, deadline=None)
@given(fitting_chains())
def test_the_sign_attack_needs_more_than_the_radius_and_no_more_where_it_is_exact(graph):
    products = moved_layers(graph)
    x = random_inputs(graph, 3)
    y = graph.evaluate(x)
    behind = graph.nodes[[n.name for n in graph.nodes].index(products[-1]) + 1 : -1]
    plain = graph.input_edge.type.lo >= 0 and not behind
    for layer in products:
        found = certify_weights(graph, x, y=y, layers=(layer,), places=3)
        for k, certificate in enumerate(found.certificates):
            epsilon = radius(certificate)
            if epsilon >= 6:
                continue  # the register, or nothing, is what limits it

            def breaks(step, k=k, layer=layer):
                return any(
                    evaluate_moved(
                        graph, x[k : k + 1],
                        {layer: worst_moves(graph, x[k], int(y[k]), rival, layer, step)},
                    )[0] != y[k]
                    for rival in range(graph.edge(graph.logits).shape[0])
                    if rival != y[k]
                )  # fmt: skip

            if epsilon:
                assert not breaks(epsilon)
            if plain and layer == products[-1] and not near_the_register(graph, layer, epsilon):
                assert breaks(epsilon + Fraction(1, 8))


def near_the_register(graph, layer, epsilon):
    op = graph.node(layer).op
    kind = graph.type_of(graph.node(layer).inputs[0])
    far = max(abs(kind.code_lo), abs(kind.code_hi))
    reach = (abs(op.weights).sum(axis=1).max() + (epsilon + 1) * op.weights.shape[1]) * far
    if op.popcount:
        reach = (reach + op.weights.shape[1]) / 2
    low = 0 if op.popcount and kind.bipolar else kind.code_lo
    return reach > op.accumulator.code_hi or -reach < op.accumulator.code_lo or low > 0


def tiny(popcount):
    """Three bipolar or small weights per row, two rows, a Threshold, two classes."""
    source, kind = (BIPOLAR, BIPOLAR) if popcount else (IntType(2), IntType(3, True))
    signs = [[1, -1, 1], [-1, -1, 1]], [[1, -1], [-1, 1]]
    small = [[2, -1, 1], [-1, 3, 0]], [[1, -2], [0, 1]]
    weights = [np.array(w) for w in (signs if popcount else small)]
    first = MatVec(weights[0], kind, IntType(3 if popcount else 7, not popcount), popcount=popcount)
    table = np.array([[1, 2], [1, 3]] if popcount else [[-1, 2], [0, 3]])
    act = Threshold(table, IntType(6, True), np.array([1, 1]), 0, IntType(2))
    second = MatVec(weights[1], kind, IntType(8, True))
    nodes = (
        Node("fc0", first, ("x",), "a"),
        Node("act", act, ("a",), "b"),
        Node("fc1", second, ("b",), "c"),
        Node("argmax", ArgMax(), ("c",), "class"),
    )
    return Graph("tiny", "x", Edge((3,), source), nodes, "class")


@pytest.mark.parametrize("popcount", [False, True])
def test_brute_force_over_every_corner_finds_the_same_radius(popcount):
    graph = tiny(popcount)
    levels = (-1, 1) if popcount else range(4)
    x = np.array(list(product(levels, repeat=3)))[:: 1 if popcount else 5]
    y = graph.evaluate(x)
    for layer in ("fc0", "fc1"):
        op, limited = graph.node(layer).op, 0
        corners = list(product((-1, 1), repeat=op.weights.size))
        found = certify_weights(graph, x, y=y, layers=(layer,), places=2)
        for k, certificate in enumerate(found.certificates):
            epsilon = radius(certificate)
            if epsilon > 3:
                continue
            for step, expected in ((epsilon, False), (epsilon + Fraction(1, 4), True)):
                broken = any(
                    evaluate_moved(
                        graph,
                        x[k : k + 1],
                        {layer: np.array([s * step for s in corner]).reshape(op.weights.shape)},
                    )[0]
                    != y[k]
                    for corner in corners
                )
                assert broken is expected
                limited += broken
        assert limited


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_the_least_sum_is_that_of_the_worst_corner_where_signs_are_known(seed, whole):
    rng = np.random.default_rng(seed)
    weights, free = rng.integers(-4, 5, (2, 3)), np.ones((2, 3), dtype=np.int64)
    widths, places = rng.integers(1, 3, 2), 3
    unit = 1 << places
    ends = np.sort(rng.integers(-5, 6, (2, 1, 3)), axis=0) * unit
    if not whole:  # real values, as a moved layer gives them to the next
        ends = np.sort(rng.integers(-40, 41, (2, 1, 3)), axis=0)
    steps = rng.integers(0, 30, 1)
    found = least(weights, free, widths, Box(*ends), Moves(steps, places))[0]
    for row in range(2):
        width = Fraction(int(widths[row] * steps[0]), unit)
        pairs = list(enumerate(weights[row].tolist()))
        values = [tuple(Fraction(int(v), unit) for v in pair) for pair in ends[:, 0].T]
        exact = plain_least(pairs, values, width)
        mine = Fraction(int(found[row]), unit)
        assert mine <= exact
        if not ((ends[0] < 0) & (ends[1] > 0)).any():  # else rounded twice at most
            assert mine == exact if whole else exact - mine < Fraction(2, unit)


def test_half_units_of_popcounts_are_rounded_outward():
    op = MatVec(np.array([[1]]), BIPOLAR, IntType(1), popcount=True)
    one = np.full((1, 1), 8)
    found = moved_sums(op, Box(one, one), Moves(np.array([1]), 3))
    assert (found.lo.item(), found.hi.item()) == (7, 9)  # of 7.5 and 8.5 eighths


def test_a_layer_moved_with_others_has_no_larger_radius_and_bipolar_steps_are_twice_as_far():
    graph = tiny(False)
    x = np.array(list(product(range(4), repeat=3)))
    y = graph.evaluate(x)
    alone = [certify_weights(graph, x, y=y, layers=(name,)) for name in ("fc0", "fc1")]
    joint = certify_weights(graph, x, y=y, layers=("fc0", "fc1"))
    for both, *single in zip(*(s.certificates for s in (joint, *alone)), strict=True):
        assert all(radius(both) <= radius(one) for one in single)
    assert half_step(graph, ("fc0",)) == Fraction(1, 2)
    assert half_step(tiny(True), ("fc0", "fc1")) == 1


def test_misclassified_images_are_never_certified_and_unknown_layers_are_named():
    graph = tiny(False)
    x = np.array(list(product(range(4), repeat=3)))
    y = 1 - graph.evaluate(x)
    found = certify_weights(graph, x, y=y, layers=("fc1",))
    assert {c.verdict for c in found.certificates} == {Verdict.REFUTED}
    assert not any(c.detail for c in found.certificates)
    with pytest.raises(InputError, match="layer 'act': has no weights; choose from fc0, fc1, all"):
        certify_weights(graph, x, y=y, layers=("act",))
    with pytest.raises(InputError, match="17 places"):
        certify_weights(graph, x, y=y, layers=("fc1",), places=17)


@settings(max_examples=40, deadline=None)
@given(GRAPHS, st.booleans())
def test_what_is_certified_is_accepted(tmp_path_factory, graph, jointly):
    graph = classifier(graph)
    if graph is None or not moved_layers(graph):
        return
    path = tmp_path_factory.mktemp("c") / "c.json"
    x = random_inputs(graph, 3)
    y = random_labels(graph, x)
    layers = moved_layers(graph) if jointly else moved_layers(graph)[:1]
    found = certify_weights(graph, x, y=y, layers=layers, places=5)
    save_certificates(found, path)
    assert check(path, graph, x, y).boxes == found.proved


def longer(entry, _):
    entry["detail"]["epsilon"] = str(Fraction(entry["detail"]["epsilon"]) + Fraction(1, 256))


def nothing(entry, _):
    entry["detail"]["epsilon"] = "0"


def dropped(entry, _):
    del entry["detail"]


def refuted(entry, _):
    entry["verdict"] = "REFUTED"


def other_layers(_, record):
    record["terms"]["layers"] = ["fc9"]


def every_layer(_, record):
    record["terms"]["layers"] = ["fc0", "fc1"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (longer, ClaimError, "leave another class open"),
        (every_layer, ClaimError, "leave another class open"),
        (nothing, ClaimError, "but for moves of 0"),
        (dropped, ClaimError, "without a radius"),
        (refuted, ClaimError, "classified rightly"),
        (other_layers, InputError, "are none of this graph's"),
    ],
)
def test_a_forged_claim_is_rejected(tmp_path, change, error, message):
    graph, path = tiny(False), tmp_path / "c.json"
    x = np.array(list(product(range(4), repeat=3)))
    y = graph.evaluate(x)
    found = certify_weights(graph, x, y=y, layers=("fc1",))
    save_certificates(found, path)
    check(path, graph, x, y)
    record = json.loads(path.read_text())
    proved = [e for e in record["certificates"] if e["verdict"] == "PROVED"]
    short = min(proved, key=lambda e: Fraction(e["detail"]["epsilon"]))
    change(short, record)
    counts = {
        v.lower(): sum(e["verdict"] == v for e in record["certificates"] if e["correct"])
        for v in ("PROVED", "REFUTED", "UNKNOWN")
    }
    record["summary"].update(counts)
    del record["content"]
    record["content"] = content_digest(record)
    path.write_text(json.dumps(record))
    with pytest.raises(error, match=message):
        check(path, graph, x, y)
