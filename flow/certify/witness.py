"""A quick search for counterexamples on the integer grid: corners first, then one input at a time.

It proves nothing when it fails; it turns UNKNOWN into REFUTED when it succeeds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow.certify.box import Box
from flow.certify.effect import standing
from flow.engine import BatchedEngine
from flow.ir import Array

Progress = Callable[[int, int], None]
_HELD = 1 << 28  # bytes of candidate points held at once


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard to look: random corners to start from, climbs, and moves tried in each step."""

    corners: int = 32
    steps: int = 16
    moves: int = 32
    restarts: int = 2


def find_witnesses(
    engine: BatchedEngine,
    box: Box,
    y: Array,
    *,
    rng: np.random.Generator,
    effort: Effort | None = None,
    progress: Progress | None = None,
) -> tuple[Array, NDArray[np.bool_]]:
    """For each image a point of ``box`` and whether its class differs from ``y``.

    Returns:
        points (batch, *input shape), the worst found for the label, and broken (batch,).
    """
    effort = Effort() if effort is None else effort
    size = max(1, _HELD // (32 * (effort.corners + effort.moves) * int(box.lo[:1].size or 1)))
    if len(y) > size:
        halves = [
            find_witnesses(
                engine, box[part], y[part], rng=rng, effort=effort,
                progress=progress if part.start == 0 else None,
            )
            for part in (slice(first, first + size) for first in range(0, len(y), size))
        ]  # fmt: skip
        return np.concatenate([p for p, _ in halves]), np.concatenate([b for _, b in halves])
    points = box.lo.copy()
    score = np.full(len(y), np.iinfo(np.int64).max)
    for restart in range(effort.restarts):
        left = np.flatnonzero(score >= 0)
        if left.size:
            found, reached = _climb(engine, box[left], y[left], rng, effort)
            better = reached < score[left]
            points[left[better]] = found[better]
            score[left[better]] = reached[better]
        if progress is not None:
            progress(restart + 1, effort.restarts)
    return points, score < 0


def _climb(
    engine: BatchedEngine, box: Box, y: Array, rng: np.random.Generator, effort: Effort
) -> tuple[Array, Array]:
    """Each image's best random corner, then the best of some single moves, step after step."""
    images, shape = len(box), box.lo.shape[1:]
    at_high = rng.random((images, effort.corners, *shape)) < 0.5
    best, score = _best(engine, np.where(at_high, box.hi[:, None], box.lo[:, None]), y)
    flat_lo, flat_hi = box.lo.reshape(images, -1), box.hi.reshape(images, -1)
    row = np.arange(images)[:, None]
    for _ in range(effort.steps):
        place = rng.integers(0, flat_lo.shape[1], (images, effort.moves))
        moved = np.repeat(best.reshape(images, 1, -1), effort.moves, axis=1)
        old = np.take_along_axis(moved, place[:, :, None], axis=2)[:, :, 0]
        new = np.where(old == flat_lo[row, place], flat_hi[row, place], flat_lo[row, place])
        np.put_along_axis(moved, place[:, :, None], new[:, :, None], axis=2)
        found, reached = _best(engine, moved.reshape(images, effort.moves, *shape), y)
        # Sideways moves are taken too: staircases are flat nearly everywhere.
        better = reached <= score
        best[better], score[better] = found[better], reached[better]
        if (score < 0).all():
            break
    return best, score


def _best(engine: BatchedEngine, points: Array, y: Array) -> tuple[Array, Array]:
    """Of each image's candidate points (images, candidates, ...), the worst for its label."""
    images, candidates = points.shape[:2]
    flat = points.reshape(images * candidates, *points.shape[2:])
    logits = engine.run_edges(flat, (engine.graph.logits,))[engine.graph.logits]
    score = standing(logits, np.repeat(y, candidates)).reshape(images, candidates)
    lowest = score.argmin(axis=1)
    return points[np.arange(images), lowest], score[np.arange(images), lowest]
