"""Projected gradient descent on inputs: integer points of a box, judged in the integer graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow.attack.gradient import Reals, gradients
from flow.certify.box import Box, propagate
from flow.engine import BatchedEngine
from flow.ir import Array
from flow.ops import Threshold

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Descent:
    """How PGD goes about it: steps of each start, and starts, each against another rival class
    until all had their turn. A step is ``stride`` of each element's range, shrinking to 0."""

    steps: int = 30
    restarts: int = 10
    stride: float = 0.25
    memory: float = 0.7

    @classmethod
    def fgsm(cls) -> Descent:
        """One step from the image to a corner of the box, against the strongest rival."""
        return cls(steps=1, restarts=1, stride=1.0, memory=0.0)


def pgd(
    engine: BatchedEngine,
    x: Array,
    box: Box,
    y: Array,
    *,
    rng: np.random.Generator,
    descent: Descent | None = None,
    progress: Progress | None = None,
) -> tuple[Array, NDArray[np.bool_]]:
    """For each image a point of its ``box`` and whether its class differs from ``y``.

    The first start is the image ``x`` itself, the others are random. Gradients are those of ramps
    in place of staircases, as wide as a quarter of what each can see of the box at first. Only
    points that ``engine`` gives another class count, so a tie that the label wins is no success.

    Args:
        box: any ranges of the elements inside the declared type, one box per image; elements of
            one value stay as they are.
        progress: called with (restarts done, in all).

    Raises:
        InputError: a node has no box bound or no gradient.
    """
    descent = Descent() if descent is None else descent
    size = max(1, engine.memory // (64 * sum(e.elements for e in engine.graph.edges().values())))
    if len(x) > size:
        halves = [
            pgd(
                engine, x[span], box[span], y[span], rng=rng, descent=descent,
                progress=progress if span.start == 0 else None,
            )
            for span in (slice(k, k + size) for k in range(0, len(x), size))
        ]  # fmt: skip
        return np.concatenate([p for p, _ in halves]), np.concatenate([b for _, b in halves])
    points, broken = x.astype(np.int64), engine.run(x) != y
    spread = _spreads(engine, box)
    clean = engine.run_edges(x, (engine.graph.logits,))[engine.graph.logits]
    ranks = np.argsort(-clean, axis=1, kind="stable")
    order = np.array([row[row != label] for row, label in zip(ranks, y, strict=True)])
    for restart in range(descent.restarts):
        left = np.flatnonzero(~broken)
        if left.size and order.shape[1]:
            rival = order[left, restart % order.shape[1]]
            start = x[left].astype(np.float64)
            if restart:
                start = rng.uniform(box.lo[left], box.hi[left])
            own = {name: width[left] for name, width in spread.items()}
            found, hit = _descend(engine, start, box[left], (y[left], rival), own, descent)
            points[left[hit]], broken[left[hit]] = found[hit], True
        if progress is not None:
            progress(restart + 1, descent.restarts)
    return points, broken


def _descend(
    engine: BatchedEngine,
    start: Reals,
    box: Box,
    classes: tuple[Array, Array],
    spread: dict[str, Reals],
    descent: Descent,
) -> tuple[Array, NDArray[np.bool_]]:
    """Signed steps with momentum, each point rounded to the grid and run."""
    labels, rivals = classes
    rows, now = np.arange(len(start)), start.copy()
    found, hit = np.zeros(start.shape, dtype=np.int64), np.zeros(len(start), dtype=bool)
    speed = np.zeros_like(start)
    for step in range(descent.steps + 1):
        grid = on_grid(now, box, bipolar=engine.graph.input_edge.type.bipolar)
        edges = engine.run_all(grid)
        new = ~hit & (edges[engine.graph.output] != labels)
        found[new], hit = grid[new], hit | new
        if hit.all() or step == descent.steps:
            break
        left = 1 - step / descent.steps
        lead = np.zeros(edges[engine.graph.logits].shape)
        lead[rows, rivals], lead[rows, labels] = 1.0, -1.0
        widths = {name: np.maximum(1.0, width * left) for name, width in spread.items()}
        pulls = gradients(engine.graph, edges, lead, widths)
        gradient = pulls.get(engine.graph.input, np.zeros(grid.shape))
        size = np.abs(gradient).mean(axis=tuple(range(1, gradient.ndim)), keepdims=True)
        speed = descent.memory * speed + gradient / np.where(size > 0, size, 1.0)
        stride = descent.stride * left * (box.hi - box.lo)
        now = np.clip(now + stride * np.sign(speed), box.lo, box.hi)
    return found, hit


def on_grid(points: Reals, box: Box, *, bipolar: bool) -> Array:
    """The integer points of ``box`` nearest to ``points``; -1 or +1 where inputs are bipolar."""
    if bipolar:
        high = (points > 0) & (box.hi > 0) | (box.lo > 0)
        return np.where(high, 1, -1).astype(np.int64)
    return np.clip(np.rint(points), box.lo, box.hi).astype(np.int64)


def _spreads(engine: BatchedEngine, box: Box) -> dict[str, Reals]:
    """Per Threshold the half width of its ramps, (batch, channels)."""
    boxes = propagate(engine.graph, box)
    return {
        node.name: np.maximum(1.0, (boxes[node.inputs[0]].hi - boxes[node.inputs[0]].lo) / 4)
        for node in engine.graph.nodes
        if isinstance(node.op, Threshold)
    }
