"""Ranges of a graph whose weights may move by real amounts: exact in units of a power of two.

A value v is held as ``v * 2**places``. Sums are exact there; only halves of popcounts and products
of two moved layers without a Threshold between need rounding, which goes outward. A Threshold reads
real sums as it reads integers, since its own thresholds are: ``v >= T`` where ``floor(v) >= T``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.certify.box import Box
from flow.engine.kernels import dense
from flow.errors import InputError
from flow.ir import Array, Graph, IntType
from flow.ops import (
    Add,
    Concat,
    MatVec,
    MaxPool,
    Pad,
    Reshape,
    SumPool,
    Threshold,
    Transpose,
    Window,
)
from flow.ops.window import slide

_LIMIT = 1 << 61  # no sum in units of 2**-places may reach it
_FLOATS = 1 << 53
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """How far each weight of one layer may move in each image's claim: ``steps / 2**places``."""

    steps: Array  # (images,)
    places: int

    def none(self) -> Moves:
        """The same for a layer that stays as it is."""
        return Moves(np.zeros_like(self.steps), self.places)


def moved_boxes(graph: Graph, x: Array, moves: Moves, layers: frozenset[str]) -> dict[str, Box]:
    """For every edge but the class, a box that holds its values in units of ``2**-places``.

    Raises:
        InputError: an op has no such bound, or its sums leave what is exact; the line names it.
    """
    return moved_reach(graph, x, moves, layers)[0]


def moved_reach(
    graph: Graph, x: Array, moves: Moves, layers: frozenset[str]
) -> tuple[dict[str, Box], dict[str, Mask]]:
    """``moved_boxes``, and by node, where there are any, the elements whose register may wrap."""
    start = x.astype(np.int64) << moves.places
    boxes, cut = {graph.input: Box(start, start)}, {}
    for node in graph.nodes[:-1]:
        inputs = [boxes[name] for name in node.inputs]
        own = moves if node.name in layers else moves.none()
        try:
            box = _moved(node.op, inputs, own)
        except InputError as error:
            raise InputError(f"node {node.name!r}: {error}") from None
        if isinstance(node.op, (MatVec, Add, SumPool)):
            kind = node.op.accumulator
            low, high = kind.code_lo << moves.places, (kind.code_hi + 1) << moves.places
            out = (box.lo < low) | (box.hi >= high)
            if out.any():
                cut[node.name] = out
            box = _register(kind, box, moves.places)
        boxes[node.output] = box
    return boxes, cut


@singledispatch
def _moved(op: Any, inputs: list[Box], moves: Moves) -> Box:
    """What ``op`` makes of its inputs, before any register."""
    raise InputError(f"no bound of moved weights for {type(op).__name__}; choose another property")


@_moved.register
def _(op: MatVec, inputs: list[Box], moves: Moves) -> Box:
    return moved_sums(op, inputs[0], moves)


@_moved.register
def _(op: Threshold, inputs: list[Box], moves: Moves) -> Box:
    ends = [op.evaluate(end >> moves.places) for end in (inputs[0].lo, inputs[0].hi)]
    return Box(np.minimum(*ends) << moves.places, np.maximum(*ends) << moves.places)


@_moved.register
def _(op: Add, inputs: list[Box], moves: Moves) -> Box:
    sizes = (np.abs(m).max() * _size(box) for m, box in zip(op.multipliers, inputs, strict=True))
    _check(int(sum(sizes)) + (int(np.abs(op.offset).max()) << moves.places))
    low = high = op.offset << moves.places
    for factor, box in zip(op.multipliers, inputs, strict=True):
        ends = factor * box.lo, factor * box.hi
        low, high = low + np.minimum(*ends), high + np.maximum(*ends)
    return Box(low, high)


@_moved.register
def _(op: SumPool, inputs: list[Box], moves: Moves) -> Box:
    _check(_size(inputs[0]) * op.kernel[0] * op.kernel[1])
    low, high = (
        slide(end, op.kernel, op.stride, (1, 1)).sum(axis=(3, 4))
        for end in (inputs[0].lo, inputs[0].hi)
    )
    return Box(low, high)


@_moved.register(MaxPool)
@_moved.register(Window)
@_moved.register(Concat)
@_moved.register(Reshape)
@_moved.register(Transpose)
def _(op: Any, inputs: list[Box], moves: Moves) -> Box:
    return Box(op.evaluate(*(b.lo for b in inputs)), op.evaluate(*(b.hi for b in inputs)))


@_moved.register
def _(op: Pad, inputs: list[Box], moves: Moves) -> Box:
    margin = replace(op, value=op.value << moves.places)
    return Box(margin.evaluate(inputs[0].lo), margin.evaluate(inputs[0].hi))


def moved_sums(op: MatVec, box: Box, moves: Moves) -> Box:
    """The sums of every row before its register, halved where they count positions."""
    weights, free = dense(op), free_weights(op)
    widths = np.ones(len(weights), dtype=np.int64)
    low = least(weights, free, widths, box, moves)
    high = -least(-weights, free, widths, box, moves)
    if op.popcount:
        columns = op.weights.shape[1] << moves.places
        low, high = (low + columns) >> 1, -((-high - columns) >> 1)
    return Box(low, high)


def free_weights(op: MatVec) -> Array:
    """1 where a weight is stored, 0 where a row does not see the input, (rows, inputs)."""
    plain = replace(
        op, weights=np.ones_like(op.weights), weight_type=IntType(2, True), popcount=False
    )
    return dense(plain)


def least(weights: Array, free: Array, widths: Array, box: Box, moves: Moves) -> Array:
    """Below every ``sum (w + d) v`` with v in the box and ``|d| <= widths[row] * move`` where free.

    Least of all where no element of the box has both signs, exactly.
    """
    columns = weights.shape[1]
    reach = int(np.abs(weights).max(initial=1)) * columns * _size(box)
    push = int(widths.max()) * int(moves.steps.max(initial=0))
    _check(reach + push * columns * _size(box))
    kind = np.float64 if reach < _FLOATS else np.int64
    low, high = np.maximum(box.lo, 0), np.maximum(box.hi, 0)
    found = _least_positive(weights, free, widths, Box(low, high), moves, kind)
    if box.lo.min(initial=0) >= 0:
        return found
    low, high = np.maximum(-box.hi, 0), np.maximum(-box.lo, 0)
    found = found + _least_positive(-weights, free, widths, Box(low, high), moves, kind)
    if not ((box.lo < 0) & (box.hi > 0)).any():
        return found
    far = np.maximum(np.abs(box.lo), np.abs(box.hi))
    apart = _times(box.lo, np.maximum(weights, 0), kind) + _times(
        box.hi, np.minimum(weights, 0), kind
    )
    simple: Array = apart - _charge(_times(far, free, kind), widths, moves)
    return np.maximum(found, simple)


def _least_positive(
    weights: Array, free: Array, widths: Array, box: Box, moves: Moves, kind: Any
) -> Array:
    """``least`` for values of at least 0: each takes the end that its own moved weight asks for."""
    found = np.empty((*box.lo.shape[:-1], len(weights)), dtype=np.int64)
    # the moved weight is below 0 exactly where the weight is below this
    edge = -(-(widths * moves.steps[:, None]) >> moves.places)
    for own in np.unique(edge, axis=0):
        images = np.flatnonzero((edge == own).all(axis=1))
        part, mine = box[images], Moves(moves.steps[images], moves.places)
        up = weights >= own[:, None]
        total = _times(part.lo, np.where(up, weights, 0), kind)
        total += _times(part.hi, np.where(up, 0, weights), kind)
        mass = _times(part.lo, np.where(up, free, 0), kind)
        mass += _times(part.hi, np.where(up, 0, free), kind)
        found[images] = total - _charge(mass, widths, mine)
    return found


def _charge(mass: Array, widths: Array, moves: Moves) -> Array:
    """``mass * widths * move``, rounded up."""
    steps = moves.steps.reshape(-1, *[1] * (mass.ndim - 1))
    charged: Array = -(-(mass * widths * steps) >> moves.places)
    return charged


def _times(values: Array, weights: Array, kind: Any) -> Array:
    product: NDArray[Any] = values.astype(kind) @ weights.T.astype(kind)
    return product.astype(np.int64)


def _register(kind: IntType, box: Box, places: int) -> Box:
    """What a register keeps of real sums: themselves within one turn of it, else anything."""
    start, turn = kind.code_lo << places, kind.bits + places
    same = (box.lo - start) >> turn == (box.hi - start) >> turn
    shift = ((box.lo - start) >> turn) << turn
    return Box(
        np.where(same, box.lo - shift, start),
        np.where(same, box.hi - shift, (kind.code_hi + 1) << places),
    )


def _size(box: Box) -> int:
    return max(abs(int(box.lo.min(initial=0))), abs(int(box.hi.max(initial=0))))


def _check(bound: int) -> None:
    if bound >= _LIMIT:
        raise InputError(f"sums of moved weights reach {bound}; they are exact below {_LIMIT}")
