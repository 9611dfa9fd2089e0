"""When a floating-point matrix product gives exact integers, and the test that it really does.

Every partial sum of an integer dot product is an integer; it is exact in float32 below 2**24 and
in float64 below 2**53, whatever the order of summation. The bound is taken over every code the
memory can hold, because a flipped bit reaches codes that training never used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from flow.errors import ClaimError
from flow.ir import Array, IntType
from flow.ops import Decode, MatVec

Product = Callable[[Tensor, Tensor], Tensor]
Span = tuple[int, int]


def code_span(kind: IntType) -> Span:
    """The values any stored code of ``kind`` can mean."""
    return kind.code_lo, kind.code_hi


def weight_span(op: MatVec) -> Span:
    """The values a weight of ``op`` can be read as, whichever of its bits are flipped."""
    kind = op.weight_type
    return (kind.lo, kind.hi) if op.decode is Decode.CLAMP else code_span(kind)


def largest_sum(op: MatVec, inputs: Span) -> int:
    """A bound on ``sum |w| * |x|`` of one row over all stored codes and all ``x`` in ``inputs``."""
    return int(op.weights.shape[1]) * magnitude(weight_span(op)) * magnitude(inputs)


def product_dtype(bound: int) -> torch.dtype:
    """The fastest dtype in which a dot product with ``sum |w| * |x| <= bound`` is exact.

    >>> product_dtype(2**24 - 1), product_dtype(2**24)
    (torch.float32, torch.float64)
    """
    if bound < 1 << 24:
        return torch.float32
    return torch.float64 if bound < 1 << 53 else torch.int64


def holding(*bounds: int) -> torch.dtype:
    """The fastest dtype that holds every integer up to any of ``bounds`` in magnitude."""
    return torch.float32 if max(bounds) < 1 << 24 else torch.int64


def magnitude(span: Span) -> int:
    """The largest absolute value in ``span``."""
    return max(abs(span[0]), abs(span[1]))


def reach(op: MatVec, inputs: Span) -> Span:
    """The values a row of ``op`` as it is stored now can sum up to, before the register."""
    weights = op.read.astype(object) if op.weight_type.bits > 30 else op.read
    ends = np.stack([weights * inputs[0], weights * inputs[1]])
    return int(ends.min(axis=0).sum(axis=1).min()), int(ends.max(axis=0).sum(axis=1).max())


def product(x: Tensor, weights: Tensor) -> Tensor:
    """``x @ weights.T`` in the dtype of ``weights``.

    Wide integers are summed row by row, since GPUs have no int64 matrix product; sums that pass
    63 bits keep their low 64 bits, as numpy's do, which is all that a later wrap reads.
    """
    if weights.dtype is torch.int64:
        return torch.stack([(x * row).sum(dim=-1) for row in weights], dim=-1)
    return x.to(weights.dtype) @ weights.T


@contextmanager
def full_precision() -> Iterator[None]:
    """float32 products in float32: neither TF32 nor bfloat16 inside the block."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def self_test(
    op: MatVec, inputs: Span, *, device: str = "cpu", multiply: Product = product
) -> None:
    """Multiply the extreme weights by the extreme inputs on ``device``; compare with integers.

    Raises:
        ClaimError: the device's products are not exact.
    """
    columns = op.weights.shape[1]
    bound = largest_sum(op, inputs)
    dtype = product_dtype(bound)
    if dtype is torch.int64:
        return
    weights = extremes(weight_span(op), columns)
    x = extremes(inputs, columns)
    wanted = x.astype(object) @ weights.T.astype(object)
    with full_precision():
        found = multiply(
            torch.from_numpy(x).to(device), torch.from_numpy(weights).to(device).to(dtype)
        )
    if (found.cpu().numpy() != wanted).any():
        raise ClaimError(
            f"{dtype} products on {device} are not exact for {columns} columns below {bound}; "
            "use another device"
        )


def extremes(span: Span, columns: int) -> Array:
    """Rows at both ends of ``span``, one step inside it, alternating, and odd in the last place."""
    low, high = span
    inner = max(low, high - 1)
    ends = np.array([low, high, inner, max(low, min(high, 1))])
    rows = [np.full(columns, value) for value in ends]
    rows.append(np.where(np.arange(columns) % 2, low, high))
    rows.append(np.append(np.full(columns - 1, high), inner))
    rows.append(np.append(np.full(columns - 1, low), high))
    return np.stack(rows).astype(np.int64)
