import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.ir import Edge, Graph, IntType, Node
from flow.ops import Add, ArgMax, MatVec
from flow.passes import common_scale, popcount_form, run_passes
from flow.passes.accumulators import register_range
from tests.engine.chains import BIPOLAR, chains, random_inputs, random_weights


def scaled(multipliers, offset, *, bits=16, source=BIPOLAR, weight=BIPOLAR, columns=6, seed=0):
    """One product, an Add and ArgMax."""
    rng = np.random.default_rng(seed)
    classes = max(len(multipliers), len(offset))
    op = MatVec(random_weights(rng, weight, (classes, columns)), weight, IntType(9, True))
    nodes = (
        Node("fc0", op, ("x",), "a"),
        Node("logits0", Add([multipliers], offset, IntType(bits, True)), ("a",), "y"),
        Node("argmax", ArgMax(), ("y",), "class"),
    )
    return Graph("scaled", "x", Edge((columns,), source), nodes, "class")


def every_logit(op, low, high):
    return op.evaluate(np.repeat(np.arange(low, high + 1)[:, None], op.offset.size, axis=1))


@settings(max_examples=80)
@given(
    st.lists(st.tuples(st.integers(-40, 200), st.integers(-90, 90)), min_size=2, max_size=4),
    st.integers(1, 7),
)
def test_logits_of_everything_the_register_can_hold_compare_as_before(lines, columns):
    multipliers, offset = zip(*lines, strict=True)
    graph = scaled(multipliers, offset, columns=columns)
    small = run_passes(graph, (common_scale,))
    span = register_range(graph.node("fc0").op, BIPOLAR)
    before = every_logit(graph.node("logits0").op, *span).ravel()
    ends = [node for node in small.nodes if isinstance(node.op, Add)]
    if ends:
        after = every_logit(ends[0].op, *span).ravel()
        np.testing.assert_array_equal(
            np.sign(after[:, None] - after), np.sign(before[:, None] - before)
        )
        assert ends[0].op.accumulator.bits <= 16
    x = random_inputs(graph, 40)
    np.testing.assert_array_equal(small.evaluate_all(x)["a"], graph.evaluate_all(x)["a"])
    np.testing.assert_array_equal(small.evaluate(x), graph.evaluate(x))


@settings(max_examples=60)
@given(chains())
def test_classes_and_all_edges_but_the_logits_stay_in_any_chain(graph):
    x = random_inputs(graph, 20)
    small = run_passes(graph, (common_scale,))
    before, after = graph.evaluate_all(x), small.evaluate_all(x)
    for name in after.keys() - {graph.logits}:
        np.testing.assert_array_equal(after[name], before[name])


def test_what_does_nothing_is_dropped():
    graph = run_passes(scaled([3], [7], columns=4))
    assert [type(node.op) for node in graph.nodes] == [MatVec, ArgMax]
    assert graph.node("argmax").inputs == ("a",)
    falling = run_passes(scaled([-3, -3], [7, 7]))
    assert falling.node("logits0").op.multipliers.tolist() == [[-1, -1]]


def test_counts_take_fewer_bits_than_products():
    graph = scaled([1, 1, 1], [0, 2, 1], columns=6)
    counted = run_passes(graph)
    assert counted.node("fc0").op.popcount
    add = counted.node("logits0").op
    # products are even: offsets 0 and 1 fall between the same two of them, yet 1 never ties
    assert add.multipliers.tolist() == [[2, 2, 2]]
    assert (add.offset - add.offset[0]).tolist() == [0, 2, 1]
    assert add.accumulator == IntType(4)


def test_what_takes_no_fewer_bits_stays():
    graph = run_passes(scaled([1, 1, 1], [0, 2, 1], columns=6))
    assert common_scale(graph) is graph


def test_an_add_that_wraps_stays():
    graph = scaled([40, 30], [0, 0], bits=6)
    assert common_scale(graph) is graph


def test_counting_leaves_the_results_of_an_add_as_they_are():
    graph = scaled([5, -3, 2], [1, 2, 3])
    x = random_inputs(graph, 30)
    counted = popcount_form(graph)
    assert counted.node("fc0").op.popcount
    np.testing.assert_array_equal(counted.evaluate_all(x)["y"], graph.evaluate_all(x)["y"])


@pytest.mark.parametrize("inputs", [1, 2])
def test_only_an_add_of_one_input_in_front_of_argmax_is_touched(inputs):
    weights = MatVec(np.ones((2, 3), int), IntType(2, True), IntType(6, True))
    nodes = [Node("fc0", weights, ("x",), "a")]
    add = Add([[4, 8]] * inputs, [0], IntType(12, True))
    nodes.append(Node("add0", add, ("a",) * inputs, "y"))
    if inputs == 1:
        last = MatVec(np.ones((2, 2), int), IntType(2, True), IntType(16, True))
        nodes.append(Node("fc1", last, ("y",), "z"))
    nodes.append(Node("argmax", ArgMax(), (nodes[-1].output,), "class"))
    graph = Graph("g", "x", Edge((3,), IntType(2)), tuple(nodes), "class")
    assert common_scale(graph) is graph
