"""The interval argument once more, in Python integers, for the checker alone.

What ops do at points is asked of the reference; how sums range is worked out here another way
than in the bounds: twice the middle of an interval, and its width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import singledispatch
from typing import Any

import numpy as np

from flow.errors import InputError
from flow.ir import Array, Edge, Graph, IntType
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

Interval = tuple[int, int]
Ends = tuple[Array, Array]  # least and largest of every element, (1, *edge shape)
REGISTERED = (MatVec, Add, SumPool)
RISING = (Window, Pad, Concat, Reshape, Transpose, MaxPool, Threshold)
MOVES = (Window, Pad, Concat, Reshape, Transpose)


def near(graph: Graph, image: Array, radius: int) -> Ends:
    """Every input within ``radius`` of ``image`` inside the declared range."""
    kind, ends = graph.input_edge.type, []
    for value in image.ravel().tolist():
        if kind.bipolar:
            ends.append((-1, 1) if radius >= 2 else (value, value))
        else:
            ends.append((max(kind.lo, value - radius), min(kind.hi, value + radius)))
    low, high = zip(*ends, strict=True)
    shape = (1, *image.shape)
    return np.array(low, dtype=np.int64).reshape(shape), np.array(high).reshape(shape)


def bounds(op: Any, inputs: Sequence[Ends]) -> Ends:
    """The interval of every output element, and of a register what it keeps.

    Raises:
        InputError: the checker does not know the op.
    """
    if isinstance(op, REGISTERED):
        return register(op.accumulator, *sums(op, inputs))
    if not isinstance(op, RISING):
        raise InputError(f"the checker knows no bounds for {type(op).__name__}")
    # Never falling from one end to the other, or never rising, element by element.
    first, last = (op.evaluate(*(ends[k] for ends in inputs)) for k in (0, 1))
    return np.minimum(first, last), np.maximum(first, last)


def register(kind: IntType, low: Array, high: Array) -> Ends:
    """What a register keeps of sums from ``low`` to ``high``: all its values where these turn."""
    turns = 2**kind.bits
    first, last = (low - kind.code_lo) // turns, (high - kind.code_lo) // turns
    least = np.where(first == last, low - first * turns, kind.code_lo)
    most = np.where(first == last, high - last * turns, kind.code_hi)
    return least.astype(np.int64), most.astype(np.int64)


@singledispatch
def sums(op: Any, inputs: Sequence[Ends]) -> Ends:
    """The least and the largest sums before the register, Python integers."""
    raise InputError(f"the checker knows no sums of {type(op).__name__}")


@sums.register
def _(op: MatVec, inputs: Sequence[Ends]) -> Ends:
    low, high = (end.astype(object) for end in inputs[0])
    middle, width = rows_times(op, low + high), rows_times(op, high - low, magnitudes=True)
    ends = (middle - width) // 2, (middle + width) // 2  # both are even
    if op.popcount:
        columns = op.weights.shape[1]
        ends = (ends[0] + columns) // 2, (ends[1] + columns) // 2
    return ends


@sums.register
def _(op: Add, inputs: Sequence[Ends]) -> Ends:
    shape = inputs[0][0].shape
    low = high = np.zeros(shape, dtype=object) + op.offset.astype(object)
    for factor, ends in zip(op.multipliers.astype(object), inputs, strict=True):
        one, other = factor * ends[0], factor * ends[1]
        low, high = low + np.minimum(one, other), high + np.maximum(one, other)
    return low, high


@sums.register
def _(op: SumPool, inputs: Sequence[Ends]) -> Ends:
    low, high = (taps(op, end.astype(object)).sum(axis=3) for end in inputs[0])
    return low, high


def rows_times(op: MatVec, v: Array, *, magnitudes: bool = False) -> Array:
    """The rows of ``op``, or their magnitudes, times ``v`` along its last axis."""
    found = np.zeros((*v.shape[:-1], len(op.weights)), dtype=object)
    for rows, columns, weights in groups(op):
        found[..., rows] = v[..., columns] @ (abs(weights) if magnitudes else weights).T
    return found


def groups(op: MatVec) -> list[tuple[Array, Array, Array]]:
    """For each group the rows, the inputs they see, and their weights as Python integers."""
    count, columns = len(op.weights) // op.groups, op.weights.shape[1]
    own = columns // op.positions
    inputs = np.arange(op.positions * op.groups * own).reshape(op.positions, op.groups, own)
    read = op.read.astype(object)
    return [
        (np.arange(g * count, (g + 1) * count), inputs[:, g].ravel(), part)
        for g, part in enumerate(np.split(read, op.groups))
    ]


def taps(op: MaxPool | SumPool, v: Array) -> Array:
    """The elements of every window, (1, OH, OW, taps, channels)."""
    window = Window(op.kernel, op.stride, getattr(op, "dilation", (1, 1)))
    view = window.evaluate(v)
    return view.reshape(*view.shape[:3], op.kernel[0] * op.kernel[1], -1)


def origins(op: Any, edges: Sequence[Edge]) -> Array:
    """For each output element of an op that only moves, the number of the input element it is;
    inputs are numbered one after the other, and -1 is the constant of a Pad."""
    sizes = [edge.elements for edge in edges]
    starts = np.cumsum([0, *sizes[:-1]])
    numbers = [
        np.arange(start, start + edge.elements).reshape(1, *edge.shape)
        for start, edge in zip(starts, edges, strict=True)
    ]
    found: Array = (replace(op, value=-1) if isinstance(op, Pad) else op).evaluate(*numbers)
    return found
