"""Attacks to compare with: random flips, and the exactly best flip at every step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flow.attack.loss import CrossEntropy, logit_temperature
from flow.attack.result import AttackResult
from flow.attack.rounds import Images, Progress, Proposal, check_labels, draw_batch, play
from flow.certify.effect import Score
from flow.certify.flips import single_flips
from flow.certify.stored_bits import StoredBits
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.ir import Array, Fault, Graph


def random_flips(
    graph: Graph,
    *,
    budget: int,
    seed: int,
    evaluate_on: Images,
    device: str = "cpu",
    progress: Progress | None = None,
) -> AttackResult:
    """Flip different stored bits drawn uniformly, one by one, until guessing or the budget.

    Raises:
        InputError: the budget exceeds the stored bits, or a label is no class of the graph.
    """
    check_labels(graph, *evaluate_on)
    bits = StoredBits.of(graph)
    if not 0 <= budget <= len(bits):
        raise InputError(f"budget {budget}: the graph stores {len(bits)} bits; give at most these")
    rng = np.random.default_rng(seed)
    order = rng.choice(len(bits), budget, replace=False)
    return play(
        BatchedEngine(graph, device=device),
        (Proposal((bits.fault(int(k)),)) for k in order),
        method="random",
        seed=seed,
        budget=budget,
        evaluate_on=evaluate_on,
        progress=progress,
    )


def exhaustive_best_flip(
    graph: Graph,
    x_attack: Array,
    y_attack: Array,
    *,
    budget: int,
    seed: int,
    evaluate_on: Images,
    batch: int = 128,
    device: str = "cpu",
    progress: Progress | None = None,
) -> AttackResult:
    """Greedy: at every step the one flip of all that raises the exact loss most.

    What ``bfa`` estimates by gradients is enumerated here, at the same loss and temperature.
    Arguments and errors as ``bfa``; ends as ``STUCK`` when no flip raises the loss.
    """
    x, y = draw_batch(graph, (x_attack, y_attack), evaluate_on, batch=batch, seed=seed)
    engine = BatchedEngine(graph, device=device)
    temperature = logit_temperature(engine.run_edges(x, (graph.logits,))[graph.logits])
    loss = CrossEntropy(temperature)

    def exact_loss(flips: tuple[Fault, ...]) -> float:
        return float(loss.each(engine.run_edges(x, (graph.logits,), flips)[graph.logits], y).mean())

    clean_loss = exact_loss(())

    def proposals() -> Iterator[Proposal]:
        """The worst flip there is after those before, again and again."""
        flips: tuple[Fault, ...] = ()
        before = clean_loss
        while (
            flip := best_flip(graph, x, y, score=loss.each, flips=flips, device=device)
        ) is not None:
            flips += (flip,)
            after = exact_loss(flips)
            yield Proposal((flip,), after - before, after)
            before = after

    return play(
        engine,
        proposals(),
        method="greedy",
        seed=seed,
        budget=budget,
        evaluate_on=evaluate_on,
        clean_loss=clean_loss,
        temperature=temperature,
        progress=progress,
    )


def best_flip(
    graph: Graph,
    x: Array,
    y: Array,
    *,
    score: Score,
    flips: tuple[Fault, ...] = (),
    device: str = "cpu",
) -> Fault | None:
    """The stored bit whose flip, after ``flips``, raises the images' total score most.

    By enumeration, so no other flip scores higher; ties go to the earlier bit. None if no flip
    raises the score at all.
    """
    struck = graph.with_faults(flips)
    found = single_flips(struck, x, y=y, score=score, device=device)
    if not len(found.bits) or found.rises.max() <= 0:
        return None
    return found.bits.fault(int(found.rises.argmax()))
