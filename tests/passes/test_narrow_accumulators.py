import numpy as np
import pytest
from hypothesis import given

from flow.ir import Edge, Graph, IntType, Node
from flow.ir.verify import verify
from flow.ops import ArgMax, MatVec
from flow.passes import Policy, narrow_accumulators
from flow.passes.accumulators import any_code_range, trained_range
from tests.strategies import chain_graphs, input_batch


def bits(graph):
    return sum(n.op.accumulator.bits for n in graph.nodes if isinstance(n.op, MatVec))


@pytest.mark.parametrize("policy", list(Policy))
@given(chain_graphs())
def test_outputs_stay_and_a_second_run_changes_nothing(policy, graph):
    x = input_batch(graph)
    once = verify(narrow_accumulators(graph, policy=policy))
    twice = narrow_accumulators(once, policy=policy)
    for edge, values in graph.evaluate_all(x).items():
        np.testing.assert_array_equal(once.evaluate_all(x)[edge], values)
    assert bits(twice) == bits(once)


@given(chain_graphs(wrapping=False))
def test_exact_is_never_wider_than_fault_safe(graph):
    exact, safe = (narrow_accumulators(graph, policy=p) for p in (Policy.EXACT, Policy.FAULT_SAFE))
    assert bits(exact) <= bits(safe)
    edges = graph.edges()
    for node in exact.nodes:
        if isinstance(node.op, MatVec):
            low, high = trained_range(node.op, edges[node.inputs[0]].type)
            assert node.op.accumulator == IntType.holding(low, high)


@given(chain_graphs(wrapping=False))
def test_the_trained_range_is_reached_and_never_left(graph):
    op, kind = graph.nodes[0].op, graph.input_edge.type
    low, high = trained_range(op, kind)
    columns = op.weights.shape[1]
    corners = np.array(np.meshgrid(*[[kind.lo, kind.hi]] * columns)).reshape(columns, -1).T
    sums = op.evaluate(corners)
    assert (sums.min(), sums.max()) == (low, high)


@pytest.mark.parametrize(("decode", "low"), [("plain", -16), ("clamp", -12)])
def test_no_stored_code_leaves_the_fault_safe_range(decode, low):
    kind, x = IntType(3, True, declared=(-3, 3)), IntType(2, declared=(0, 2))
    codes = [(a, b) for a in range(-4, 4) for b in range(-4, 4)]
    op = MatVec(codes, kind, IntType(8, True), decode)
    sums = op.evaluate(np.array([(0, 0), (0, 2), (2, 0), (2, 2)]))
    assert any_code_range(op, x) == (low, 12) == (sums.min(), sums.max())


def wide(accumulator):
    op = MatVec([[7, -8, 3]], IntType(4, True), accumulator)
    nodes = (Node("fc0", op, ("x",), "y"), Node("argmax", ArgMax(), ("y",), "class"))
    return Graph("g", "x", Edge((3,), IntType(4)), nodes, "class")


def test_an_accumulator_that_wraps_by_itself_keeps_its_width():
    for kind in (IntType(6, True), IntType(8)):
        graph = narrow_accumulators(wide(kind))
        assert graph.node("fc0").op.accumulator == kind
    assert narrow_accumulators(wide(IntType(20, True))).node("fc0").op.accumulator.bits == 9


@pytest.mark.parametrize("size", [15, 16, 23, 24, 31, 32, 33, 55])
def test_widths_at_the_edges_of_machine_types_are_counted_in_whole_integers(size):
    top = 1 << size
    for weights, expected in (([top - 1], size + 1), ([top], size + 2), ([-top], size + 1)):
        op = MatVec([weights], IntType(size + 2, True), IntType(63, True))
        assert IntType.holding(*trained_range(op, IntType(1, declared=(0, 1)))).bits == (
            expected - (weights[0] > 0)
        )
    op = MatVec([[1 << 61] * 8], IntType(63, True), IntType(63, True))
    assert trained_range(op, IntType(4)) == (0, 15 << 64)
