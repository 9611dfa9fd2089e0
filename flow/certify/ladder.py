"""A staircase as a table of its levels: where each begins, where it ends, what it is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.certify.box import Box
from flow.ir import Array
from flow.ops import Threshold

FAR = 1 << 60  # beyond every input that a bound here is computed for
_AT_ONCE = 1 << 15  # elements and levels of one row; more are taken level by level


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """Level k of channel c holds exactly where ``first[c, k] <= x <= last[c, k]``, and is worth
    ``value[c, k]``. A level whose ``last`` lies below its ``first`` is never taken."""

    first: Array  # (channels, steps + 1)
    last: Array
    value: Array

    @classmethod
    def of(cls, op: Threshold) -> Ladder:
        """The table of a staircase, sorted or not, counted or searched: each is monotone."""
        channels, steps = op.thresholds.shape
        corners = np.sort(op.thresholds, axis=1)
        reached = op.reached(corners.T).T  # between two corners nothing is reached
        first = np.full((channels, steps + 1), FAR, dtype=np.int64)
        first[:, 0] = -FAR
        for k in range(1, steps + 1):
            there = reached >= k
            some, at = there.any(axis=1), there.argmax(axis=1)
            first[some, k] = corners[some, at[some]]
        last = np.append(first[:, 1:] - 1, np.full((channels, 1), FAR), axis=1)
        level = np.arange(steps + 1)
        value = op.base + np.where(op.sign[:, None] > 0, level, steps - level)
        return cls(first, last, 2 * value - 1 if op.output.bipolar else value)

    def reached(self, x: Array) -> Array:
        """The level that each input of (batch, ..., channels) has."""
        level = np.zeros(x.shape, dtype=np.int64)
        for first in self.first.T[1:]:
            level += first <= x
        return level

    def levels(self, x: Array) -> Array:
        """The staircase itself: what each input of (batch, ..., channels) is worth."""
        found: Array = self.value[np.arange(x.shape[-1]), self.reached(x)]
        return found

    def highest(
        self, gain: NDArray[Any], cost: NDArray[Any], box: Box
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """The largest ``gain * level(x) - cost * x`` over the integers of ``box``, elementwise.

        On one level only ``x`` varies, so its ends are enough, whatever the signs; all levels that
        ``box`` meets are compared. Whole numbers give the exact maximum.

        Returns:
            the maxima, and the ``x`` and the level's value that reach them, as ``gain`` in shape.
        """
        if gain[0].size * self.first.shape[1] <= _AT_ONCE:
            return self._of_all(gain, cost, box)
        best = np.full(gain.shape, -np.inf, dtype=np.float64)
        x, worth = box.lo.copy(), np.zeros(gain.shape, dtype=np.int64)
        for first, last, value in zip(self.first.T, self.last.T, self.value.T, strict=True):
            low, high = np.maximum(first, box.lo), np.minimum(last, box.hi)
            end = np.where(cost > 0, low, high)
            here = np.where(low <= high, gain * value - cost * end, -np.inf)
            better = here > best
            best = np.where(better, here, best)
            x, worth = np.where(better, end, x), np.where(better, value, worth)
        return best, x, worth

    def _of_all(
        self, gain: NDArray[Any], cost: NDArray[Any], box: Box
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        low = np.maximum(self.first, box.lo[..., None])
        high = np.minimum(self.last, box.hi[..., None])
        met = low <= high
        rent = cost[..., None]
        end = np.where(rent > 0, low, high)
        end = np.where(met, end, 0)
        worth = np.where(met, gain[..., None] * self.value - rent * end, -(1 << 62))
        at = worth.argmax(axis=-1)[..., None]
        value = np.broadcast_to(self.value, worth.shape)
        best, x, level = (np.take_along_axis(a, at, axis=-1)[..., 0] for a in (worth, end, value))
        return best, x, level
