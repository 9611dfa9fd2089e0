"""Boxes against brute force over every integer input, with zero tolerance."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flow.certify import Box, Verdict, certify_input, input_box, propagate, propagate_box
from flow.certify.box import product_bound, wrap_box
from flow.certify.input import prove_labels
from flow.certify.witness import find_witnesses
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.ir import Edge, Graph, IntType, Node
from flow.ops import Add, ArgMax, MatVec, Threshold
from tests.engine.chains import BIPOLAR, chains, random_chain, random_inputs, random_labels


def every_input(graph, image, radius):
    """All inputs of the declared type within ``radius`` of ``image``."""
    kind = graph.input_edge.type
    values = [-1, 1] if kind.bipolar else range(kind.lo, kind.hi + 1)
    near = [[v for v in values if abs(v - int(centre)) <= radius] for centre in image]
    return np.array(list(product(*near)))


@settings(max_examples=60, deadline=None)
@given(chains(), st.integers(0, 3))
def test_every_verdict_agrees_with_all_inputs_of_the_box(graph, radius):
    x = random_inputs(graph, 4)
    y = random_labels(graph, x)
    found = certify_input(graph, x, y=y, radius=radius)
    for image, label, certificate in zip(x, y, found.certificates, strict=True):
        points = every_input(graph, image, radius)
        classes = graph.evaluate(points)
        robust = bool((classes == label).all())
        assert certificate.correct == (graph.evaluate(image[None])[0] == label)
        if certificate.verdict is Verdict.PROVED:
            assert robust
            assert certificate.witness is None
        if certificate.verdict is Verdict.REFUTED:
            assert not robust
            point = [list(certificate.witness)]
            assert (points == point).all(axis=1).any()
            assert graph.evaluate(np.array(point))[0] != label


@settings(max_examples=60, deadline=None)
@given(chains(), st.integers(0, 3))
def test_every_activation_lies_inside_its_box(graph, radius):
    x = random_inputs(graph, 3)
    boxes = propagate(graph, input_box(graph, x, radius=radius))
    for k, image in enumerate(x):
        values = graph.evaluate_all(every_input(graph, image, radius))
        for name, box in boxes.items():
            assert (box.lo[k] <= values[name]).all(), name
            assert (values[name] <= box.hi[k]).all(), name


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2))
def test_the_first_layer_box_is_tight_where_nothing_wraps(seed, radius):
    graph = random_chain(seed)
    node = graph.nodes[0]
    assume(isinstance(node.op, MatVec))
    x = random_inputs(graph, 2, seed)
    box = propagate(graph, input_box(graph, x, radius=radius))[node.output]
    kind = node.op.accumulator
    for k, image in enumerate(x):
        points = every_input(graph, image, radius)
        values = node.op.evaluate(points)
        exact = points @ node.op.read.T
        if node.op.popcount:
            exact = (exact + points.shape[1]) // 2
        fits = ((exact >= kind.code_lo) & (exact <= kind.code_hi)).all(axis=0)
        np.testing.assert_array_equal(box.lo[k][fits], values.min(axis=0)[fits])
        np.testing.assert_array_equal(box.hi[k][fits], values.max(axis=0)[fits])


@settings(max_examples=40, deadline=None)
@given(chains())
def test_radius_zero_proves_exactly_the_correct_images(graph):
    x = random_inputs(graph, 12)
    y = random_labels(graph, x)
    found = certify_input(graph, x, y=y, radius=0)
    proved = np.array([c.verdict is Verdict.PROVED for c in found.certificates])
    right = graph.evaluate(x) == y
    np.testing.assert_array_equal(proved, right)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.sampled_from(["count", "search"]))
def test_a_staircase_is_bounded_tightly_whatever_its_thresholds(seed, steps, form):
    rng = np.random.default_rng(seed)
    kind = IntType(5, True)
    thresholds = rng.integers(-16, 16, (3, steps))
    op = Threshold(thresholds, kind, rng.choice([-1, 1], 3), 0, IntType(4), form, signs_stored=True)
    low = rng.integers(-16, 16, 3)
    high = np.minimum(low + rng.integers(0, 12, 3), 15)
    box = propagate_box(op, [Box(low[None], high[None])], [Edge((3,), kind)])
    for c in range(3):
        x = np.zeros((high[c] - low[c] + 1, 3), dtype=int)
        x[:, c] = np.arange(low[c], high[c] + 1)
        levels = op.evaluate(x)[:, c]
        assert (box.lo[0, c], box.hi[0, c]) == (levels.min(), levels.max())


def two_logits(weights, columns=1, bits=8):
    op = MatVec(weights, IntType(4, True), IntType(bits, True))
    nodes = (Node("fc0", op, ("x",), "logits"), Node("argmax", ArgMax(), ("logits",), "class"))
    return Graph("two", "x", Edge((columns,), IntType(3)), nodes, "class")


def scaled_logits(scale, bits=62):
    graph = two_logits([[1], [1]])
    add = Add([[scale, 1]], [0, 5], IntType(bits, True))
    scaling = Node("logits0", add, ("logits",), "scaled")
    last = Node("argmax", ArgMax(), ("scaled",), "class")
    return replace(graph, nodes=(graph.nodes[0], scaling, last))


def test_scales_that_int64_cannot_bound_are_refused_by_name():
    image = np.array([[3]])
    propagate(scaled_logits(2**54 - 1), input_box(scaled_logits(1), image, radius=1))
    with pytest.raises(InputError, match=r"^node 'logits0': can reach 4611686018427387909; box"):
        propagate(scaled_logits(2**55), input_box(scaled_logits(1), image, radius=1))


def test_products_too_wide_to_fuse_are_bounded_apart():
    """Twice a lead of counts times 2**60 wraps int64 around to a proof of the wrong class."""
    op = MatVec(np.ones((2, 3), int), BIPOLAR, IntType(2), popcount=True)
    add = Add([[-(2**60), 2**60]], [0], IntType(63, True))
    nodes = (
        Node("fc0", op, ("x",), "counts"),
        Node("logits0", add, ("counts",), "y"),
        Node("argmax", ArgMax(), ("y",), "class"),
    )
    graph = Graph("wide", "x", Edge((3,), BIPOLAR), nodes, "class")
    box = input_box(graph, np.ones((1, 3), int), radius=0)
    assert prove_labels(graph, box, np.array([1])).tolist() == [True]
    assert prove_labels(graph, box, np.array([0])).tolist() == [False]


def verdict(graph, image, label, radius):
    found = certify_input(graph, np.array([image]), y=np.array([label]), radius=radius)
    return found.certificates[0].verdict


def test_a_tie_is_won_by_the_smaller_index_only():
    graph = two_logits([[1], [1]])
    assert verdict(graph, [3], 0, 2) is Verdict.PROVED
    assert verdict(graph, [3], 1, 2) is Verdict.REFUTED  # misclassified: the tie goes to 0
    graph = two_logits([[0], [1]])  # class 1 leads by x: at x = 0 the tie goes to class 0
    assert verdict(graph, [2], 1, 1) is Verdict.PROVED
    assert verdict(graph, [2], 1, 2) is Verdict.REFUTED


def test_a_tie_the_label_wins_is_no_witness():
    graph = two_logits([[1], [1]])
    box = input_box(graph, np.array([[3], [3]]), radius=2)
    _, broken = find_witnesses(
        BatchedEngine(graph), box, np.array([0, 1]), rng=np.random.default_rng(0)
    )
    assert broken.tolist() == [False, True]


def test_the_last_layer_is_compared_by_differences():
    # logits 5a + b and 5a - b + 1: their boxes overlap, their difference 2b - 1 stays positive
    graph = two_logits([[5, 1], [5, 0]], columns=2)
    assert verdict(graph, [3, 3], 0, 3) is Verdict.PROVED


def test_logits_that_can_wrap_are_not_compared_by_differences():
    # at x = 5 logit 0 is 30, kept in five bits as -2, below logit 1
    graph = two_logits([[6], [0]], bits=5)
    assert verdict(graph, [2], 0, 0) is Verdict.PROVED
    assert verdict(graph, [2], 0, 3) is Verdict.REFUTED


@given(st.integers(1, 6), st.booleans(), st.integers(-300, 300), st.integers(0, 150))
def test_a_register_holds_every_value_of_the_wrapped_interval(bits, signed, low, width):
    kind = IntType(bits, signed)
    kept = kind.wrap(np.arange(low, low + width + 1))
    box = wrap_box(kind, np.array(low), np.array(low + width))
    assert box.lo <= kept.min()
    assert kept.max() <= box.hi
    if (np.diff(kept) == 1).all():
        assert (box.lo, box.hi) == (kept.min(), kept.max())


def test_the_input_box_stays_in_the_declared_range():
    graph = Graph("g", "x", Edge((3,), IntType(5, declared=(0, 16))), (), "x")
    box = input_box(graph, np.array([[0, 8, 16]]), radius=3)
    assert box.lo.tolist() == [[0, 5, 13]]
    assert box.hi.tolist() == [[3, 11, 16]]


@pytest.mark.parametrize(("radius", "low"), [(0, 1), (1, 1), (2, -1), (5, -1)])
def test_a_bipolar_input_moves_only_by_two(radius, low):
    graph = Graph("g", "x", Edge((1,), BIPOLAR), (), "x")
    box = input_box(graph, np.array([[1]]), radius=radius)
    assert (box.lo.item(), box.hi.item()) == (low, 1)


def test_argmax_keeps_every_class_that_can_win():
    box = Box(np.array([[0, 2, 2, 1]]), np.array([[2, 3, 5, 2]]))
    found = propagate_box(ArgMax(), [box], [Edge((4,), IntType(3))])
    assert (found.lo.item(), found.hi.item()) == (0, 2)


@pytest.mark.parametrize("op", [MatVec, Threshold, ArgMax])
def test_every_op_of_a_chain_has_a_box_bound(op):
    assert propagate_box.dispatch(op) is not propagate_box.dispatch(object)


def test_an_unknown_op_is_named():
    with pytest.raises(InputError, match="no box bound for str; use the pixel property"):
        propagate_box("op", [Box(np.zeros(1), np.zeros(1))], [Edge((1,), IntType(1))])


def test_products_beyond_the_exact_range_are_refused():
    op = MatVec(np.ones((1, 4), dtype=int), IntType(31, True), IntType(60, True))
    with pytest.raises(InputError, match="a row of 4 products can reach"):
        product_bound(op, Edge((4,), IntType(31)))


@pytest.mark.parametrize(
    ("x", "y", "radius", "message"),
    [
        ([[1]], [0], -1, "radius -1: give an integer of at least 0"),
        ([[9]], [0], 1, r"are no 1:u3"),
        ([[1, 1]], [0], 1, r"images of shape \(2,\)"),
        ([[1]], [2], 1, "labels must be 1 integers from 0 to 1"),
        ([[1]], [0, 0], 1, "one per image"),
    ],
)
def test_bad_images_labels_and_radii_are_refused(x, y, radius, message):
    with pytest.raises(InputError, match=message):
        certify_input(two_logits([[1], [1]]), np.array(x), y=np.array(y), radius=radius)


def test_a_graph_without_classes_is_refused():
    graph = random_chain(3, classify=False)
    with pytest.raises(InputError, match="end the graph with ArgMax"):
        certify_input(graph, random_inputs(graph, 1), y=np.zeros(1, dtype=int), radius=0)


def test_memory_does_not_grow_with_the_images(monkeypatch):
    """Parts of a few images give what all at once do."""
    graph = random_chain(5)
    x = random_inputs(graph, 40)
    y = random_labels(graph, x)
    whole = certify_input(graph, x, y=y, radius=1)
    held = []
    monkeypatch.setattr("flow.certify.input.HELD", 1 << 12)
    monkeypatch.setattr("flow.certify.witness._HELD", 1 << 14)
    monkeypatch.setattr(
        "flow.certify.input.propagate",
        lambda graph, box: held.append(len(box)) or propagate(graph, box),
    )
    parts = certify_input(graph, x, y=y, radius=1)
    assert max(held) < 10 < len(held) * max(held)
    assert [c.verdict == "PROVED" for c in parts.certificates] == [
        c.verdict == "PROVED" for c in whole.certificates
    ]
