"""Branch and bound: split a region until every part is decided or an input breaks the label."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from flow.certify.ascent import Found, ascend, slopes
from flow.certify.box import Box
from flow.certify.dual import SCALE, Question, question
from flow.certify.proof import INPUT, Leaf, RivalProof, Split, Step
from flow.certify.stages import Region, Stage, reach, stages, whole_region
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.ir import Array, Graph

Gaps = tuple[NDArray[np.float64], NDArray[np.float64]]
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
    """A part still undecided: its place in the tree, its region and multipliers to start from."""

    rival: int
    entry: int
    region: Region
    start: tuple[NDArray[np.float64], ...] | None


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
        """Raises ``InputError`` where the graph is no chain that linear bounds know."""
        self.engine = engine
        self.graph: Graph = engine.graph
        self.stages: tuple[Stage, ...] = stages(engine.graph)

    def decide(self, box: Box, label: int, *, work: Work) -> Decision:
        """Whether every input of the one-image ``box`` has class ``label``.

        Splits until all is decided or ``work`` is used up.
        """
        classes = self.graph.edge(self.graph.logits).shape[0]
        root = whole_region(self.graph, box)
        tree, roots, open_, splits = _Tree(), {}, [], 0
        for rival in range(classes):
            if rival != label:
                roots[rival] = tree.new()
                open_.append(_Open(rival, roots[rival], root, None))
        first = True
        while open_:
            if not first and not (splits < work.splits and monotonic() < work.until):
                return Decision(None, None, splits)
            size = len(open_) if first else BATCH
            batch, open_ = open_[-size:], open_[:-size]
            left, witness = self._bound(
                batch, label, tree, steps=work.first_steps if first else work.steps
            )
            if witness is not None:
                return Decision(None, witness, splits)
            if left and not work.splits:
                return Decision(None, None, splits)
            for part, split in left:
                open_.extend(_split(self.graph, tree, part, split))
            splits, first = splits + len(left), False
        proof = tuple(RivalProof(rival, tree.preorder(entry)) for rival, entry in roots.items())
        return Decision(proof, None, splits)

    def _bound(
        self, batch: list[_Open], label: int, tree: _Tree, *, steps: int
    ) -> tuple[list[tuple[_Open, Split]], tuple[int, ...] | None]:
        """Close what can be closed; the rest with the split to make, hardest last; or a witness."""
        region = _stacked([part.region for part in batch])
        labels = np.full(len(batch), label)
        rivals = np.array([part.rival for part in batch])
        found = reach(self.graph, region)
        apart = found.empty | _apart(found.boxes[self.graph.logits], labels, rivals)
        for row in np.flatnonzero(apart):
            tree.entries[batch[row].entry] = Leaf()
        rows = np.flatnonzero(~apart)
        if not rows.size:
            return [], None
        ask = question(self.graph, self.stages, found, labels, rivals)[rows]
        start = _starts(ask, [batch[row].start for row in rows])
        bound = ascend(ask, start, steps=steps)
        for at in np.flatnonzero(bound.decided):
            own = tuple(tuple(m[at].tolist()) for m in bound.multipliers)
            tree.entries[batch[rows[at]].entry] = Leaf(own)
        left = np.flatnonzero(~bound.decided)
        witness = self._witness(bound.x[left], label)
        if witness is not None:
            return [], witness
        order = left[np.argsort(bound.excess[left], kind="stable")]
        gaps = [_gaps(ask, bound, place) for place in range(ask.between)]
        chosen = []
        for at in order:
            part = batch[rows[at]]
            part.start = tuple(m[at] / SCALE for m in bound.multipliers)
            chosen.append((part, choose_split(self.graph, ask, gaps, int(at))))
        return chosen, None

    def _witness(self, x: Array, label: int) -> tuple[int, ...] | None:
        """The inputs that the relaxation likes best, run."""
        if not len(x):
            return None
        points = x.astype(np.int64)
        if self.graph.input_edge.type.bipolar:
            points = np.where(points <= 0, -1, 1)
        broken = np.flatnonzero(self.engine.run(points) != label)
        return tuple(map(int, points[broken[0]])) if broken.size else None


def _apart(logits: Box, labels: Array, rivals: Array) -> NDArray[np.bool_]:
    rows = np.arange(len(labels))
    lead = logits.lo[rows, labels] - logits.hi[rows, rivals]
    apart: NDArray[np.bool_] = lead >= (rivals < labels)
    return apart


def choose_split(graph: Graph, ask: Question, gaps: list[Gaps], row: int) -> Split:
    """Where to split a region that stays open: the staircase that the relaxation cheats most at,
    at the corner farthest from its chord; else the input element that moves the bound most.

    Raises:
        InputError: nothing is left to split, which cannot be where bounds are exact.
    """
    best, split = 1e-9, None
    for place in range(ask.between):
        node = ask.stages[place].node
        found = _worst_corner(ask, gaps[place], place, row)
        if node is not None and found is not None and found[0] > best:
            best, split = found[0], Split(node, found[1], found[2])
    return split or _split_input(graph, ask, row)


def _gaps(ask: Question, bound: Found, place: int) -> Gaps:
    """By how much the relaxation gains over the true level where the search passed by, and the
    coefficient of that level in the bound; each (rows, channels)."""
    stage, ladder, box = ask.stages[place + 1], ask.stages[place].ladder, ask.inputs[place]
    assert ladder is not None
    if place + 1 == ask.between:
        pull = (stage.weights[ask.rivals] - stage.weights[ask.labels]) / stage.parts
    else:
        pull = bound.multipliers[place + 1] / SCALE @ stage.weights / stage.parts
    cost = bound.multipliers[place] / SCALE
    top, _, _ = ladder.highest(pull, cost, box)
    near = np.clip(np.rint(bound.inputs[place]), box.lo, box.hi).astype(np.int64)
    gap = top - (pull * ladder.levels(near) - cost * near)
    return np.where(box.hi > box.lo, gap, -1.0), pull


def _worst_corner(
    ask: Question, found: Gaps, place: int, row: int
) -> tuple[float, int, int] | None:
    """The gap, channel and last input of the lower part, of the staircase worth splitting most."""
    gap, pull = found[0][row], found[1][row]
    ladder, box = ask.stages[place].ladder, ask.inputs[place]
    assert ladder is not None
    channel = int(gap.argmax())
    low, high = int(box.lo[row, channel]), int(box.hi[row, channel])
    first, own = ladder.first[channel], ladder.value[channel]
    inside = np.flatnonzero((first > low) & (first <= high))
    if gap[channel] <= 0 or not inside.size:
        return None
    start = own[(first <= low).sum() - 1]
    rise = own[(first <= high).sum() - 1] - start
    corner = first[inside]
    above = start + rise * (corner - low) / (high - low)
    # A rival that gains from a high level meets the chord above; else the chord below.
    apart = above - own[inside - 1] if pull[channel] > 0 else own[inside] - above
    return float(gap[channel]), channel, int(corner[int(apart.argmax())]) - 1


def _split_input(graph: Graph, ask: Question, row: int) -> Split:
    low, high = ask.box.lo[row].astype(np.int64), ask.box.hi[row].astype(np.int64)
    weight = np.abs(ask.stages[0].weights).sum(axis=0) * (high - low) + (high > low)
    index = int(weight.argmax())
    if high[index] == low[index]:
        raise InputError("one input is left and stays undecided; report this graph")
    middle = int(low[index] + high[index]) >> 1
    return Split(INPUT, index, -1 if graph.input_edge.type.bipolar else middle)


def _split(graph: Graph, tree: _Tree, part: _Open, split: Split) -> list[_Open]:
    tree.entries[part.entry] = split
    low, high = tree.new(), tree.new()
    tree.parts[part.entry] = (low, high)
    bipolar = split.place == INPUT and graph.input_edge.type.bipolar
    above = 1 if bipolar else split.most + 1
    region, at = part.region, (0, split.index)
    cut = region.box if split.place == INPUT else region.limits[split.place]
    lower, upper = Box(cut.lo, cut.hi.copy()), Box(cut.lo.copy(), cut.hi)
    lower.hi[at] = min(int(cut.hi[at]), split.most)
    upper.lo[at] = max(int(cut.lo[at]), above)
    children = []
    for entry, half in ((low, lower), (high, upper)):
        if split.place == INPUT:
            child = Region(half, region.limits)
        else:
            child = Region(region.box, {**region.limits, split.place: half})
        children.append(_Open(part.rival, entry, child, part.start))
    return children


def _stacked(regions: list[Region]) -> Region:
    def stack(boxes: list[Box]) -> Box:
        return Box(np.concatenate([b.lo for b in boxes]), np.concatenate([b.hi for b in boxes]))

    names = regions[0].limits
    return Region(
        stack([r.box for r in regions]),
        {name: stack([r.limits[name] for r in regions]) for name in names},
    )


def _starts(
    ask: Question, known: list[tuple[NDArray[np.float64], ...] | None]
) -> tuple[NDArray[np.float64], ...]:
    """The multipliers a part was split with, or those of the chords."""
    own = slopes(ask)
    for row, start in enumerate(known):
        if start is not None:
            for place, m in enumerate(start):
                own[place][row] = m
    return own
