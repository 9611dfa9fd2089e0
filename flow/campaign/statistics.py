"""Intervals for shares estimated by fault injection.

Two (fault, image) pairs of one fault are not independent: the fault is the unit of observation
everywhere here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

AT_ONCE = 1 << 20  # counts of a bootstrap that are held at once


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share with its interval, all within 0..1; of a total, not below 0."""

    value: float
    lo: float
    hi: float


def wilson(events: float, trials: float, *, confidence: float = 0.95) -> Estimate:
    """Wilson's score interval, for display; ``trials`` may be an effective sample size."""
    _check(events, trials, confidence)
    z2 = float(norm.ppf((1 + confidence) / 2)) ** 2
    share = events / trials
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    spread = share * (1 - share) / trials + z2 / (4 * trials**2)
    half = math.sqrt(z2 * spread) / (1 + z2 / trials)
    # At the ends the formula gives 0 and 1 up to rounding; say so exactly.
    lo = 0.0 if events == 0 else max(0.0, middle - half)
    hi = 1.0 if events == trials else min(1.0, middle + half)
    return Estimate(share, lo, hi)


def zero_event_bound(trials: int, *, confidence: float = 0.95) -> float:
    """The one-sided upper bound on a share of which ``trials`` draws showed no event.

    >>> round(zero_event_bound(1000) * 1000, 2)
    2.99
    """
    _check(0, trials, confidence)
    return float(-math.expm1(math.log1p(-confidence) / trials))


def stratified_zero_bound(
    sizes: Sequence[float], draws: Sequence[int], *, confidence: float = 0.95
) -> float:
    """The one-sided upper bound on ``sum (N_h / N) p_h`` after no event in any stratum.

    The largest share that still shows no event with probability ``1 - confidence``: maximise it
    under ``sum n_h log(1 - p_h) = log(1 - confidence)``, where at the optimum ``1 - p_h`` is in
    proportion to ``n_h / N_h``. Equal to :func:`zero_event_bound` for proportional draws.
    """
    _check(0, min(draws), confidence)
    weight = np.array(sizes) / sum(sizes)
    rate = np.array(draws) / weight
    order = np.argsort(rate)  # the strata drawn from most thinly can hide most
    rate, weight, drawn = rate[order], weight[order], np.array(draws)[order]
    for last in range(len(rate), 0, -1):
        logs = drawn[:last] @ np.log(rate[:last])
        scale = math.exp((math.log(1 - confidence) - logs) / drawn[:last].sum())
        if scale * rate[last - 1] <= 1:
            break
    return float(weight[:last] @ (1 - scale * rate[:last]))


def stratified(
    sizes: Sequence[int],
    shares: Sequence[NDArray[np.float64]],
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> Estimate:
    """The share over the whole population, ``sum (N_h / N) p_h``, with a bootstrap over faults.

    Args:
        sizes: bits in each stratum, N_h.
        shares: for each stratum, one number per fault drawn from it: its share over the images.

    A stratum's resampled mean is scaled by ``sqrt((1 - n/N) n / (n - 1))``, after Rao and Wu
    (1988): unbiased for small strata, and a stratum drawn wholly adds no spread. The interval says
    nothing of what no draw has shown: see :func:`stratified_zero_bound`.

    Raises:
        ValueError: a stratum with several bits has a single draw, which carries no spread.
    """
    total = sum(sizes)
    rates = [1 / total] * len(sizes)
    found = stratified_total(
        sizes, shares, rates, rng=rng, confidence=confidence, resamples=resamples
    )
    return Estimate(found.value, found.lo, min(1.0, found.hi))


def stratified_total(
    sizes: Sequence[int],
    shares: Sequence[NDArray[np.float64]],
    rates: Sequence[float],
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> Estimate:
    """``sum N_h r_h p_h`` with the bootstrap of :func:`stratified`; no share, so it may exceed 1.

    Args:
        rates: what one bit of each stratum counts, r_h.

    Raises:
        ValueError: as :func:`stratified`.
    """
    value = 0.0
    spread = np.zeros(resamples)
    for size, share, rate in zip(sizes, shares, rates, strict=True):
        drawn = len(share)
        if not 1 <= drawn <= size or (drawn == 1 and size > 1):
            raise ValueError(f"{drawn} draws from a stratum of {size}: draw at least 2, or all")
        mean = float(share.mean())
        value += size * rate * mean
        if drawn < size:
            scale = math.sqrt((1 - drawn / size) * drawn / (drawn - 1))
            spread += size * rate * scale * (_means(share, rng, resamples) - mean)
    tail = (1 - confidence) / 2
    lo, hi = np.quantile(value + spread, [tail, 1 - tail])
    return Estimate(value, max(0.0, float(lo)), float(hi))


def _means(
    share: NDArray[np.float64], rng: np.random.Generator, resamples: int
) -> NDArray[np.float64]:
    """Means of ``resamples`` samples with replacement from ``share``, each as large.

    How often each distinct number comes is multinomial, so a million faults take no more room than
    their numbers are distinct.
    """
    numbers, times = np.unique(share, return_counts=True)
    at_once = max(1, AT_ONCE // len(numbers))
    parts = [
        rng.multinomial(len(share), times / len(share), min(at_once, resamples - first)) @ numbers
        for first in range(0, resamples, at_once)
    ]
    return np.asarray(np.concatenate(parts) / len(share))


def _check(events: float, trials: float, confidence: float) -> None:
    if not (0 <= events <= trials and trials > 0 and 0 < confidence < 1):
        raise ValueError(f"{events} events in {trials} trials at confidence {confidence}")
