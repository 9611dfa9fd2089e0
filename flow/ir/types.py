"""Integer types with their exact ranges, and the typed shape an edge carries."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from flow.ir.arrays import Array

_TEXT = re.compile(r"([usb])(\d+)(?:\[(-?\d+)\.\.(-?\d+)\])?")


@dataclass(frozen=True, slots=True)
class IntType:
    """A two's-complement, unsigned or bipolar {-1, +1} integer; prints as ``s8``, ``u4``, ``b1``.

    A *declared* range is what values are known to stay in; a stored *code* can be any bit pattern,
    so ``code_lo`` and ``code_hi`` ignore it. Bipolar -1 is stored as bit 0, +1 as bit 1.

    >>> IntType.holding(-15, 15)
    IntType(bits=5, signed=True, bipolar=False, declared=None)
    >>> str(IntType(5, declared=(0, 16)))
    'u5[0..16]'
    """

    bits: int
    signed: bool = False
    bipolar: bool = False
    declared: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 63:
            raise ValueError(f"an integer type has 1 to 63 bits, not {self.bits}")
        if self.bipolar and (self.bits != 1 or self.signed):
            raise ValueError(
                "a bipolar type has one bit and no sign of its own: IntType.bipolar1()"
            )
        if self.declared is not None:
            lo, hi = self.declared
            if not self.code_lo <= lo <= hi <= self.code_hi:
                raise ValueError(
                    f"declared {lo}..{hi} leaves {self.code_lo}..{self.code_hi} of {self.bits} bits"
                )

    @classmethod
    def bipolar1(cls) -> IntType:
        """The type of a binary weight or activation, {-1, +1}."""
        return cls(1, bipolar=True)

    @classmethod
    def holding(cls, lo: int, hi: int) -> IntType:
        """The narrowest type whose codes contain both ``lo`` and ``hi``."""
        if lo > hi:
            raise ValueError(f"empty range: lo={lo} is above hi={hi}")
        if lo >= 0:
            return cls(max(1, hi.bit_length()), signed=False)
        return cls(max((-lo - 1).bit_length(), max(hi, 0).bit_length()) + 1, signed=True)

    @classmethod
    def parse(cls, text: str) -> IntType:
        """The inverse of ``str``: ``u8``, ``s4``, ``b1``, ``u5[0..16]``."""
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no integer type; write u8, s4, b1 or u5[0..16]")
        kind, bits, lo, hi = found.groups()
        declared = None if lo is None else (int(lo), int(hi))
        return cls(int(bits), signed=kind == "s", bipolar=kind == "b", declared=declared)

    def within(self, lo: int, hi: int) -> IntType:
        """The same codes with the declared range ``lo..hi``."""
        return replace(self, declared=(lo, hi))

    @property
    def code_lo(self) -> int:
        """The smallest value any stored code can mean."""
        return -1 if self.bipolar else -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def code_hi(self) -> int:
        """The largest value any stored code can mean."""
        return 1 if self.bipolar else (1 << (self.bits - self.signed)) - 1

    @property
    def lo(self) -> int:
        return self.code_lo if self.declared is None else self.declared[0]

    @property
    def hi(self) -> int:
        return self.code_hi if self.declared is None else self.declared[1]

    def wrap(self, values: Array) -> Array:
        """``values`` as a register of this type keeps them: the low bits, nothing saturated."""
        if self.bipolar:
            raise ValueError("a bipolar value cannot wrap; accumulate in a signed type")
        return ((values - self.code_lo) & ((1 << self.bits) - 1)) + self.code_lo

    def encode(self, values: Array) -> Array:
        """Stored codes, 0 .. 2**bits - 1; values outside the codes are an error."""
        if values.size and not (self.code_lo <= values.min() and values.max() <= self.code_hi):
            raise ValueError(f"values {values.min()}..{values.max()} do not fit {self}")
        if self.bipolar:
            if not np.isin(values, (-1, 1)).all():
                raise ValueError("bipolar values are -1 or +1")
            return (values + 1) // 2
        return values & ((1 << self.bits) - 1)

    def decode(self, codes: Array) -> Array:
        """The values that stored ``codes`` mean."""
        return codes * 2 - 1 if self.bipolar else self.wrap(codes)

    def contains(self, values: Array) -> bool:
        """Whether every value lies in the declared range (and is -1 or +1 when bipolar)."""
        if not values.size:
            return True
        if self.bipolar:
            return bool(np.isin(values, (-1, 1)).all())
        return bool(self.lo <= values.min() and values.max() <= self.hi)

    def __str__(self) -> str:
        kind = "b" if self.bipolar else "s" if self.signed else "u"
        span = "" if self.declared is None else f"[{self.declared[0]}..{self.declared[1]}]"
        return f"{kind}{self.bits}{span}"


@dataclass(frozen=True, slots=True)
class Edge:
    """What a stream carries: the shape of one sample, channels last, and its element type."""

    shape: tuple[int, ...]
    type: IntType

    @property
    def elements(self) -> int:
        """Elements of one sample."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __str__(self) -> str:
        return f"{'x'.join(map(str, self.shape))}:{self.type}"
