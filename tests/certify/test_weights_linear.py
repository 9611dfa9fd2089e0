"""Linear bounds of moved weights: above every move tried, never below intervals, checked again."""

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.certify import Verdict, certify_weights, check, load_certificates, save_certificates
from flow.certify.ascent import chords
from flow.certify.certificate import content_digest
from flow.certify.moved_dual import (
    Moved,
    charged,
    decided,
    evaluate,
    size,
    times_epsilon,
)
from flow.certify.plain_moves import leaf_holds
from flow.certify.proof import SCALE_BITS, Leaf
from flow.certify.recheck_weights import _part
from flow.certify.relaxed import EXACT, Relaxed
from flow.certify.weights import LINEAR, moved_layers
from flow.certify.weights_box import Moves, free_weights
from flow.errors import ClaimError, InputError
from flow.ir import Edge, Graph, IntType, Node
from flow.ops import ArgMax, MatVec, Pad, Reshape, Threshold, Window
from tests.certify.networks import fitting_chains
from tests.certify.test_weights import GRAPHS, classifier, radius
from tests.certify.weight_moves import corner_moves, evaluate_moved, worst_moves
from tests.engine.chains import random_inputs

PLACES = 4


def products_in_a_row(seed):
    """Real sums of both signs read by the next product, a staircase or none, a last product."""
    rng, wide = np.random.default_rng(seed), IntType(16, True)
    nodes, source, columns = [], "x", 3
    for k in range(3):
        weights = rng.integers(-4, 4, (3, columns))
        nodes.append(Node(f"fc{k}", MatVec(weights, IntType(3, True), wide), (source,), f"a{k}"))
        source, columns = f"a{k}", 3
        if k == 1 and rng.random() < 0.5:
            table = np.sort(rng.integers(-40, 40, (3, 3)), axis=1)
            act = Threshold(table, wide, np.array([1, 1, 1]), 0, IntType(2))
            nodes.append(Node("act", act, (source,), "y"))
            source = "y"
    nodes.append(Node("argmax", ArgMax(), (source,), "class"))
    return Graph("row", "x", Edge((3,), IntType(3, True)), tuple(nodes), "class")


ROWS = st.integers(0, 2**32 - 1).map(products_in_a_row)


def question(graph, x, steps, layers):
    """Every rival of every image of ``x``; None where the last sums are not the logits."""
    relaxed = Relaxed.of(graph)
    if relaxed.last is not None:
        return None
    y, classes = graph.evaluate(x), graph.edge(graph.logits).shape[0]
    pairs = [(k, y[k], j) for k in range(len(x)) for j in range(classes) if j != y[k]]
    moves = Moves(np.full(len(x), steps), PLACES)
    return Moved.of(relaxed, x, moves, frozenset(layers), np.array(pairs))


def even(multipliers, rng):
    """Whole even multipliers over the common power of two, near and far from those given."""
    found = {}
    for name, m in multipliers.items():
        noise = rng.integers(-3, 4, m.shape) * rng.choice([0, 0, 500, 20_000])
        found[name] = 2 * (np.rint(m * (1 << SCALE_BITS) / 2).astype(np.int64) + noise)
    return found


def hurtful(ask, bound, row, layers, epsilon, clean):
    """The moves that the bound has in mind for one row, of stored weights."""
    found = {}
    for name in layers:
        op, charge = ask.relaxed.graph.node(name).op, bound.pushes.get(name)
        if charge is None:
            found[name] = np.full(op.weights.shape, Fraction(0), dtype=object)
            continue
        v = clean[ask.relaxed.graph.node(name).inputs[0]]
        shared = None if charge.shared is None else charge.shared[row]
        signs = charge.sign[row][:, None] * np.sign(v[0]) if shared is None else shared
        free = free_weights(op) == 1
        own = [signs[r][free[r]].astype(int).tolist() for r in range(len(signs))]
        found[name] = np.array([[s * epsilon for s in line] for line in own], dtype=object)
    return found


@settings(max_examples=80, deadline=None)
@given(GRAPHS | ROWS, st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 3, 8, 40]))
def test_no_moves_bring_a_rival_further_than_the_bound_of_any_multipliers(graph, seed, steps):
    graph, rng = classifier(graph), np.random.default_rng(seed)
    if graph is None or not moved_layers(graph):
        return
    every = moved_layers(graph)
    layers = every if rng.random() < 0.5 else (every[rng.integers(len(every))],)
    x = random_inputs(graph, 2, seed)
    ask = question(graph, x, steps, layers)
    if ask is None or not len(ask):
        return
    whole = even(chords(ask), rng)
    own = {name: m / float(1 << SCALE_BITS) for name, m in whole.items()}
    bound, fits = evaluate(ask, own), size(ask, own) * 2.0**ask.grid < EXACT
    epsilon = Fraction(steps, 1 << PLACES)
    part = {k: _part(graph, x[k], epsilon, set(layers)) for k in range(len(x))}
    pairs = [(k, j) for k in range(len(x)) for j in range(graph.edge(graph.logits).shape[0])]
    pairs = [(k, j) for k, j in pairs if j != graph.evaluate(x)[k]]
    for row, (k, rival) in enumerate(pairs):
        if not fits[row]:
            continue
        label, clean = int(ask.labels[row]), graph.evaluate_all(x[k : k + 1])
        trials = [hurtful(ask, bound, row, layers, epsilon, clean)]
        trials += [
            {name: corner_moves(graph.node(name).op, epsilon, rng) for name in layers}
            for _ in range(3)
        ]
        for moves in trials:
            logits = evaluate_moved(graph, x[k : k + 1], moves, logits=True)[0]
            assert logits[rival] - logits[label] <= Fraction(float(bound.value[row]))
        widths = [ask.relaxed.units[n].seen(np.zeros((1, *shape(ask, n)))) for n in own_units(ask)]
        numbers = tuple(
            tuple(whole[name][row].ravel().tolist()) if name in whole else (0,) * width.size
            for name, width in zip(own_units(ask), widths, strict=True)
        )
        if bound.value[row] < ask.need[row]:
            assert leaf_holds(part[k], label, rival, Leaf(numbers))


def own_units(ask):
    return list(ask.relaxed.units)


def shape(ask, name):
    return ask.relaxed.edges[ask.relaxed.graph.node(name).inputs[0]].shape


def test_without_moves_the_bound_of_one_product_is_its_lead():
    weights = np.array([[3, -2], [1, 4], [-4, 2]])
    product = MatVec(weights, IntType(4, True), IntType(9, True))
    nodes = (Node("fc", product, ("x",), "a"), Node("argmax", ArgMax(), ("a",), "class"))
    graph = Graph("one", "x", Edge((2,), IntType(3)), nodes, "class")
    x = np.array([[5, 3]])  # logits 9, 17, -14
    for steps, expected in ((0, [9 - 17, -14 - 17]), (2, [-8 + 2, -31 + 2])):
        ask = question(graph, x, steps, ("fc",))
        assert evaluate(ask, {}).value.tolist() == expected  # 2 * 8 * steps / 16 more


@pytest.mark.parametrize(("label", "lead"), [(0, 1), (0, 0), (1, 0), (1, 1), (0, -1)])
def test_a_rival_level_with_the_label_wins_where_its_index_is_smaller(label, lead):
    weights = np.array([[lead if label == 0 else 0], [lead if label == 1 else 0]])
    nodes = (
        Node("fc", MatVec(weights, IntType(4, True), IntType(9, True)), ("x",), "a"),
        Node("argmax", ArgMax(), ("a",), "class"),
    )
    graph, x = Graph("tie", "x", Edge((1,), IntType(3)), nodes, "class"), np.array([[1]])
    moves = Moves(np.array([0]), PLACES)
    pairs = np.array([[0, label, 1 - label]])
    ask = Moved.of(Relaxed.of(graph), x, moves, frozenset(), pairs)
    kept = lead > 0 or (lead == 0 and label == 0)
    assert decided(ask, {}).tolist() == [kept]
    part = _part(graph, x[0], Fraction(0), set())
    assert leaf_holds(part, label, 1 - label, Leaf(())) is kept


def staircase_net(seed):
    """Three dense layers of a few neurons, staircases of some levels, all registers wide."""
    rng = np.random.default_rng(seed)
    nodes, source, wide = [], "x", IntType(14, True)
    for k, (rows, columns) in enumerate(((6, 5), (6, 6), (3, 6))):
        weights = rng.integers(-4, 4, (rows, columns))
        nodes.append(Node(f"fc{k}", MatVec(weights, IntType(3, True), wide), (source,), f"a{k}"))
        source = f"a{k}"
        if k < 2:
            table = np.sort(rng.integers(-90, 120, (rows, 7)), axis=1)
            act = Threshold(table, wide, np.ones(rows, dtype=int), 0, IntType(3))
            nodes.append(Node(f"act{k}", act, (source,), f"y{k}"))
            source = f"y{k}"
    nodes.append(Node("argmax", ArgMax(), (source,), "class"))
    return Graph("stairs", "x", Edge((5,), IntType(5)), tuple(nodes), "class")


def convolution_net(seed):
    """A padded convolution, a staircase and a dense layer."""
    rng = np.random.default_rng(seed)
    wide, kernel = IntType(14, True), rng.integers(-4, 4, (2, 4))
    table = np.sort(rng.integers(-12, 13, (2, 3)), axis=1)
    act = Threshold(table, wide, np.ones(2, dtype=int), 0, IntType(2))
    last = MatVec(rng.integers(-4, 4, (3, 18)), IntType(3, True), wide)
    nodes = (
        Node("pad", Pad((1, 0, 1, 0), 0), ("x",), "p"),
        Node("window", Window((2, 2), (1, 1), (1, 1)), ("p",), "w"),
        Node("conv", MatVec(kernel, IntType(3, True), wide), ("w",), "a"),
        Node("act", act, ("a",), "y"),
        Node("flat", Reshape((18,)), ("y",), "f"),
        Node("fc", last, ("f",), "logits"),
        Node("argmax", ArgMax(), ("logits",), "class"),
    )
    return Graph("conv", "x", Edge((3, 3, 1), IntType(3)), nodes, "class")


@pytest.mark.parametrize("make", [staircase_net, convolution_net])
def test_linear_bounds_certify_more_than_intervals_and_no_attack_gets_there(make):
    wider = 0
    for seed in range(4):
        graph = make(seed)
        x, rng = random_inputs(graph, 5, seed), np.random.default_rng(seed)
        y, every = graph.evaluate(x), moved_layers(graph)
        for layers in (every[:1], every):
            plain = certify_weights(graph, x, y=y, layers=layers, places=6)
            found = certify_weights(graph, x, y=y, layers=layers, places=6, method=LINEAR)
            for k, (one, other) in enumerate(
                zip(plain.certificates, found.certificates, strict=True)
            ):
                assert radius(other) >= radius(one)
                assert (other.proof is not None) == (radius(other) > radius(one))
                wider += radius(other) > radius(one)
                for _ in range(5):
                    moves = {n: corner_moves(graph.node(n).op, radius(other), rng) for n in layers}
                    assert evaluate_moved(graph, x[k : k + 1], moves)[0] == y[k]
    assert wider > 3


@settings(max_examples=30, deadline=None)
@given(fitting_chains())
def test_the_sign_attack_needs_more_than_the_linear_radius(graph):
    x = random_inputs(graph, 2)
    y = graph.evaluate(x)
    for layer in moved_layers(graph):
        found = certify_weights(graph, x, y=y, layers=(layer,), places=3, method=LINEAR)
        for k, certificate in enumerate(found.certificates):
            if not radius(certificate):
                continue
            for rival in range(graph.edge(graph.logits).shape[0]):
                if rival != y[k]:
                    step = radius(certificate)
                    moves = worst_moves(graph, x[k], int(y[k]), rival, layer, step)
                    assert evaluate_moved(graph, x[k : k + 1], {layer: moves})[0] == y[k]


def test_a_weight_of_a_convolution_moves_alike_at_every_place():
    graph = convolution_net(1)
    x = random_inputs(graph, 1)
    ask = question(graph, x, 4, ("conv",))
    node = graph.node("conv")
    pull = np.zeros((len(ask), 3, 3, 2))
    pull[:, 0, 0, 0], pull[:, 2, 1, 0] = 1.0, -1.0
    seen = graph.evaluate_all(x)["w"][0]
    expected = np.abs(seen[0, 0] - seen[2, 1]).sum() / 4  # epsilon is 4/16
    assert charged(ask, node, pull).constant.tolist() == [expected] * len(ask)
    assert not charged(ask, node, pull).slope[:, 0, 0].any() or seen[0, 0].any()


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1), st.integers(0, 5), st.sampled_from([1, 7, 40, 1_000]))
def test_an_amount_times_epsilon_is_rounded_up_to_its_grid(seed, digits, steps):
    rng, graph = np.random.default_rng(seed), products_in_a_row(1)
    ask = question(graph, random_inputs(graph, 1), steps, ("fc0",))
    whole = rng.integers(0, 1 << 40, (len(ask), 3))
    found = times_epsilon(whole / 2.0**ask.grid, ask, digits)
    unit = Fraction(1 << digits, 1 << ask.grid)
    for mine, amount in zip(found.ravel().tolist(), whole.ravel().tolist(), strict=True):
        exact = Fraction(amount, 1 << ask.grid) * Fraction(steps, 1 << PLACES)
        assert Fraction(mine) % unit == 0
        assert exact <= Fraction(mine) < exact + unit


def test_odd_multipliers_and_unknown_methods_are_refused():
    graph = staircase_net(0)
    x = random_inputs(graph, 1)
    ask = question(graph, x, 1, ("fc0",))
    odd = {name: np.ones(m.shape, dtype=np.int64) for name, m in chords(ask).items()}
    with pytest.raises(ValueError, match="odd multipliers"):
        decided(ask, odd)
    with pytest.raises(InputError, match="method 'zonotope' of weights: choose from intervals"):
        certify_weights(graph, x, y=graph.evaluate(x), layers=("fc0",), method="zonotope")


@pytest.mark.parametrize("make", [staircase_net, convolution_net])
def test_the_checker_accepts_what_multipliers_show_and_rejects_what_they_do_not(tmp_path, make):
    graph, path = make(0), tmp_path / "c.json"
    x = random_inputs(graph, 4, 0)
    y = graph.evaluate(x)
    layers = moved_layers(graph)[:1]
    found = certify_weights(graph, x, y=y, layers=layers, places=6, method=LINEAR)
    save_certificates(found, path)
    assert check(path, graph, x, y).boxes == found.proved
    assert load_certificates(path).certificates == found.certificates
    image = next(k for k, c in enumerate(found.certificates) if c.proof is not None)
    sound = found.certificates[image]
    epsilon = radius(sound)
    first, *others = sound.proof
    leaf = first.steps[0]
    swapped = replace(first, rival=others[0].rival)
    forged = {
        "longer": replace(sound, detail={"epsilon": str(epsilon + Fraction(1, 4))}),
        "no proof": replace(sound, proof=None),
        "rival missing": replace(sound, proof=tuple(others)),
        "rival twice": replace(sound, proof=(swapped, *others)),
        "intervals": replace(sound, proof=(replace(first, steps=(Leaf(),)), *others)),
        "other weights": replace(
            sound, proof=(replace(first, steps=(replace(leaf, weights=(1, 0)),)), *others)
        ),
        "short": replace(
            sound, proof=(replace(first, steps=(Leaf(leaf.multipliers[:-1]),)), *others)
        ),
    }
    for certificate in forged.values():
        changed = list(found.certificates)
        changed[image] = certificate
        save_certificates(replace(found, certificates=tuple(changed)), path)
        with pytest.raises(ClaimError, match="leave another class open"):
            check(path, graph, x, y)
    record = json.loads(path.read_text())
    record["certificates"][image]["detail"]["epsilon"] = "-1"
    del record["content"]
    record["content"] = content_digest(record)
    path.write_text(json.dumps(record))
    with pytest.raises(ClaimError, match="for moves of -1"):
        check(path, graph, x, y)


@settings(max_examples=25, deadline=None)
@given(GRAPHS | ROWS, st.booleans())
def test_what_linear_bounds_certify_is_accepted(tmp_path_factory, graph, jointly):
    graph = classifier(graph)
    if graph is None or not moved_layers(graph):
        return
    path = tmp_path_factory.mktemp("c") / "c.json"
    x = random_inputs(graph, 2)
    y = graph.evaluate(x)
    layers = moved_layers(graph) if jointly else moved_layers(graph)[:1]
    found = certify_weights(graph, x, y=y, layers=layers, places=5, method=LINEAR)
    assert {c.verdict for c in found.certificates} <= {Verdict.PROVED, Verdict.UNKNOWN}
    save_certificates(found, path)
    assert check(path, graph, x, y).boxes == found.proved
