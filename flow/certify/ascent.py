"""The search for good multipliers: subgradients in floats, judged by the exact integer bound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow.certify.dual import NEVER, SCALE, Bound, Question, decided, evaluate
from flow.certify.outline import Outline
from flow.certify.stages import Reals
from flow.ir import Array

Multipliers = tuple[Reals, ...]
_PACE, _FADE, _FIRST, _SECOND = 0.1, 0.97, 0.8, 0.95  # step per mean multiplier; Adam's decays


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Per row: whether the rival certainly loses, the integer multipliers (over ``SCALE``) that
    show it or came closest, the bound there in logits less the need, the input that the relaxation
    likes best, and averages of the staircases' inputs on the way."""

    decided: NDArray[np.bool_]
    multipliers: tuple[Array, ...]
    excess: Reals
    x: Array
    inputs: tuple[Reals, ...]


def slopes(ask: Question) -> Multipliers:
    """Multipliers of the chords: each staircase replaced by the line through its two ends."""
    rows = np.arange(len(ask))
    pull = np.zeros((len(ask), len(ask.stages[-1].offset)))
    pull[rows, ask.rivals], pull[rows, ask.labels] = 1.0, -1.0
    found = []
    for place in range(ask.between, 0, -1):
        stage, box = ask.stages[place], ask.inputs[place - 1]
        pull = pull @ stage.weights / stage.parts
        ladder = ask.stages[place - 1].ladder
        assert ladder is not None
        rise = ladder.levels(box.hi) - ladder.levels(box.lo)
        pull = pull * rise / np.maximum(box.hi - box.lo, 1)
        found.append(pull)
    return tuple(found[::-1])


def ascend(ask: Question, start: Multipliers, *, steps: int) -> Found:
    """Lower the bounds of all rows together from ``start``, until all are decided or ``steps``."""
    now = tuple(m.copy() for m in start)
    best, least = tuple(m.copy() for m in now), np.full(len(ask), np.inf)
    pace = [_PACE * (np.abs(m).mean(axis=1, keepdims=True) + 1 / SCALE) for m in now]
    first = [np.zeros_like(m) for m in now]
    second = [np.zeros_like(m) for m in now]
    averages: list[Reals] = []
    target = np.where(ask.need > NEVER, ask.need, -np.inf)
    outlines = tuple(
        Outline.of(stage.ladder, box)
        for stage, box in zip(ask.stages, ask.inputs, strict=False)
        if stage.ladder is not None
    )
    bound = evaluate(ask, now, scale=1, outlines=outlines) if now else None
    for step in range(1, steps + 1):
        if bound is None:
            break
        lower = bound.value < least
        least = np.where(lower, bound.value, least)
        for m, new in zip(best, now, strict=True):
            m[lower] = new[lower]
        seen = [part.astype(np.float64) for part in (bound.x, *bound.levels)]
        averages = [
            old * _FIRST + new * (1 - _FIRST)
            for old, new in zip(averages or seen, seen, strict=True)
        ]
        if (least < target - 1e-6).all() or step == steps:
            break
        for place, slope in enumerate(_subgradients(ask, bound)):
            first[place] = _FIRST * first[place] + (1 - _FIRST) * slope
            second[place] = _SECOND * second[place] + (1 - _SECOND) * slope**2
            ahead = first[place] / (1 - _FIRST**step)
            size = np.sqrt(second[place] / (1 - _SECOND**step)) + 1e-9
            now[place][...] -= pace[place] * _FADE**step * ahead / size
        bound = evaluate(ask, now, scale=1, outlines=outlines)
    return _judged(ask, best, averages)


def _subgradients(ask: Question, bound: Bound) -> list[Reals]:
    """What each stage makes of the parts before it, less what the parts after it took."""
    before = (bound.x, *bound.levels)
    return [ask.stages[place].sums(before[place]) - bound.at[place] for place in range(ask.between)]


def _judged(ask: Question, best: Multipliers, averages: list[Reals]) -> Found:
    whole = tuple(2 * np.rint(m * (SCALE / 2)).astype(np.int64) for m in best)
    bound = evaluate(ask, tuple(m / SCALE for m in whole), scale=1)
    inputs = tuple(ask.stages[k].sums(averages[k]) for k in range(ask.between))
    excess = np.asarray(bound.value, dtype=np.float64) - ask.need
    return Found(decided(ask, whole), whole, excess, bound.x, inputs)
