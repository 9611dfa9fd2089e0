"""One torch kernel per op; each equals the op's ``evaluate`` on every integer."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flow.engine.exactness import (
    Span,
    code_span,
    holding,
    largest_sum,
    magnitude,
    product,
    product_dtype,
    reach,
)
from flow.ir import Array, IntType
from flow.ops import ArgMax, Compare, MatVec, Threshold

Step = Callable[..., Tensor]
FEW = 16  # thresholds that are counted faster than searched


@singledispatch
def kernel(op: Any, inputs: Span, *, device: str) -> Step:
    """``op`` as a function of tensors on ``device``, for inputs all within ``inputs``.

    Tensors hold integers, in float32 wherever a bound keeps all values exact there: that is what
    processors multiply, compare and convolve fastest. A kernel takes any dtype.
    """
    raise TypeError(f"no torch kernel for {type(op).__name__}; register one in {__name__}")


@kernel.register
def _(op: MatVec, inputs: Span, *, device: str) -> Step:
    dtype = product_dtype(largest_sum(op, inputs))
    multiply = _grouped if op.groups > 1 and dtype is not torch.int64 else _whole
    return finished(op, inputs, multiply(op, dtype, device=device))


def finished(op: MatVec, inputs: Span, product_of: Step) -> Step:
    """``product_of`` followed by what ``op`` does with its sums: popcount form, and the register.

    Sums that no weight as stored now lets leave the register are not wrapped.
    """
    columns, bound = op.weights.shape[1], largest_sum(op, inputs)
    low, high = reach(op, inputs)
    if op.popcount:
        low, high = (low + columns) // 2, (high + columns) // 2
    kind = op.accumulator
    fits = kind.code_lo <= low and high <= kind.code_hi and bound < 1 << 62
    narrow = bound + columns + (1 << kind.bits) < 1 << 24  # wrapped in float32, as it was made

    def run(x: Tensor) -> Tensor:
        total = product_of(x)
        if op.popcount:  # rounds down; an even number in floats
            total = total.add_(columns)  # its own tensor, which nobody else holds
            total = total.mul_(0.5) if total.is_floating_point() else total >> 1
        if fits:
            return total
        return wrap(kind, total if narrow else total.to(torch.int64))

    return run


@kernel.register
def _(op: Threshold, inputs: Span, *, device: str) -> Step:
    steps = op.thresholds.shape[1]
    levels = 2 * magnitude(code_span(op.output)) + 4 * steps + 1
    dtype = holding(magnitude(inputs), magnitude(code_span(op.threshold_type)), levels)
    thresholds = tensor(op.thresholds, device=device).to(dtype)
    # level = base + n, or base + steps - n; a bipolar one means 2 * level - 1
    scale, first = (2, 2 * op.base - 1) if op.output.bipolar else (1, op.base)
    slope = tensor(op.sign * scale, device=device).to(dtype)
    offset = tensor(first + np.where(op.sign < 0, scale * steps, 0), device=device).to(dtype)
    plain = bool((slope == 1).all() and not offset.any())
    ordered = bool((np.diff(op.thresholds, axis=1) >= 0).all())
    reached = _search if op.compare is Compare.SEARCH else _count
    if op.compare is Compare.COUNT and ordered and steps > FEW:
        reached = _bisect

    def run(x: Tensor) -> Tensor:
        count = reached(x.to(dtype), thresholds)
        return count if plain else torch.addcmul(offset, count, slope)

    return run


@kernel.register
def _(op: ArgMax, inputs: Span, *, device: str) -> Step:
    def run(x: Tensor) -> Tensor:
        classes = torch.arange(x.shape[-1], device=x.device)
        best = x == x.amax(dim=-1, keepdim=True)
        # The smallest index by construction; libraries differ in what argmax does with ties.
        return torch.where(best, classes, x.shape[-1]).amin(dim=-1)

    return run


def _whole(op: MatVec, dtype: torch.dtype, *, device: str) -> Step:
    weights = tensor(dense(op), device=device).to(dtype)
    return lambda x: product(x, weights)


def _grouped(op: MatVec, dtype: torch.dtype, *, device: str) -> Step:
    """Each group's product by itself: a depthwise layer multiplies by no zeros."""
    rows, columns = op.weights.shape
    weights = tensor(op.read, device=device).to(dtype)
    weights = weights.reshape(op.groups, rows // op.groups, columns).transpose(1, 2)

    def run(x: Tensor) -> Tensor:
        split = x.reshape(-1, op.positions, op.groups, columns // op.positions)
        by_group = split.movedim(2, 0).flatten(2).to(dtype)
        total = torch.bmm(by_group, weights).movedim(0, 1)
        return total.reshape(*x.shape[:-1], rows)

    return run


def dense(op: MatVec) -> Array:
    """The weights as read, (rows, input channels), with zeros outside each row's own group."""
    if op.groups == 1:
        return op.read
    rows, columns = op.weights.shape
    share = columns // op.positions
    full = np.zeros((rows, op.positions, op.groups, share), dtype=np.int64)
    group = np.arange(rows) // (rows // op.groups)
    full[np.arange(rows), :, group] = op.read.reshape(rows, op.positions, share)
    return full.reshape(rows, -1)


def tensor(values: Array, *, device: str) -> Tensor:
    """A copy of read-only ``values`` on ``device``."""
    return torch.from_numpy(np.array(values)).to(device)


def wrap(kind: IntType, total: Tensor) -> Tensor:
    """What a register of type ``kind`` keeps of ``total``; floats must hold both their sum."""
    size = 1 << kind.bits
    if total.is_floating_point():  # a power of two divides without rounding
        return total - size * torch.floor((total - kind.code_lo) * (1 / size))
    return ((total - kind.code_lo) & (size - 1)) + kind.code_lo


def _count(x: Tensor, thresholds: Tensor) -> Tensor:
    count = (x >= thresholds[:, 0]).to(x.dtype)
    for step in range(1, thresholds.shape[1]):
        count += x >= thresholds[:, step]
    return count


def _bisect(x: Tensor, thresholds: Tensor) -> Tensor:
    """The count, found by bisection in rows that ascend."""
    by_channel = x.reshape(-1, x.shape[-1]).T.contiguous()
    count = torch.searchsorted(thresholds, by_channel, right=True)
    return count.T.reshape(x.shape).to(x.dtype)


def _search(x: Tensor, thresholds: Tensor) -> Tensor:
    steps = thresholds.shape[1]
    channel = torch.arange(thresholds.shape[0], device=x.device)
    count = torch.zeros(x.shape, dtype=torch.int64, device=x.device)
    for bit in reversed(range(steps.bit_length())):
        probe = count + (1 << bit) - 1
        threshold = thresholds[channel, probe.clamp(max=steps - 1)]
        count += ((x >= threshold) & (probe < steps)).to(torch.int64) << bit
    return count.to(x.dtype)
