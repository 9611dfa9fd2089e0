"""From votes to a radius: Clopper-Pearson and Cohen's theorem as one comparison, rounded outward.

With noise ``sigma * g`` a class of probability p at x keeps more than a half at every x' with
``||x' - x|| < sigma * Phi^-1(p)`` (Cohen et al. 2019; x, x' on the grid, noise rounded onto it). To
claim a distance r is therefore to claim ``p > Phi(r / sigma)``. That is tested without inverting
anything: k votes of n refute ``p <= t`` at level alpha where ``P(Bin(n, t) >= k) < alpha``.

A source whose noise is within ``error`` of the ideal (total variation, of all elements of an input
together) has probabilities within ``error`` of the ideal ones at every input. So votes drawn from
it show ``p > t - error`` of the ideal; and of the source's own classifier, which must keep a half
under its own noise at x', ``p_ideal(x') > 1/2 + error`` is enough:

    ideal classifier   t = Phi(r / sigma) + error
    the source's own   t = Phi(r / sigma + Phi^-1(1/2 + error)) + error
"""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

from scipy.stats import beta, norm

from flow.certify.noise_normal import DOWN, HALF, UP, decimal, phi_above, quantile_above, root

ONE = Decimal(1)


def tail_above(samples: int, votes: int, share: Decimal) -> Decimal:
    """Above ``P(Bin(samples, share) >= votes)``."""
    if votes <= 0 or share >= 1:
        return ONE
    other = UP.subtract(ONE, share)
    odds = UP.divide(share, DOWN.subtract(ONE, share))
    term = UP.multiply(_power(share, votes), _power(other, samples - votes))
    term = UP.multiply(term, UP.create_decimal(math.comb(samples, votes)))
    total = term
    for count in range(votes, samples):
        term = UP.multiply(term, UP.multiply(odds, Decimal(samples - count)))
        term = UP.divide(term, Decimal(count + 1))
        total = UP.add(total, term)
        falls = UP.multiply(odds, Decimal(2 * (samples - count - 1))) < count + 2
        if falls and term < total.scaleb(-40, UP):  # what is left is less than this term
            return min(ONE, UP.add(total, term))
    return min(ONE, total)


def needed_share(squared: int, *, sigma: Fraction, error: Fraction, own: bool) -> Decimal | None:
    """Above the share t that a claim of distance ``sqrt(squared)`` needs; None if out of reach.

    Args:
        error: of the noise of one whole input; own: of the source's classifier, not the ideal one.
    """
    z = root(Fraction(squared) / sigma**2, UP) if squared else Decimal(0)
    if own:
        charge = quantile_above(error)
        if charge is None:
            return None
        z = UP.add(z, charge)
    share = UP.add(phi_above(z), decimal(error, UP))
    return share if share < 1 else None


def shown(votes: int, samples: int, *, alpha: Fraction, share: Decimal | None) -> bool:
    """Whether the votes refute a probability of ``share`` or less, at level ``alpha``."""
    return share is not None and tail_above(samples, votes, share) < decimal(alpha, DOWN)


def squared_reach(
    votes: int, samples: int, *, alpha: Fraction, sigma: Fraction, error: Fraction, own: bool
) -> int | None:
    """The largest squared distance the votes certify at level ``alpha``; None: not even 0.

    Squared distances of the grid are whole numbers, so nothing is lost by the rounding.
    """

    def holds(squared: int) -> bool:
        share = needed_share(squared, sigma=sigma, error=error, own=own)
        return shown(votes, samples, alpha=alpha, share=share)

    if 2 * votes <= samples or not holds(0):
        return None
    low = float(beta.ppf(float(alpha), votes, samples - votes + 1))  # where to look, no more
    guess = int((float(sigma) * max(float(norm.ppf(low)), 0.0)) ** 2)
    step = 1
    while guess and not holds(guess):
        guess, step = max(guess - step, 0), 2 * step
    above, step = guess + 1, 1
    while holds(above):
        guess, above, step = above, above + step, 2 * step
    while above - guess > 1:
        middle = (guess + above) // 2
        guess, above = (middle, above) if holds(middle) else (guess, middle)
    return guess


def abstains(first: int, second: int, *, alpha: Fraction) -> bool:
    """Whether the two top classes' votes leave open, at level ``alpha``, which of them leads.

    The exact two-sided binomial test against even odds, of Cohen's prediction.
    """
    tail = tail_above(first + second, max(first, second), HALF)
    return UP.add(tail, tail) >= decimal(alpha, DOWN)


def _power(base: Decimal, exponent: int) -> Decimal:
    found = ONE
    while exponent:
        if exponent & 1:
            found = UP.multiply(found, base)
        base, exponent = UP.multiply(base, base), exponent >> 1
    return found
