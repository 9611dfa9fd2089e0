"""Any k flips: bounds against brute force over every set of stored bits, no tolerance."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.certify.box import Box
from flow.certify.budget import budgeted
from flow.certify.flip_attack import greedy_flips
from flow.certify.k_flips import k_flips, withstood
from flow.certify.stored_bits import StoredBits
from flow.errors import InputError
from flow.ir import Edge, Graph, IntType, Node
from flow.ops import ArgMax, MatVec, Threshold
from tests.engine.chains import BIPOLAR, chains, random_inputs


def flip_sets(graph, k, most=None, seed=0):
    """All sets of k bits, or ``most`` of them drawn by ``seed``."""
    bits = list(StoredBits.of(graph))
    sets = list(combinations(bits, k)) if most is None or len(bits) ** k < 40 * most else None
    if sets is not None and (most is None or len(sets) <= most):
        return sets
    rng = np.random.default_rng(seed)
    return [tuple(bits[i] for i in rng.choice(len(bits), k, replace=False)) for _ in range(most)]


@settings(max_examples=60, deadline=None)
@given(chains(), st.integers(1, 3))
def test_every_edge_of_every_struck_network_lies_inside_its_bounds(graph, k):
    k = min(k, len(StoredBits.of(graph)))
    x = random_inputs(graph, 4)
    reached = budgeted(graph, Box(x, x), flips=k)
    for flips in flip_sets(graph, k, most=150):
        seen = graph.evaluate_all(x, flips)
        for name, struck in reached.items():
            state = struck.state
            low = np.minimum.reduce([state[r, k - r].lo for r in range(k + 1)])
            high = np.maximum.reduce([state[r, k - r].hi for r in range(k + 1)])
            assert (low <= seen[name]).all(), (name, flips)
            assert (seen[name] <= high).all(), (name, flips)


@settings(max_examples=60, deadline=None)
@given(chains(), st.integers(1, 3))
def test_no_set_of_flips_changes_an_image_that_withstands_as_many(graph, k):
    k = min(k, len(StoredBits.of(graph)))
    x = random_inputs(graph, 6)
    y = graph.evaluate(x)
    held = withstood(graph, x, y=y, flips=k)
    for count in range(1, k + 1):
        sure = np.flatnonzero(held >= count)
        if not sure.size:
            break
        for flips in flip_sets(graph, count, most=400):
            assert (graph.evaluate(x[sure], flips) == y[sure]).all(), flips


def sparse_net(seed, popcount=False):
    """One hidden layer and a last one, registers wide enough never to wrap."""
    rng = np.random.default_rng(seed)
    kind = BIPOLAR if popcount else IntType(2, True)
    source = BIPOLAR if popcount else IntType(2)
    pick = (
        (lambda shape: rng.choice([-1, 1], shape))
        if popcount
        else (lambda shape: rng.integers(-2, 2, shape))
    )
    wide = IntType(5) if popcount else IntType(8, True)
    first = MatVec(pick((2, 3)), kind, wide, popcount=popcount)
    output = BIPOLAR if popcount else IntType(2)
    steps = 1 if popcount else 3
    span = (0, 4) if popcount else (-6, 7)
    banks = np.sort(rng.integers(*span, (2, steps)), axis=1)
    form = rng.choice(["count", "search"])
    bank = IntType(3, False) if popcount else IntType(4, True)
    level = Threshold(banks, bank, rng.choice([-1, 1], 2), 0, output, form, signs_stored=True)
    last = MatVec(pick((3, 2)), kind, wide, popcount=popcount)
    nodes = (
        Node("fc0", first, ("x",), "a0"),
        Node("act0", level, ("a0",), "y0"),
        Node("fc1", last, ("y0",), "logits"),
        Node("argmax", ArgMax(), ("logits",), "class"),
    )
    return Graph("sparse", "x", Edge((3,), source), nodes, "class")


@pytest.mark.parametrize("popcount", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_the_levels_of_a_hidden_layer_are_attained_for_every_budget(seed, popcount):
    graph = sparse_net(seed, popcount)
    x = random_inputs(graph, 3)
    hidden = [b for b in StoredBits.of(graph) if b.node in ("fc0", "act0")]
    for k in (1, 2):
        state = budgeted(graph, Box(x, x), flips=k)["y0"].state
        seen = np.array(
            [
                graph.evaluate_all(x, flips)["y0"]
                for n in range(k + 1)
                for flips in combinations(hidden, n)
            ]
        )
        np.testing.assert_array_equal(state[0, k].lo, seen.min(axis=0))
        np.testing.assert_array_equal(state[0, k].hi, seen.max(axis=0))


@pytest.mark.parametrize("popcount", [False, True])
def test_all_pairs_of_flips_are_told_apart_from_those_that_change_a_class(popcount):
    """How tight: of the images that no pair changes, most are certified, and never another."""
    sure = found = 0
    for seed in range(40):
        graph = sparse_net(seed, popcount)
        x = random_inputs(graph, 8)
        y = graph.evaluate(x)
        held = withstood(graph, x, y=y, flips=1) >= 1
        kept = np.ones(len(x), dtype=bool)
        for (flip,) in flip_sets(graph, 1):
            kept &= graph.evaluate(x, [flip]) == y
        assert not (held & ~kept).any()
        sure, found = sure + kept.sum(), found + held.sum()
    assert 0 < sure == found


def test_a_witness_changes_the_class_within_its_budget():
    graph = sparse_net(3)
    x = random_inputs(graph, 12)
    y = graph.evaluate(x)
    found = k_flips(graph, x, y=y, flips=2)
    assert any(found.witness)
    for k, flips in enumerate(found.witness):
        if flips is not None:
            assert 0 < len(set(flips)) <= 2
            assert graph.evaluate(x[k : k + 1], flips)[0] != y[k]
            assert found.certified[k] < len(flips)
    assert greedy_flips(graph, x[0], label=int(y[0]), most=0) == ()


def test_more_flips_than_bits_are_refused():
    graph = sparse_net(1)
    x = random_inputs(graph, 2)
    for flips in (0, 10_000):
        with pytest.raises(InputError, match=rf"{flips} flips: \d+ stored bits may flip"):
            k_flips(graph, x, y=graph.evaluate(x), flips=flips)
