"""The torch engine on images: every op, branch and group equals the reference."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from flow.engine import BatchedEngine
from flow.engine.spatial import try_convolution
from flow.errors import ClaimError
from flow.ir import Fault, Graph, IntType, Kind, Node
from flow.ir.types import Edge
from flow.ops import OPS, Concat, MatVec, Reshape, Window
from tests.engine.chains import random_inputs
from tests.engine.images import Builder, image_graphs, random_image_graph
from tests.engine.test_batched import assert_edges_equal, stored_bits


@settings(max_examples=80)
@given(image_graphs())
def test_every_edge_equals_the_reference(graph):
    x = random_inputs(graph, 6)
    assert_edges_equal(BatchedEngine(graph).run_all(x), graph.evaluate_all(x))


@settings(max_examples=30)
@given(image_graphs())
def test_every_edge_equals_the_reference_under_faults(graph):
    x = random_inputs(graph, 4)
    engine, bits = BatchedEngine(graph), stored_bits(graph)
    rng = np.random.default_rng(1)
    for _ in range(3):
        chosen = rng.choice(len(bits), min(3, len(bits)), replace=False)
        faults = [
            Fault(b.node, b.parameter, b.index, b.bit, list(Kind)[rng.integers(3)])
            for b in (bits[k] for k in chosen)
        ]
        assert_edges_equal(engine.run_all(x, faults), graph.evaluate_all(x, faults))


def test_the_random_graphs_hold_every_op_and_groups():
    nodes = [node for seed in range(60) for node in random_image_graph(seed).nodes]
    assert {type(node.op).__name__ for node in nodes} == set(OPS)
    assert any(isinstance(node.op, MatVec) and node.op.groups > 1 for node in nodes)
    assert any(len(node.inputs) > 1 for node in nodes)


@pytest.mark.parametrize("memory", [1, 20_000])
def test_the_memory_bound_changes_no_integer(memory):
    graph = random_image_graph(7)
    x = random_inputs(graph, 9)
    engine = BatchedEngine(graph, memory=memory)
    assert engine.batch < 9
    np.testing.assert_array_equal(engine.run(x), graph.evaluate(x))


@pytest.mark.parametrize(("bits", "wide"), [(4, 9), (13, 30), (30, 62)])
def test_groups_are_exact_in_every_dtype(bits, wide):
    """Small sums in float32, larger ones in float64, the largest in int64, extremes included."""
    rng = np.random.default_rng(bits)
    kind, edge = IntType(bits, True), Edge((5, 4, 6), IntType(min(bits, 31)))
    b = Builder(rng, edge)
    name = b.add(Window((3, 2)), "x")
    weights = rng.choice([kind.code_lo, kind.code_hi, kind.code_hi - 1], (6, 12))
    name = b.add(MatVec(weights, kind, IntType(wide, True), groups=3, positions=6), name)
    graph = Graph("groups", "x", edge, tuple(b.nodes), name)
    x = rng.choice([0, edge.type.hi, edge.type.hi - 1], (5, 5, 4, 6))
    np.testing.assert_array_equal(BatchedEngine(graph).run(x), graph.evaluate(x))


@pytest.mark.parametrize(("bits", "fused"), [(4, True), (22, False), (30, False)])
def test_a_window_and_its_layer_are_one_convolution_where_sums_fit_float32(bits, fused):
    """... of every code of the weights; asked for, windows are made and all edges are integers."""
    rng, kind = np.random.default_rng(bits), IntType(bits).within(0, 3)
    stored = IntType(bits, True)
    weights = rng.integers(stored.code_lo, stored.code_hi + 1, (3, 8))
    layer = MatVec(weights, stored, IntType(62, True), positions=4)
    nodes = (
        Node("window", Window((2, 2)), ("x",), "windows"),
        Node("conv", layer, ("windows",), "sums"),
    )
    graph = Graph("small", "x", Edge((4, 5, 2), kind), nodes, "sums")
    x = rng.integers(0, 4, (6, 4, 5, 2))
    engine = BatchedEngine(graph)
    assert bool(engine._whole) is fused
    wanted = graph.evaluate_all(x)
    np.testing.assert_array_equal(engine.run(x), wanted["sums"])
    for name, values in engine.run_all(x).items():
        assert values.dtype == np.int64
        np.testing.assert_array_equal(values, wanted[name], err_msg=name)
    for fault in (Fault("conv", "weights", (1, 3), bits - 1), Fault("conv", "weights", (2, 7), 0)):
        np.testing.assert_array_equal(engine.run(x, [fault]), graph.evaluate(x, [fault]))


@settings(max_examples=60)
@given(graph=image_graphs())
def test_the_output_alone_equals_the_reference_clean_and_struck(graph):
    """Nobody asks for windows here, so that layers behind them are convolutions."""
    x = random_inputs(graph, 5)
    engine = BatchedEngine(graph)
    np.testing.assert_array_equal(engine.run(x), graph.evaluate(x))
    faults = [
        Fault(node.name, "weights", (0, 0), 0)
        for node in graph.nodes
        if isinstance(node.op, MatVec)
    ]
    logits = engine.run_edges(x, (graph.logits,), faults)[graph.logits]
    np.testing.assert_array_equal(logits, graph.evaluate_all(x, faults)[graph.logits])


def test_a_device_whose_convolutions_round_is_refused(monkeypatch):
    def rounding(image, weights, *rest):
        return torch.nn.functional.conv2d(image, weights.to(torch.bfloat16).float(), *rest)

    monkeypatch.setattr("flow.engine.spatial.conv2d", rounding)
    window = Window((2, 2))
    op = MatVec(np.ones((2, 8), dtype=int), IntType(12, True), IntType(30, True))
    with pytest.raises(ClaimError, match=r"^convolutions on cpu are not exact for 8 columns"):
        try_convolution(window, op, (0, 31), device="cpu")


def one_window(height, width, *, kernel, stride, dilation=(1, 1)):
    """A graph of one product of two rows on windows of one channel."""
    rng, edge = np.random.default_rng(0), Edge((height, width, 1), IntType(4, True))
    taps = kernel[0] * kernel[1]
    weights = rng.integers(-4, 4, (2, taps))
    layer = MatVec(weights, IntType(3, True), IntType(12, True), positions=taps)
    nodes = (
        Node("window", Window(kernel, stride, dilation), ("x",), "windows"),
        Node("conv", layer, ("windows",), "sums"),
    )
    return Graph("one", "x", edge, nodes, "sums")


@pytest.mark.parametrize("images", [1, 2, 16])
@pytest.mark.parametrize(
    ("height", "width", "options"),
    [
        (8, 3, {"kernel": (2, 3), "stride": (1, 2), "dilation": (2, 1)}),
        (8, 4, {"kernel": (2, 3), "stride": (1, 2)}),
        (7, 4, {"kernel": (3, 3), "stride": (1, 3)}),
        (4, 8, {"kernel": (3, 2), "stride": (2, 1)}),
        (6, 6, {"kernel": (3, 3), "stride": (2, 2)}),
    ],
)
def test_a_stride_with_nowhere_to_go_changes_nothing(height, width, options, images):
    """PyTorch's CPU convolution gets some of these wrong when it is asked as the window says."""
    graph = one_window(height, width, **options)
    x = np.random.default_rng(1).integers(-8, 8, (images, height, width, 1))
    np.testing.assert_array_equal(BatchedEngine(graph).run(x), graph.evaluate(x))


@pytest.mark.parametrize("wrong", [0, -1])
def test_a_convolution_wrong_for_one_shape_alone_is_refused(monkeypatch, wrong):
    def rounding(image, weights, *rest):
        found = torch.nn.functional.conv2d(image, weights, *rest)
        if image.shape[2:] == (9, 11):
            found[wrong, 0, 0, 0] += 1
        return found

    graph = one_window(9, 11, kernel=(2, 2), stride=(1, 1))
    x = np.random.default_rng(2).integers(-8, 8, (3, 9, 11, 1))
    monkeypatch.setattr("flow.engine.spatial._compared", set())
    monkeypatch.setattr("flow.engine.spatial.conv2d", rounding)
    with pytest.raises(ClaimError, match=r"^convolutions on cpu are not exact for images \(3, 9,"):
        BatchedEngine(graph).run(x)


def test_windows_that_others_read_stay_64_bit_integers():
    """Read by no layer; and by two layers, of which the first would have had them in float64."""
    rng, edge = np.random.default_rng(3), Edge((4, 5, 2), IntType(30))
    x = random_inputs(Graph("x", "x", edge, (Node("w", Window((2, 2)), ("x",), "w"),), "w"), 4)
    b = Builder(rng, edge)
    name = b.add(Reshape((3 * 4 * 8,)), b.add(Window((2, 2)), "x"))
    alone = Graph("alone", "x", edge, tuple(b.nodes), name)
    b = Builder(rng, edge)
    windows = b.add(Window((2, 2)), "x")
    wide = IntType(30, True)
    few = MatVec(rng.choice([-1, 1], (3, 8)), IntType.bipolar1(), IntType(62, True), positions=4)
    many = rng.integers(wide.code_lo, wide.code_hi, (3, 8))
    name = b.add(few, windows)
    other = b.add(MatVec(many, wide, IntType(62, True), positions=4), windows)
    name = b.add(Concat(IntType(62, True)), name, other)
    both = Graph("both", "x", edge, tuple(b.nodes), name)
    for graph in (alone, both):
        engine = BatchedEngine(graph)
        assert engine._steps[0](torch.from_numpy(x)).dtype is torch.int64
        assert_edges_equal(engine.run_all(x), graph.evaluate_all(x))
