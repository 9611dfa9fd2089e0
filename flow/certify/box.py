"""Exact integer interval propagation: one box in, one box out, for every op."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.engine import largest_sum
from flow.errors import InputError
from flow.ir import Array, Edge, Graph, IntType
from flow.ops import (
    Add,
    ArgMax,
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

Split = tuple[int, int]  # groups and positions, as a MatVec has them
WHOLE = (1, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """Integers ``lo <= v <= hi`` elementwise, both (batch, *edge shape), int64."""

    lo: Array
    hi: Array

    def __getitem__(self, images: Any) -> Box:
        return Box(self.lo[images], self.hi[images])

    def __len__(self) -> int:
        return len(self.lo)


@singledispatch
def propagate_box(op: Any, boxes: Sequence[Box], edges: Sequence[Edge]) -> Box:
    """A box that holds ``op``'s output for every input in ``boxes``; ``edges`` type those.

    Each element's interval is the tightest there is, except where an accumulator can wrap within
    it: then it is the full range of the type.
    """
    raise InputError(f"no box bound for {type(op).__name__}; use the pixel property or a campaign")


@propagate_box.register(MatVec)
@propagate_box.register(Add)
@propagate_box.register(SumPool)
def _(op: Any, boxes: Sequence[Box], edges: Sequence[Edge]) -> Box:
    return wrap_box(op.accumulator, *exact_sums(op, boxes, edges))


@propagate_box.register
def _(op: Threshold, boxes: Sequence[Box], edges: Sequence[Edge]) -> Box:
    # Rising x can only add to a count, and can only turn right in a search: both forms are
    # monotone whatever the thresholds are, sorted or struck by a fault.
    at_lo, at_hi = op.evaluate(boxes[0].lo), op.evaluate(boxes[0].hi)
    return Box(np.minimum(at_lo, at_hi), np.maximum(at_lo, at_hi))


@propagate_box.register(Window)
@propagate_box.register(Pad)
@propagate_box.register(MaxPool)
@propagate_box.register(Concat)
@propagate_box.register(Reshape)
@propagate_box.register(Transpose)
def _(op: Any, boxes: Sequence[Box], edges: Sequence[Edge]) -> Box:
    # Each moves elements or takes the largest of some: where inputs rise no output falls.
    return Box(op.evaluate(*(b.lo for b in boxes)), op.evaluate(*(b.hi for b in boxes)))


@propagate_box.register
def _(op: ArgMax, boxes: Sequence[Box], edges: Sequence[Edge]) -> Box:
    """The smallest and the largest class that no other class beats everywhere in the box."""
    (box,) = boxes
    classes = box.lo.shape[-1]
    index = np.arange(classes)
    behind = box.hi[..., :, None] < box.lo[..., None, :]
    level = box.hi[..., :, None] <= box.lo[..., None, :]
    beaten = (behind | (level & (index[:, None] > index))).any(axis=-1)
    return Box(
        np.where(beaten, classes, index).min(axis=-1), np.where(beaten, -1, index).max(axis=-1)
    )


@singledispatch
def exact_sums(op: Any, boxes: Sequence[Box], edges: Sequence[Edge]) -> tuple[Array, Array]:
    """The least and the largest value of each output before the accumulator wraps it."""
    raise InputError(f"no accumulator in {type(op).__name__}")


@exact_sums.register
def _(op: MatVec, boxes: Sequence[Box], edges: Sequence[Edge]) -> tuple[Array, Array]:
    bound, split = product_bound(op, edges[0]), (op.groups, op.positions)
    low, high = interval_product(op.read, boxes[0], bound=bound, split=split)
    if op.popcount:
        columns = op.weights.shape[1]
        low, high = (low + columns) // 2, (high + columns) // 2
    return low, high


@exact_sums.register
def _(op: Add, boxes: Sequence[Box], edges: Sequence[Edge]) -> tuple[Array, Array]:
    bound = add_bound(op, edges)
    if bound >= 1 << 62:
        raise InputError(f"can reach {bound}; box bounds are exact below 2**62: use fewer bits")
    low = np.zeros(boxes[0].lo.shape, dtype=np.int64) + op.offset
    high = low
    for factor, box in zip(op.multipliers, boxes, strict=True):
        ends = factor * box.lo, factor * box.hi
        low, high = low + np.minimum(*ends), high + np.maximum(*ends)
    return low, high


@exact_sums.register
def _(op: SumPool, boxes: Sequence[Box], edges: Sequence[Edge]) -> tuple[Array, Array]:
    kind, taps = edges[0].type, op.kernel[0] * op.kernel[1]
    if taps * max(abs(kind.code_lo), abs(kind.code_hi)) >= 1 << 62:
        raise InputError(f"sums of {taps} values of {kind} can pass 2**62: use fewer bits")
    low, high = (
        slide(end, op.kernel, op.stride, (1, 1)).sum(axis=(3, 4))
        for end in (boxes[0].lo, boxes[0].hi)
    )
    return low, high


def input_box(graph: Graph, x: Array, *, radius: int) -> Box:
    """All inputs within ``radius`` of ``x`` in every element, inside the declared input range.

    A bipolar element takes -1 and +1 only, which lie two apart.

    Raises:
        InputError: the radius is negative, or ``x`` is no input of the graph.
    """
    edge = graph.input_edge
    if radius < 0:
        raise InputError(f"radius {radius}: give an integer of at least 0")
    if x.shape[1:] != edge.shape or x.dtype.kind not in "iu" or not edge.type.contains(x):
        raise InputError(f"images of shape {x.shape[1:]} and type {x.dtype} are no {edge}")
    if edge.type.bipolar:
        radius = radius // 2 * 2
    x = x.astype(np.int64)
    low, high = edge.type.lo, edge.type.hi
    reach = min(radius, high - low)
    return Box(np.maximum(x - reach, low), np.minimum(x + reach, high))


def propagate(graph: Graph, box: Box) -> dict[str, Box]:
    """A box for every edge, from one for the input.

    Raises:
        InputError: a node has no exact box bound; the line names it.
    """
    edges = graph.edges()
    found = {graph.input: box}
    for node in graph.nodes:
        try:
            found[node.output] = propagate_box(
                node.op,
                [found[name] for name in node.inputs],
                [edges[name] for name in node.inputs],
            )
        except InputError as error:
            raise InputError(f"node {node.name!r}: {error}") from None
    return found


def interval_product(
    weights: Array, box: Box, *, bound: int, split: Split = WHOLE
) -> tuple[Array, Array]:
    """Exact ends of ``weights @ v`` over the box; ``bound`` limits ``sum |w| * |v|`` of a row."""
    dtype = exact_type(bound)
    positive = np.maximum(weights, 0).astype(dtype)
    negative = np.minimum(weights, 0).astype(dtype)
    low, high = box.lo.astype(dtype), box.hi.astype(dtype)
    least = product(positive, low, split) + product(negative, high, split)
    largest = product(positive, high, split) + product(negative, low, split)
    return least.astype(np.int64), largest.astype(np.int64)


def exact_type(bound: int) -> type[Any]:
    """The fastest dtype whose sums of whole numbers up to ``bound`` are exact."""
    # Floats multiply many times faster than integers, and are exact below 2**24 and 2**53.
    if bound < 1 << 24:
        return np.float32
    return np.float64 if bound < 1 << 53 else np.int64


def product(weights: NDArray[Any], v: NDArray[Any], split: Split = WHOLE) -> NDArray[Any]:
    """``weights @ v`` along the last axis, each group of rows with its own part of ``v``."""
    found: NDArray[Any]
    groups, positions = split
    if groups == 1:
        found = v @ weights.T
        return found
    rows, columns = weights.shape
    parts = v.reshape(-1, positions, groups, columns // positions)
    by_group = np.moveaxis(parts, 2, 0).reshape(groups, len(parts), columns)
    found = by_group @ weights.reshape(groups, -1, columns).transpose(0, 2, 1)
    return np.moveaxis(found, 0, 1).reshape(*v.shape[:-1], rows)


def product_bound(op: MatVec, edge: Edge) -> int:
    """``largest_sum`` over every code of the input edge, refused where int64 might overflow."""
    bound = largest_sum(op, (edge.type.code_lo, edge.type.code_hi))
    if bound >= 1 << 61:
        raise InputError(
            f"a row of {op.weights.shape[1]} products can reach {bound}; box bounds are exact "
            "below 2**61: narrow the weights or the inputs"
        )
    return bound


def add_bound(op: Add, edges: Sequence[Edge]) -> int:
    """Above the magnitude of every sum that an Add can form of codes of its input edges."""
    total = int(abs(op.offset).max())
    for factor, edge in zip(op.multipliers, edges, strict=True):
        largest = max(abs(edge.type.code_lo), abs(edge.type.code_hi))
        total += int(abs(factor).max()) * largest
    return total


def wrap_box(kind: IntType, low: Array, high: Array) -> Box:
    """What a register of type ``kind`` can hold of values in ``low .. high``.

    An interval that stays within one turn of the register wraps to an interval; any other may
    leave every value of the type.
    """
    same_turn = (low - kind.code_lo) >> kind.bits == (high - kind.code_lo) >> kind.bits
    return Box(
        np.where(same_turn, kind.wrap(low), kind.code_lo),
        np.where(same_turn, kind.wrap(high), kind.code_hi),
    )
