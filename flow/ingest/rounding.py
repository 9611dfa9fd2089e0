"""The rounding modes of QONNX, exactly."""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction

from flow.ingest.surd import Surd

HALF = Fraction(1, 2)


class Rounding(StrEnum):
    """The rounding modes of QONNX's Quant and Trunc."""

    HALF_EVEN = "HALF_EVEN"
    HALF_UP = "HALF_UP"  # ties away from zero
    HALF_DOWN = "HALF_DOWN"  # ties towards zero
    CEIL = "CEIL"
    FLOOR = "FLOOR"
    UP = "UP"  # away from zero
    DOWN = "DOWN"  # towards zero


def reaches(code: int, rounding: Rounding) -> tuple[Fraction, bool]:
    """The point and strictness from which on a number rounds to ``code`` or more."""
    match rounding:
        case Rounding.HALF_EVEN:
            return code - HALF, code % 2 != 0
        case Rounding.HALF_UP:
            return code - HALF, code <= 0
        case Rounding.HALF_DOWN:
            return code - HALF, code > 0
        case Rounding.CEIL:
            return Fraction(code - 1), True
        case Rounding.FLOOR:
            return Fraction(code), False
        case Rounding.UP:
            return (Fraction(code - 1), True) if code > 0 else (Fraction(code), False)
        case Rounding.DOWN:
            return (Fraction(code), False) if code > 0 else (Fraction(code - 1), True)


def round_exactly(value: Fraction, rounding: Rounding) -> int:
    """``value`` rounded to an integer, by the same rule."""
    return round_surd(Surd.of(value), rounding)


def round_surd(value: Surd, rounding: Rounding) -> int:
    """A sum of roots rounded to an integer, by the same rule."""
    code = value.floor()
    while True:
        point, strict = reaches(code + 1, rounding)
        side = (value - Surd.of(point)).sign()
        if side < 0 or (strict and side == 0):
            return code
        code += 1
