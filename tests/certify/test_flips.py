"""Single flips against brute force: every stored bit, every image, no tolerance."""

from functools import partial

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from flow.certify import Effect, single_flips, single_flips_in_parts, write_flip_table
from flow.certify.effect import standing
from flow.certify.stored_bits import StoredBits
from flow.errors import InputError
from flow.ir import Edge, Fault, Graph, IntType, Node
from flow.ops import Add, ArgMax, MatVec, Threshold
from tests.engine.chains import chains, random_chain, random_inputs, random_labels
from tests.engine.images import image_graphs


def brute_force(graph, x, y):
    """Effect of every flip on every image, by running the reference once per flip."""
    clean = graph.evaluate_all(x)
    was = clean[graph.output]
    rows = []
    for fault in StoredBits.of(graph):
        struck = graph.evaluate_all(x, [fault])
        now = struck[graph.output]
        moved = (struck[graph.logits] != clean[graph.logits]).any(axis=1)
        effect = np.where(moved, Effect.TOLERABLE, Effect.MASKED)
        effect = np.where((now != was) & (was == y), Effect.RIGHT_TO_WRONG, effect)
        effect = np.where((now != was) & (now == y), Effect.WRONG_TO_RIGHT, effect)
        effect = np.where((now != was) & (was != y) & (now != y), Effect.WRONG_TO_WRONG, effect)
        rows.append(effect)
    return np.array(rows).reshape(-1, len(x))


def assert_equal_to_brute_force(graph, x, y):
    flips = single_flips(graph, x, y=y)
    effect = brute_force(graph, x, y)
    for kind in Effect:
        np.testing.assert_array_equal(flips.counts[:, kind], (effect == kind).sum(axis=1))
    critical = effect >= Effect.RIGHT_TO_WRONG
    unpacked = np.unpackbits(flips.critical, axis=1, count=len(x)).astype(bool)
    np.testing.assert_array_equal(unpacked, critical)
    np.testing.assert_array_equal(flips.class_changes, critical.sum(axis=1))
    np.testing.assert_array_equal(flips.logit_changes, (effect != Effect.MASKED).sum(axis=1))
    np.testing.assert_array_equal(flips.critical_faults, critical.sum(axis=0))
    right = graph.evaluate(x) == y
    np.testing.assert_array_equal(flips.correct, right)
    np.testing.assert_array_equal(flips.certified, right & ~critical.any(axis=0))
    return flips, effect


@settings(max_examples=80, deadline=None)
@given(chains())
def test_every_flip_on_every_image_equals_brute_force(graph):
    x = random_inputs(graph, 13)
    assert_equal_to_brute_force(graph, x, random_labels(graph, x))


@settings(max_examples=40, deadline=None)
@given(chains())
def test_the_worst_fault_breaks_an_image_whenever_any_fault_does(graph):
    x = random_inputs(graph, 9)
    y = random_labels(graph, x)
    flips = single_flips(graph, x, y=y)
    for image in np.flatnonzero(flips.correct):
        fault = flips.bits.fault(int(flips.worst_fault[image]))
        broken = graph.evaluate(x[image : image + 1], [fault])[0] != y[image]
        assert broken == (flips.critical_faults[image] > 0)


@settings(max_examples=20, deadline=None)
@given(chains())
def test_the_worst_fault_leaves_the_label_furthest_behind(graph):
    x = random_inputs(graph, 5)
    y = random_labels(graph, x)
    flips = single_flips(graph, x, y=y)
    lead = []
    for fault in flips.bits:
        values = graph.evaluate_all(x, [fault])
        logits = values[graph.logits]
        own = logits[np.arange(5), y]
        rival = np.array(
            [np.delete(row, label).max() for row, label in zip(logits, y, strict=True)]
        )
        lead.append(own - rival - (values[graph.output] != y))
    np.testing.assert_array_equal(flips.worst_fault, np.argmin(lead, axis=0))


def test_a_tie_is_a_loss_only_to_a_smaller_index():
    logits = np.array([[3, 3, 1], [3, 3, 1], [5, 3, 1], [5, 3, 9]])
    assert standing(logits, np.array([0, 1, 0, 2])).tolist() == [0, -1, 2, 4]
    assert standing(logits, np.array([2, 2, 1, 0])).tolist() == [-3, -3, -3, -5]


def test_chunks_of_images_change_no_count(monkeypatch):
    graph = random_chain(11)
    x = random_inputs(graph, 37)
    y = random_labels(graph, x)
    whole = single_flips(graph, x, y=y)
    monkeypatch.setattr("flow.certify.flips._PAIRS", 1)
    monkeypatch.setattr("flow.certify.flips._ELEMENTS", 1)
    done = []
    parts = single_flips(graph, x, y=y, jobs=2, progress=lambda *step: done.append(step))
    assert parts.enumeration() == whole.enumeration()
    np.testing.assert_array_equal(parts.worst_fault, whole.worst_fault)
    assert done == [(8, 37), (16, 37), (24, 37), (32, 37), (37, 37)]
    assert_equal_to_brute_force(graph, x, y)


def test_an_accumulator_that_wraps_under_a_flip_is_followed_through_the_wrap():
    first = MatVec([[1, 1]], IntType(3, True), IntType(3, True))
    step = Threshold([[0]], IntType(4, True), [1], 0, IntType(1))
    last = MatVec([[1], [0]], IntType(2, True), IntType(3, True))
    nodes = (
        Node("fc0", first, ("x",), "a0"),
        Node("act0", step, ("a0",), "y0"),
        Node("fc1", last, ("y0",), "logits"),
        Node("argmax", ArgMax(), ("logits",), "class"),
    )
    graph = Graph("wraps", "x", Edge((2,), IntType(2)), nodes, "class")
    x = np.array([[1, 2], [2, 1], [0, 3]])
    # 1 + 2 = 3 fits s3; weight 3 on the 2 gives 7, kept as -1: the level drops from 1 to 0
    wrapped = graph.evaluate_all(x, [Fault("fc0", "weights", (0, 1), 1)])
    assert wrapped["a0"].tolist() == [[-1], [-3], [1]]
    assert_equal_to_brute_force(graph, x, np.array([0, 1, 0]))


@pytest.mark.parametrize("form", ["count", "search"])
def test_thresholds_unsorted_by_a_flip_act_by_the_compare_form(form):
    first = MatVec([[1]], IntType(2, True), IntType(5, True))
    step = Threshold([[1, 3, 5, 7]], IntType(6, True), [1], 0, IntType(3), form)
    last = MatVec([[1], [-1], [0]], IntType(2, True), IntType(5, True))
    nodes = (
        Node("fc0", first, ("x",), "a0"),
        Node("act0", step, ("a0",), "y0"),
        Node("fc1", last, ("y0",), "logits"),
        Node("argmax", ArgMax(), ("logits",), "class"),
    )
    graph = Graph("search", "x", Edge((1,), IntType(4, declared=(0, 9))), nodes, "class")
    x = np.arange(10)[:, None]
    assert_equal_to_brute_force(graph, x, np.zeros(10, dtype=int))


@settings(max_examples=20, deadline=None)
@given(chains())
def test_numbering_and_faults_are_inverse_and_complete(graph):
    bits = StoredBits.of(graph)
    faults = list(bits)
    assert len(set(faults)) == len(faults) == len(bits)
    assert [bits.position(fault) for fault in faults] == list(range(len(bits)))
    for fault in faults:
        graph.with_faults([fault])


def test_a_position_outside_the_stored_bits_is_refused():
    bits = StoredBits.of(random_chain(1))
    with pytest.raises(IndexError, match=rf"bit {len(bits)} of {len(bits)} stored bits"):
        bits.fault(len(bits))
    with pytest.raises(KeyError, match="the graph stores no such parameter"):
        bits.position(Fault("fc9", "weights", (0, 0), 0))


def test_a_graph_without_a_class_is_refused_by_node():
    op = MatVec([[1, 1], [1, 0]], IntType(2, True), IntType(6, True))
    nodes = (Node("fc0", op, ("x",), "a"), Node("argmax", ArgMax(), ("a",), "class"))
    graph = Graph("image", "x", Edge((3, 2), IntType(2)), nodes, "class")
    with pytest.raises(InputError, match="node 'argmax': certificates are about a class"):
        single_flips(graph, np.zeros((1, 3, 2), dtype=int), y=np.zeros(1, dtype=int))


@settings(max_examples=40, deadline=None)
@given(image_graphs())
def test_every_flip_of_an_image_network_equals_brute_force(graph):
    x = random_inputs(graph, 3)
    if len(StoredBits.of(graph)) < 400:  # the reference runs once per flip
        assert_equal_to_brute_force(graph, x, random_labels(graph, x))


def test_wide_registers_are_followed_in_wide_words():
    first = MatVec([[3, -4], [1, 1]], IntType(4, True), IntType(40, True))
    add = Add([[1 << 33, -(1 << 20)]], [5, 7], IntType(42, True))
    nodes = (
        Node("fc0", first, ("x",), "a"),
        Node("add", add, ("a",), "b"),
        Node("argmax", ArgMax(), ("b",), "class"),
    )
    graph = Graph("wide", "x", Edge((2,), IntType(4)), nodes, "class")
    x = random_inputs(graph, 9)
    assert_equal_to_brute_force(graph, x, random_labels(graph, x))


def test_a_killed_enumeration_goes_on_behind_its_last_part(tmp_path, monkeypatch):
    graph = random_chain(11)
    x = random_inputs(graph, 37)
    y = random_labels(graph, x)
    whole, sizes = single_flips(graph, x, y=y), []

    def killed(graph, x, *, y, jobs, progress):
        sizes.append(len(x))
        if len(sizes) == 3:
            raise KeyboardInterrupt
        return single_flips(graph, x, y=y, jobs=jobs, progress=progress)

    monkeypatch.setattr("flow.certify.flip_files.single_flips", killed)
    run = partial(single_flips_in_parts, graph, (x, y), folder=tmp_path / "p", images=16)
    with pytest.raises(KeyboardInterrupt):
        run()
    joined = run()
    assert sizes == [16, 16, 5, 5]
    assert joined.enumeration() == whole.enumeration()
    np.testing.assert_array_equal(joined.worst_fault, whole.worst_fault)
    assert not (tmp_path / "p").exists()


def test_the_table_of_flips_has_a_row_per_bit(tmp_path):
    graph = random_chain(11)
    x = random_inputs(graph, 5)
    flips = single_flips(graph, x, y=random_labels(graph, x))
    write_flip_table(flips, tmp_path / "t.parquet")
    rows = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert len(rows) == len(flips.bits)
    for k, row in enumerate(rows):
        fault = flips.bits.fault(k)
        assert (row["node"], row["parameter"], tuple(row["index"]), row["bit"]) == (
            fault.node, fault.parameter, fault.index, fault.bit,
        )  # fmt: skip
        assert [row[kind.name.lower()] for kind in Effect] == flips.counts[k].tolist()


def test_labels_that_do_not_match_are_refused():
    graph = random_chain(1)
    x = random_inputs(graph, 3)
    with pytest.raises(InputError, match="labels must be 3 integers from 0 to"):
        single_flips(graph, x, y=np.array([0, 1]))
    with pytest.raises(InputError, match="one per image"):
        single_flips(graph, x, y=np.array([0, 1, 99]))
