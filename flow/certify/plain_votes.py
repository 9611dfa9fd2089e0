"""Votes and radii once more, in whole numbers alone, for the checker of smoothing.

Other formulas than those that certified: the alternating series of the normal distribution in fixed
point, and the negative binomial form of Clopper-Pearson's tail.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import isqrt

_POINT = 400  # binary places of the series
_SLACK = Fraction(1, 1 << 200)  # above all that its divisions cut off, for z up to _FAR
_FAR = 12  # beyond, the tail is below 2**-100
_PLACES = 80  # of z and of shares
_MANTISSA = 192


@cache
def central(z: Fraction) -> tuple[Fraction, Fraction]:
    """Below and above ``P(0 < g < z)``, g standard normal, ``z >= 0`` with few binary places.

    ``(z - z^3/(2*3) + z^5/(4*2!*5) - ...) / sqrt(2 pi)``.
    """
    if z > _FAR:
        return Fraction(1, 2) - Fraction(1, 1 << 100), Fraction(1, 2)
    power = (z.numerator << _POINT) // z.denominator
    top, bottom = z.numerator**2, z.denominator**2
    total, k = 0, 0
    while power:
        total += (-1) ** k * (power // (2 * k + 1))
        k += 1
        power = power * top // (bottom * 2 * k)
    density = isqrt((1 << 3 * _POINT) // (2 * _pi()))
    value = Fraction(total * density, 1 << 2 * _POINT)
    return max(value - _SLACK, Fraction(0)), min(value + _SLACK, Fraction(1, 2))


def holds(
    votes: int,
    samples: int,
    *,
    squared: int,
    alpha: Fraction,
    sigma: Fraction,
    error: Fraction,
    own: bool,
) -> bool:
    """Whether the votes certify the distance ``sqrt(squared)``, for the source's ``own`` classifier
    or the ideal one, with noise within ``error`` of the ideal."""
    if squared < 0 or not 0 <= votes <= samples:
        return False
    scaled = (squared * sigma.denominator**2 << 2 * _PLACES) // sigma.numerator**2
    z = Fraction(isqrt(scaled) + 1, 1 << _PLACES) if squared else Fraction(0)
    if own:
        charge = _charge(error)
        if charge is None:
            return False
        z += charge
    share = Fraction(1, 2) + central(z)[1] + error
    share = Fraction(-(-share.numerator * (1 << _MANTISSA) // share.denominator), 1 << _MANTISSA)
    return share < 1 and _tail(samples, votes, share) < alpha


def _charge(error: Fraction) -> Fraction | None:
    """The least z, on a grid, with ``P(0 < g < z) >= error``; None above 1/4."""
    if error > Fraction(1, 4):
        return None
    low, high = -1, 1 << _PLACES
    while high - low > 1:
        middle = (low + high) // 2
        enough = central(Fraction(middle, 1 << _PLACES))[0] >= error
        low, high = (low, middle) if enough else (middle, high)
    return Fraction(high, 1 << _PLACES)


def _tail(samples: int, votes: int, share: Fraction) -> Fraction:
    """Above the chance that the ``votes``-th success comes within ``samples`` trials."""
    if votes == 0:
        return Fraction(1)
    top, places = share.numerator, share.denominator.bit_length() - 1
    rest = share.denominator - top
    # term of j failures: C(votes - 1 + j, j) share^votes rest^j, as mantissa and exponent
    term = _powered(top, -places, votes)
    total = term
    for failed in range(1, samples - votes + 1):
        mantissa = -(-term[0] * rest * (votes - 1 + failed) // failed)
        term = _short(mantissa, term[1] - places)
        total = _sum(total, term)
    mantissa, exponent = total
    if mantissa.bit_length() + exponent > 1:
        return Fraction(1)
    return Fraction(mantissa, 1 << -exponent) if exponent < 0 else Fraction(mantissa << exponent)


def _powered(mantissa: int, exponent: int, power: int) -> tuple[int, int]:
    found = (1, 0)
    base = _short(mantissa, exponent)
    for bit in bin(power)[2:]:
        found = _short(found[0] * found[0], 2 * found[1])
        if bit == "1":
            found = _short(found[0] * base[0], found[1] + base[1])
    return found


def _sum(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    small, large = sorted((one, other), key=lambda number: number[1])
    shift = large[1] - small[1]
    if shift > 2 * _MANTISSA:  # what is left of the smaller is less than one
        return _short(large[0] + (small[0] >> shift) + 1, large[1])
    return _short((large[0] << shift) + small[0], small[1])


def _short(mantissa: int, exponent: int) -> tuple[int, int]:
    """The same number or one above it, of few bits."""
    surplus = mantissa.bit_length() - _MANTISSA
    if surplus <= 0:
        return mantissa, exponent
    return (mantissa >> surplus) + 1, exponent + surplus


@cache
def _pi() -> int:
    """Pi in fixed point, by Machin's arctangents, a little below."""
    one = 1 << _POINT + 16

    def arctangent(inverse: int) -> int:
        power, total, k = one // inverse, 0, 0
        while power:
            total += (-1) ** k * (power // (2 * k + 1))
            power, k = power // inverse**2, k + 1
        return total

    return (4 * (4 * arctangent(5) - arctangent(239))) >> 16
