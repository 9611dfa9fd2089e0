"""Branch and bound: split a region until every part is decided or an input breaks the label."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from flow.certify.affine import Reals
from flow.certify.ascent import Found, ascend, chords
from flow.certify.box import Box
from flow.certify.dual import SCALE, Multipliers, Question, question
from flow.certify.proof import INPUT, Leaf, RivalProof, Step
from flow.certify.relaxed import Region, Relaxed, no_limits, reach
from flow.certify.splits import Cut, choose_split, gaps_of, split_levels
from flow.engine import BatchedEngine
from flow.ir import Array, Graph

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


@dataclass(slots=True)
class _Tree:
    """Entries by number; a split knows its two parts."""

    entries: list[Step | None] = field(default_factory=list)
    parts: dict[int, tuple[int, int]] = field(default_factory=dict)

    def new(self) -> int:
        self.entries.append(None)
        return len(self.entries) - 1

    def preorder(self, root: int) -> tuple[Step, ...]:
        """The tree under ``root``: each split before its parts, the part below it first.

        Raises:
            ValueError: a part was left undecided.
        """
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

    def decide(
        self, box: Box, label: int, *, work: Work, limits: dict[str, Box] | None = None
    ) -> Decision:
        """Whether every input of the one-image ``box`` has class ``label``.

        Splits until all is decided or ``work`` is used up. ``limits``, which need a proof of their
        own, hold for what Thresholds read of all these inputs.
        """
        classes = self.graph.edge(self.graph.logits).shape[0]
        root = Region(box, limits or {})
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
    ) -> tuple[list[tuple[_Open, Cut]], tuple[int, ...] | None]:
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
        self._close(tree, [batch[row] for row in rows], ask, bound)
        left = np.flatnonzero(~bound.decided)
        witness = self._witness(bound.x[left], label)
        if witness is not None:
            return [], witness
        left = self._other_weights(tree, [batch[row] for row in rows], ask, left, steps)
        order = left[np.argsort(bound.excess[left], kind="stable")]
        gaps = gaps_of(ask, bound)
        chosen = []
        for at in order:
            part = batch[rows[at]]
            part.start = {name: m[at] / SCALE for name, m in bound.multipliers.items()}
            cut = split_levels(ask, int(at))
            if cut is None:
                cut = Cut(choose_split(ask, gaps, int(at)), part.weights, part.weights)
            chosen.append((part, cut))
        return chosen, None

    def _close(self, tree: _Tree, parts: list[_Open], ask: Question, bound: Found) -> None:
        """Write down what decides each part that is decided."""
        layers = in_order(self.relaxed, bound)
        for at in np.flatnonzero(bound.decided):
            own = tuple(tuple(m[at].ravel().tolist()) for m in layers)
            weights = (int(ask.weights[at, 0]), int(ask.weights[at, 1]))
            tree.entries[parts[at].entry] = Leaf(own, weights)

    def _other_weights(
        self, tree: _Tree, parts: list[_Open], ask: Question, left: Array, steps: int
    ) -> Array:
        """Of the parts ``left``, those that stay open when the rival's bar alone is asked for, the
        label's alone, or both: who wins in levels must pass each."""
        if self.relaxed.last is None:
            return left
        for weights in ((1, 1), (1, 0), (0, 1)):
            rows = left[(ask.weights[left] != weights).any(axis=1)]
            if not rows.size:
                continue
            some = ask[rows]
            every = np.tile(np.array(weights), (len(rows), 1))
            other = question(self.relaxed, some.found, some.labels, some.rivals, every)
            bound = ascend(other, chords(other), steps=steps)
            self._close(tree, [parts[row] for row in rows], other, bound)
            left = np.setdiff1d(left, rows[bound.decided])
        return left

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


def _split(relaxed: Relaxed, tree: _Tree, part: _Open, cut_at: Cut) -> list[_Open]:
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
    own = chords(ask)
    for row, start in enumerate(known):
        for name, m in (start or {}).items():
            if name in own:
                own[name][row] = m
    return own
