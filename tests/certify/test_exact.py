"""The fewest flips of the last two layers, against brute force over every set of bits."""

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flow.certify import (
    BitSubset,
    Checked,
    StoredBits,
    Verdict,
    certify_k_flips,
    check,
    save_certificates,
)
from flow.certify.code_moves import moves_of
from flow.certify.exact import exact_flips
from flow.certify.k_flips import withstood
from flow.certify.plain_suffix import label_withstands_exactly
from flow.certify.suffix import Suffix
from flow.errors import ClaimError, InputError
from flow.ir import Edge, Graph, IntType, Node
from flow.ops import Add, ArgMax, MatVec, Threshold
from tests.certify.test_check import tamper
from tests.engine.chains import (
    BIPOLAR,
    chains,
    random_add,
    random_inputs,
    random_matvec,
    random_threshold,
)

SETS = 2500  # brute force tries at most so many sets of bits


def limited(rng, op):
    """The product with more bits for each weight, read within a narrower range."""
    if op.weight_type.bipolar:
        return op
    low = int(rng.integers(-3, 1))
    kind = IntType(3, True, declared=(low, int(rng.integers(max(low, 0), 4))))
    register = IntType(op.accumulator.bits + 2, op.accumulator.signed)
    weights = rng.integers(-4, 4, op.weights.shape)
    return replace(op, weights=weights, weight_type=kind, decode="clamp", accumulator=register)


def two_layers(seed, *, deep=False, clamped=False):
    """Two dense layers of a few bits, with every form of threshold, whose registers fit or wrap;
    ``deep``: another layer in front; ``clamped``: weights are limited when they are read."""
    rng = np.random.default_rng(seed)
    kinds = [IntType(2), IntType(2, True), BIPOLAR]
    edge, nodes, name = Edge((int(rng.integers(2, 4)),), kinds[rng.integers(3)]), [], "x"
    first = edge

    def append(op, label):
        nonlocal edge, name
        nodes.append(Node(label, op, (name,), f"{label}_out"))
        edge, name = op.out_type(edge), f"{label}_out"

    def product(label, rows):
        op = random_matvec(rng, rows, edge)
        wide = op.accumulator.bits + int(rng.integers(0, 4))
        op = replace(op, accumulator=IntType(wide, op.accumulator.signed), decode="plain")
        op = limited(rng, op) if clamped else op
        append(op, label)

    if deep:
        product("front", 3)
        append(random_threshold(rng, 3, edge.type), "step")
    product("hidden", int(rng.integers(1, 4)))
    append(random_threshold(rng, edge.shape[0], edge.type), "act")
    product("last", int(rng.integers(2, 4)))
    if rng.random() < 0.4:
        op = random_add(rng, edge.shape[0], edge.type)
        append(replace(op, accumulator=IntType(op.accumulator.bits + 2, True)), "scale")
    append(ArgMax(), "class")
    return Graph("two", "x", first, tuple(nodes), name)


def some_of(graph, seed):
    """Bits of both layers, of one, of the staircase, or high ones only."""
    rng = np.random.default_rng(seed)
    names = ("hidden", "act", "last")
    layers = [names, ("hidden", "act"), ("last",), ("act",), ("hidden",)][rng.integers(5)]
    highest = [None, None, None, 1][rng.integers(4)]
    return BitSubset.choose(graph, layers=layers, highest=highest)


def faults_of(graph, subset):
    stored = StoredBits.of(graph)
    return [stored.fault(int(k)) for k in np.flatnonzero(subset.positions(stored))]


def fewest(graph, image, label, faults, most):
    """By trying every set of bits: the fewest that take the label; ``most + 1`` if none does."""
    for k in range(1, most + 1):
        for flips in combinations(faults, k):
            if int(graph.evaluate(image[None], flips)[0]) != label:
                return k
    return most + 1


def assert_exact(graph, subset, most):
    x = random_inputs(graph, 2)
    y = graph.evaluate(x)
    faults = faults_of(graph, subset)
    k = min(most, len(faults))
    while k > 1 and math.comb(len(faults), k) > SETS:
        k -= 1
    certified, witness = exact_flips(graph, x, y=y, flips=k, subset=subset)
    budgets = withstood(graph, x, y=y, flips=k, subset=subset)
    decided = 0
    for image, label, held, flips, least in zip(x, y, certified, witness, budgets, strict=True):
        true = fewest(graph, image, int(label), faults, k)
        assert held < true
        if flips is not None:
            assert len(flips) == len(set(flips)) == true == held + 1
            assert set(flips) <= set(faults)
            assert int(graph.evaluate(image[None], flips)[0]) != label
        plain = [
            label_withstands_exactly(graph, image, int(label), q, subset=subset, radius=0)
            for q in range(1, k + 1)
        ]
        assert plain == [q <= held for q in range(1, k + 1)]
        if flips is not None or held == k:
            decided += 1
            assert held == min(true - 1, k)
            assert held >= least
    return decided


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_the_fewest_flips_of_two_layers_equal_brute_force(seed, deep):
    graph = two_layers(seed, deep=deep)
    assert_exact(graph, some_of(graph, seed), 3)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_fewest_flips_of_limited_weights_equal_brute_force(seed):
    graph = two_layers(seed, clamped=True)
    assert_exact(graph, some_of(graph, seed), 3)


def test_flips_of_a_limited_weight_are_tried_in_every_choice():
    kind = IntType(3, True, declared=(-1, 1))
    op = MatVec([list(range(-4, 4))], kind, IntType(9, True), "clamp")
    found = moves_of(op, np.array([0, 1]), flips=3)
    assert found.flips == 2
    for column, value in enumerate(op.weights[0].tolist()):
        for most in (1, 2):
            reached = [
                int(np.clip(kind.decode(kind.encode(np.int64(value)) ^ mask), -1, 1))
                for mask in range(4)
                if mask.bit_count() <= most
            ]
            was = min(max(value, -1), 1)
            assert found.up[most - 1, 0, column] == max(reached) - was
            assert found.down[most - 1, 0, column] == was - min(reached)
    alone, both = found.down[0, 0, 7], found.down[1, 0, 7]
    assert (alone, both) == (0, 1)  # neither flip of the code 3 moves what is read, both do


@pytest.mark.parametrize("clamped", [False, True])
def test_where_no_register_wraps_every_image_is_decided(clamped):
    decided = total = 0
    for seed in range(60):
        graph = two_layers(seed, clamped=clamped)
        wide = {
            node.name: replace(
                node.op,
                accumulator=IntType(node.op.accumulator.bits + 6, node.op.accumulator.signed),
            )
            for node in graph.nodes
            if isinstance(node.op, MatVec | Add)
        }
        kept = [replace(n, op=wide.get(n.name, n.op)) for n in graph.nodes]
        graph = Graph("wide", "x", graph.input_edge, tuple(kept), graph.output)
        op = graph.node("hidden").op
        if op.popcount or graph.node("last").op.popcount:
            continue  # a count and its register have no room below 0
        decided += assert_exact(graph, some_of(graph, seed), 2)
        total += 2
    assert decided == total > 60


@settings(max_examples=60, deadline=None)
@given(chains(), st.integers(0, 99))
def test_chains_of_any_kind_are_decided_soundly_or_refused(graph, seed):
    rng = np.random.default_rng(seed)
    holding = [node.name for node in graph.nodes if node.op.stored]
    layers = [name for name in holding[-3:] if rng.random() < 0.6] or holding[-1:]
    subset = BitSubset.choose(graph, layers=layers)
    try:
        Suffix.of(graph, subset)
    except InputError:
        assume(False)
    assert_exact(graph, subset, 2)


def test_a_neuron_has_one_stock_of_flips_for_weights_and_thresholds():
    one, acc = IntType(2, True), IntType(5, True)
    stairs = Threshold([[1, 4, 5]], acc, [1], 0, IntType(2))
    nodes = (
        Node("hidden", MatVec([[0]], one, acc), ("x",), "a"),
        Node("act", stairs, ("a",), "b"),
        Node("last", MatVec([[0], [1]], one, acc), ("b",), "c"),
        Node("scale", Add([[1, 1]], [1, 0], acc), ("c",), "d"),
        Node("argmax", ArgMax(), ("d",), "class"),
    )
    graph = Graph("one", "x", Edge((1,), IntType(1)), nodes, "class")
    subset = BitSubset.choose(graph, layers=["hidden", "act"])
    x, y = np.array([[1]]), np.array([0])
    true = fewest(graph, x[0], 0, faults_of(graph, subset), 3)
    certified, (witness,) = exact_flips(graph, x, y=y, flips=3, subset=subset)
    assert true == 2  # a weight flip and a threshold flip bring it to level 2, neither does alone
    assert (int(certified[0]), len(witness)) == (1, 2)
    assert assert_exact(graph, subset, 3) == 2


def plain_network():
    """Five neurons vote for each of four classes, which a flip or two may or may not outvote."""
    rng = np.random.default_rng(0)
    kind, acc = IntType(3, True), IntType(10, True)
    own = np.repeat(np.eye(4, dtype=int), 5, axis=0)
    levels = np.sort(rng.integers(-9, 15, (20, 3)))
    stairs = Threshold(levels, acc, [1] * 20, 0, IntType(2), signs_stored=True)
    nodes = (
        Node("front", MatVec(2 * np.eye(4, dtype=int), kind, acc), ("x",), "f"),
        Node("step", Threshold([[2, 5, 9]] * 4, acc, [1] * 4, 0, IntType(2)), ("f",), "g"),
        Node("hidden", MatVec(4 * own - 1, kind, acc), ("g",), "a"),
        Node("act", stairs, ("a",), "b"),
        Node("last", MatVec(4 * own.T - 1, kind, acc), ("b",), "c"),
        Node("argmax", ArgMax(), ("c",), "class"),
    )
    graph = Graph("plain", "x", Edge((4,), IntType(3)), nodes, "class")
    x = rng.integers(0, 8, (40, 4))
    y = graph.evaluate(x)
    y[::7] = (y[::7] + 1) % 4
    return graph, x, y, BitSubset.choose(graph, layers=["hidden", "act", "last"])


@pytest.fixture
def case(tmp_path):
    graph, x, y, subset = plain_network()
    found = certify_k_flips(graph, x, y=y, flips=2, subset=subset, method="exact")
    save_certificates(found, tmp_path / "c.json")
    return graph, x, y, found, tmp_path / "c.json"


def test_exact_certificates_leave_nothing_unknown_and_are_checked(case):
    graph, x, y, found, path = case
    counts = found.summary()
    assert counts["unknown"] == 0
    assert min(counts["proved"], counts["refuted"], counts["misclassified"]) > 0
    assert check(path, graph, x, y) == Checked(found.proved, len(x) - found.proved, 0, 0)
    broken = [c for c in found.certificates if c.faults]
    assert broken
    assert all(c.detail["attacked"] == c.detail["certified"] + 1 for c in broken)


def test_a_check_of_flips_can_be_split_into_images(case):
    graph, x, y, found, path = case
    proved = [k for k, c in enumerate(found.certificates) if c.verdict is Verdict.PROVED]
    some = check(path, graph, x, y, images=[proved[0], proved[0]])
    assert (some.boxes, some.unchecked) == (1, found.proved - 1)
    with pytest.raises(InputError, match="choose from 0 to 39"):
        check(path, graph, x, y, images=[40])


def claim_proved(record):
    entry = next(e for e in record["certificates"] if e["verdict"] == "REFUTED" and e["correct"])
    entry.update(verdict="PROVED", faults=[])


def claim_more_flips(record):
    record["radius"] = 5


def claim_more_bits(record):
    record["terms"] = {}


def claim_inputs_too(record):
    record["terms"]["input_radius"] = 1


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (claim_proved, ClaimError, "PROVED, but"),
        (claim_more_flips, ClaimError, "PROVED, but"),
        (claim_more_bits, InputError, "flips in front of 'hidden' are none that this checker"),
        (claim_inputs_too, InputError, "exact flips are about fixed inputs"),
    ],
)
def test_a_forged_exact_certificate_is_rejected(case, change, error, message):
    graph, x, y, _, path = case
    tamper(path, change)
    with pytest.raises(error, match=message):
        check(path, graph, x, y)


def test_a_count_of_one_flip_equals_the_enumeration():
    graph, x, y, subset = plain_network()
    found = certify_k_flips(graph, x, y=y, flips=1, subset=subset, method="exact")
    for k, certificate in enumerate(found.certificates):
        broken = any(
            int(graph.evaluate(x[[k]], [fault])[0]) != y[k] for fault in faults_of(graph, subset)
        )
        want = Verdict.REFUTED if broken or not certificate.correct else Verdict.PROVED
        assert certificate.verdict is want


@pytest.mark.parametrize("layers", [["front"], []])
def test_bits_that_the_bound_is_not_about_are_refused(layers):
    graph, x, y, _ = plain_network()
    subset = BitSubset.choose(graph, layers=layers)
    message = "node 'front': --exact is about bits of hidden, act, last"
    with pytest.raises(InputError, match=message):
        certify_k_flips(graph, x, y=y, flips=1, subset=subset, method="exact")


def test_moving_inputs_are_not_certified_exactly():
    graph, x, y, subset = plain_network()
    with pytest.raises(InputError, match="--exact is about fixed inputs"):
        certify_k_flips(graph, x, y=y, flips=1, subset=subset, radius=1, method="exact")
