"""What is not affine: staircases and maxima of windows, each with the exact maximum of
``gain * output - cost . inputs`` over a box of its inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from flow.certify.affine import Reals, fold
from flow.certify.box import Box
from flow.certify.ladder import Ladder
from flow.certify.outline import Outline
from flow.ir import Array, Edge
from flow.ops import MaxPool
from flow.ops.window import slide


class Unit(Protocol):
    """One op that is not affine. ``seen`` is what it reads, one element per multiplier."""

    def seen(self, v: Array | Reals) -> Reals:
        """The values that multipliers stand for, of the op's input (batch, *input shape)."""
        ...

    def highest(self, gain: Reals, cost: Reals, box: Box) -> tuple[Reals, Reals, Reals]:
        """The largest ``gain * output - cost . seen`` over ``box``, and the seen and the output
        that reach it; exact while all numbers are whole and below 2**52."""
        ...

    def guess(self, box: Box) -> Outline | None:
        """What searches may look at in place of the whole staircase; None: nothing is saved."""
        ...

    def slope(self, gain: Reals, box: Box) -> Reals:
        """A start for the multipliers: the chord's slope, or the tap that is largest for sure."""
        ...

    def back(self, cost: Reals) -> Reals:
        """Coefficients of the op's input, from those of what is seen."""
        ...

    def output_size(self, box: Box) -> Reals:
        """Above the magnitude of every output, broadcastable to the output."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Stairs:
    """A Threshold: every element by itself."""

    ladder: Ladder

    def seen(self, v: Array | Reals) -> Reals:
        return v.astype(np.float64)

    def highest(self, gain: Reals, cost: Reals, box: Box) -> tuple[Reals, Reals, Reals]:
        """The best of the two ends of each level."""
        return self.ladder.highest(gain, cost, box)

    def guess(self, box: Box) -> Outline | None:
        return Outline.of(self.ladder, box)

    def slope(self, gain: Reals, box: Box) -> Reals:
        """The chord's, over the box."""
        rise = self.ladder.levels(box.hi) - self.ladder.levels(box.lo)
        found: Reals = gain * rise / np.maximum(box.hi - box.lo, 1)
        return found

    def back(self, cost: Reals) -> Reals:
        return cost

    def output_size(self, box: Box) -> Reals:
        found: Reals = np.abs(self.ladder.value).max(axis=1).astype(np.float64)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """A MaxPool: multipliers stand for the elements of every window, (OH, OW, taps * C)."""

    op: MaxPool
    edge: Edge  # of its input

    def seen(self, v: Array | Reals) -> Reals:
        view = slide(v, self.op.kernel, self.op.stride, self.op.dilation)
        return view.reshape(*view.shape[:3], -1).astype(np.float64)

    def highest(self, gain: Reals, cost: Reals, box: Box) -> tuple[Reals, Reals, Reals]:
        """By cases: which tap is largest (a gain), or how large it is (a loss)."""
        taps = self.op.kernel[0] * self.op.kernel[1]
        shape = (*gain.shape[:3], taps, gain.shape[3])
        rent, low, high = (a.reshape(shape) for a in (cost, self.seen(box.lo), self.seen(box.hi)))
        best, at, level = _pull_up(gain, rent, low, high)
        other, there, top = _hold_down(gain, rent, low, high)
        down = gain < 0
        best, level = np.where(down, other, best), np.where(down, top, level)
        at = np.where(down[:, :, :, None], there, at)
        return best, at.reshape(cost.shape), level

    def guess(self, box: Box) -> Outline | None:
        return None

    def slope(self, gain: Reals, box: Box) -> Reals:
        """The whole gain to the tap that is largest for sure, else nothing."""
        taps = self.op.kernel[0] * self.op.kernel[1]
        shape = (*gain.shape[:3], taps, gain.shape[3])
        low, high = (self.seen(end).reshape(shape) for end in (box.lo, box.hi))
        first = low.argmax(axis=3)[:, :, :, None]
        others = np.where(np.arange(taps)[:, None] == first, -np.inf, high).max(axis=3)
        sure = np.take_along_axis(low, first, axis=3)[:, :, :, 0] >= others
        found = np.zeros(shape)
        np.put_along_axis(found, first, np.where(sure, gain, 0.0)[:, :, :, None], axis=3)
        return found.reshape(*gain.shape[:3], -1)

    def back(self, cost: Reals) -> Reals:
        taps = cost.reshape(*cost.shape[:3], self.op.kernel[0] * self.op.kernel[1], -1)
        return fold(taps, self.edge, self.op.kernel, self.op.stride, self.op.dilation)

    def output_size(self, box: Box) -> Reals:
        ends = self.op.evaluate(np.maximum(np.abs(box.lo), np.abs(box.hi)))
        return ends.astype(np.float64)


def _pull_up(gain: Reals, rent: Reals, low: Reals, high: Reals) -> tuple[Reals, Reals, Reals]:
    """Of a gain of at least 0: one tap is the largest, the others are free."""
    free = np.where(rent >= 0, low, high)
    alone = -rent * free
    own = gain[:, :, :, None] - rent
    end = np.where(own >= 0, high, low)
    more = own * end - alone
    tap = more.argmax(axis=3)[:, :, :, None]
    best = alone.sum(axis=3) + np.take_along_axis(more, tap, axis=3)[:, :, :, 0]
    at = free.copy()
    np.put_along_axis(at, tap, np.take_along_axis(end, tap, axis=3), axis=3)
    return best, at, at.max(axis=3)


def _hold_down(gain: Reals, rent: Reals, low: Reals, high: Reals) -> tuple[Reals, Reals, Reals]:
    """Of a gain below 0: no tap passes a top, which is the least that can be or some tap's end."""
    floor = low.max(axis=3)
    best = np.full(floor.shape, -np.inf)
    at, top = low.copy(), floor.copy()
    for end in (floor, *np.moveaxis(high, 3, 0)):
        limit = np.maximum(end, floor)
        taken = np.where(rent >= 0, low, np.minimum(high, limit[:, :, :, None]))
        worth = gain * limit - (rent * taken).sum(axis=3)
        better = worth > best
        best, top = np.where(better, worth, best), np.where(better, limit, top)
        at = np.where(better[:, :, :, None], taken, at)
    return best, at, top
