"""Exact inversion of a chain: which integers reach which level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np

from flow.ingest.quantizer import Quantizer
from flow.ingest.steps import ALWAYS, NEVER, Answer, Bound, Step, pull_back
from flow.ir import Array


def invert(
    steps: Sequence[Step], quantizer: Quantizer, *, channels: int, low: int, high: int
) -> tuple[Array, Array]:
    """Thresholds (channels, steps), ascending, and signs (channels,) of a chain and its quantizer.

    For every integer in ``low .. high`` and every channel the number of thresholds reached gives
    the quantizer's code exactly: counted up from the lowest code where the sign is +1, down from
    the highest where it is -1. Always reached is ``low``, never reached is ``high + 1``.
    """
    thresholds = np.zeros((channels, quantizer.steps), dtype=np.int64)
    sign = np.ones(channels, dtype=np.int64)
    same = all(len(values) <= 1 for values in _tuples(steps, quantizer))
    for channel in range(1 if same else channels):
        answers = [
            required(steps, quantizer.bound(code, channel), channel)
            for code in range(quantizer.low + 1, quantizer.high + 1)
        ]
        falling = any(isinstance(answer, Bound) and not answer.above for answer in answers)
        found = [_first(answer, falling, low, high) for answer in answers]
        thresholds[channel] = sorted(found)
        sign[channel] = -1 if falling else 1
    if same:
        thresholds[:], sign[:] = thresholds[0], sign[0]
    return thresholds, sign


def _tuples(steps: Sequence[Step], quantizer: Quantizer) -> list[tuple[object, ...]]:
    """Everything of a chain that may differ from channel to channel."""
    parts = [getattr(part, f.name) for part in (*steps, quantizer) for f in fields(part)]
    return [part for part in parts if isinstance(part, tuple)]


def required(steps: Sequence[Step], bound: Bound, channel: int) -> Answer:
    """What the integer in front of ``steps`` must meet for their result to meet ``bound``."""
    answer: Answer = bound
    for step in reversed(steps):
        if not isinstance(answer, Bound):
            break
        answer = pull_back(step, answer, channel)
    return answer


def _first(answer: Answer, falling: bool, low: int, high: int) -> int:
    """The first integer from which on the answer is yes (rising) or no (falling), kept in range."""
    if answer is (NEVER if falling else ALWAYS):
        return low
    if not isinstance(answer, Bound):
        return high + 1
    # the answer turns after the floor for y > t and y <= t, at the ceiling for y >= t and y < t
    first = answer.at.floor() + 1 if answer.strict == answer.above else answer.at.ceil()
    return min(max(first, low), high + 1)
