"""A uniform quantizer as QONNX defines it, and the exact bound of each of its codes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from flow.ingest.reader import Constant
from flow.ingest.rounding import Rounding, reaches, round_exactly
from flow.ingest.steps import Bound, at
from flow.ingest.surd import Surd
from flow.ir import Array, IntType


@dataclass(frozen=True, slots=True)
class Quantizer:
    """``code = clamp(round(y / scale + zero_point))``; the tensor then means
    ``scale * (code - zero_point)``. Bipolar: code 1 where ``y >= 0``, meaning ``+-scale``.

    Scale and zero point have one entry per channel or one for all. With a ``table`` (a row per
    channel or one for all) the code is ``low`` and how many of the row's numbers ``y`` has reached.
    """

    scale: tuple[Fraction, ...]
    zero_point: tuple[Fraction, ...]
    low: int
    high: int
    rounding: Rounding = Rounding.HALF_EVEN
    bipolar: bool = False
    table: tuple[tuple[Fraction, ...], ...] = ()

    @property
    def steps(self) -> int:
        """How many decisions it takes: one less than its codes."""
        return self.high - self.low

    @property
    def codes(self) -> range:
        """Every code, ascending."""
        return range(self.low, self.high + 1)

    @property
    def type(self) -> IntType:
        """The integer type of its codes; narrow ranges are declared."""
        if self.bipolar:
            return IntType.bipolar1()
        kind = IntType.holding(self.low, self.high)
        whole = (kind.code_lo, kind.code_hi) == (self.low, self.high)
        return kind if whole else kind.within(self.low, self.high)

    def bound(self, code: int, channel: int) -> Bound:
        """What ``y`` must meet to be quantized to ``code`` or more."""
        if self.table:
            row = self.table[channel if len(self.table) > 1 else 0]
            return Bound(Surd.of(row[code - self.low - 1]))
        if self.bipolar:
            return Bound(Surd.of(0))
        scale, zero = at(self.scale, channel), at(self.zero_point, channel)
        point, strict = reaches(code, self.rounding)
        return Bound(Surd.of((point - zero) * scale), strict)

    def code(self, value: Surd, channel: int) -> int:
        """The code of an exact number: the highest whose bound it meets."""
        codes = range(self.low + 1, self.high + 1)
        return self.low + sum(self.bound(code, channel).met_by(value) for code in codes)


def weight_codes(values: Constant, scale: Constant, zero: Constant, quantizer: Quantizer) -> Array:
    """The codes of an array of floats; ``scale`` and ``zero`` broadcast to it; bipolar: -1 and +1.

    A float64 quotient decides all but what lies within its error of a decision point; that is
    decided in rationals.
    """
    if quantizer.bipolar:
        return np.where(values >= 0, 1, -1).astype(np.int64)
    low, high = quantizer.low, quantizer.high
    with np.errstate(over="ignore"):  # far beyond the highest code is as good as infinite
        ratio = values.astype(np.float64) / scale.astype(np.float64) + zero.astype(np.float64)
    ratio = np.clip(ratio, low - 1, high + 1)
    codes = np.clip(np.rint(ratio), low, high).astype(np.int64)
    half_even = quantizer.rounding is Rounding.HALF_EVEN
    near = (abs(abs(ratio % 1) - 0.5) < 1e-5) if half_even else np.ones(ratio.shape, bool)
    scales, zeros = np.broadcast_to(scale, values.shape), np.broadcast_to(zero, values.shape)
    for place in zip(*np.nonzero(near), strict=True):
        exact = Fraction(values[place].item()) / Fraction(scales[place].item())
        code = round_exactly(exact + Fraction(zeros[place].item()), quantizer.rounding)
        codes[place] = min(max(code, low), high)
    return codes
