"""Budgets of flips through every op, every subset of bits and input boxes: brute force agrees."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.certify.box import input_box
from flow.certify.budget import budgeted
from flow.certify.k_flips import withstood
from flow.certify.stored_bits import StoredBits
from flow.certify.subset import BitSubset
from flow.ir import Edge, Graph, IntType
from flow.ops import Add, ArgMax, MatVec, MaxPool, Pad, Reshape, SumPool, Transpose
from tests.engine.chains import chains, random_inputs, random_weights
from tests.engine.images import Builder, image_graphs


def some_subset(graph, seed):
    """All bits, the highest ones, one layer's, or one memory's."""
    rng = np.random.default_rng(seed)
    highest = [None, None, 1, 2][rng.integers(4)]
    holding = [node for node in graph.nodes if node.op.stored]
    node = holding[rng.integers(len(holding))]
    memory = f"{node.name}.{'weights' if 'weights' in node.op.stored else 'thresholds'}"
    chosen = [{}, {"layers": [node.name]}, {"memories": [memory]}][rng.integers(3)]
    return BitSubset.choose(graph, highest=highest, **chosen)


def flip_sets(graph, subset, k, most, seed=0):
    """All sets of k bits of the subset, or ``most`` of them drawn by ``seed``."""
    stored = StoredBits.of(graph)
    bits = [stored.fault(int(b)) for b in np.flatnonzero(subset.positions(stored))]
    if k > len(bits):
        return [tuple(bits)]
    if len(bits) ** k <= 4 * most:
        return list(combinations(bits, k))[:most]
    rng = np.random.default_rng(seed)
    return [tuple(bits[i] for i in rng.choice(len(bits), k, replace=False)) for _ in range(most)]


def inputs_within(box, count, seed=0):
    """For each image ``count`` inputs of its box, both corners among them, and whose they are."""
    rng = np.random.default_rng(seed)
    shape = (len(box), count, *box.lo.shape[1:])
    x = rng.integers(box.lo[:, None], box.hi[:, None] + 1, shape)
    x[:, 0], x[:, -1] = box.lo, box.hi
    return x.reshape(-1, *shape[2:]), np.repeat(np.arange(len(box)), count)


def assert_shared_out(graph, name, struck, values, flips):
    """Each element within the bound for the flips of its own unit and for those before it."""
    own = np.zeros(struck.unit.shape, dtype=int)
    for flip in flips:
        own += (flip.node in struck.owners) & (struck.unit == flip.index[0])
    earlier = sum(flip.node in struck.past - struck.owners for flip in flips)
    for s in np.unique(own):
        box, here = struck.state[earlier, s], own == s
        assert (box.lo[:, here] <= values[:, here]).all(), (name, flips)
        assert (values[:, here] <= box.hi[:, here]).all(), (name, flips)


def assert_holds(graph, k, radius, subset, most):
    x = random_inputs(graph, 2)
    box = input_box(graph, x, radius=radius)
    reached = budgeted(graph, box, flips=k, subset=subset)
    labels = graph.evaluate(x)
    held = withstood(graph, x, y=labels, flips=k, subset=subset, radius=radius)
    kind = graph.input_edge.type
    points, of = inputs_within(box, 1 if radius == 0 else 6)
    if kind.bipolar:
        points = np.where(points <= 0, -1, 1)
    for count in range(1, k + 1):
        for flips in flip_sets(graph, subset, count, most):
            seen = graph.evaluate_all(points, flips)
            for name, struck in reached.items():
                low = np.minimum.reduce([struck.state[r, count - r].lo for r in range(count + 1)])
                high = np.maximum.reduce([struck.state[r, count - r].hi for r in range(count + 1)])
                assert (low[of] <= seen[name]).all(), (name, flips)
                assert (seen[name] <= high[of]).all(), (name, flips)
                if radius == 0 and "concat0_out" not in reached:  # which numbers units anew
                    assert_shared_out(graph, name, struck, seen[name], flips)
            sure = held[of] >= count
            assert (seen[graph.output] == labels[of])[sure].all(), flips


@settings(max_examples=80, deadline=None)
@given(image_graphs(), st.integers(1, 3), st.sampled_from([0, 0, 1, 2]), st.integers(0, 99))
def test_struck_image_graphs_lie_inside_their_bounds(graph, k, radius, seed):
    assert_holds(graph, k, radius, some_subset(graph, seed), 60)


@settings(max_examples=60, deadline=None)
@given(chains(), st.integers(1, 3), st.sampled_from([0, 1, 2]), st.integers(0, 99))
def test_struck_chains_lie_inside_their_bounds(graph, k, radius, seed):
    assert_holds(graph, k, radius, some_subset(graph, seed), 150)


def staircase_behind_moved_elements(seed):
    """A product at four positions, its channels moved before they meet thresholds of others."""
    rng = np.random.default_rng(seed)
    kind = IntType(3, True)
    b = Builder(rng, Edge((2, 2, 2), IntType(2)))
    name = b.add(MatVec(random_weights(rng, kind, (2, 2)), kind, IntType(6, True)), "x")
    name = b.add(Transpose((2, 0, 1)) if seed % 2 else Reshape((8,)), name)
    name = b.threshold(name)
    if seed % 2:
        name = b.add(Reshape((8,)), name)
    name = b.add(MatVec(random_weights(rng, kind, (3, 8)), kind, IntType(8, True)), name)
    name = b.add(ArgMax(), name)
    return Graph("moved", "x", b.edges["x"], tuple(b.nodes), name)


@pytest.mark.parametrize("seed", range(12))
def test_a_row_of_weights_strikes_all_channels_that_it_was_moved_to(seed):
    graph = staircase_behind_moved_elements(seed)
    assert_holds(graph, 1 + seed % 3, 0, BitSubset.choose(graph, layers=["matvec0"]), 150)
    assert_holds(graph, 2, 0, BitSubset(), 150)


def branches_moved_apart(seed):
    """Two products of one input, added up element by element; one is transposed, or neither is."""
    rng = np.random.default_rng(seed)
    kind, flat = IntType(3, True), []
    b = Builder(rng, Edge((2, 2, 2), IntType(2)))
    for order in ((0, 1, 2), (2, 0, 1) if seed % 2 else (0, 1, 2)):
        name = b.add(MatVec(random_weights(rng, kind, (2, 2)), kind, IntType(6, True)), "x")
        flat.append(b.add(Transpose(order), name))
    name = b.add(Add([[1], [-2]], [1], IntType(8, True)), *flat)
    name, wide = b.add(Reshape((8,)), name), IntType(13, True)
    name = b.add(MatVec(random_weights(rng, kind, (3, 8)), kind, wide), name)
    name = b.add(ArgMax(), name)
    return Graph("branches", "x", b.edges["x"], tuple(b.nodes), name)


def image_turned_on_its_side(seed):
    """A product whose channels become rows of an image before windows, pads and pools see it."""
    rng = np.random.default_rng(seed)
    kind = IntType(3, True)
    b = Builder(rng, Edge((2, 2, 2), IntType(2)))
    name = b.add(MatVec(random_weights(rng, kind, (2, 2)), kind, IntType(6, True)), "x")
    name = b.add(Transpose((2, 0, 1)), name)
    pool = MaxPool((2, 1), (1, 1)) if seed % 2 else SumPool((2, 1), (1, 1), IntType(7, True))
    name = b.add(Pad((0, 1, 1, 0), 1), name) if seed % 3 else b.add(pool, name)
    rows, columns = 2, b.edges[name].shape[-1]
    weights = random_weights(rng, kind, (rows, columns))
    name = b.add(MatVec(weights, kind, IntType(10, True)), name)
    name = b.threshold(name)
    name = b.add(Reshape((b.edges[name].elements,)), name)
    last = random_weights(rng, kind, (3, b.edges[name].elements))
    name = b.add(MatVec(last, kind, IntType(10, True)), name)
    name = b.add(ArgMax(), name)
    return Graph("turned", "x", b.edges["x"], tuple(b.nodes), name)


@pytest.mark.parametrize("seed", range(12))
def test_channels_that_became_rows_of_an_image_are_struck_together(seed):
    graph = image_turned_on_its_side(seed)
    assert_holds(graph, 1 + seed % 2, 0, BitSubset.choose(graph, layers=["matvec0"]), 100)
    assert_holds(graph, 2, 0, BitSubset(), 100)


def rows_cut_anew(seed):
    """Twelve elements of three channels in two vectors of six: the places of channels differ."""
    rng = np.random.default_rng(seed)
    kind = IntType(3, True)
    b = Builder(rng, Edge((2, 2, 2), IntType(2)))
    name = b.add(MatVec(random_weights(rng, kind, (3, 2)), kind, IntType(6, True)), "x")
    name = b.add(Reshape((2, 6)), b.add(Transpose((2, 0, 1)), name))
    name = b.add(MatVec(random_weights(rng, kind, (2, 6)), kind, IntType(11, True)), name)
    name = b.add(Reshape((4,)), name)
    name = b.add(MatVec(random_weights(rng, kind, (3, 4)), kind, IntType(14, True)), name)
    name = b.add(ArgMax(), name)
    return Graph("cut", "x", b.edges["x"], tuple(b.nodes), name)


@pytest.mark.parametrize("seed", range(6))
def test_a_channel_is_found_wherever_its_elements_were_moved(seed):
    graph = rows_cut_anew(seed)
    assert_holds(graph, 1, 0, BitSubset.choose(graph, layers=["matvec0"]), 100)
    assert_holds(graph, 2, 0, BitSubset(), 100)


def test_classes_that_share_a_weight_are_struck_together():
    """15 against -15: a flip of -4 leaves -5 and 5, though neither logit alone is caught up."""
    b = Builder(np.random.default_rng(0), Edge((2, 1), IntType(4, True)))
    name = b.add(MatVec([[3]], IntType(3, True), IntType(8, True)), "x")
    name = b.add(ArgMax(), b.add(Reshape((2,)), name))
    graph = Graph("shared", "x", b.edges["x"], tuple(b.nodes), name)
    x = np.array([[[5], [-5]]])
    assert withstood(graph, x, y=np.array([0]), flips=1) == 0
    assert any(graph.evaluate(x, [flip])[0] == 1 for flip in StoredBits.of(graph))


@pytest.mark.parametrize("seed", range(8))
def test_rows_that_meet_in_other_places_of_a_sum_are_not_one_unit(seed):
    graph = branches_moved_apart(seed)
    assert_holds(graph, 1 + seed % 2, 0, BitSubset.choose(graph, layers=["matvec1"]), 100)
    assert_holds(graph, 2, 0, BitSubset(), 100)
