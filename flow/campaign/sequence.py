"""Intervals for a mean that stay valid however often one looks while the draws come in.

A bettor starts with 1 and, before every draw, stakes a share of it on the draw being above (or
below) what a candidate mean promises. Were the candidate the true mean, the bet would be fair, and
a fortune from fair bets ever reaches ``2 / alpha`` with probability ``alpha / 2`` at most (Ville's
inequality). So all candidates that made some bettor that rich can be refused, at any time.

Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", Journal
of the Royal Statistical Society B 86 (2024), section 4, and section 5 for draws without
replacement. Stakes here are constant and several at once, the fortune being their mean: which of
them suits the spread of the draws need not be known beforehand.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from flow.campaign.statistics import Estimate

Shares = NDArray[np.float64]

STAKES = 0.5 ** np.arange(1, 11)  # of the fortune; 1/2 suits rare events, 1/1024 tiny margins
CHUNK = 1 << 16  # draws followed at once
PLACES = 24  # halvings of 0..1 that find an end of the interval


def bounds(shares: Shares, *, population: int | None = None, confidence: float = 0.95) -> Estimate:
    """The mean of ``shares`` and an interval for the mean they are drawn from.

    With probability ``confidence`` or more the true mean lies in *all* intervals of the growing
    prefixes of one sequence of draws together, so a look at any of them may decide to stop.

    Args:
        shares: draws in their order, each in 0..1, for example the share of images that a fault
            changes; a fault counts once, however its images depend on each other.
        population: uniform draws are without replacement from so many; None: independent draws.

    Raises:
        ValueError: a draw lies outside 0..1, or there are more than the population has.
    """
    draws = len(shares)
    if not draws:
        return Estimate(0.0, 0.0, 1.0)
    if shares.min() < 0 or shares.max() > 1 or not 0 < confidence < 1:
        raise ValueError("draws and confidence lie between 0 and 1")
    if population is not None and draws > population:
        raise ValueError(f"{draws} draws without replacement from {population}")
    lowest = _lowest(shares, population, confidence)
    highest = 1 - _lowest(1 - shares, population, confidence)
    if population is not None:  # the draws themselves are known, the others lie in 0..1
        lowest = max(lowest, float(shares.sum()) / population)
        highest = min(highest, float(shares.sum() + population - draws) / population)
    return Estimate(float(shares.mean()), lowest, highest)


def too_low(
    mean: float, shares: Shares, *, population: int | None = None, confidence: float = 0.95
) -> bool:
    """Whether ``shares`` refute that their mean is ``mean`` or less.

    Of a true mean this is said at any time at all with probability ``(1 - confidence) / 2`` at
    most; whether a mean is too high is asked by ``1 - mean`` and ``1 - shares``.
    """
    return log_fortune(mean, shares, population=population) >= math.log(2 / (1 - confidence))


def _lowest(shares: Shares, population: int | None, confidence: float) -> float:
    """No mean at or above this is left out; the fortune falls as the candidate rises."""
    low, high = 0.0, 1.0
    for _ in range(PLACES):
        middle = (low + high) / 2
        if too_low(middle, shares, population=population, confidence=confidence):
            low = middle
        else:
            high = middle
    return low


def log_fortune(mean: float, shares: Shares, *, population: int | None = None) -> float:
    """The logarithm of what betting on draws above ``mean`` came to."""
    before = np.cumsum(shares) - shares
    total = np.zeros(len(STAKES))
    for first in range(0, len(shares), CHUNK):
        part = slice(first, first + CHUNK)
        expected = np.full(len(shares[part]), mean)
        if population is not None:  # of those left, if the mean of all is this
            left = population - np.arange(first, first + len(expected))
            expected = (population * mean - before[part]) / left
        if (expected < 0).any() or (shares[part][expected == 0] > 0).any():
            return math.inf  # the draws already exceed what all could have
        ratio = np.ones(len(expected))
        np.divide(shares[part], expected, out=ratio, where=expected > 0)
        total += np.log1p(STAKES[:, None] * (ratio - 1)).sum(axis=1)
    return float(np.logaddexp.reduce(total) - math.log(len(STAKES)))
