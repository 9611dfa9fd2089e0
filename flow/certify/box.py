"""Exact integer interval propagation: one box in, one box out, for every op."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np

from flow.engine import largest_sum
from flow.engine.kernels import dense
from flow.errors import InputError
from flow.ir import Array, Edge, Graph, IntType
from flow.ops import Add, ArgMax, MatVec, Threshold


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
def propagate_box(op: Any, box: Box, edge: Edge) -> Box:
    """A box that holds ``op``'s output for every input in ``box``; ``edge`` types that input.

    Each element's interval is the tightest there is, except where an accumulator can wrap within
    it: then it is the full range of the type.
    """
    raise InputError(f"no box bound for {type(op).__name__}; use the pixel property or a campaign")


@propagate_box.register
def _(op: MatVec, box: Box, edge: Edge) -> Box:
    low, high = exact_sums(op, box, edge)
    return wrap_box(op.accumulator, low, high)


@propagate_box.register
def _(op: Threshold, box: Box, edge: Edge) -> Box:
    # Rising x can only add to a count, and can only turn right in a search: both forms are
    # monotone whatever the thresholds are, sorted or struck by a fault.
    at_lo, at_hi = op.evaluate(box.lo), op.evaluate(box.hi)
    return Box(np.minimum(at_lo, at_hi), np.maximum(at_lo, at_hi))


@propagate_box.register
def _(op: Add, box: Box, edge: Edge) -> Box:
    factor = one_multiplier(op, edge)
    at_lo, at_hi = factor * box.lo + op.offset, factor * box.hi + op.offset
    return wrap_box(op.accumulator, np.minimum(at_lo, at_hi), np.maximum(at_lo, at_hi))


@propagate_box.register
def _(op: ArgMax, box: Box, edge: Edge) -> Box:
    """The smallest and the largest class that no other class beats everywhere in the box."""
    classes = box.lo.shape[-1]
    index = np.arange(classes)
    behind = box.hi[..., :, None] < box.lo[..., None, :]
    level = box.hi[..., :, None] <= box.lo[..., None, :]
    beaten = (behind | (level & (index[:, None] > index))).any(axis=-1)
    return Box(
        np.where(beaten, classes, index).min(axis=-1), np.where(beaten, -1, index).max(axis=-1)
    )


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
    boxes = {graph.input: box}
    for node in graph.nodes:
        try:
            boxes[node.output] = propagate_box(
                node.op, boxes[node.inputs[0]], edges[node.inputs[0]]
            )
        except InputError as error:
            raise InputError(f"node {node.name!r}: {error}") from None
    return boxes


def exact_sums(op: MatVec, box: Box, edge: Edge) -> tuple[Array, Array]:
    """The least and the largest value of each row before the accumulator wraps it."""
    low, high = interval_product(dense(op), box, bound=product_bound(op, edge))
    if op.popcount:
        columns = op.weights.shape[1]
        low, high = (low + columns) // 2, (high + columns) // 2
    return low, high


def interval_product(weights: Array, box: Box, *, bound: int) -> tuple[Array, Array]:
    """Exact ends of ``weights @ v`` over the box; ``bound`` limits ``sum |w| * |v|``."""
    # Whole numbers below 2**53 are exact in float64, and its product is many times faster.
    dtype = np.float64 if bound < 1 << 53 else np.int64
    positive = np.maximum(weights, 0).astype(dtype).T
    negative = np.minimum(weights, 0).astype(dtype).T
    low, high = box.lo.astype(dtype), box.hi.astype(dtype)
    least = low @ positive + high @ negative
    largest = high @ positive + low @ negative
    return least.astype(np.int64), largest.astype(np.int64)


def product_bound(op: MatVec, edge: Edge) -> int:
    """``largest_sum`` over every code of the input edge, refused where int64 might overflow."""
    bound = largest_sum(op, (edge.type.code_lo, edge.type.code_hi))
    if bound >= 1 << 61:
        raise InputError(
            f"a row of {op.weights.shape[1]} products can reach {bound}; box bounds are exact "
            "below 2**61: narrow the weights or the inputs"
        )
    return bound


def one_multiplier(op: Add, edge: Edge) -> Array:
    """The multipliers of an Add of one input; refused where more are, or int64 might overflow."""
    if len(op.multipliers) > 1:
        raise InputError(f"no box bound for an Add of {len(op.multipliers)} inputs; use a campaign")
    largest = max(abs(edge.type.code_lo), abs(edge.type.code_hi))
    bound = int(abs(op.multipliers).max()) * largest + int(abs(op.offset).max())
    if bound >= 1 << 62:
        raise InputError(f"can reach {bound}; box bounds are exact below 2**62: use fewer bits")
    factor: Array = op.multipliers[0]
    return factor


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
