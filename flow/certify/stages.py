"""A chain as affine maps with staircases between them: what the linear bounds work on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow.certify.box import Box, exact_sums, one_multiplier, propagate_box
from flow.certify.ladder import FAR, Ladder
from flow.engine.kernels import dense
from flow.errors import InputError
from flow.ir import Array, Graph, Node
from flow.ops import Add, MatVec, Threshold

EXACT = 1 << 52  # sums of whole numbers below this are exact in float64, with a bit to spare
Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """``(weights @ v + offset) / parts``, then the staircase ``ladder``.

    ``parts`` is 2 where a popcount halves, else 1. ``node`` names the Threshold; both it and
    ``ladder`` are None at the end of a chain whose logits are sums. All numbers are whole.
    """

    weights: Reals
    offset: Array
    parts: int
    node: str | None
    ladder: Ladder | None

    def sums(self, v: NDArray[np.float64] | Array) -> Reals:
        """The input of the staircase for the values ``v``, (batch, rows)."""
        found: Reals = (v @ self.weights.T + self.offset) / self.parts
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A part of the input space: a box, and what the inputs of Thresholds are limited to there."""

    box: Box
    limits: dict[str, Box]

    def __len__(self) -> int:
        return len(self.box)

    def __getitem__(self, rows: Array) -> Region:
        return Region(self.box[rows], {name: limit[rows] for name, limit in self.limits.items()})


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """Boxes of every edge in each region; ``fits`` where no register wraps, ``empty`` where no
    input is left. Where ``empty`` the boxes mean nothing."""

    boxes: dict[str, Box]
    fits: NDArray[np.bool_]
    empty: NDArray[np.bool_]


def whole_region(graph: Graph, box: Box) -> Region:
    """The box itself: nothing else is limited."""
    limits = {}
    for node in graph.nodes:
        if isinstance(node.op, Threshold):
            shape = (len(box), *graph.edge(node.inputs[0]).shape)
            limits[node.name] = Box(np.full(shape, -FAR), np.full(shape, FAR))
    return Region(box, limits)


def reach(graph: Graph, region: Region) -> Reach:
    """Intervals through the graph, each Threshold's input cut to its limit."""
    boxes, edges = {graph.input: region.box}, graph.edges()
    fits, empty = np.ones(len(region), dtype=bool), np.zeros(len(region), dtype=bool)
    for node in graph.nodes[:-1]:
        name = node.inputs[0]
        if isinstance(node.op, Threshold):
            limit = region.limits[node.name]
            low, high = (
                np.maximum(boxes[name].lo, limit.lo),
                np.minimum(boxes[name].hi, limit.hi),
            )
            empty |= (low > high).any(axis=1)
            boxes[name] = Box(low, np.maximum(low, high))
        else:
            fits &= _fits(node, boxes[name], graph)
        boxes[node.output] = propagate_box(node.op, boxes[name], edges[name])
    return Reach(boxes, fits, empty)


def _fits(node: Node, box: Box, graph: Graph) -> NDArray[np.bool_]:
    """Whether no sum of the box leaves the node's register."""
    edge = graph.edge(node.inputs[0])
    if isinstance(node.op, MatVec):
        low, high = exact_sums(node.op, box, edge)
    else:
        assert isinstance(node.op, Add)
        factor = one_multiplier(node.op, edge)
        ends = factor * box.lo + node.op.offset, factor * box.hi + node.op.offset
        low, high = np.minimum(*ends), np.maximum(*ends)
    kind = node.op.accumulator
    least, most = low.min(axis=1), high.max(axis=1)
    inside: NDArray[np.bool_] = (least >= kind.code_lo) & (most <= kind.code_hi)
    return inside


def stages(graph: Graph) -> tuple[Stage, ...]:
    """The chain of ``graph``, its ArgMax left out.

    Raises:
        InputError: a node is no link of a chain of vectors, or its numbers are too large to bound
            exactly; the line names it.
    """
    found: list[Stage] = []
    name, width, pending = graph.input, graph.input_edge.elements, True
    weights, offset, parts = np.eye(width), np.zeros(width, dtype=np.int64), 1
    for node in graph.nodes[:-1]:
        _check_link(node, graph, name)
        name, pending = node.output, not isinstance(node.op, Threshold)
        if isinstance(node.op, Threshold):
            found.append(Stage(weights, offset, parts, node.name, Ladder.of(node.op)))
            width = graph.edge(name).elements
            weights, offset, parts = np.eye(width), np.zeros(width, dtype=np.int64), 1
            continue
        if isinstance(node.op, MatVec):
            rows = dense(node.op).astype(np.float64)
            size = float((np.abs(rows) @ np.abs(weights)).max(initial=0))
            size = max(size, float((np.abs(rows) @ np.abs(offset)).max(initial=0)))
            weights, offset = rows @ weights, (rows @ offset).astype(np.int64)
            if node.op.popcount:  # (sum + columns) / 2
                offset, parts = offset + parts * rows.shape[1], 2 * parts
        else:
            assert isinstance(node.op, Add)
            scale = np.broadcast_to(node.op.multipliers[0], offset.shape)
            shift = np.broadcast_to(node.op.offset, offset.shape)
            size = float((np.abs(scale) * np.abs(weights).max(axis=1)).max(initial=0))
            size = max(size, float((np.abs(scale) * (np.abs(offset) + np.abs(shift) * 2.0)).max()))
            weights, offset = scale[:, None] * weights, scale * offset + parts * shift
        if size >= EXACT or parts > 2:
            raise InputError(
                f"node {node.name!r}: factors up to {size:.0f}; linear bounds are exact below "
                f"{EXACT}: use --method ibp"
            )
    if pending:
        found.append(Stage(weights, offset, parts, None, None))
    return tuple(found)


def _check_link(node: Node, graph: Graph, name: str) -> None:
    known = isinstance(node.op, (MatVec, Add, Threshold))
    vector = len(graph.edge(node.output).shape) == 1 and node.inputs == (name,)
    if not known or not vector or getattr(node.op, "groups", 1) != 1:
        raise InputError(
            f"node {node.name!r}: linear bounds know chains of MatVec, Add and Threshold on "
            "vectors; use the pixel property or a campaign"
        )
