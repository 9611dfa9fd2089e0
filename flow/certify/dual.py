"""Lagrangian bounds on how far a rival can get, exact in whole numbers for any multipliers.

Every edge is an affine map of the input and of the outputs of units (staircases, maxima), so what
unit t reads is ``a_t = A_t(x, s_1 .. s_(t-1))``. For any numbers ``m_t`` the largest ``d . a_end``
over a region is at most

    max_x p_0 x  +  sum_t max_a [ p_t s_t(a) - m_t a ]  +  constants

with ``p`` the coefficients that ``d . a_end + sum_t m_t a_t`` has in the input and in each output,
since adding ``m_t (A_t(..) - a_t) = 0`` changes nothing, and maximising the parts apart can only
raise the sum. Each part is a maximum over an integer box, found exactly. So the multipliers may
come from anywhere: they are searched in floats and then rounded to whole numbers over a common
power of two. With the slope of a line above or below the staircase as ``m_t`` this is the backward
bound of CROWN; with 0 it is the interval bound; the best is that of the convex hulls. An element
whose register may wrap has no affine map: it is maximised over its interval, as a unit that sees
nothing is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.certify.affine import Reals, pulled
from flow.certify.box import Box
from flow.certify.ladder import Ladder
from flow.certify.outline import Outline
from flow.certify.proof import SCALE_BITS
from flow.certify.relaxed import EXACT, Mask, Reach, Relaxed
from flow.certify.units import Unit
from flow.errors import InputError
from flow.ir import Array, Node

SCALE = 1 << SCALE_BITS  # multipliers are even numbers over this: popcounts halve them exactly
NEVER = -(1 << 60)  # a need that no bound stays below
MOST = 1 << 36  # needs are cut to this; a smaller need only asks for more

Multipliers = dict[str, Reals]  # by unit, of the elements it sees


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Can ``rivals`` beat ``labels`` in the regions of ``found``? One pair per row.

    ``weights`` (rows, 2) multiply the rival's sum and the label's. A rival that wins somewhere
    leads by at least ``need`` in the weighted sums, so a bound below ``need`` decides.
    """

    relaxed: Relaxed
    found: Reach
    labels: Array
    rivals: Array
    weights: Array
    need: Array

    def __getitem__(self, rows: Any) -> Question:
        return Question(
            self.relaxed, self.found[rows], self.labels[rows], self.rivals[rows],
            self.weights[rows], self.need[rows],
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def box(self) -> Box:
        """The inputs of each region."""
        return self.found.boxes[self.relaxed.graph.input]

    @property
    def cut(self) -> dict[str, Mask]:
        """The elements that have no affine map, by node."""
        return self.found.cut

    def unit(self, name: str) -> Unit:
        """The unit called ``name``."""
        return self.relaxed.units[name]

    def seen(self, name: str) -> Box:
        """The box of what the unit called ``name`` reads."""
        return self.found.boxes[self.relaxed.graph.node(name).inputs[0]]

    def lead(self) -> Reals:
        """The coefficients of the sums that are compared: rival less label, weighted."""
        rows = np.arange(len(self))
        pull = np.zeros((len(self), *self.relaxed.edges[self.relaxed.end].shape))
        pull[rows, self.rivals], pull[rows, self.labels] = self.weights[:, 0], -self.weights[:, 1]
        return pull


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """``value``, and where its parts have their maxima: the input, and per unit what it sees and
    its output; per node with cut elements, its output there; ``pulls`` are the coefficients that
    the units' outputs had."""

    value: Reals
    x: Reals
    at: dict[str, Reals]
    levels: dict[str, Reals]
    kept: dict[str, Reals]
    pulls: dict[str, Reals]


def question(
    relaxed: Relaxed, found: Reach, labels: Array, rivals: Array, weights: Array | None = None
) -> Question:
    """Whether each row's rival can beat its label in that row's region.

    ``weights`` other than 1 and 1 ask more of one of the two; only of quantized logits, where the
    rival must reach a level itself and the label must be kept below one.
    """
    if weights is None:
        weights = np.ones((len(labels), 2), dtype=np.int64)
    need = np.where(rivals < labels, 0, 1)
    if relaxed.last is None and (weights != 1).any():
        raise ValueError("sums that are logits are compared as they are")
    if relaxed.last is not None:
        bars = Bars.of(relaxed.last, found.boxes[relaxed.end], labels, rivals)
        need = bars.need(weights)
    return Question(relaxed, found, labels, rivals, weights, need)


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """What a rival must pass to beat a label in levels, (rows, levels).

    The label holds level k up to ``held``, the rival reaches k, or k + 1 where the label has the
    smaller index, from ``reached`` on, both within their boxes; it wins at no k that is not
    ``open``. ``free`` says where the label's end, or the rival's, is that of its box.
    """

    held: Array
    reached: Array
    open: Mask
    free: tuple[Mask, Mask]
    rising: Mask  # (rows,), whether more is a higher level for both

    @classmethod
    def of(cls, ladder: Ladder, box: Box, labels: Array, rivals: Array) -> Bars:
        """The bars of each row's label and rival in the boxes of their sums."""
        rows, steps = np.arange(len(labels))[:, None], ladder.first.shape[1] - 1
        level = np.arange(steps + 1) + (rivals > labels)[:, None]
        own, other = labels[:, None], rivals[:, None]
        ends = ladder.last[labels], ladder.first[other, np.minimum(level, steps)]
        held = np.minimum(ends[0], box.hi[rows, own])
        reached = np.maximum(ends[1], box.lo[rows, other])
        there = np.maximum(ladder.first[labels], box.lo[rows, own]) <= held
        can = there & (reached <= box.hi[rows, other]) & (level <= steps)
        rising = ladder.value[:, -1] > ladder.value[:, 0]
        free = held < ends[0], reached > ends[1]
        return cls(held, reached, can, free, rising[labels] & rising[rivals])

    def leads(self, weights: Array) -> Array:
        """The least weighted lead with which the rival wins at each level; ``MOST`` if nowhere."""
        found = weights[:, :1] * self.reached - weights[:, 1:] * self.held
        return np.where(self.open, np.minimum(found, MOST), MOST)

    def need(self, weights: Array) -> Array:
        """The least weighted lead of any winner."""
        found: Array = np.where(self.rising, self.leads(weights).min(axis=1), NEVER)
        return found


def evaluate(
    ask: Question,
    multipliers: Multipliers,
    *,
    scale: int = 1,
    outlines: dict[str, Outline] | None = None,
) -> Bound:
    """The bound for ``multipliers`` over ``scale``, per row.

    Exact where all numbers are whole and below 2**52. With ``outlines`` of units it is a guess
    from below, for a search.
    """
    relaxed, known = ask.relaxed, outlines or {}
    pulls = {relaxed.end: ask.lead() * scale}
    total = np.zeros(len(ask))
    bound = Bound(total, total, {}, {}, {}, {})
    for node in reversed(relaxed.nodes):
        pull = pulls.pop(node.output, None)
        if pull is None:
            continue
        if node.name in relaxed.units:
            unit, cost = relaxed.units[node.name], multipliers[node.name]
            judge = known[node.name].highest if node.name in known else _of(ask, node)
            best, at, level = judge(pull, cost)
            total = total + best.reshape(len(ask), -1).sum(axis=1)
            bound.at[node.name], bound.levels[node.name], bound.pulls[node.name] = at, level, pull
            _add(pulls, node.inputs[0], unit.back(cost))
            continue
        if node.name in ask.cut:
            pull, value, bound.kept[node.name] = _kept(ask, node, pull)
            total = total + value
        parts, constant = pulled_by(relaxed, node, pull)
        total = total + constant
        for name, part in zip(node.inputs, parts, strict=True):
            _add(pulls, name, part)
    pull = pulls.get(relaxed.graph.input, np.zeros(ask.box.lo.shape))
    x = np.where(pull >= 0, ask.box.hi, ask.box.lo).astype(np.float64)
    total = total + (pull * x).reshape(len(ask), -1).sum(axis=1)
    return Bound(total, x, bound.at, bound.levels, bound.kept, bound.pulls)


def _of(ask: Question, node: Node) -> Any:
    """The exact maximum of a unit over its box."""
    unit, box = ask.relaxed.units[node.name], ask.seen(node.name)
    return lambda gain, cost: unit.highest(gain, cost, box)


def _kept(ask: Question, node: Node, pull: Reals) -> tuple[Reals, Reals, Reals]:
    """The pull without the elements that may wrap, the most these add, and their values there."""
    box, cut = ask.found.boxes[node.output], ask.cut[node.name]
    kept = np.where(pull >= 0, box.hi, box.lo).astype(np.float64)
    value = np.where(cut, pull * kept, 0.0).reshape(len(pull), -1).sum(axis=1)
    return np.where(cut, 0.0, pull), value, kept


def pulled_by(
    relaxed: Relaxed, node: Node, pull: Reals, *, size: bool = False
) -> tuple[list[Reals], Reals]:
    """As ``affine.pulled``, with the name of a node that is no affine map."""
    try:
        return pulled(node.op, pull, relaxed.inputs(node), size=size)
    except InputError as error:
        raise InputError(f"node {node.name!r}: {error}") from None


def _add(pulls: dict[str, Reals], name: str, part: Reals) -> None:
    pulls[name] = pulls[name] + part if name in pulls else part


def decided(ask: Question, multipliers: dict[str, Array]) -> Mask:
    """Rows whose rival certainly loses, by whole multipliers over ``SCALE``: exact.

    Multipliers are even, and rows whose sums could pass 2**52 are left undecided.
    """
    if any((m % 2).any() for m in multipliers.values()):
        raise ValueError("odd multipliers cannot be halved exactly")
    able = np.flatnonzero((ask.need > NEVER) & (_size(ask, multipliers) < EXACT))
    found = np.zeros(len(ask), dtype=bool)
    if able.size:
        part = ask[able]
        own = {name: m[able].astype(np.float64) for name, m in multipliers.items()}
        bound = evaluate(part, own, scale=SCALE)
        found[able] = bound.value < part.need * float(SCALE)
    return found


def _size(ask: Question, multipliers: dict[str, Array]) -> Reals:
    """Above the magnitude of every number that ``evaluate`` forms, per row."""
    relaxed = ask.relaxed
    pulls = {relaxed.end: np.abs(ask.lead()) * SCALE}
    total = np.abs(ask.need) * float(SCALE)
    for node in reversed(relaxed.nodes):
        pull = pulls.pop(node.output, None)
        if pull is None:
            continue
        if node.name in relaxed.units:
            unit, seen = relaxed.units[node.name], ask.seen(node.name)
            cost = np.abs(multipliers[node.name]).astype(np.float64)
            total = total + _flat(pull * unit.output_size(seen))
            total = total + _flat(cost * unit.seen(_magnitude(seen)))
            _add(pulls, node.inputs[0], unit.back(cost))
            continue
        if node.name in ask.cut:
            total = total + _flat(pull * _magnitude(ask.found.boxes[node.output]))
        parts, constant = pulled_by(relaxed, node, pull, size=True)
        total = total + constant
        for name, part in zip(node.inputs, parts, strict=True):
            _add(pulls, name, part)
    if (pull := pulls.get(relaxed.graph.input)) is not None:
        total = total + _flat(pull * _magnitude(ask.box))
    return total


def _magnitude(box: Box) -> Array:
    found: Array = np.maximum(np.abs(box.lo), np.abs(box.hi))
    return found


def _flat(parts: NDArray[Any]) -> Reals:
    total: Reals = parts.reshape(len(parts), -1).sum(axis=1)
    return total
