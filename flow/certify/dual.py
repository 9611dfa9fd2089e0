"""Lagrangian bounds on how far a rival can get, exact in integers for any multipliers.

Let ``a_t`` be the input of staircase t and ``s_t`` its output: ``a_t = A_t s_(t-1) + b_t``. For any
numbers ``m_t`` the largest ``d . a_end`` over a region is at most

    max_x (m_1 A_1) x  +  sum_t max_a [ (m_(t+1) A_(t+1)) s_t(a) - m_t a ]  +  offsets,   m_end = d

since adding ``m_t (A_t s_(t-1) + b_t - a_t) = 0`` changes nothing, and maximising the parts apart
can only raise the sum. Each part is a maximum over an integer interval, found exactly. So the
multipliers may come from anywhere: they are searched in floats and then rounded to integers over a
common power of two. With the slope of a line above or below the staircase as ``m_t`` this is the
backward bound of CROWN; with 0 it is the interval bound; the best is that of the convex hulls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.certify.box import Box
from flow.certify.outline import Outline
from flow.certify.proof import SCALE_BITS
from flow.certify.stages import EXACT, Reach, Reals, Stage
from flow.ir import Array, Graph

SCALE = 1 << SCALE_BITS  # multipliers are even numbers over this: popcounts halve them exactly
NEVER = -(1 << 60)  # a need that no bound stays below
MOST = 1 << 36  # needs are cut to this; a smaller need only asks for more


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Can ``rivals`` beat ``labels`` in the regions of ``reach``? One pair per row.

    ``inputs[t]`` are the boxes of the staircases' inputs. A rival that wins somewhere leads by at
    least ``need`` in the sums that the last stage compares, so a bound below ``need`` decides.
    """

    stages: tuple[Stage, ...]
    box: Box
    inputs: tuple[Box, ...]
    labels: Array
    rivals: Array
    need: Array

    def __getitem__(self, rows: Any) -> Question:
        return Question(
            self.stages, self.box[rows], tuple(box[rows] for box in self.inputs),
            self.labels[rows], self.rivals[rows], self.need[rows],
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def between(self) -> int:
        """How many staircases lie before the sums that are compared."""
        return len(self.stages) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """``value``, at scale, and where its parts have their maxima: the input, and per staircase
    its input and output; ``pulls[t]`` is the coefficient that staircase t's output had."""

    value: NDArray[Any]
    x: Array
    at: tuple[NDArray[Any], ...]
    levels: tuple[NDArray[Any], ...]
    pulls: tuple[NDArray[Any], ...]


def question(
    graph: Graph, stages: tuple[Stage, ...], found: Reach, labels: Array, rivals: Array
) -> Question:
    """Whether each row's rival can beat its label in that row's region."""
    names = {node.name: node.inputs[0] for node in graph.nodes}
    boxes = [found.boxes[names[stage.node]] for stage in stages if stage.node is not None]
    need = np.where(rivals < labels, 0, 1)
    if (ladder := stages[-1].ladder) is not None:
        need = _levels_need(ladder, boxes.pop(), labels, rivals)
    need = np.where(found.fits, need, NEVER)
    return Question(stages, found.boxes[graph.input], tuple(boxes), labels, rivals, need)


def _levels_need(ladder: Any, box: Box, labels: Array, rivals: Array) -> Array:
    """The least lead in sums with which a rival's level can beat the label's.

    The label holds level k below ``last[k]``, the rival reaches k, or k + 1 where the label has
    the smaller index, from its ``first`` on; the least difference over k is what a winner needs.
    """
    rows = np.arange(len(labels))
    ahead = (rivals > labels).astype(np.int64)
    steps = ladder.first.shape[1] - 1
    need = np.full(len(labels), MOST, dtype=np.int64)
    for level in range(steps + 1):
        own = np.maximum(ladder.first[labels, level], box.lo[rows, labels])
        most = np.minimum(ladder.last[labels, level], box.hi[rows, labels])
        start = ladder.first[rivals, np.minimum(level + ahead, steps)]
        least = np.maximum(start, box.lo[rows, rivals])
        can = (own <= most) & (least <= box.hi[rows, rivals]) & (level + ahead <= steps)
        need = np.where(can, np.minimum(need, least - most), need)
    rising = ladder.value[:, -1] > ladder.value[:, 0]
    return np.where(rising[labels] & rising[rivals], need, NEVER)


def evaluate(
    ask: Question,
    multipliers: tuple[NDArray[Any], ...],
    *,
    scale: int,
    outlines: tuple[Outline, ...] = (),
) -> Bound:
    """The bound for ``multipliers`` over ``scale``, per row; in the dtype of the multipliers.

    With ``outlines`` of the staircases it is a guess from below, for a search.
    """
    rows = np.arange(len(ask))
    kind = multipliers[0].dtype if multipliers else np.dtype(np.int64)
    last = ask.stages[-1]
    pull = np.zeros((len(ask), len(last.offset)), dtype=kind)
    pull[rows, ask.rivals] = scale
    pull[rows, ask.labels] = -scale
    value = np.zeros(len(ask), dtype=kind)
    at, levels, pulls = [], [], []
    for place in reversed(range(len(ask.stages))):
        stage = ask.stages[place]
        shift = pull @ stage.offset.astype(kind)
        value = value + (shift / stage.parts if kind == np.float64 else shift // stage.parts)
        pull = _back(pull, stage)
        if place == 0:
            break
        ladder, cost = ask.stages[place - 1].ladder, multipliers[place - 1]
        assert ladder is not None
        best, a, level = (
            outlines[place - 1].highest(pull, cost)
            if outlines
            else ladder.highest(pull, cost, ask.inputs[place - 1])
        )
        value = value + best.sum(axis=1)
        at.append(a)
        levels.append(level)
        pulls.append(pull)
        pull = cost
    x = np.where(pull >= 0, ask.box.hi, ask.box.lo)
    return Bound(
        value + (pull * x).sum(axis=1), x, tuple(at[::-1]), tuple(levels[::-1]), tuple(pulls[::-1])
    )


def _back(pull: NDArray[Any], stage: Stage) -> NDArray[Any]:
    found = (pull.astype(np.float64) @ stage.weights) / stage.parts
    return found if pull.dtype == np.float64 else found.astype(np.int64)


def decided(ask: Question, multipliers: tuple[Array, ...]) -> NDArray[np.bool_]:
    """Rows whose rival certainly loses, by integer multipliers over ``SCALE``: exact.

    Multipliers are even, and rows whose sums could pass 2**52 are left undecided.
    """
    if any((m % 2).any() for m in multipliers):
        raise ValueError("odd multipliers cannot be halved exactly")
    able = np.flatnonzero((ask.need > NEVER) & (_size(ask, multipliers) < EXACT))
    found = np.zeros(len(ask), dtype=bool)
    if able.size:
        part = ask[able]
        bound = evaluate(part, tuple(m[able] for m in multipliers), scale=SCALE)
        found[able] = bound.value < part.need * SCALE
    return found


def _size(ask: Question, multipliers: tuple[Array, ...]) -> Reals:
    """Above the magnitude of every number that ``evaluate`` forms, per row."""
    pull = np.zeros((len(ask), len(ask.stages[-1].offset)))
    rows = np.arange(len(ask))
    pull[rows, ask.rivals] = pull[rows, ask.labels] = SCALE
    total = np.abs(ask.need) * float(SCALE)
    for place in reversed(range(len(ask.stages))):
        stage = ask.stages[place]
        total += pull @ np.abs(stage.offset).astype(np.float64)
        pull = pull @ np.abs(stage.weights)
        if place == 0:
            break
        ladder, box = ask.stages[place - 1].ladder, ask.inputs[place - 1]
        assert ladder is not None
        total += pull @ np.abs(ladder.value).max(axis=1).astype(np.float64)
        pull = np.abs(multipliers[place - 1]).astype(np.float64)
        total += (pull * np.maximum(np.abs(box.lo), np.abs(box.hi))).sum(axis=1)
    ends = np.maximum(np.abs(ask.box.lo), np.abs(ask.box.hi))
    found: Reals = total + (pull * ends).sum(axis=1)
    return found
