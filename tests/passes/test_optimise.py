"""Passes that are asked for by name: what stays, what goes, and that they find something."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.ir import Edge, Fault, Graph, IntType, Node
from flow.ir.text import stored_bits
from flow.ir.verify import verify
from flow.ops import Add, ArgMax, MatVec, MaxPool, Pad, Reshape, Threshold, Transpose, Window
from flow.passes import (
    OPTIMISE,
    merge_adds,
    merge_identical,
    merge_layout,
    remove_channels,
    run_passes,
    trim_levels,
)
from flow.passes.reach import reach
from tests.engine.chains import chains, random_inputs
from tests.engine.images import image_graphs
from tests.passes.networks import idle_chain, idle_chains, redundant_image, redundant_images
from tests.strategies import BIPOLAR

GRAPHS = st.one_of(redundant_images(), idle_chains(), image_graphs(), chains())
U2, S8 = IntType(2), IntType(8, True)


def shape_of(graph):
    return [(n.name, type(n.op).__name__, n.inputs) for n in graph.nodes]


def bits(graph):
    return sum(stored_bits(node.op) for node in graph.nodes)


@pytest.mark.parametrize("name", [n for n in OPTIMISE if n != "remove-channels"])
@settings(max_examples=150)
@given(graph=GRAPHS)
def test_every_edge_that_is_left_keeps_its_values_and_type(name, graph):
    x = random_inputs(graph, 12)
    after = run_passes(graph, (OPTIMISE[name],))
    before, edges = graph.evaluate_all(x), graph.edges()
    for edge, values in after.evaluate_all(x).items():
        np.testing.assert_array_equal(values, before[edge], err_msg=edge)
        assert after.edge(edge) == edges[edge]
    assert (after.output, after.logits in before) == (graph.output, True)
    assert len(after.nodes) <= len(graph.nodes)


@settings(max_examples=300)
@given(GRAPHS)
def test_removed_channels_change_neither_class_nor_logits(graph):
    x = random_inputs(graph, 30)
    after = verify(remove_channels(graph))
    before, now = graph.evaluate_all(x), after.evaluate_all(x)
    np.testing.assert_array_equal(now[after.output], before[graph.output])
    np.testing.assert_array_equal(now[after.logits], before[graph.logits])
    assert bits(after) <= bits(graph) or shape_of(after) == shape_of(graph)


@settings(max_examples=100)
@given(GRAPHS)
def test_all_of_them_in_order_change_neither_class_nor_logits(graph):
    x = random_inputs(graph, 12)
    after = run_passes(graph, OPTIMISE.values())
    np.testing.assert_array_equal(after.evaluate(x), graph.evaluate(x))


@pytest.mark.parametrize("name", OPTIMISE)
def test_the_random_graphs_hold_something_for_every_pass(name):
    graphs = [f(seed) for seed in range(60) for f in (redundant_image, idle_chain)]
    assert sum(OPTIMISE[name](graph) is not graph for graph in graphs) >= 5


@settings(max_examples=100)
@given(GRAPHS, st.integers(0, 2**32 - 1))
def test_no_fault_takes_an_edge_out_of_its_reach(graph, seed):
    rng, faults = np.random.default_rng(seed), []
    for node in graph.nodes:
        for name, kind in node.op.stored.items():
            values = getattr(node.op, name)
            for index in np.ndindex(values.shape):
                faults.append(Fault(node.name, name, index, int(rng.integers(kind.bits))))
    chosen = [fault for fault in faults if rng.random() < 0.5]
    for edge, values in graph.evaluate_all(random_inputs(graph, 8), chosen).items():
        low, high = reach(graph)[edge]
        assert low <= values.min() <= values.max() <= high


@settings(max_examples=60)
@given(redundant_images(), st.integers(0, 2**32 - 1))
def test_merged_layout_means_the_same_under_every_fault(graph, seed):
    after = merge_layout(graph)
    nodes = [n for n in graph.nodes if n.op.stored]
    node = nodes[seed % len(nodes)]
    name, kind = next(iter(node.op.stored.items()))
    fault = Fault(node.name, name, (0, 0), seed % kind.bits)
    x = random_inputs(graph, 6)
    np.testing.assert_array_equal(after.evaluate(x, [fault]), graph.evaluate(x, [fault]))


def image(*ops):
    """The ops one after the other on a 3x3x2 image, then a flat sum."""
    edge, name, nodes = Edge((3, 3, 2), U2), "x", []
    for k, op in enumerate(ops):
        nodes.append(Node(f"n{k}", op, (name,), f"e{k}"))
        edge, name = op.out_type(edge), f"e{k}"
    flat = Add([[1]], [0], S8)
    return Graph("g", "x", Edge((3, 3, 2), U2), (*nodes, Node("end", flat, (name,), "y")), "y")


@pytest.mark.parametrize(
    ("ops", "left"),
    [
        ((Reshape((18,)), Reshape((9, 2))), [Reshape((9, 2))]),
        ((Reshape((18,)), Reshape((3, 3, 2))), []),
        ((Transpose((1, 2, 0)), Transpose((1, 2, 0))), [Transpose((2, 0, 1))]),
        ((Transpose((1, 2, 0)), Transpose((2, 0, 1))), []),
        ((Pad((1, 0, 2, 0), 1), Pad((0, 1, 1, 1), 1)), [Pad((1, 1, 3, 1), 1)]),
        ((Pad((1, 0, 0, 0), 1), Pad((1, 0, 0, 0), 2)), [Pad((1, 0, 0, 0), k) for k in (1, 2)]),
        ((Pad((0, 0, 0, 0), 3), Window((1, 1)), MaxPool((1, 1), (1, 1))), []),
        ((Window((1, 1), (2, 1)),), [Window((1, 1), (2, 1))]),
        ((Window((3, 3)), Reshape((1, 1, 18))), [Window((3, 3))]),
    ],
)
def test_layout_that_follows_layout_becomes_one_op(ops, left):
    merged = merge_layout(image(*ops))
    assert [node.op for node in merged.nodes[:-1]] == left
    x = random_inputs(merged, 5)
    np.testing.assert_array_equal(merged.evaluate(x), image(*ops).evaluate(x))


def test_a_graph_with_nothing_to_find_comes_back_as_it_is():
    act = Threshold([[1, 3]] * 2, IntType(4, True), [1, 1], 0, U2)
    nodes = (
        Node("fc0", MatVec([[1, -1], [2, 1]], S8, IntType(4, True)), ("x",), "a"),
        Node("act0", act, ("a",), "y"),
        Node("fc1", MatVec([[1, 1], [2, 1]], S8, IntType(4)), ("y",), "z"),
        Node("argmax", ArgMax(), ("z",), "class"),
    )
    graph = Graph("g", "x", Edge((2,), IntType(1)), nodes, "class")
    for one in OPTIMISE.values():
        assert one(graph) is graph


def rescaled(scale, offset, register, table=((-7, 0, 9),), compare="count", source=S8):
    op = Threshold(list(table), IntType(16, True), [1], 0, U2, compare)
    nodes = (
        Node("scale", Add([[scale]], [offset], register), ("x",), "a"),
        Node("act0", op, ("a",), "y"),
    )
    return Graph("g", "x", Edge((1,), source), nodes, "y")


@pytest.mark.parametrize("scale", [-5, -2, -1, 1, 3, 4])
@pytest.mark.parametrize("offset", [-3, 0, 2])
@pytest.mark.parametrize("compare", ["count", "search"])
def test_a_rescaling_moves_into_thresholds_for_every_value(scale, offset, compare):
    graph = rescaled(scale, offset, IntType(16, True), compare=compare)
    merged = verify(merge_adds(graph))
    every = np.arange(-128, 128)[:, None]
    assert [type(node.op) for node in merged.nodes] == [Threshold]
    assert merged.node("act0").op.threshold_type == IntType(9, True)
    np.testing.assert_array_equal(merged.evaluate(every), graph.evaluate(every))


@pytest.mark.parametrize(
    "graph",
    [
        rescaled(2, 0, IntType(8, True)),  # wraps
        rescaled(0, 1, IntType(16, True)),  # no way back from a constant
        rescaled(-1, 0, IntType(16, True), [[5, -5, 0]], "search"),  # order decides
        rescaled(2, 0, IntType(16, True), source=BIPOLAR),  # thresholds read integers
    ],
)
def test_a_rescaling_that_cannot_move_stays(graph):
    assert merge_adds(graph) is graph


def test_rescaling_into_a_sum_is_exact_and_refuses_constants_past_63_bits():
    def graph(outer):
        nodes = (
            Node("inner", Add([[3, -2]], [5], IntType(20, True)), ("x",), "a"),
            Node("outer", Add([[outer], [1]], [7, 8], IntType(6, True)), ("a", "x"), "y"),
        )
        return Graph("g", "x", Edge((2,), S8), nodes, "y")

    merged = merge_adds(graph(-4))
    assert shape_of(merged) == [("outer", "Add", ("x", "x"))]
    op = merged.node("outer").op
    assert (op.multipliers.tolist(), op.offset.tolist()) == ([[-12, 8], [1, 1]], [-13, -12])
    assert merge_adds(graph(1 << 61)).node("outer").inputs == ("a", "x")


def test_identical_nodes_are_stored_once_and_a_differing_bit_keeps_them_apart():
    act = Threshold([[1, 2]], IntType(3), [1], 0, U2)

    def graph(second):
        nodes = (
            Node("act0", act, ("x",), "a"),
            Node("act1", second, ("x",), "b"),
            Node("add", Add([[1], [1]], [0], IntType(3)), ("a", "b"), "y"),
        )
        return Graph("g", "x", Edge((1,), U2), nodes, "y")

    same = Threshold([[1, 2]], IntType(3), [1], 0, U2)
    assert shape_of(merge_identical(graph(same)))[1:] == [("add", "Add", ("a", "a"))]
    for other in (
        Threshold([[1, 3]], IntType(3), [1], 0, U2),
        Threshold([[1, 2]], IntType(4), [1], 0, U2),
        Threshold([[1, 2]], IntType(3), [1], 0, U2, "search"),
        Threshold([[1, 2]], IntType(3), [1], 0, U2, signs_stored=True),
    ):
        assert len(merge_identical(graph(other)).nodes) == 3


def levels(table, sign, compare="count"):
    op = Threshold(table, IntType(5, True), sign, 2, IntType(3), compare, signs_stored=True)
    return Graph("g", "x", Edge((len(sign),), U2), (Node("act0", op, ("x",), "y"),), "y")


@pytest.mark.parametrize(
    ("table", "sign", "left", "base"),
    [
        ([[0, 2, 4], [-1, 1, 3]], [1, 1], [[2, 4], [1, 3]], 3),
        ([[1, 2, 4], [1, 4, 4]], [1, 1], [[1, 2], [1, 4]], 2),
        ([[0, 2, 3], [1, 2, 4]], [1, -1], [[2, 3], [1, 2]], 3),
        ([[1, 2, 4], [0, 2, 3]], [1, -1], [[1, 2], [2, 3]], 2),
        ([[0, 0, 0], [-1, 0, 0]], [1, 1], [[0], [0]], 4),
        ([[0, 1, 2], [1, 2, 3]], [1, 1], [[0, 1, 2], [1, 2, 3]], 2),
        ([[1, 2, 4], [1, 2, 4]], [1, -1], [[1, 2, 4], [1, 2, 4]], 2),
    ],
)
def test_levels_that_no_channel_gives_go_from_either_end(table, sign, left, base):
    graph = levels(table, sign)
    op = trim_levels(graph).node("act0").op
    assert (op.thresholds.tolist(), op.base) == (left, base)
    every = np.arange(4)[:, None].repeat(2, axis=1)
    np.testing.assert_array_equal(op.evaluate(every), graph.evaluate(every))
    assert trim_levels(levels([[4, 0, 1]], [1], "search")).node("act0").op.thresholds.size == 3


def idle(weights, behind=True, table=(9, 1, 0), sign=(1, 1, 1)):
    """Three channels of which the first is never reached, the last always."""
    first = MatVec([[1], [1], [1]], IntType(2), IntType(3))
    act = Threshold(np.array(table)[:, None], IntType(4), sign, 1, U2, signs_stored=True)
    last = MatVec(weights, IntType(3, True), IntType(6, True))
    nodes = [
        Node("fc0", first, ("x",), "a"),
        Node("act0", act, ("a",), "y"),
        Node("fc1", last, ("y",), "z"),
    ]
    if behind:
        tail = Threshold([[0, 3]] * len(weights), IntType(8, True), [1] * len(weights), 0, U2)
        nodes += [Node("act1", tail, ("z",), "t")]
    else:
        nodes += [Node("argmax", ArgMax(), ("z",), "class")]
    return Graph("g", "x", Edge((1,), IntType(1)), tuple(nodes), nodes[-1].output)


def test_a_constant_channel_moves_into_the_thresholds_behind_it():
    graph = idle([[3, 2, -2], [1, -3, 2]])
    after = remove_channels(graph)
    assert after.node("fc0").op.weights.shape == (1, 1)
    assert after.node("fc1").op.weights.tolist() == [[2], [-3]]
    assert after.node("act1").op.thresholds.tolist() == [[1, 4], [-5, -2]]
    every = np.array([[0], [1]])
    np.testing.assert_array_equal(after.evaluate(every), graph.evaluate(every))


def test_before_a_class_only_what_adds_nothing_goes():
    kept = idle([[3, 2, -2], [1, -3, 2]], behind=False)
    assert remove_channels(kept) is kept
    unread = remove_channels(idle([[3, 2, 0], [1, -3, 0]], behind=False))
    assert unread.node("fc1").op.weights.tolist() == [[3, 2], [1, -3]]


def test_one_channel_stays_when_all_are_constant():
    after = remove_channels(idle([[3, 2, 1]], table=(9, 9, 9)))
    assert after.node("fc1").op.weights.tolist() == [[3]]


def test_a_level_that_trained_weights_alone_hold_constant_stays():
    """The rule is "under any stored code": row 0 is all zeros, but a flip could change it."""
    graph = idle([[3, 2, -2]], table=(1, 1, 1))
    first = MatVec([[0], [1], [1]], IntType(2), IntType(3))
    graph = graph.map(lambda n: Node(n.name, first, n.inputs, n.output) if n.name == "fc0" else n)
    assert remove_channels(graph) is graph


def test_a_channel_that_is_multiplied_by_zero_alone_goes_though_it_varies():
    graph = idle([[3, 0, -2], [1, 0, 2]], behind=False)
    after = remove_channels(graph)
    assert after.node("fc1").op.weights.tolist() == [[3, -2], [1, 2]]
    assert after.node("act0").op.thresholds.tolist() == [[9], [0]]


def test_channels_that_something_else_reads_stay():
    graph = idle([[3, 2, -2]])
    other = Threshold([[1]] * 3, IntType(4), [1] * 3, 0, U2)
    for edge in ("a", "y"):
        more = (
            Node("more", other, (edge,), "m"),
            Node("sum", MatVec([[1, 1, 1]], IntType(2), IntType(5)), ("m",), "s"),
            Node("add", Add([[1], [1]], [0], S8), ("t", "s"), "out"),
        )
        twice = verify(Graph("g", "x", graph.input_edge, (*graph.nodes, *more), "out"))
        after = verify(remove_channels(twice))
        every = np.array([[0], [1]])
        np.testing.assert_array_equal(after.evaluate(every), twice.evaluate(every))
        assert after.node("act0") is twice.node("act0")


def test_a_grouped_product_behind_the_thresholds_stays():
    last = MatVec([[1], [1], [1]], IntType(2), IntType(4), groups=3)
    graph = idle([[3, 2, -2]] * 3)
    graph = graph.map(lambda n: Node(n.name, last, n.inputs, n.output) if n.name == "fc1" else n)
    assert remove_channels(verify(graph)) is graph


def test_a_shorter_sum_that_leaves_its_register_gets_one_that_holds_it():
    """Levels 2..4 alone: 3 a - b is 2..10, unsigned; without the constant a it is below 0."""
    first = MatVec([[1], [1]], IntType(2), IntType(2))
    level = IntType(3, declared=(2, 4))
    act = Threshold([[9, 9], [1, 2]], IntType(4), [1, 1], 2, level)
    nodes = (
        Node("fc0", first, ("x",), "a"),
        Node("act0", act, ("a",), "y"),
        Node("fc1", MatVec([[3, -1]], IntType(3, True), IntType(4)), ("y",), "z"),
        Node("act1", Threshold([[3, 4]], IntType(5), [1], 0, U2), ("z",), "t"),
    )
    graph = verify(Graph("g", "x", Edge((1,), IntType(1)), nodes, "t"))
    after = verify(remove_channels(graph))
    every = np.array([[0], [1]])
    assert after.node("fc1").op.accumulator.signed
    np.testing.assert_array_equal(after.evaluate(every), graph.evaluate(every))


def test_a_register_that_may_wrap_reaches_all_of_its_type():
    assert reach(rescaled(2, 0, S8))["a"] == (-128, 127)
    assert reach(rescaled(-1, 3, IntType(16, True)))["a"] == (-124, 131)
