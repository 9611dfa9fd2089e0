"""What a growing binary network costs in hardware, as a differentiable function of its widths.

The numbers are those of ``flow.schedule``: cycles by its formulas, which simulation meets exactly,
and tables by its resource model. They are worked out for whole networks at a grid of widths, and
are linear between its points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from math import gcd

import numpy as np
import torch
from torch import Tensor, nn

from flow.ir import Array, Edge, Graph, IntType, Node, Op
from flow.ops import ArgMax, MatVec, MaxPool, Pad, Reshape, Threshold, Window
from flow.schedule import ECP5, Dataflow, Folding, MemoryStyle, Unit, cycles, dataflow
from flow.schedule.area import expected

_POINTS = 5  # of each layer's width
_SIGN = IntType.bipolar1()
_TABLES = replace(ECP5, style=MemoryStyle.DISTRIBUTED)  # no layer gets cheaper by growing


@dataclass(frozen=True, slots=True)
class Layer:
    """A product of the network: its kernel, stride and margin, (1, 1, 0) of a dense one."""

    outputs: int
    dense: bool
    kernel: int = 1
    stride: int = 1
    margin: int = 0
    pool: int = 0  # behind its activation


def layers_of(model: nn.Sequential) -> list[Layer]:
    """The products of a chain of binary layers, as its modules have them."""
    found, margin = [], 0
    for module in model:
        if isinstance(module, nn.ConstantPad2d):
            margin = module.padding[0]
        elif isinstance(module, nn.Conv2d):
            rows, _, kernel, _ = module.weight.shape
            found.append(Layer(rows, False, kernel, module.stride[0], margin))
            margin = 0
        elif isinstance(module, nn.Linear):
            found.append(Layer(len(module.weight), True))
        elif isinstance(module, nn.MaxPool2d):
            found[-1] = replace(found[-1], pool=module.kernel_size)
    return found


def binary_graph(
    layers: Sequence[Layer], widths: Sequence[int], *, shape: tuple[int, ...], pixel: IntType
) -> Graph:
    """A network of these layers with hidden layers of ``widths``, all its weights +1."""
    chain = _Chain(Edge(shape, pixel))
    for number, (layer, rows) in enumerate(zip(layers, [*widths, layers[-1].outputs], strict=True)):
        if layer.dense and len(chain.edge.shape) > 1:
            chain.append(f"flat{number}", Reshape((chain.edge.elements,)))
        if layer.margin:
            chain.append(f"pad{number}", Pad((layer.margin,) * 4, -1 if number else 0))
        if not layer.dense:
            square = (layer.kernel, layer.kernel)
            chain.append(f"window{number}", Window(square, (layer.stride, layer.stride)))
        columns = chain.edge.shape[-1]
        top = columns * chain.edge.type.hi
        sums = IntType.holding(-top, top)
        weights = np.ones((rows, columns), dtype=np.int64)
        chain.append(f"fc{number}", MatVec(weights, _SIGN, sums))
        if number < len(widths):
            zero, ascending = np.zeros((rows, 1), dtype=np.int64), np.ones(rows, dtype=np.int64)
            chain.append(f"act{number}", Threshold(zero, sums, ascending, 0, _SIGN))
        if layer.pool:
            square = (layer.pool, layer.pool)
            chain.append(f"pool{number}", MaxPool(square, square))
    chain.append("argmax", ArgMax())
    return Graph("growing", "x", Edge(shape, pixel), tuple(chain.nodes), "argmax")


class _Chain:
    """Nodes one behind the other, each writing the edge of its name."""

    def __init__(self, edge: Edge) -> None:
        self.edge, self.nodes, self._last = edge, list[Node](), "x"

    def append(self, name: str, op: Op) -> None:
        self.nodes.append(Node(name, op, (self._last,), name))
        self.edge, self._last = op.out_type(self.edge), name


def layer_costs(graph: Graph, lanes: int) -> list[tuple[int, int]]:
    """Cycles and tables of each layer, ``lanes`` rows by ``lanes`` columns at a time or the largest
    common divisor; what stands between two products belongs to the one behind it."""
    products = {n.name: n.op for n in graph.nodes if isinstance(n.op, MatVec)}
    folding = {
        name: Folding(gcd(op.weights.shape[0], lanes), gcd(op.weights.shape[1], lanes))
        for name, op in products.items()
    }
    flow = dataflow(graph, folding)
    tables = [used.lut for used in expected(flow.units, graph.edges(), _TABLES)]
    costs = [[0, 0] for _ in products]
    for number, (unit, lut) in zip(
        _numbers(flow), zip(flow.units, tables, strict=True), strict=True
    ):
        at = costs[min(number, len(costs) - 1)]
        at[0] = max(at[0], cycles(unit))
        at[1] += lut
    return [(slowest, lut) for slowest, lut in costs]


def _numbers(flow: Dataflow) -> Iterator[int]:
    """The layer of each unit."""
    number = 0
    for unit in flow.units:
        yield number
        number += _ends_layer(unit)


def _ends_layer(unit: Unit) -> bool:
    return unit.node is not None and isinstance(unit.node.op, Threshold)


@dataclass(frozen=True, slots=True)
class HardwareCost:
    """Cycles and tables by width: for each layer a table over (inputs, outputs).

    ``grids`` holds the widths of every hidden layer at which the tables are exact, and of the
    network's input and output their one size.
    """

    grids: tuple[Tensor, ...]
    cycles: tuple[Tensor, ...]
    lut: tuple[Tensor, ...]

    @classmethod
    def of(
        cls,
        layers: Sequence[Layer],
        least: Sequence[int],
        *,
        shape: tuple[int, ...],
        pixel: IntType,
        lanes: int,
    ) -> HardwareCost:
        """The cost of hidden layers from ``least`` to all of their channels."""
        hidden = [
            _grid(low, layer.outputs, lanes) for low, layer in zip(least, layers[:-1], strict=True)
        ]
        ends = [(shape[-1],), *hidden, (layers[-1].outputs,)]
        found = _at_grid(layers, hidden, shape=shape, pixel=pixel, lanes=lanes)
        pairs = [
            torch.tensor(found[:, k, : len(a), : len(b)], dtype=torch.float64)
            for k, (a, b) in enumerate(pairwise(ends))
        ]
        grids = tuple(torch.tensor(grid, dtype=torch.float64) for grid in ends)
        return cls(grids, tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs))

    def __call__(self, widths: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Cycles of the slowest layer, and tables of all, at real ``widths`` of the hidden
        layers; differentiable in them."""
        ends = [self.grids[0][0], *(width.double() for width in widths), self.grids[-1][0]]
        slowest, total = (
            [_between(t, self.grids[k : k + 2], ends[k : k + 2]) for k, t in enumerate(tables)]
            for tables in (self.cycles, self.lut)
        )
        return torch.stack(slowest).max(), torch.stack(total).sum()


def _at_grid(
    layers: Sequence[Layer],
    grids: Sequence[tuple[int, ...]],
    *,
    shape: tuple[int, ...],
    pixel: IntType,
    lanes: int,
) -> Array:
    """(cycles and tables, layer, input width, output width) at every pair of grid points.

    Every second layer takes the i-th width of its grid and the others the j-th: so each network
    shows one pair to every layer, and all networks together show every pair.
    """
    found = np.zeros((2, len(layers), _POINTS, _POINTS), dtype=np.int64)

    @cache
    def costs(widths: tuple[int, ...]) -> list[tuple[int, int]]:
        return layer_costs(binary_graph(layers, widths, shape=shape, pixel=pixel), lanes)

    for i, j in np.ndindex(_POINTS, _POINTS):
        pair = (i, j)
        widths = tuple(grid[min(pair[k % 2], len(grid) - 1)] for k, grid in enumerate(grids))
        for k, both in enumerate(costs(widths)):
            found[:, k, pair[(k + 1) % 2], pair[k % 2]] = both
    return found


def _grid(least: int, most: int, multiple: int) -> tuple[int, ...]:
    """At most ``_POINTS`` widths, both ends among them, multiples where that is possible."""
    steps = np.linspace(least, most, _POINTS)
    inner = {round(step / multiple) * multiple for step in steps[1:-1]}
    return tuple(sorted({least, most} | {step for step in inner if least < step < most}))


def _between(table: Tensor, grids: Sequence[Tensor], at: Sequence[Tensor]) -> Tensor:
    """Bilinear interpolation."""
    for grid, value in zip(reversed(grids), reversed(at), strict=True):
        if len(grid) == 1:
            table = table[..., 0]
            continue
        place = int(torch.searchsorted(grid, value.detach()).clamp(1, len(grid) - 1))
        low, high = grid[place - 1], grid[place]
        share = (value - low) / (high - low)
        table = table[..., place - 1] * (1 - share) + table[..., place] * share
    return table
