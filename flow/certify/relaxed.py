"""A graph as affine ops with units between them: what the linear bounds work on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow.certify.box import Box, exact_sums, propagate_box, wrap_box
from flow.certify.ladder import FAR, Ladder
from flow.certify.units import Pool, Stairs, Unit
from flow.errors import InputError
from flow.ir import Edge, Graph, Node
from flow.ops import Add, MatVec, MaxPool, SumPool, Threshold

EXACT = 1 << 52  # sums of whole numbers below this are exact in float64, with a bit to spare
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Relaxed:
    """What leads to the sums in which classes are compared.

    ``nodes`` make the edge ``end``; ``units`` are those of them that are not affine, by name, in
    order. ``last`` is the staircase that a graph with quantized logits has behind ``end``.
    """

    graph: Graph
    edges: dict[str, Edge]
    nodes: tuple[Node, ...]
    end: str
    units: dict[str, Unit]
    last: Ladder | None

    @classmethod
    def of(cls, graph: Graph) -> Relaxed:
        """The parts of a graph that ends in ArgMax."""
        edges, end = graph.edges(), graph.logits
        nodes, last = graph.nodes[:-1], None
        made = graph.producer(end)
        if made is not None and isinstance(made.op, Threshold):
            end, last = made.inputs[0], Ladder.of(made.op)
            nodes = tuple(node for node in nodes if node.output != made.output)
        units: dict[str, Unit] = {}
        for node in nodes:
            if isinstance(node.op, Threshold):
                units[node.name] = Stairs(Ladder.of(node.op))
            elif isinstance(node.op, MaxPool):
                units[node.name] = Pool(node.op, edges[node.inputs[0]])
        return cls(graph, edges, nodes, end, units, last)

    @property
    def thresholds(self) -> list[Node]:
        """Every staircase of the graph, the last one too: where a region can be split."""
        return [node for node in self.graph.nodes if isinstance(node.op, Threshold)]

    def inputs(self, node: Node) -> list[Edge]:
        """The edges that ``node`` reads."""
        return [self.edges[name] for name in node.inputs]


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A part of the input space: a box, and what the inputs of Thresholds are limited to there.

    A Threshold without limits is not split."""

    box: Box
    limits: dict[str, Box]

    def __len__(self) -> int:
        return len(self.box)

    def __getitem__(self, rows: NDArray[np.int64]) -> Region:
        return Region(self.box[rows], {name: limit[rows] for name, limit in self.limits.items()})


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """Boxes of every edge in each region; ``cut``, by node, the elements whose register may leave
    its turn, where there are any; ``empty`` where no input is left. There boxes mean nothing."""

    boxes: dict[str, Box]
    cut: dict[str, Mask]
    empty: Mask

    def __getitem__(self, rows: NDArray[np.int64]) -> Reach:
        return Reach(
            {name: box[rows] for name, box in self.boxes.items()},
            {name: mask[rows] for name, mask in self.cut.items()},
            self.empty[rows],
        )


def no_limits(relaxed: Relaxed, name: str, count: int) -> Box:
    """Limits of the Threshold called ``name`` that limit nothing."""
    node = relaxed.graph.node(name)
    shape = (count, *relaxed.edges[node.inputs[0]].shape)
    return Box(np.full(shape, -FAR), np.full(shape, FAR))


def reach(relaxed: Relaxed, region: Region) -> Reach:
    """Intervals through the graph, each Threshold's input cut to its limit.

    Raises:
        InputError: a node has no exact box bound; the line names it.
    """
    boxes, cut = {relaxed.graph.input: region.box}, {}
    empty: Mask = np.zeros(len(region), dtype=np.bool_)
    for node in relaxed.graph.nodes[:-1]:
        if node.name in region.limits:
            box, limit = boxes[node.inputs[0]], region.limits[node.name]
            low, high = np.maximum(box.lo, limit.lo), np.minimum(box.hi, limit.hi)
            np.logical_or(empty, _any(low > high), out=empty)
            boxes[node.inputs[0]] = Box(low, np.maximum(low, high))
        sources = [boxes[name] for name in node.inputs]
        try:
            if isinstance(node.op, (MatVec, Add, SumPool)):
                low, high = exact_sums(node.op, sources, relaxed.inputs(node))
                kind = node.op.accumulator
                out = (low < kind.code_lo) | (high > kind.code_hi)
                if out.any():
                    cut[node.name] = out
                boxes[node.output] = wrap_box(kind, low, high)
            else:
                boxes[node.output] = propagate_box(node.op, sources, relaxed.inputs(node))
        except InputError as error:
            raise InputError(f"node {node.name!r}: {error}") from None
    return Reach(boxes, cut, empty)


def _any(mask: Mask) -> Mask:
    found: Mask = np.logical_or.reduce(mask.reshape(len(mask), -1), axis=1)
    return found
