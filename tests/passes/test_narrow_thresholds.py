import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flow.ir import Edge, Graph, IntType, Node
from flow.ops import ArgMax, MatVec, Threshold
from flow.passes import narrow_thresholds
from tests.strategies import chain_graphs, input_batch, thresholds

REGISTER = IntType(4, True)


@given(chain_graphs())
def test_outputs_stay_and_a_second_run_changes_nothing(graph):
    x = input_batch(graph)
    once = narrow_thresholds(graph)
    for edge, values in graph.evaluate_all(x).items():
        np.testing.assert_array_equal(once.evaluate_all(x)[edge], values)
    for before, after in zip(once.nodes, narrow_thresholds(once).nodes, strict=True):
        if isinstance(before.op, Threshold):
            np.testing.assert_array_equal(before.op.thresholds, after.op.thresholds)
            assert before.op.threshold_type == after.op.threshold_type


@given(thresholds(Edge((2,), REGISTER)), st.integers(-40, 40), st.integers(0, 2))
def test_the_level_stays_for_every_value_of_the_register(op, shift, spread):
    moved = (op.thresholds + shift) << spread
    wide = Threshold(
        moved, IntType(16, True), op.sign, op.base, op.output, op.compare, signs_stored=True
    )
    product = MatVec([[1, 1]] * 2, IntType(8, True), REGISTER)
    nodes = (
        Node("fc0", product, ("x",), "a"),
        Node("act0", wide, ("a",), "y"),
        Node("argmax", ArgMax(), ("y",), "class"),
    )
    if wide.output.bipolar:
        nodes = nodes[:2]
    graph = Graph("g", "x", Edge((2,), IntType(8, True)), nodes, nodes[-1].output)
    narrow = narrow_thresholds(graph).node("act0").op
    every = np.arange(REGISTER.lo, REGISTER.hi + 1)[:, None].repeat(2, axis=1)
    np.testing.assert_array_equal(narrow.evaluate(every), wide.evaluate(every))
    assert narrow.threshold_type == IntType.holding(REGISTER.lo, REGISTER.hi + 1)


def test_thresholds_of_an_input_stay_as_they_are():
    op = Threshold([[100]], IntType(8), [1], 0, IntType(1))
    graph = Graph("g", "x", Edge((1,), IntType(3)), (Node("act0", op, ("x",), "y"),), "y")
    assert narrow_thresholds(graph).node("act0").op.thresholds.tolist() == [[100]]
