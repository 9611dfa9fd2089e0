"""What the rest of the network makes of one changed element, each different value once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from flow.certify.struck import register
from flow.engine import BatchedEngine
from flow.ir import Array
from flow.ops import ArgMax, MatVec

Score = Callable[[Array, Array], NDArray[np.float64]]

# Entries of a lookup table over (image, value); wider ranges of values are sorted instead.
_TABLE = 1 << 22


class Effect(IntEnum):
    """What a flip does to one image."""

    MASKED = 0  # the logits are identical
    TOLERABLE = 1  # the logits differ, the class does not
    RIGHT_TO_WRONG = 2
    WRONG_TO_RIGHT = 3
    WRONG_TO_WRONG = 4  # another wrong class


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """Per flip and image, (flips, batch): the ``Effect``, the standing, any rise of the score."""

    effect: NDArray[np.uint8]
    standing: Array
    rise: NDArray[np.float64] | None


@dataclass(frozen=True, slots=True)
class Suffix:
    """The clean run of one chunk of images, and the suffix of the network behind each edge."""

    engine: BatchedEngine
    edges: dict[str, Array]
    y: Array
    score: Score | None = None
    _totals: dict[int, Array] = field(default_factory=dict)

    @property
    def classes(self) -> Array:
        return self.edges[self.engine.graph.output]

    def follow(self, consumer: int, unit: int, values: Array) -> Followed:
        """What happens to each image when element ``unit`` takes ``values``, (flips, batch).

        ``consumer`` is the first node that mixes the element with others.
        """
        image, value, pair = _distinct(values)
        logits = self._logits(consumer, unit, image, value)
        classes = ArgMax().evaluate(logits)
        label, clean = self.y[image], self.classes[image]
        moved = (logits != self.edges[self.engine.graph.logits][image]).any(axis=1)
        effect = np.where(moved, Effect.TOLERABLE, Effect.MASKED).astype(np.uint8)
        effect[classes != clean] = Effect.WRONG_TO_WRONG
        effect[(classes != clean) & (clean == label)] = Effect.RIGHT_TO_WRONG
        effect[(classes != clean) & (classes == label)] = Effect.WRONG_TO_RIGHT
        rise = None
        if self.score is not None:
            before = self.score(self.edges[self.engine.graph.logits], self.y)[image]
            rise = (self.score(logits, label) - before)[pair]
        return Followed(effect[pair], standing(logits, label)[pair], rise)

    def _logits(self, consumer: int, unit: int, image: Array, value: Array) -> Array:
        node = self.engine.graph.nodes[consumer]
        before = self.edges[node.inputs[0]]
        if isinstance(node.op, MatVec):
            if consumer not in self._totals:
                self._totals[consumer] = before @ node.op.read.T
            step = (value - before[image, unit])[:, None] * node.op.read[:, unit]
            total = self._totals[consumer][image] + step
            return self.engine.resume(consumer + 1, register(node.op, total))
        logits = before[image]
        logits[:, unit] = value
        return logits


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


def _distinct(values: Array) -> tuple[Array, Array, Array]:
    """The different (image, value) pairs among (flips, batch) values, and each entry's pair."""
    images = values.shape[1]
    low = int(values.min())
    span = int(values.max()) - low + 1
    if span * images > max(_TABLE, values.size):
        return _distinct_by_sorting(values)
    key = np.arange(images) * span + (values - low)
    used = np.zeros(span * images, dtype=np.bool_)
    used[key] = True
    pairs = np.flatnonzero(used)
    number = np.zeros(span * images, dtype=np.int64)
    number[pairs] = np.arange(len(pairs))
    return pairs // span, pairs % span + low, number[key]


def _distinct_by_sorting(values: Array) -> tuple[Array, Array, Array]:
    _, rank = np.unique(values, return_inverse=True)
    span = int(rank.max()) + 1
    pairs, inverse = np.unique(
        np.arange(values.shape[1]) * span + rank.reshape(values.shape), return_inverse=True
    )
    table = np.unique(values)
    return pairs // span, table[pairs % span], inverse.reshape(values.shape)
