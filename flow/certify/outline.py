"""A few points of each staircase, for searches in floats; nothing is proved by them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow.certify.affine import Reals
from flow.certify.box import Box
from flow.certify.ladder import Ladder

_MARKS = 4  # levels looked at wherever the box lies, besides those at its ends


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """Inputs within a box and what they are worth, (batch, ..., channels, points)."""

    x: Reals
    value: Reals

    @classmethod
    def of(cls, ladder: Ladder, box: Box) -> Outline:
        """Both ends of the box, and both sides of the corners next to them and of some between.

        Of a staircase of equal steps these are all the corners of its hull.
        """
        start, stop = ladder.reached(box.lo), ladder.reached(box.hi)
        steps = ladder.first.shape[1] - 1
        marks = np.unique(np.linspace(1, steps, min(steps, _MARKS)).astype(np.int64))
        wanted = [start + 1, stop, *(np.full_like(start, mark) for mark in marks)]
        levels = np.stack([np.clip(k, np.minimum(start + 1, stop), stop) for k in wanted], axis=-1)
        channel = np.arange(len(ladder.first))[:, None]
        corner = ladder.first[channel, levels]
        low, high = box.lo[..., None], box.hi[..., None]
        x = np.clip(np.concatenate([low, high, corner, corner - 1], axis=-1), low, high)
        level = (start[..., None], stop[..., None], levels, levels - 1)
        level = np.clip(np.concatenate(level, axis=-1), start[..., None], stop[..., None])
        return cls(x.astype(np.float64), ladder.value[channel, level].astype(np.float64))

    def highest(self, gain: Reals, cost: Reals) -> tuple[Reals, Reals, Reals]:
        """As ``Ladder.highest``, over these points alone."""
        worth = gain[..., None] * self.value
        worth -= cost[..., None] * self.x
        at: tuple[NDArray[np.int64], ...] = (
            *np.ogrid[tuple(map(slice, gain.shape))],
            worth.argmax(axis=-1),
        )
        return worth[at], self.x[at], self.value[at]
