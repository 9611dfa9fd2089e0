import numpy as np
import pytest
from hypothesis import given, settings

from flow.ir import Affine, Edge, Graph, IntType, Node
from flow.ir.verify import verify
from flow.ops import ArgMax, MatVec, Threshold
from flow.passes import popcount_form
from tests.strategies import BIPOLAR, chain_graphs, input_batch


@settings(max_examples=200)
@given(chain_graphs())
def test_outputs_and_every_level_stay(graph):
    x = input_batch(graph)
    counted = verify(popcount_form(graph))
    before, after = graph.evaluate_all(x), counted.evaluate_all(x)
    for node in graph.nodes:
        if not isinstance(node.op, MatVec):
            np.testing.assert_array_equal(after[node.output], before[node.output])
    again = popcount_form(counted)
    assert [n.op.popcount for n in again.nodes if isinstance(n.op, MatVec)] == [
        n.op.popcount for n in counted.nodes if isinstance(n.op, MatVec)
    ]


def bipolar_layer(columns, thresholds, accumulator=None):
    """One product of all +1 weights, thresholds, and a product of bipolar levels."""
    rows = len(thresholds)
    first = MatVec(np.ones((rows, columns), int), BIPOLAR, accumulator or IntType(8, True))
    table = np.array(thresholds)[:, None]
    act = Threshold(table, IntType(8, True), np.ones(rows, int), 0, BIPOLAR)
    last = MatVec(np.eye(rows, dtype=int) * 2 - 1, BIPOLAR, IntType(8, True))
    nodes = (
        Node("fc0", first, ("x",), "a"),
        Node("act0", act, ("a",), "y"),
        Node("fc1", last, ("y",), "z"),
        Node("argmax", ArgMax(), ("z",), "class"),
    )
    affine = (Affine(Affine(1).scale),) * rows
    return Graph("g", "x", Edge((columns,), BIPOLAR), nodes, "class", logit_affine=affine)


@pytest.mark.parametrize("columns", [5, 6])
def test_odd_and_even_thresholds_become_the_count_that_first_reaches_them(columns):
    table = list(range(-columns - 3, columns + 4))
    graph = popcount_form(bipolar_layer(columns, table))
    counts = graph.node("act0").op.thresholds[:, 0]
    first = [
        next((p for p in range(columns + 1) if 2 * p - columns >= t), columns + 1) for t in table
    ]
    assert counts.tolist() == first
    assert graph.node("act0").op.threshold_type == IntType.holding(0, columns + 1)
    assert graph.node("fc0").op.accumulator == IntType.holding(0, columns)


def test_logits_keep_their_meaning():
    graph = bipolar_layer(4, [-2, 0, 2])
    counted = popcount_form(graph)
    x = input_batch(graph)
    values, counts = graph.evaluate_all(x)["z"], counted.evaluate_all(x)["z"]
    scale, offset = counted.logit_affine[0].scale, counted.logit_affine[0].offset
    np.testing.assert_array_equal(values, int(scale) * counts + int(offset))
    assert counted.node("fc1").op.popcount


def test_few_bit_inputs_narrow_registers_and_plain_outputs_are_left_alone():
    few = bipolar_layer(4, [0])
    few = Graph("g", "x", Edge((4,), IntType(2)), few.nodes, "class")
    assert not popcount_form(few).node("fc0").op.popcount
    wraps = bipolar_layer(4, [0], IntType(3, True))  # 4 is -4 there
    assert not popcount_form(wraps).node("fc0").op.popcount
    op = MatVec([[1, -1]], BIPOLAR, IntType(4, True))
    bare = Graph("g", "x", Edge((2,), BIPOLAR), (Node("fc0", op, ("x",), "y"),), "y")
    assert not popcount_form(bare).node("fc0").op.popcount
