"""The loop all bit-flip attacks share: take the next flips, measure, stop at guessing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from flow.attack.result import AttackResult, Step, Stop, hamming_distance
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.graphfile import digest
from flow.ir import Array, Fault, Graph

Progress = Callable[[int, int], None]
Images = tuple[Array, Array]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Flips to make together, the rise of the loss expected of them and the loss they reach."""

    flips: tuple[Fault, ...]
    gain: float | None = None
    loss: float | None = None


@dataclass(frozen=True, slots=True)
class Goal:
    """What ends an attack: the network only guesses, or ``target`` is the class given to the
    images of class ``source`` (of all other classes where there is none), but for a share of
    1 in 100."""

    target: int | None = None
    source: int | None = None

    def success(self, classes: Array, y: Array) -> float | None:
        """The share of the images meant that get the target class; None of an untargeted goal."""
        if self.target is None:
            return None
        meant = y != self.target if self.source is None else y == self.source
        return float((classes[meant] == self.target).mean())

    def reached(self, graph: Graph, accuracy: float, success: float | None) -> bool:
        """Whether the attack is over."""
        return accuracy <= guess_accuracy(graph) if success is None else success >= 0.99


UNTARGETED = Goal()


def play(
    engine: BatchedEngine,
    proposals: Iterator[Proposal],
    *,
    method: str,
    seed: int,
    budget: int,
    evaluate_on: Images,
    clean_loss: float | None = None,
    temperature: float | None = None,
    goal: Goal = UNTARGETED,
    progress: Progress | None = None,
) -> AttackResult:
    """Commit proposals until the goal is reached, the budget is spent or none comes.

    A proposal never holds more flips than the budget leaves.
    """
    x, y = evaluate_on

    def judged(flips: tuple[Fault, ...]) -> tuple[float, float | None]:
        classes = engine.run(x, flips)
        return float((classes == y).mean()), goal.success(classes, y)

    clean, success = judged(())
    now = clean
    steps: list[Step] = []
    flips: tuple[Fault, ...] = ()
    stop = Stop.GUESS if goal.target is None else Stop.TARGET
    while not goal.reached(engine.graph, now, success):
        if len(flips) >= budget:
            stop = Stop.BUDGET
            break
        proposal = next(proposals, None)
        if proposal is None:
            stop = Stop.STUCK
            break
        flips += proposal.flips
        now, success = judged(flips)
        distance = hamming_distance(flips)
        steps.append(Step(proposal.flips, proposal.gain, proposal.loss, now, distance, success))
        if progress is not None:
            progress(len(flips), budget)
    return AttackResult(
        digest(engine.graph), method, seed, budget, clean, clean_loss, temperature,
        tuple(steps), stop,
    )  # fmt: skip


def guess_accuracy(graph: Graph) -> float:
    """What counts as random guessing: a tenth above one in as many classes (11 % of ten)."""
    return 1.1 / int(graph.edge(graph.logits).shape[-1])


def check_labels(graph: Graph, x: Array, y: Array) -> None:
    """Refuse images without labels, and labels that are no class of the graph."""
    classes = graph.edge(graph.logits).shape[-1]
    if not len(x) or y.shape != (len(x),) or y.min() < 0 or y.max() >= classes:
        raise InputError(f"give at least one image, each with a label from 0 to {classes - 1}")


def draw_batch(graph: Graph, images: Images, test: Images, *, batch: int, seed: int) -> Images:
    """``batch`` of the attacker's images, drawn by ``seed``.

    Raises:
        InputError: a set does not fit the graph, or the two share an image.
    """
    for x, y in (images, test):
        check_labels(graph, x, y)
    seen = {row.tobytes() for row in np.ascontiguousarray(test[0], dtype=np.int64)}
    for k, row in enumerate(np.ascontiguousarray(images[0], dtype=np.int64)):
        if row.tobytes() in seen:
            raise InputError(
                f"attack image {k} is also a test image; attack with training images only"
            )
    chosen = np.sort(np.random.default_rng(seed).permutation(len(images[0]))[:batch])
    return images[0][chosen], images[1][chosen]
