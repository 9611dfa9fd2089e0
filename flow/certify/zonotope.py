"""Affine forms over an input box: every edge as a sum of shared noise symbols and a remainder.

``v = centre + sum_i gains_i e_i + rest * e`` with every ``e`` in [-1, 1]: the ``e_i`` are shared
by all elements and edges that name them, the last is each element's own and forgotten by the next
affine op. All numbers are whole over ``2**GRID``, so affine ops are exact; a staircase lies between
two lines of one slope, which cost one new symbol per element, and is brought back to the grid with
the rounding added to that symbol. Beyond a number of symbols the smallest join the remainders.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from flow.certify.affine import Reals, values
from flow.certify.box import Box, product
from flow.certify.ladder import Ladder
from flow.certify.relaxed import Mask
from flow.errors import InputError
from flow.ir import Array, Node
from flow.ops import Add, MatVec, Pad, SumPool
from flow.ops.window import slide

GRID = 12  # binary places of every number; one less behind staircases, for popcounts halve
SLOPES = 8  # binary places of a staircase's slope
_UNIT = 2.0 ** (1 - GRID)
_MOST = 1 << (50 - GRID)
_MOST_SLOPED = 1 << (50 - GRID - SLOPES)


@dataclass(frozen=True, slots=True, eq=False)
class Forms:
    """One edge of one image: ``centre`` and ``rest`` (*shape), ``gains`` (symbols, *shape) of the
    symbols numbered ``names``, ascending."""

    centre: Reals
    gains: Reals
    names: Array
    rest: Reals

    @classmethod
    def of_box(cls, box: Box, first: int, most: int) -> Forms:
        """A box of one image: a symbol, from ``first`` on, for each of the widest elements that
        move, ``most`` of them, remainders for the others."""
        low, high = box.lo[0].astype(np.float64), box.hi[0].astype(np.float64)
        half = (high - low) / 2
        widest = np.argsort(-half, axis=None, kind="stable")[:most]
        moving = np.sort(widest[half.ravel()[widest] > 0])
        gains = np.zeros((len(moving), half.size))
        gains[np.arange(len(moving)), moving] = half.ravel()[moving]
        rest = half.copy()
        rest.flat[moving] = 0.0
        names = np.arange(first, first + len(moving))
        return cls((low + high) / 2, gains.reshape(-1, *half.shape), names, rest)

    def reach(self) -> Reals:
        """How far each element may lie from its centre."""
        found: Reals = np.abs(self.gains).sum(axis=0) + self.rest
        return found

    def box(self) -> Box:
        """The integers of each element, one image."""
        reach = self.reach()
        low, high = np.ceil(self.centre - reach), np.floor(self.centre + reach)
        return Box(low[None].astype(np.int64), high[None].astype(np.int64))

    def fewer(self, most: int) -> Forms:
        """The same with at most ``most`` symbols, those of the least sums in the remainders."""
        if len(self.names) <= most:
            return self
        size = np.abs(self.gains).reshape(len(self.names), -1).sum(axis=1)
        kept = np.sort(np.argsort(-size, kind="stable")[:most])
        lost = np.delete(self.gains, kept, axis=0)
        rest = self.rest + np.abs(lost).sum(axis=0)
        return Forms(self.centre, self.gains[kept], self.names[kept], rest)

    def within(self, box: Box, here: Mask) -> Forms:
        """Where ``here``, the interval of ``box`` in place of the form."""
        low, high = box.lo[0].astype(np.float64), box.hi[0].astype(np.float64)
        return Forms(
            np.where(here, (low + high) / 2, self.centre),
            np.where(here, 0.0, self.gains),
            self.names,
            np.where(here, (high - low) / 2, self.rest),
        )


def affine(node: Node, inputs: list[Forms]) -> Forms:
    """What an affine op, before any register, makes of forms: exact.

    Raises:
        InputError: the numbers are too large to be exact.
    """
    size = [replace(form, rest=np.abs(form.centre) + form.reach()) for form in inputs]
    base = _constant(node, inputs)
    if (_rests(node, size) + np.abs(base)).max(initial=0) >= _MOST:
        raise InputError(f"node {node.name!r}: forms are exact below {_MOST}; use --method linear")
    names = np.unique(np.concatenate([form.names for form in inputs]))
    centre = values(node.op, [form.centre[None] for form in inputs])[0]
    gains = np.zeros((0, *centre.shape))
    if len(names):
        gains = values(node.op, [_spread(form, names) for form in inputs]) - base
    return Forms(centre, gains, names, _rests(node, inputs))


def _spread(form: Forms, names: Array) -> Reals:
    """The gains of ``names``, 0 where the form has no such symbol."""
    found = np.zeros((len(names), *form.centre.shape))
    found[np.searchsorted(names, form.names)] = form.gains
    return found


def _constant(node: Node, inputs: list[Forms]) -> Reals:
    """What the op makes of zeros."""
    return values(node.op, [np.zeros((1, *form.centre.shape)) for form in inputs])


def _rests(node: Node, inputs: list[Forms]) -> Reals:
    """Remainders behind the op: magnitudes added up."""
    op, rests = node.op, [form.rest[None] for form in inputs]
    if isinstance(op, MatVec):
        split = op.groups, op.positions
        sums = product(np.abs(op.read).astype(np.float64), rests[0], split)[0]
        halved: Reals = sums / 2 if op.popcount else sums
        return halved
    if isinstance(op, Add):
        parts = [np.abs(m) * rest for m, rest in zip(op.multipliers, rests, strict=True)]
        found: Reals = np.sum(parts, axis=0)[0] + np.zeros(inputs[0].centre.shape)
        return found
    if isinstance(op, SumPool):
        pooled: Reals = slide(rests[0], op.kernel, op.stride, (1, 1)).sum(axis=(3, 4))[0]
        return pooled
    if isinstance(op, Pad):
        op = replace(op, value=0)
    moved: Reals = values(op, rests)[0]
    return moved


def staircase(ladder: Ladder, form: Forms, box: Box, slopes: Array, first: int) -> Forms:
    """A staircase of a form whose elements lie in ``box``: ``slopes`` over ``2**SLOPES`` times it,
    plus what the steps leave, whose symbols are numbered from ``first`` on where there are any."""
    slope = slopes / float(1 << SLOPES)
    if (np.abs(slope) * (np.abs(form.centre) + form.reach())).max(initial=0) >= _MOST_SLOPED:
        raise InputError(
            f"forms of a staircase are exact below {_MOST_SLOPED}; use --method linear"
        )
    one = np.ones((1, *slope.shape))
    above = ladder.highest(one, slope[None], box)[0][0]
    below = -ladder.highest(-one, -slope[None], box)[0][0]
    centre = slope * form.centre + (above + below) / 2
    gains, rest = slope * form.gains, np.abs(slope) * form.rest
    whole_centre, whole_gains = _nearest(centre), _nearest(gains)
    left = (above - below) / 2 + rest + np.abs(centre - whole_centre)
    left = left + np.abs(gains - whole_gains).sum(axis=0)
    left = np.ceil(left / _UNIT) * _UNIT
    new = np.flatnonzero(left.ravel())
    own = np.zeros((len(new), left.size))
    own[np.arange(len(new)), new] = left.ravel()[new]
    return Forms(
        whole_centre,
        np.concatenate([whole_gains, own.reshape(-1, *left.shape)]),
        np.concatenate([form.names, first + np.arange(len(new))]),
        np.zeros_like(left),
    )


def chords(ladder: Ladder, box: Box) -> Array:
    """The slope of each staircase between the ends of its interval, over ``2**SLOPES``."""
    rise = ladder.levels(box.hi) - ladder.levels(box.lo)
    found = np.rint((rise << SLOPES) / np.maximum(box.hi - box.lo, 1)).astype(np.int64)
    return np.asarray(found[0])


def interval(box: Box) -> Forms:
    """A box of one image, each element by itself."""
    return Forms.of_box(box, 0, 0)


def _nearest(numbers: Reals) -> Reals:
    found: Reals = np.rint(numbers / _UNIT) * _UNIT
    return found
