"""The normal distribution between two decimals: bounds that hold, not estimates.

Every sum and product below has one sign and is rounded outward, so the error never has to be
estimated: the lower value is below the true one and the upper value above it.
"""

from __future__ import annotations

from decimal import MAX_EMAX, MIN_EMIN, ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction

DIGITS = 60
DOWN = Context(prec=DIGITS, rounding=ROUND_FLOOR, Emin=MIN_EMIN, Emax=MAX_EMAX)
UP = Context(prec=DIGITS, rounding=ROUND_CEILING, Emin=MIN_EMIN, Emax=MAX_EMAX)
HALF = Decimal("0.5")
# The square root of 2 pi: its first digits, and one more in the last place.
_ROOT = Decimal("2.5066282746310005024157652848110452530069867406099383")
_ROOT_ABOVE = UP.add(_ROOT, Decimal("1e-52"))


def decimal(value: Fraction, context: Context) -> Decimal:
    """``value`` rounded the way ``context`` rounds."""
    return context.divide(Decimal(value.numerator), Decimal(value.denominator))


def root(value: Fraction, context: Context) -> Decimal:
    """Below (``DOWN``) or above (``UP``) the square root of ``value``."""
    found = context.sqrt(decimal(value, context))  # rounded to nearest whatever the context says
    return found.next_plus(UP) if context is UP else max(found.next_minus(DOWN), Decimal(0))


def central(z: Decimal, context: Context) -> Decimal:
    """Below (``DOWN``) or above (``UP``) ``P(0 < g < z)`` of a standard normal ``g``; ``z >= 0``.

    The density at z times ``z + z^3/3 + z^5/(3*5) + ...``: no term is negative.
    """
    upward = context is UP
    against = DOWN if upward else UP
    halved = against.multiply(against.multiply(z, z), HALF)
    density = context.exp(halved.copy_negate())  # rounded to nearest, so one place outward
    density = density.next_plus(UP) if upward else density.next_minus(DOWN)
    density = context.divide(density, _ROOT if upward else _ROOT_ABOVE)
    square, term, total, factor = context.multiply(z, z), z, z, 1
    while term > total.scaleb(-DIGITS, context) or context.add(square, square) > factor:
        factor += 2
        term = context.divide(context.multiply(term, square), Decimal(factor))
        total = context.add(total, term)
    if upward:  # from here on each term is less than half the one before
        total = context.add(total, term)
    return context.multiply(density, total)


def phi_above(z: Decimal) -> Decimal:
    """Above ``P(g < z)`` for ``z >= 0``."""
    return UP.add(HALF, central(z, UP))


def quantile_above(excess: Fraction) -> Decimal | None:
    """A ``z`` with ``P(0 < g < z) >= excess``; None where none is needed or small enough found.

    For charging small errors only: None above an excess of 1/5.
    """
    if excess > Fraction(1, 5):
        return None
    wanted = decimal(excess, UP)
    z = UP.multiply(wanted, _ROOT_ABOVE)
    while central(z, DOWN) < wanted:
        z = UP.multiply(z, Decimal("1.0625") if excess > Fraction(1, 1000) else Decimal("1.000001"))
    return z
