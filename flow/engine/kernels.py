"""One torch kernel per op; each equals the op's ``evaluate`` on every integer."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flow.engine.exactness import Span, largest_sum, product, product_dtype
from flow.ir import Array, IntType
from flow.ops import ArgMax, Compare, MatVec, Threshold

Step = Callable[..., Tensor]


@singledispatch
def kernel(op: Any, inputs: Span, *, device: str) -> Step:
    """``op`` as a function of int64 tensors on ``device``, for inputs within ``inputs``."""
    raise TypeError(f"no torch kernel for {type(op).__name__}; register one in {__name__}")


@kernel.register
def _(op: MatVec, inputs: Span, *, device: str) -> Step:
    dtype = product_dtype(largest_sum(op, inputs))
    multiply = _grouped if op.groups > 1 and dtype is not torch.int64 else _whole
    product_of = multiply(op, dtype, device=device)
    columns = op.weights.shape[1]

    def run(x: Tensor) -> Tensor:
        total = product_of(x)
        if op.popcount:
            total = (total + columns) >> 1  # rounds down
        return wrap(op.accumulator, total)

    return run


@kernel.register
def _(op: Threshold, inputs: Span, *, device: str) -> Step:
    thresholds = tensor(op.thresholds, device=device)
    ascending = tensor(op.sign, device=device) > 0
    steps = op.thresholds.shape[1]
    reached = _count if op.compare is Compare.COUNT else _search

    def run(x: Tensor) -> Tensor:
        count = reached(x, thresholds)
        level = torch.where(ascending, count, steps - count) + op.base
        return level * 2 - 1 if op.output.bipolar else level

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
        return total.reshape(*x.shape[:-1], rows).to(torch.int64)

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
    """What a register of type ``kind`` keeps of ``total``."""
    return ((total - kind.code_lo) & ((1 << kind.bits) - 1)) + kind.code_lo


def _count(x: Tensor, thresholds: Tensor) -> Tensor:
    count = torch.zeros_like(x)
    for step in range(thresholds.shape[1]):
        count += x >= thresholds[:, step]
    return count


def _search(x: Tensor, thresholds: Tensor) -> Tensor:
    steps = thresholds.shape[1]
    channel = torch.arange(thresholds.shape[0], device=x.device)
    count = torch.zeros_like(x)
    for bit in reversed(range(steps.bit_length())):
        probe = count + (1 << bit) - 1
        threshold = thresholds[channel, probe.clamp(max=steps - 1)]
        count += ((x >= threshold) & (probe < steps)).to(torch.int64) << bit
    return count
