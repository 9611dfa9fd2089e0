"""Evaluation under faults, in numpy and on each torch device, against plain Python integers."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.engine import BatchedEngine
from flow.ir import Edge, Fault, Graph, IntType, Kind, Node
from flow.ops import OPS, MatVec, Threshold
from tests.engine.chains import random_inputs
from tests.engine.images import image_graphs, random_image_graph
from tests.engine.test_batched import stored_bits
from tests.ops import oracle
from tests.strategies import BIPOLAR, chain_graphs, input_batch

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
KINDS = [kind for kind in Kind if kind is not Kind.TRANSIENT]  # of stored bits


@st.composite
def struck(draw, graphs):
    """A graph and up to four faults of its stored bits, the same bit perhaps twice."""
    graph = draw(graphs)
    bits = stored_bits(graph)
    faults = draw(st.lists(st.tuples(st.sampled_from(bits), st.sampled_from(KINDS)), max_size=4))
    return graph, [Fault(b.node, b.parameter, b.index, b.bit, kind) for b, kind in faults]


def assert_equal_to_the_oracle(graph, x, faults, devices=DEVICES):
    runs = [graph.evaluate_all(x, faults)]
    runs += [BatchedEngine(graph, device=device).run_all(x, faults) for device in devices]
    for number, sample in enumerate(x.tolist()):
        for edge, wanted in oracle.run(graph, sample, faults).items():
            for found in runs:
                values = found[edge][number]
                assert {i: int(values[i]) for i in wanted} == wanted, edge
                assert values.size == len(wanted)


@settings(max_examples=150)
@given(struck(chain_graphs()))
def test_dense_graphs_under_faults_equal_plain_integers(case):
    graph, faults = case
    assert_equal_to_the_oracle(graph, input_batch(graph, 6), faults)


@settings(max_examples=60)
@given(struck(image_graphs()))
def test_image_graphs_under_faults_equal_plain_integers(case):
    graph, faults = case
    assert_equal_to_the_oracle(graph, random_inputs(graph, 2), faults)


def test_the_image_graphs_of_this_file_hold_every_op():
    graphs = [random_image_graph(seed) for seed in range(40)]
    assert {type(n.op).__name__ for graph in graphs for n in graph.nodes} == set(OPS)
    for graph in graphs:
        assert_equal_to_the_oracle(graph, random_inputs(graph, 1), stored_bits(graph)[::7])


WEIGHTS = [BIPOLAR, IntType(2), IntType(3, True), IntType(3, True, declared=(-3, 2))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("decode", ["plain", "clamp"])
@pytest.mark.parametrize("stored", WEIGHTS, ids=str)
def test_every_bit_of_a_weight_in_every_kind_of_fault(stored, decode, kind):
    """In a register too narrow for the sums, so that clean and struck sums wrap."""
    rng = np.random.default_rng(0)
    weights = stored.decode(rng.integers(0, 1 << stored.bits, (2, 3)))
    op = MatVec(weights, stored, IntType(3, True), decode)
    graph = Graph("g", "x", Edge((3,), IntType(3)), (Node("fc0", op, ("x",), "y"),), "y")
    x = rng.integers(0, 8, (5, 3))
    for bit in stored_bits(graph):
        fault = Fault(bit.node, bit.parameter, bit.index, bit.bit, kind)
        assert_equal_to_the_oracle(graph, x, [fault])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compare", ["count", "search"])
@pytest.mark.parametrize("output", [BIPOLAR, IntType(2), IntType(3, True)], ids=str)
def test_every_bit_of_a_threshold_and_sign_in_every_kind_of_fault(output, compare, kind):
    steps = 1 if output.bipolar else output.code_hi - output.code_lo
    base = 0 if output.bipolar else output.code_lo
    source = IntType(3, True)
    table = np.sort(np.random.default_rng(steps).integers(-4, 5, (2, steps)), axis=1)
    op = Threshold(table, IntType(4, True), [1, -1], base, output, compare, signs_stored=True)
    graph = Graph("g", "x", Edge((2,), source), (Node("act0", op, ("x",), "y"),), "y")
    x = np.arange(-4, 4)[:, None].repeat(2, axis=1)
    for bit in stored_bits(graph):
        fault = Fault(bit.node, bit.parameter, bit.index, bit.bit, kind)
        assert_equal_to_the_oracle(graph, x, [fault])


def test_faults_on_two_parameters_and_repeated_strikes_keep_their_order():
    op = Threshold([[0, 2]], IntType(3, True), [1], 0, IntType(2), signs_stored=True)
    graph = Graph("g", "x", Edge((1,), IntType(3, True)), (Node("act0", op, ("x",), "y"),), "y")
    x = np.arange(-4, 4)[:, None]
    strikes = [Fault("act0", "thresholds", (0, 1), 2, kind) for kind in (Kind.STUCK1, Kind.FLIP)]
    turned = Fault("act0", "sign", (0,), 0)
    for faults in product([*strikes, turned], repeat=3):
        assert_equal_to_the_oracle(graph, x, list(faults))


@given(st.integers(1, 40), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_a_count_is_of_each_threshold_alone_however_many_there_are_and_in_any_order(
    steps, channels, seed
):
    """Long banks are counted by sorting a copy: equal to comparing one by one, sorted or struck."""
    rng = np.random.default_rng(seed)
    table = rng.integers(-8, 8, (channels, steps))
    op = Threshold(table, IntType(4, True), [1] * channels, 0, IntType(8))
    x = rng.integers(-9, 9, (5, 2, channels))
    wanted = (x[..., None] >= table).sum(axis=-1)
    np.testing.assert_array_equal(op.reached(x), wanted)
