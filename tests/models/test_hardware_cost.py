"""The cost of growth is what flow.schedule says of the lowered network, and linear between."""

import numpy as np
import pytest
import torch

from flow.ingest import lower
from flow.ir import IntType
from flow.ops import MatVec
from flow.schedule import Folding, dataflow, interval
from flow.schedule.area import expected
from models import frozen
from models.export import qonnx_file
from models.hardware_cost import _TABLES, HardwareCost, binary_graph, layers_of
from models.networks import build, floats, random_network
from models.recipe import FullyConnected, Stack

PIXEL = IntType(8)
LANES = 4
DENSE = FullyConnected(
    kind="fully-connected", hidden=[32, 24, 16], weight_bits=1, activation_bits=1
)
CONVOLUTIONAL = Stack(
    kind="stack",
    convolutions=[(16, 3, 2), (24, 3, 1)],
    dense=[20],
    weight_bits=1,
    activation_bits=1,
    padded=True,
)
CASES = [(DENSE, (28,), [8, 8, 8]), (CONVOLUTIONAL, (8, 8, 3), [4, 4, 4])]


def made(network, shape):
    return build(network, shape=shape, classes=10, pixel=PIXEL)


def cost(network, shape, least):
    layers = layers_of(made(network, shape))
    return HardwareCost.of(layers, least, shape=shape, pixel=PIXEL, lanes=LANES)


def narrowed(network, widths):
    if network is DENSE:
        return network.model_copy(update={"hidden": widths})
    rows = [(w, *row[1:]) for w, row in zip(widths[:2], network.convolutions, strict=True)]
    return network.model_copy(update={"convolutions": rows, "dense": widths[2:]})


def floating(widths):
    return [torch.tensor(float(width), requires_grad=True) for width in widths]


@pytest.mark.parametrize(("network", "shape", "least"), CASES, ids=["dense", "convolutional"])
def test_at_whole_widths_of_the_grid_it_is_the_schedule_of_that_network(network, shape, least):
    found = cost(network, shape, least)
    widths = [int(grid[k % len(grid)]) for k, grid in enumerate(found.grids[1:-1])]
    graph = binary_graph(layers_of(made(network, shape)), widths, shape=shape, pixel=PIXEL)
    folding = {
        node.name: Folding(*(np.gcd(size, LANES).item() for size in node.op.weights.shape))
        for node in graph.nodes
        if isinstance(node.op, MatVec)
    }
    cycles, lut = found(floating(widths))
    assert cycles.item() == interval(graph, folding)
    units = dataflow(graph, folding).units
    assert lut.item() == sum(used.lut for used in expected(units, graph.edges(), _TABLES))


@pytest.mark.parametrize(("network", "shape", "least"), CASES, ids=["dense", "convolutional"])
def test_its_graph_is_the_shape_of_the_exported_one(network, shape, least, tmp_path):
    small = narrowed(network, least)
    model = random_network(small, shape=shape, classes=10, pixel=PIXEL, seed=0)
    path = tmp_path / "small.onnx"
    example = floats(small, np.zeros((1, *shape), dtype=np.int64))
    path.write_bytes(qonnx_file(model, example, PIXEL, {}))
    real = lower(path).graph
    ours = binary_graph(layers_of(made(network, shape)), least, shape=shape, pixel=PIXEL)

    def products(graph):
        return [node.op.weights.shape for node in graph.nodes if isinstance(node.op, MatVec)]

    assert products(ours) == products(real)
    assert [type(n.op) for n in ours.nodes] == [type(n.op) for n in real.nodes]


def test_pools_are_where_the_exported_network_has_them():
    (entry,) = (entry for entry in frozen.entries() if entry.name == "cnv-w1a1")
    real = lower(entry.path).graph
    layers = layers_of(build(entry.network, shape=(32, 32, 3), classes=10, pixel=PIXEL))
    widths = [layer.outputs for layer in layers[:-1]]
    ours = binary_graph(layers, widths, shape=(32, 32, 3), pixel=PIXEL)
    assert [type(n.op) for n in ours.nodes] == [type(n.op) for n in real.nodes]
    assert {n.name: e.shape for n in ours.nodes for e in [ours.edge(n.output)]}["fc6"] == (64,)


def test_between_two_widths_it_is_linear_and_its_slope_is_what_a_channel_costs():
    found = cost(DENSE, (28,), [8, 8, 8])
    low, high = (float(step) for step in found.grids[1][1:3])
    ends = [found(floating([width, 8, 8])) for width in (low, high)]
    at = floating([low + (high - low) / 4, 8, 8])
    for k in (0, 1):
        value = found(at)[k]
        assert value.item() == 0.75 * ends[0][k].item() + 0.25 * ends[1][k].item()
        (slope,) = torch.autograd.grad(value, at[:1])
        assert slope.item() == pytest.approx((ends[1][k] - ends[0][k]).item() / (high - low))


def test_a_wider_network_never_costs_less():
    found = cost(CONVOLUTIONAL, (8, 8, 3), [4, 4, 4])
    for tables in (found.cycles, found.lut):
        for table in tables:
            assert (table.diff(dim=0) >= 0).all()
            assert (table.diff(dim=1) >= 0).all()
