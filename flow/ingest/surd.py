"""Exact real numbers: sums of rational multiples of square roots of rationals.

Batch normalisation divides by a square root, so a decision point in front of it is no rational.
Sums ``q_1 sqrt(r_1) + q_2 sqrt(r_2) + ...`` are closed under everything a chain does, and their
floor and sign are decided in integers, never in floats. No quotient of two radicands of one sum is
the square of a rational; such roots are independent over the rationals, so that a sum with terms
is not 0 and finitely many digits tell its sign.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

_FIRST_BITS = 128  # of the first attempt at a sign; doubled until it is told


@dataclass(frozen=True, slots=True)
class Surd:
    """``sum(coefficient * sqrt(radicand))``; radicand 1 is the rational part.

    >>> (Surd.of(1) + Surd.root(Fraction(2))).floor()
    2
    """

    terms: tuple[tuple[Fraction, Fraction], ...]  # (radicand, coefficient), radicands ascending

    @classmethod
    def of(cls, value: Fraction | int) -> Surd:
        """A rational number."""
        return cls(((_ONE, Fraction(value)),)) if value else _ZERO

    @classmethod
    def root(cls, radicand: Fraction) -> Surd:
        """The square root of a rational of at least 0, exact where it is rational."""
        if radicand < 0:
            raise ValueError(f"the square root of {radicand} is not real")
        rational = rational_root(radicand)
        return cls(((radicand, Fraction(1)),)) if rational is None else cls.of(rational)

    def __add__(self, other: Surd) -> Surd:
        if not self.terms or not other.terms:
            return self if self.terms else other
        return Surd(_tidy([*self.terms, *other.terms]))

    def __neg__(self) -> Surd:
        return Surd(tuple((radicand, -c) for radicand, c in self.terms))

    def __sub__(self, other: Surd) -> Surd:
        return self + -other

    def times(self, factor: Fraction) -> Surd:
        """The product with a rational."""
        if not factor:
            return _ZERO
        return Surd(tuple((radicand, c * factor) for radicand, c in self.terms))

    def times_root(self, radicand: Fraction) -> Surd:
        """The product with the square root of a rational."""
        total = Surd(())
        for inner, coefficient in self.terms:
            total = total + Surd.root(inner * radicand).times(coefficient)
        return total

    def sign(self) -> int:
        """-1, 0 or +1, exactly: two terms by squaring, more by as many digits as it takes."""
        if len(self.terms) <= 1:
            return _sign(self.terms[0][1]) if self.terms else 0
        if len(self.terms) == 2:
            (r1, q1), (r2, q2) = self.terms
            first, second = _sign(q1), _sign(q2)
            if first == second:
                return first
            return first * _sign(q1 * q1 * r1 - q2 * q2 * r2)
        bits = _FIRST_BITS
        while True:
            low, high = self._enclose(bits)
            if low > 0 or high < 0:
                return 1 if low > 0 else -1
            bits *= 2

    def floor(self) -> int:
        """The largest integer not above."""
        if all(radicand == 1 for radicand, _ in self.terms):
            rational = sum((c for _, c in self.terms), Fraction(0))
            return rational.numerator // rational.denominator
        low, high = self._enclose(64)
        below, above = low.__floor__(), high.__floor__()
        while below < above:  # an integer lies between: is the number at or above it?
            middle = (below + above + 1) // 2
            if (self - Surd.of(middle)).sign() >= 0:
                below = middle
            else:
                above = middle - 1
        return below

    def ceil(self) -> int:
        """The smallest integer not below."""
        return -(-self).floor()

    def _enclose(self, bits: int) -> tuple[Fraction, Fraction]:
        """Rationals around the number, about ``2**-bits`` apart per unit of coefficient."""
        low = high = Fraction(0)
        for radicand, coefficient in self.terms:
            scaled = (radicand.numerator << (2 * bits)) // radicand.denominator
            root = isqrt(scaled)
            above = root if radicand == 1 else root + 1
            ends = [coefficient * Fraction(end, 1 << bits) for end in (root, above)]
            low, high = low + min(ends), high + max(ends)
        return low, high


_ONE = Fraction(1)
_ZERO = Surd(())


def _tidy(terms: Iterable[tuple[Fraction, Fraction]]) -> tuple[tuple[Fraction, Fraction], ...]:
    """The terms with those joined whose roots are rational multiples of each other."""
    total: dict[Fraction, Fraction] = {}
    for radicand, coefficient in terms:
        for known in total:
            ratio = Fraction(1) if known == radicand else rational_root(radicand / known)
            if ratio is not None:
                total[known] += coefficient * ratio
                break
        else:
            total[radicand] = coefficient
    return tuple(sorted((r, c) for r, c in total.items() if c))


def rational_root(value: Fraction) -> Fraction | None:
    """The square root where it is rational."""
    top, bottom = isqrt(value.numerator), isqrt(value.denominator)
    whole = top * top == value.numerator and bottom * bottom == value.denominator
    return Fraction(top, bottom) if whole else None


def _sign(value: Fraction) -> int:
    return (value > 0) - (value < 0)
