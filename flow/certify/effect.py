"""What a fault does to one image."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from flow.ir import Array
from flow.ops import ArgMax

Score = Callable[[Array, Array], NDArray[np.float64]]


class Effect(IntEnum):
    """What a flip does to one image."""

    MASKED = 0  # the logits are identical
    TOLERABLE = 1  # the logits differ, the class does not
    RIGHT_TO_WRONG = 2
    WRONG_TO_RIGHT = 3
    WRONG_TO_WRONG = 4  # another wrong class


def effects(logits: Array, clean: Array, label: Array) -> NDArray[np.uint8]:
    """The ``Effect`` of each row of ``logits`` (rows, classes) where it was ``clean`` before."""
    now, was = ArgMax().evaluate(logits), ArgMax().evaluate(clean)
    moved = (logits != clean).any(axis=1)
    effect = np.where(moved, Effect.TOLERABLE, Effect.MASKED).astype(np.uint8)
    effect[now != was] = Effect.WRONG_TO_WRONG
    effect[(now != was) & (was == label)] = Effect.RIGHT_TO_WRONG
    effect[(now != was) & (now == label)] = Effect.WRONG_TO_RIGHT
    return effect


def standing(logits: Array, label: Array) -> Array:
    """By how much each label leads its best rival: negative exactly where the class is another.

    One is taken off a tie or deficit that the class has lost, so that smaller is worse.
    """
    rows = np.arange(len(logits))
    rivals = logits.copy()
    rivals[rows, label] = -1 << 62  # no wider logits exist, and a lead over it fits int64
    lost = ArgMax().evaluate(logits) != label
    lead: Array = logits[rows, label] - rivals.max(axis=1) - lost
    return lead
