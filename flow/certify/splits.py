"""Where to split a region that stays open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flow.certify.affine import Reals, pulled
from flow.certify.ascent import Found
from flow.certify.dual import SCALE, Bars, Question
from flow.certify.proof import INPUT, Split
from flow.certify.relaxed import Relaxed
from flow.certify.units import Stairs
from flow.errors import InputError

Gaps = tuple[Reals, Reals]


@dataclass(frozen=True, slots=True)
class Cut:
    """A split and the weights of its two parts; ``of_levels`` if it only tells apart the ways in
    which quantized logits can be beaten."""

    split: Split
    lower: tuple[int, int]
    upper: tuple[int, int]
    of_levels: bool = False


def split_levels(ask: Question, row: int) -> Cut | None:
    """Where the least lead of quantized logits is that of a level without a bar of its own for
    one of the two (the label cannot rise above it, or the rival fall below), this level apart:
    there the other's bar alone is asked for."""
    relaxed = ask.relaxed
    made = relaxed.graph.producer(relaxed.graph.logits)
    if relaxed.last is None or made is None or tuple(ask.weights[row]) != (1, 1):
        return None
    one, box = ask[[row]], ask.found.boxes[relaxed.end][[row]]
    bars = Bars.of(relaxed.last, box, one.labels, one.rivals)
    level = int(bars.leads(one.weights)[0].argmin())
    held, reached = bars.free[0][0, level], bars.free[1][0, level]
    if held == reached or not bars.open[0, level]:
        return None
    if held:
        least = int(bars.reached[0, level])
        return Cut(Split(made.name, int(one.rivals[0]), least - 1), (1, 1), (1, 0), True)
    most = int(bars.held[0, level])
    return Cut(Split(made.name, int(one.labels[0]), most), (0, 1), (1, 1), True)


def choose_split(ask: Question, gaps: dict[str, Gaps], row: int) -> Split:
    """Where to split a region that stays open: the staircase that the relaxation cheats most at,
    at the corner farthest from its chord; else the input element that moves the bound most.

    Raises:
        InputError: nothing is left to split, which cannot be where bounds are exact.
    """
    best, split = 1e-9, None
    for name, (gap, pull) in gaps.items():
        found = _worst_corner(ask, name, gap[row], pull[row], row)
        if found is not None and found[0] > best:
            best, split = found[0], Split(name, found[1], found[2])
    return split or _split_input(ask, row)


def gaps_of(ask: Question, bound: Found) -> dict[str, Gaps]:
    """By how much the relaxation gains over the true level where the search passed by, and the
    coefficient of that level in the bound; by staircase, each (rows, *shape)."""
    found = {}
    for name, pull in bound.pulls.items():
        unit = ask.relaxed.units[name]
        if isinstance(unit, Stairs):
            box, cost = ask.seen(name), bound.multipliers[name] / SCALE
            top, _, _ = unit.highest(pull, cost, box)
            near = np.clip(np.rint(bound.inputs[name]), box.lo, box.hi).astype(np.int64)
            gap = top - (pull * unit.ladder.levels(near) - cost * near)
            found[name] = (np.where(box.hi > box.lo, gap, -1.0), pull)
    return found


def _worst_corner(
    ask: Question, name: str, gap: Reals, pull: Reals, row: int
) -> tuple[float, int, int] | None:
    """The gap, element and last input of the lower part, of the staircase worth splitting most."""
    unit, box = ask.relaxed.units[name], ask.seen(name)
    assert isinstance(unit, Stairs)
    index = int(gap.argmax())
    if gap.flat[index] <= 0:
        return None
    low, high = int(box.lo[row].flat[index]), int(box.hi[row].flat[index])
    channel = index % len(unit.ladder.first)
    first, own = unit.ladder.first[channel], unit.ladder.value[channel]
    inside = np.flatnonzero((first > low) & (first <= high))
    if not inside.size:
        return None
    start = own[(first <= low).sum() - 1]
    rise = own[(first <= high).sum() - 1] - start
    corner = first[inside]
    above = start + rise * (corner - low) / (high - low)
    # A rival that gains from a high level meets the chord above; else the chord below.
    apart = above - own[inside - 1] if pull.flat[index] > 0 else own[inside] - above
    return float(gap.flat[index]), index, int(corner[int(apart.argmax())]) - 1


def _split_input(ask: Question, row: int) -> Split:
    """The widest element, by its part in the bound where its coefficients are known."""
    low, high = ask.box.lo[row].ravel(), ask.box.hi[row].ravel()
    weight = _weight(ask.relaxed).ravel() * (high - low) + (high > low)
    index = int(weight.argmax())
    if high[index] == low[index]:
        raise InputError("one input is left and stays undecided; report this graph")
    middle = int(low[index] + high[index]) >> 1
    return Split(INPUT, index, -1 if ask.relaxed.graph.input_edge.type.bipolar else middle)


def _weight(relaxed: Relaxed) -> Reals:
    """How much each input element moves what the first units see, all together."""
    pulls: dict[str, Reals] = {}
    for node in reversed(relaxed.nodes):
        edge = relaxed.edges[node.output]
        pull = pulls.pop(node.output, None)
        if node.name in relaxed.units or pull is None:
            pull = np.ones((1, *edge.shape))
        if node.name in relaxed.units:
            source = relaxed.edges[node.inputs[0]]
            parts = [np.ones((1, *source.shape))]
        else:
            parts, _ = pulled(node.op, pull, relaxed.inputs(node), size=True)
        for name, part in zip(node.inputs, parts, strict=True):
            pulls[name] = pulls[name] + part if name in pulls else part
    return pulls[relaxed.graph.input]
