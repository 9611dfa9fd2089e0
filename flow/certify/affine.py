"""Ops that are affine maps until a register wraps: their values, and coefficients pulled back.

If ``v = op(u)`` then ``pull . v = pulled . u + constant``. Everything is float64, and exact while
all numbers are whole and below 2**52; popcounts halve, so pulls are even where they stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from itertools import product as pairs
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.certify.box import product
from flow.errors import InputError
from flow.ir import Edge
from flow.ops import Add, Concat, MatVec, Pad, Reshape, SumPool, Transpose, Window
from flow.ops.window import Pair, slide

Reals = NDArray[np.float64]
Pulled = tuple[list[Reals], Reals]  # coefficients of every input, and a constant per row


@singledispatch
def values(op: Any, inputs: Sequence[Reals]) -> Reals:
    """What ``op`` makes of real numbers, before any register wraps."""
    found: Reals = op.evaluate(*inputs)
    return found


@singledispatch
def pulled(op: Any, pull: Reals, edges: Sequence[Edge], *, size: bool = False) -> Pulled:
    """The coefficients of ``op``'s inputs and the constant that make ``pull . op(inputs)``.

    With ``size`` all constants of the op count as their magnitudes: from magnitudes of the pull,
    limits on the magnitudes of the coefficients and of every sum on the way.

    Raises:
        InputError: the op is no affine map.
    """
    raise InputError(
        f"linear bounds know no {type(op).__name__}; use --method ibp or the pixel property"
    )


@values.register
def _(op: MatVec, inputs: Sequence[Reals]) -> Reals:
    sums = product(op.read.astype(np.float64), inputs[0], (op.groups, op.positions))
    return (sums + op.weights.shape[1]) / 2 if op.popcount else sums


@pulled.register
def _(op: MatVec, pull: Reals, edges: Sequence[Edge], *, size: bool = False) -> Pulled:
    weights = op.read.astype(np.float64)
    if size:
        weights = np.abs(weights)
    constant = np.zeros(len(pull))
    if op.popcount:
        pull = pull if size else pull / 2
        constant = _total(pull) * op.weights.shape[1]
    if op.groups == 1:
        return [pull @ weights], constant
    rows, columns = weights.shape
    parts = pull.reshape(-1, op.groups, rows // op.groups).transpose(1, 0, 2)
    found = parts @ weights.reshape(op.groups, -1, columns)
    found = found.reshape(op.groups, -1, op.positions, columns // op.positions)
    return [np.moveaxis(found, 0, 2).reshape(*pull.shape[:-1], -1)], constant


@values.register
def _(op: Add, inputs: Sequence[Reals]) -> Reals:
    found: Reals = op.offset + sum(m * x for m, x in zip(op.multipliers, inputs, strict=True))
    return found


@pulled.register
def _(op: Add, pull: Reals, edges: Sequence[Edge], *, size: bool = False) -> Pulled:
    factors, offset = (np.abs(a) if size else a for a in (op.multipliers, op.offset))
    return [pull * factor for factor in factors], _total(pull * offset)


@values.register
def _(op: SumPool, inputs: Sequence[Reals]) -> Reals:
    found: Reals = slide(inputs[0], op.kernel, op.stride, (1, 1)).sum(axis=(3, 4))
    return found


@pulled.register
def _(op: SumPool, pull: Reals, edges: Sequence[Edge], *, size: bool = False) -> Pulled:
    spread = np.broadcast_to(
        pull[:, :, :, None], (*pull.shape[:3], op.kernel[0] * op.kernel[1], pull.shape[3])
    )
    return [fold(spread, edges[0], op.kernel, op.stride, (1, 1))], np.zeros(len(pull))


@pulled.register
def _(op: Window, pull: Reals, edges: Sequence[Edge], *, size: bool = False) -> Pulled:
    taps = pull.reshape(*pull.shape[:3], op.kernel[0] * op.kernel[1], -1)
    return [fold(taps, edges[0], op.kernel, op.stride, op.dilation)], np.zeros(len(pull))


@pulled.register
def _(op: Pad, pull: Reals, edges: Sequence[Edge], *, size: bool = False) -> Pulled:
    top, _, left, _ = op.margins
    height, width, _ = edges[0].shape
    inner = pull[:, top : top + height, left : left + width]
    value = abs(op.value) if size else op.value
    return [inner], (_total(pull) - _total(inner)) * value


@pulled.register
def _(op: Concat, pull: Reals, edges: Sequence[Edge], *, size: bool = False) -> Pulled:
    ends = np.cumsum([edge.shape[-1] for edge in edges])[:-1]
    return list(np.split(pull, ends, axis=-1)), np.zeros(len(pull))


@pulled.register
def _(op: Reshape, pull: Reals, edges: Sequence[Edge], *, size: bool = False) -> Pulled:
    return [pull.reshape(len(pull), *edges[0].shape)], np.zeros(len(pull))


@pulled.register
def _(op: Transpose, pull: Reals, edges: Sequence[Edge], *, size: bool = False) -> Pulled:
    back = np.argsort(op.order)
    return [pull.transpose(0, *(axis + 1 for axis in back))], np.zeros(len(pull))


def fold(taps: Reals, edge: Edge, kernel: Pair, stride: Pair, dilation: Pair) -> Reals:
    """What each element of an image gets from its places in windows, (batch, OH, OW, taps, C)."""
    found = np.zeros((len(taps), *edge.shape))
    _, high, wide = taps.shape[:3]
    for tap, (row, column) in enumerate(pairs(range(kernel[0]), range(kernel[1]))):
        top, left = row * dilation[0], column * dilation[1]
        bottom, right = top + (high - 1) * stride[0] + 1, left + (wide - 1) * stride[1] + 1
        found[:, top : bottom : stride[0], left : right : stride[1]] += taps[:, :, :, tap]
    return found


def _total(pull: Reals) -> Reals:
    total: Reals = pull.reshape(len(pull), -1).sum(axis=1)
    return total
