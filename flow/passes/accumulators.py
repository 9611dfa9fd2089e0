"""How wide an accumulator must be, in Python integers."""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from flow.ir import Array, IntType
from flow.ops import MatVec


class Policy(StrEnum):
    """``exact``: the narrowest type for the weights as trained; ``fault-safe``: the narrowest that
    no stored code can overflow."""

    EXACT = "exact"
    FAULT_SAFE = "fault-safe"


def trained_range(op: MatVec, x: IntType) -> tuple[int, int]:
    """The smallest and largest sum any row reaches with its weights, inputs spanning ``x``."""
    rows = list(zip(_sums(np.maximum(op.read, 0)), _sums(np.minimum(op.read, 0)), strict=True))
    low = min(p * x.lo + n * x.hi for p, n in rows)
    high = max(p * x.hi + n * x.lo for p, n in rows)
    return _counted(op, low, high)


def any_code_range(op: MatVec, x: IntType) -> tuple[int, int]:
    """The smallest and largest sum any row reaches under any stored codes."""
    kind = op.weight_type
    limits = (kind.lo, kind.hi) if op.decode == "clamp" else (kind.code_lo, kind.code_hi)
    products = [w * v for w in limits for v in (x.lo, x.hi)]
    columns = op.weights.shape[1]
    return _counted(op, columns * min(products), columns * max(products))


def accumulator_type(op: MatVec, x: IntType, policy: Policy) -> IntType:
    """The accumulator of ``op`` on inputs of type ``x`` by ``policy``."""
    span = trained_range(op, x) if policy is Policy.EXACT else any_code_range(op, x)
    return IntType.holding(*span)


def register_range(op: MatVec, x: IntType) -> tuple[int, int]:
    """Every value the accumulator register can hold under any stored codes, wrap included."""
    low, high = any_code_range(op, x)
    kind = op.accumulator
    if kind.code_lo <= low and high <= kind.code_hi:
        return low, high
    return kind.code_lo, kind.code_hi


def never_wraps(op: MatVec, x: IntType) -> bool:
    """Whether every sum of the weights as trained fits the accumulator as it is."""
    low, high = trained_range(op, x)
    return op.accumulator.code_lo <= low and high <= op.accumulator.code_hi


def _sums(weights: Array) -> list[int]:
    """Row sums as Python integers: halves of the bits are summed apart, so none overflows."""
    high, low = (weights >> 32).sum(axis=1).tolist(), (weights & 0xFFFFFFFF).sum(axis=1).tolist()
    return [(h << 32) + w for h, w in zip(high, low, strict=True)]


def _counted(op: MatVec, low: int, high: int) -> tuple[int, int]:
    """A popcount counts from 0; a product of bipolar values from minus the columns."""
    if not op.popcount:
        return low, high
    columns = op.weights.shape[1]
    return (low + columns) // 2, (high + columns) // 2
