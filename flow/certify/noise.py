"""Rounded Gaussian noise as a table of integers: what a comparator does to a uniform word.

``round(sigma * g)`` with ``g`` a standard normal is the noise of randomized smoothing on a grid: an
integer x plus it is ``round(x + sigma * g)``, so that everything proved about real noise holds. A
source that draws a uniform word and compares it with integers cannot have that distribution; it
has one that is known exactly, and so is how far the two are apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from flow.certify.noise_normal import DOWN, UP, central, decimal
from flow.errors import InputError

Words = NDArray[np.uint64]
Noise = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class NoiseTable:
    """A word of ``bits`` uniform bits to one integer: the top bit is its sign, and its magnitude is
    how many of ``levels`` the other bits reach (``>=``).

    ``span`` is the width of the range that the noisy value is clipped to: magnitudes from it on
    cannot be told apart there, and there is no level beyond it.
    """

    sigma: Fraction
    bits: int
    span: int
    levels: tuple[int, ...]

    @classmethod
    def of(cls, sigma: Fraction, *, bits: int, span: int) -> NoiseTable:
        """The levels nearest to ``P(|noise| < i)``, left out where no word reaches them.

        Raises:
            InputError: sigma is not above 0, or the word too short for it.
        """
        if sigma <= 0:
            raise InputError(f"sigma {sigma}: give a number of pixel codes above 0")
        if not 2 <= bits <= 64:
            raise InputError(f"{bits} bits of a uniform word: give 2 to 64")
        scale, levels = 1 << (bits - 1), []
        for magnitude in range(1, span + 1):
            level = round(2 * scale * Fraction(_within(sigma, magnitude)[0]))
            if level >= scale:
                break
            levels.append(level)
        return cls(sigma, bits, span, tuple(levels))

    @property
    def most(self) -> int:
        """The largest magnitude there is."""
        return len(self.levels)

    def probability(self, noise: int) -> Fraction:
        """How often a uniform word gives ``noise``, exactly."""
        scale = 1 << (self.bits - 1)
        ends = (0, *self.levels, scale)
        if abs(noise) > self.most:
            return Fraction(0)
        share = Fraction(ends[abs(noise) + 1] - ends[abs(noise)], scale)
        return share if noise == 0 else share / 2

    def distance(self) -> Fraction:
        """Above the total variation distance to ``round(sigma * g)``, both as the clip sees them.

        No event of one sample has probabilities further apart than this, and no event of ``d``
        independent ones further than ``d`` times this.
        """
        total = Fraction(0)
        before = (Fraction(0), Fraction(0))
        for magnitude in range(self.most + 1):
            last = magnitude == self.span
            within = (Fraction(1),) * 2 if last else _share(self.sigma, magnitude + 1)
            own = self.probability(magnitude) * (1 if magnitude == 0 else 2)
            low, high = within[0] - before[1], within[1] - before[0]
            total += max(high - own, own - low)
            before = within
        return (total + 1 - before[0]) / 2  # and what no level stands for

    def draw(self, words: Words) -> Noise:
        """The noise of each word; its upper bits, beyond ``bits``, must be 0."""
        top = np.uint64(self.bits - 1)
        low = words & np.uint64((1 << (self.bits - 1)) - 1)
        levels = np.array(self.levels, dtype=np.uint64)
        size = np.searchsorted(levels, low.ravel(), side="right").astype(np.int32)
        size = size.reshape(words.shape)
        return np.where(words >> top, -size, size)


def _within(sigma: Fraction, magnitude: int) -> tuple[Fraction, Fraction]:
    """Below and above half of ``P(|round(sigma g)| < magnitude)``."""
    z = Fraction(2 * magnitude - 1) / (2 * sigma)
    return tuple(Fraction(central(decimal(z, way), way)) for way in (DOWN, UP))  # type: ignore[return-value]


def _share(sigma: Fraction, magnitude: int) -> tuple[Fraction, Fraction]:
    low, high = _within(sigma, magnitude)
    return 2 * low, min(2 * high, Fraction(1))
