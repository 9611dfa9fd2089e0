"""Branch and bound: split a region until every part is decided or an input breaks the label."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from flow.certify.affine import Reals, pulled
from flow.certify.ascent import Found, ascend, slopes
from flow.certify.box import Box
from flow.certify.dual import SCALE, Bars, Multipliers, Question, question
from flow.certify.proof import INPUT, Leaf, RivalProof, Split, Step
from flow.certify.relaxed import Region, Relaxed, no_limits, reach
from flow.certify.units import Stairs
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.ir import Array, Graph

Gaps = tuple[Reals, Reals]
BATCH = 32  # regions bounded together; more only cost memory traffic


@dataclass(frozen=True, slots=True)
class Work:
    """How much to do: regions to split (0: none), until when by ``monotonic``, and steps of the
    search for multipliers, for the whole box and for each part."""

    splits: int = 0
    until: float = inf
    first_steps: int = 120
    steps: int = 30


@dataclass(frozen=True, slots=True)
class Decision:
    """One image: PROVED with ``proof``, broken at ``witness``, or neither; and splits made."""

    proof: tuple[RivalProof, ...] | None
    witness: tuple[int, ...] | None
    splits: int


@dataclass(slots=True)
class _Open:
    """A part still undecided: its place in the tree, its region, multipliers to start from and
    weights of the rival's sum and the label's."""

    rival: int
    entry: int
    region: Region
    start: Multipliers | None
    weights: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True)
class _Cut:
    """A split and the weights of its two parts; ``of_levels`` if it only tells apart the ways in
    which quantized logits can be beaten."""

    split: Split
    lower: tuple[int, int]
    upper: tuple[int, int]
    of_levels: bool = False


@dataclass(slots=True)
class _Tree:
    """Entries by number; a split knows its two parts."""

    entries: list[Step | None] = field(default_factory=list)
    parts: dict[int, tuple[int, int]] = field(default_factory=dict)

    def new(self) -> int:
        self.entries.append(None)
        return len(self.entries) - 1

    def preorder(self, root: int) -> tuple[Step, ...]:
        steps: list[Step] = []
        waiting = [root]
        while waiting:
            entry = waiting.pop()
            step = self.entries[entry]
            if step is None:
                raise ValueError("a proof with an undecided part")
            steps.append(step)
            waiting.extend(reversed(self.parts.get(entry, ())))
        return tuple(steps)


class Search:
    """Decides boxes of one graph."""

    def __init__(self, engine: BatchedEngine) -> None:
        self.engine = engine
        self.graph: Graph = engine.graph
        self.relaxed = Relaxed.of(engine.graph)

    def decide(self, box: Box, label: int, *, work: Work) -> Decision:
        """Whether every input of the one-image ``box`` has class ``label``.

        Splits until all is decided or ``work`` is used up.
        """
        classes = self.graph.edge(self.graph.logits).shape[0]
        root = Region(box, {})
        tree, roots, open_, splits = _Tree(), {}, [], 0
        for rival in range(classes):
            if rival != label:
                roots[rival] = tree.new()
                open_.append(_Open(rival, roots[rival], root, None))
        first = True
        while open_:
            if (
                not first
                and work.splits
                and not (splits < work.splits and monotonic() < work.until)
            ):
                return Decision(None, None, splits)
            size = len(open_) if first else BATCH
            batch, open_ = open_[-size:], open_[:-size]
            left, witness = self._bound(
                batch, label, tree, steps=work.first_steps if first else work.steps
            )
            if witness is not None:
                return Decision(None, witness, splits)
            inside = sum(not cut.of_levels for _, cut in left)
            if inside and not work.splits:
                return Decision(None, None, splits)
            for part, cut in left:
                open_.extend(_split(self.relaxed, tree, part, cut))
            splits, first = splits + inside, False
        proof = tuple(RivalProof(rival, tree.preorder(entry)) for rival, entry in roots.items())
        return Decision(proof, None, splits)

    def _bound(
        self, batch: list[_Open], label: int, tree: _Tree, *, steps: int
    ) -> tuple[list[tuple[_Open, _Cut]], tuple[int, ...] | None]:
        """Close what can be closed; the rest with the split to make, hardest last; or a witness."""
        region = _stacked(self.relaxed, [part.region for part in batch])
        labels = np.full(len(batch), label)
        rivals = np.array([part.rival for part in batch])
        found = reach(self.relaxed, region)
        apart = found.empty | _apart(found.boxes[self.graph.logits], labels, rivals)
        for row in np.flatnonzero(apart):
            tree.entries[batch[row].entry] = Leaf()
        rows = np.flatnonzero(~apart)
        if not rows.size:
            return [], None
        weights = np.array([part.weights for part in batch])
        ask = question(self.relaxed, found, labels, rivals, weights)[rows]
        start = _starts(ask, [batch[row].start for row in rows])
        bound = ascend(ask, start, steps=steps)
        for at in np.flatnonzero(bound.decided):
            own = tuple(tuple(m[at].ravel().tolist()) for m in in_order(self.relaxed, bound))
            part = batch[rows[at]]
            tree.entries[part.entry] = Leaf(own, part.weights)
        left = np.flatnonzero(~bound.decided)
        witness = self._witness(bound.x[left], label)
        if witness is not None:
            return [], witness
        order = left[np.argsort(bound.excess[left], kind="stable")]
        gaps = _gaps(ask, bound)
        chosen = []
        for at in order:
            part = batch[rows[at]]
            part.start = {name: m[at] / SCALE for name, m in bound.multipliers.items()}
            chosen.append(
                (
                    part,
                    _split_levels(ask, int(at))
                    or _Cut(choose_split(ask, gaps, int(at)), part.weights, part.weights),
                )
            )
        return chosen, None

    def _witness(self, x: Reals, label: int) -> tuple[int, ...] | None:
        """The inputs that the relaxation likes best, run."""
        if not len(x):
            return None
        points = x.astype(np.int64)
        if self.graph.input_edge.type.bipolar:
            points = np.where(points <= 0, -1, 1)
        broken = np.flatnonzero(self.engine.run(points) != label)
        return tuple(points[broken[0]].ravel().tolist()) if broken.size else None


def _apart(logits: Box, labels: Array, rivals: Array) -> NDArray[np.bool_]:
    rows = np.arange(len(labels))
    lead = logits.lo[rows, labels] - logits.hi[rows, rivals]
    apart: NDArray[np.bool_] = lead >= (rivals < labels)
    return apart


def in_order(relaxed: Relaxed, bound: Found) -> list[Array]:
    """The multipliers of every unit in the order of nodes; zeros where it has no part."""
    shapes = {node.name: relaxed.edges[node.inputs[0]].shape for node in relaxed.nodes}
    count = len(bound.excess)
    return [
        bound.multipliers[name]
        if name in bound.multipliers
        else relaxed.units[name].seen(np.zeros((count, *shapes[name]))).astype(np.int64)
        for name in relaxed.units
    ]


def _split_levels(ask: Question, row: int) -> _Cut | None:
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
        return _Cut(Split(made.name, int(one.rivals[0]), least - 1), (1, 1), (1, 0), True)
    most = int(bars.held[0, level])
    return _Cut(Split(made.name, int(one.labels[0]), most), (0, 1), (1, 1), True)


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


def _gaps(ask: Question, bound: Found) -> dict[str, Gaps]:
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


def _split(relaxed: Relaxed, tree: _Tree, part: _Open, cut_at: _Cut) -> list[_Open]:
    split = cut_at.split
    tree.entries[part.entry] = split
    low, high = tree.new(), tree.new()
    tree.parts[part.entry] = (low, high)
    bipolar = split.place == INPUT and relaxed.graph.input_edge.type.bipolar
    above = 1 if bipolar else split.most + 1
    region = part.region
    if split.place == INPUT:
        cut = region.box
    else:
        cut = region.limits.get(split.place) or no_limits(relaxed, split.place, 1)
    lower, upper = Box(cut.lo, cut.hi.copy()), Box(cut.lo.copy(), cut.hi)
    lower.hi.flat[split.index] = min(int(cut.hi.flat[split.index]), split.most)
    upper.lo.flat[split.index] = max(int(cut.lo.flat[split.index]), above)
    children = []
    parts = ((low, lower, cut_at.lower), (high, upper, cut_at.upper))
    for entry, half, weights in parts:
        if split.place == INPUT:
            child = Region(half, region.limits)
        else:
            child = Region(region.box, {**region.limits, split.place: half})
        start = part.start if weights == part.weights else None
        children.append(_Open(part.rival, entry, child, start, weights))
    return children


def _stacked(relaxed: Relaxed, regions: list[Region]) -> Region:
    def stack(boxes: list[Box]) -> Box:
        return Box(np.concatenate([b.lo for b in boxes]), np.concatenate([b.hi for b in boxes]))

    limited = {name for region in regions for name in region.limits}
    free = {name: no_limits(relaxed, name, 1) for name in limited}
    return Region(
        stack([r.box for r in regions]),
        {name: stack([r.limits.get(name, free[name]) for r in regions]) for name in limited},
    )


def _starts(ask: Question, known: list[Multipliers | None]) -> Multipliers:
    """The multipliers a part was split with, or those of the chords."""
    own = slopes(ask)
    for row, start in enumerate(known):
        for name, m in (start or {}).items():
            if name in own:
                own[name][row] = m
    return own
