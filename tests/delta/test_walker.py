"""Flips followed by their differences leave the logits of the reference, on every op."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.certify.stored_bits import StoredBits
from flow.delta import Program, Sets, Walker
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.ir import Edge, Fault, Graph, IntType, Node
from flow.ops import ArgMax, MatVec, MaxPool, Reshape, SumPool, Threshold, Window
from tests.engine.chains import random_inputs
from tests.engine.images import random_image_graph
from tests.schedule.networks import four_bit_network


def assert_flips_equal_the_reference(graph, seed, *, flips=40, images=3, word=None):
    x = random_inputs(graph, images)
    program = Program.of(graph)
    program = replace(program, word=word or program.word)
    found = Walker(program).strike(BatchedEngine(graph).run_edges(x, program.edges))
    bits = StoredBits.of(graph)
    assert found.result.shape == (images, len(bits))
    chosen = np.random.default_rng(seed).permutation(len(bits))[:flips]
    for k in map(int, chosen):
        want = graph.evaluate_all(x, [bits.fault(k)])[graph.logits]
        np.testing.assert_array_equal(found.logits[found.result[:, k]], want)
    np.testing.assert_array_equal(found.image[found.clean], np.arange(images))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_flips_in_image_networks_equal_the_reference(seed):
    assert_flips_equal_the_reference(random_image_graph(seed), seed)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([32, 64]))
def test_words_wider_than_needed_change_nothing(seed, word):
    assert_flips_equal_the_reference(random_image_graph(seed), seed, flips=20, word=word)


@pytest.mark.parametrize(
    ("accumulator", "weight", "word"),
    [
        (IntType(15, True), 3, 16),
        (IntType(16, True), 3, 32),
        (IntType(31, True), 3, 32),
        (IntType(32, True), 3, 64),
        (IntType(8, True), 17, 32),
    ],
)
def test_a_word_holds_every_value_and_the_difference_of_two(accumulator, weight, word):
    kind, rng = IntType(weight, True), np.random.default_rng(word)
    low = max(kind.lo, -(1 << 14))
    nodes = (
        Node("fc0", MatVec(rng.integers(low, -low, (4, 3)), kind, accumulator), ("x",), "a"),
        Node(
            "act",
            Threshold(
                rng.integers(accumulator.lo, accumulator.hi, (4, 3)),
                accumulator,
                [1] * 4,
                0,
                IntType(2),
            ),
            ("a",),
            "b",
        ),
        Node(
            "fc1", MatVec(rng.integers(-4, 4, (3, 4)), IntType(3, True), accumulator), ("b",), "c"
        ),
        Node("argmax", ArgMax(), ("c",), "class"),
    )
    graph = Graph("wide", "x", Edge((3,), IntType(8)), nodes, "class")
    assert Program.of(graph).word == word
    assert_flips_equal_the_reference(graph, word, flips=400)


@pytest.mark.parametrize(("columns", "word"), [(16_383, 16), (16_384, 32)])
def test_halved_changes_of_a_popcount_fit_the_word(columns, word):
    bipolar, wraps = IntType(1, bipolar=True), IntType(4)
    op = MatVec(np.ones((2, columns), dtype=int), bipolar, wraps, popcount=True)
    nodes = (Node("fc", op, ("x",), "a"), Node("argmax", ArgMax(), ("a",), "class"))
    graph = Graph("popcount", "x", Edge((columns,), bipolar), nodes, "class")
    assert Program.of(graph).word == word


@pytest.mark.parametrize("pool", [MaxPool((2, 2), (2, 2)), SumPool((2, 2), (2, 2), IntType(4))])
@pytest.mark.parametrize("seed", range(4))
def test_flips_ahead_of_a_pool_equal_the_reference(pool, seed):
    rng = np.random.default_rng(seed)
    kind, acc = IntType(3, True), IntType(7, True)
    levels = np.sort(rng.integers(-12, 12, (2, 3)))
    out = pool.out_type(Edge((4, 4, 2), IntType(2)))
    nodes = (
        Node("window", Window((2, 2)), ("x",), "a"),
        Node("conv", MatVec(rng.integers(-4, 4, (2, 4)), kind, acc), ("a",), "b"),
        Node("act", Threshold(levels, acc, [1, -1], 0, IntType(2), signs_stored=True), ("b",), "c"),
        Node("pool", pool, ("c",), "d"),
        Node("flat", Reshape((out.elements,)), ("d",), "e"),
        Node("fc", MatVec(rng.integers(-4, 4, (3, out.elements)), kind, acc), ("e",), "f"),
        Node("argmax", ArgMax(), ("f",), "class"),
    )
    graph = Graph("pooled", "x", Edge((5, 5, 1), IntType(3, True)), nodes, "class")
    assert_flips_equal_the_reference(graph, seed, flips=200, images=5)


def test_entries_of_a_set_may_come_in_any_order():
    graph = four_bit_network([6, 8, 5, 3], seed=1)
    node = graph.node("fc1")
    rows, width = node.op.weights.shape
    x = random_inputs(graph, 4)
    program = Program.of(graph)
    values = BatchedEngine(graph).run_edges(x, program.edges)
    rng, size, bit = np.random.default_rng(0), 2 * rows, 2
    for _ in range(20):
        element = rng.permutation(rows * width)[:size]  # rows come and come again
        mask = np.full(size, 1 << bit)
        zeros = np.zeros(size, dtype=np.int64)
        sets = Sets(node.name, ("weights",), np.array([0, size]), zeros, element, mask)
        found = Walker(program, [sets]).strike(values)
        places = [divmod(int(e), width) for e in element]
        flips = [Fault(node.name, "weights", place, bit) for place in places]
        want = graph.evaluate_all(x, flips)[graph.logits]
        np.testing.assert_array_equal(found.logits[found.result[:, 0]], want)


def test_only_a_product_that_is_all_the_rest_sees_is_a_cut():
    square = MatVec(np.eye(2, dtype=int), IntType(2, True), IntType(4, True))
    around = (
        Node("fc0", square, ("x",), "a"),
        Node("fc1", square, ("a",), "b"),
        Node("fc2", square, ("b",), "c"),
        Node("argmax", ArgMax(), ("c",), "class"),
    )
    chain = Graph("chain", "x", Edge((2,), IntType(2)), around, "class")
    assert [step.cut for step in Program.of(chain).steps] == [True, True, True]


def test_logits_without_arithmetic_are_refused():
    nodes = (Node("flat", Reshape((4,)), ("x",), "a"), Node("argmax", ArgMax(), ("a",), "class"))
    graph = Graph("moved", "x", Edge((2, 2), IntType(2)), nodes, "class")
    with pytest.raises(InputError, match="'a': logits that no arithmetic made"):
        Program.of(graph)
