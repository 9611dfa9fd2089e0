"""The progressive bit search of Rakin, He and Fan (ICCV 2019), sign-correct, on integers.

Corrections to the released code: the gain of a bit is ``g * (flipped - value)`` at every width,
one bit included; a step never takes more bits than have a gain above 0; the Hamming distance is
reported beside the flips; and losses are those of the integer graph, not of a float twin.
"""

from __future__ import annotations

from collections.abc import Iterator

from flow.attack.loss import CrossEntropy, Loss, logit_temperature
from flow.attack.result import AttackResult
from flow.attack.rounds import Progress, Proposal, draw_batch, play
from flow.attack.surrogate import Surrogate, by_layer
from flow.certify.stored_bits import StoredBits
from flow.engine import BatchedEngine
from flow.ir import Array, Fault, Graph


def bfa(
    graph: Graph,
    x_attack: Array,
    y_attack: Array,
    *,
    budget: int,
    seed: int,
    evaluate_on: tuple[Array, Array],
    batch: int = 128,
    loss: Loss | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> AttackResult:
    """Flip stored bits, weights, thresholds and signs, until the network only guesses.

    White box: each step ranks the bits of every layer by gain, tries the n best of each layer on
    the exact integer loss, and commits the layer that raises it most, growing n until one does.

    Args:
        x_attack, y_attack: training images and labels, of which ``seed`` draws ``batch``.
        budget: the most flips to commit.
        evaluate_on: test images and labels; none may be an attack image.
        loss: of float64 logits and labels; cross-entropy at a fixed temperature by default.
        progress: called with (flips committed, budget).

    Raises:
        InputError: labels do not fit, a set is empty, the sets share an image, or an op of the
            graph has no gradient.
    """
    x, y = draw_batch(graph, (x_attack, y_attack), evaluate_on, batch=batch, seed=seed)
    engine = BatchedEngine(graph, device=device)
    temperature = None
    if loss is None:
        temperature = logit_temperature(engine.run_edges(x, (graph.logits,))[graph.logits])
        loss = CrossEntropy(temperature)
    surrogate = Surrogate.of(engine, x, y, loss)
    clean_loss = surrogate.exact_loss(())
    return play(
        engine,
        proposals(surrogate, clean_loss, budget),
        method="bfa",
        seed=seed,
        budget=budget,
        evaluate_on=evaluate_on,
        clean_loss=clean_loss,
        temperature=temperature,
        progress=progress,
    )


def proposals(
    surrogate: Surrogate, loss: float, budget: int, *, most: int | None = None
) -> Iterator[Proposal]:
    """Steps of at most ``most`` flips, while one raises the loss and the budget is not spent."""
    flips: tuple[Fault, ...] = ()
    while True:
        left = budget - len(flips)
        found = _search(surrogate, flips, loss, left if most is None else min(most, left))
        if found is None:
            return
        proposal, loss = found
        flips += proposal.flips
        yield proposal


def _search(
    surrogate: Surrogate, flips: tuple[Fault, ...], before: float, most: int
) -> tuple[Proposal, float] | None:
    """The smallest n, and the layer whose n best bits raise the loss most; None if none does."""
    bits = StoredBits.of(surrogate.engine.graph)
    gains = surrogate.gains(flips)
    layers = by_layer(surrogate.engine.graph, gains)
    for n in range(1, most + 1):
        # A layer with fewer than n positive gains has nothing to offer at n.
        trials = [layer[:n] for layer in layers if len(layer) >= n]
        if not trials:
            return None
        faults = [tuple(bits.fault(int(k)) for k in trial) for trial in trials]
        losses = [surrogate.exact_loss(flips + new) for new in faults]
        best = max(range(len(trials)), key=losses.__getitem__)
        if losses[best] > before:
            gain = float(gains[trials[best]].sum())
            return Proposal(faults[best], gain, losses[best]), losses[best]
    return None
