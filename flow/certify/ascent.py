"""The search for good multipliers: subgradients in floats, judged by the exact bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from flow.certify.affine import Reals, values
from flow.certify.dual import (
    NEVER,
    SCALE,
    Bound,
    Multipliers,
    Question,
    decided,
    evaluate,
    pulled_by,
)
from flow.certify.outline import Outline
from flow.certify.relaxed import Mask, Relaxed
from flow.certify.units import Unit
from flow.ir import Array

Judge = Callable[[Multipliers], tuple[Reals, Multipliers]]
_PACE, _FADE, _FIRST, _SECOND = 0.1, 0.97, 0.8, 0.95  # step per mean multiplier; Adam's decays


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Per row: whether the rival certainly loses, the whole multipliers (over ``SCALE``) that
    show it or came closest, the bound there in logits less the need, the input that the relaxation
    likes best, the coefficients of the units' outputs, and averages of what the units see on the
    way."""

    decided: Mask
    multipliers: dict[str, Array]
    excess: Reals
    x: Reals
    pulls: dict[str, Reals]
    inputs: dict[str, Reals]


class Asked(Protocol):
    """What ``Question`` and ``flow.certify.moved_dual.Moved`` both tell of a bound."""

    @property
    def relaxed(self) -> Relaxed:
        """The network."""

    @property
    def cut(self) -> dict[str, Mask]:
        """The elements that have no affine map, by node."""

    def lead(self) -> Reals:
        """The coefficients of what is compared."""

    def unit(self, name: str) -> Unit:
        """The unit called ``name``."""

    def seen(self, name: str) -> Any:
        """The ends of what it reads."""


def chords(ask: Asked) -> Multipliers:
    """Multipliers to start from: each unit replaced by the line through its two ends."""
    found: Multipliers = {}
    pulls = {ask.relaxed.end: ask.lead()}
    for node in reversed(ask.relaxed.nodes):
        pull = pulls.pop(node.output, None)
        if pull is None:
            continue
        if node.name in ask.relaxed.units:
            unit = ask.unit(node.name)
            found[node.name] = unit.slope(pull, ask.seen(node.name))
            parts = [unit.back(found[node.name])]
        else:
            if node.name in ask.cut:
                pull = np.where(ask.cut[node.name], 0.0, pull)
            parts, _ = pulled_by(ask.relaxed, node, pull)
        for name, part in zip(node.inputs, parts, strict=True):
            pulls[name] = pulls[name] + part if name in pulls else part
    return found


def ascend(ask: Question, start: Multipliers, *, steps: int) -> Found:
    """Lower the bounds of all rows together from ``start``, until all are decided or ``steps``."""
    averages: dict[str, Reals] = {}
    outlines = _outlines(ask, start)

    def judge(now: Multipliers) -> tuple[Reals, Multipliers]:
        bound = evaluate(ask, now, outlines=outlines)
        reads = _reads(ask, bound)
        for name, new in reads.items():
            averages[name] = averages.get(name, new) * _FIRST + new * (1 - _FIRST)
        return bound.value, {name: reads[name] - bound.at[name] for name in now}

    target = np.where(ask.need > NEVER, ask.need, -np.inf)
    return _judged(ask, descend(judge, start, target, steps=steps), averages)


def descend(judge: Judge, start: Multipliers, target: Reals, *, steps: int) -> Multipliers:
    """The multipliers with the least value met on a way down the slopes, for each row.

    ``judge`` gives every row's value and slopes. Ends where all are below ``target``.
    """
    now = {name: m.copy() for name, m in start.items()}
    best, least = {name: m.copy() for name, m in now.items()}, np.full(len(target), np.inf)
    pace = {name: _PACE * (_mean(m) + 1 / SCALE) for name, m in now.items()}
    first = {name: np.zeros_like(m) for name, m in now.items()}
    second = {name: np.zeros_like(m) for name, m in now.items()}
    for step in range(1, steps + 1):
        if not now:
            break
        value, slopes_ = judge(now)
        lower = value < least
        least = np.where(lower, value, least)
        for name, m in best.items():
            m[lower] = now[name][lower]
        if (least < target - 1e-6).all() or step == steps:
            break
        for name, m in now.items():
            slope = slopes_[name]
            first[name] = _FIRST * first[name] + (1 - _FIRST) * slope
            second[name] = _SECOND * second[name] + (1 - _SECOND) * slope**2
            ahead = first[name] / (1 - _FIRST**step)
            size = np.sqrt(second[name] / (1 - _SECOND**step)) + 1e-9
            m -= pace[name] * _FADE**step * ahead / size
    return best


def _outlines(ask: Question, used: Multipliers) -> dict[str, Outline]:
    found = {}
    for name in used:
        outline = ask.relaxed.units[name].guess(ask.seen(name))
        if outline is not None:
            found[name] = outline
    return found


def _reads(ask: Question, bound: Bound) -> dict[str, Reals]:
    """What each unit sees where the parts before it have their maxima."""
    relaxed: Relaxed = ask.relaxed
    edges, found = {relaxed.graph.input: bound.x}, {}
    for node in relaxed.nodes:
        sources = [edges[name] for name in node.inputs if name in edges]
        if len(sources) < len(node.inputs):
            continue  # behind a unit that has no part in the bound
        if node.name in relaxed.units:
            if node.name in bound.levels:
                found[node.name] = relaxed.units[node.name].seen(sources[0])
                edges[node.output] = bound.levels[node.name].astype(np.float64)
            continue
        edges[node.output] = values(node.op, sources)
        if node.name in bound.kept:
            cut = ask.cut[node.name]
            edges[node.output] = np.where(cut, bound.kept[node.name], edges[node.output])
    return found


def _judged(ask: Question, best: Multipliers, averages: dict[str, Reals]) -> Found:
    whole = {name: 2 * np.rint(m * (SCALE / 2)).astype(np.int64) for name, m in best.items()}
    bound = evaluate(ask, {name: m / SCALE for name, m in whole.items()})
    excess = bound.value - ask.need
    return Found(decided(ask, whole), whole, excess, bound.x, bound.pulls, averages)


def _mean(m: Reals) -> Reals:
    mean: Reals = np.abs(m).reshape(len(m), -1).mean(axis=1)
    return mean.reshape(-1, *[1] * (m.ndim - 1))
