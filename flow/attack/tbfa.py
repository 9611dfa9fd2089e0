"""The targeted bit search of Rakin et al. (T-BFA, TPAMI 2021), its three types, on integers."""

from __future__ import annotations

import numpy as np

from flow.attack.bfa import proposals
from flow.attack.loss import Towards, logit_temperature
from flow.attack.result import AttackResult
from flow.attack.rounds import Goal, Progress, draw_batch, play
from flow.attack.surrogate import Surrogate
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.ir import Array, Graph


def tbfa(
    graph: Graph,
    x_attack: Array,
    y_attack: Array,
    *,
    target: int,
    source: int | None = None,
    stealthy: bool = False,
    budget: int,
    seed: int,
    evaluate_on: tuple[Array, Array],
    batch: int = 128,
    device: str = "cpu",
    progress: Progress | None = None,
) -> AttackResult:
    """Flip stored bits, one a step, until images get the class ``target``.

    Type 1 moves all images, type 2 those of class ``source``, type 3 (``stealthy``) those and keeps
    the others where they are. Each step commits the layer whose best bit raises the loss most;
    unlike the released code the part that keeps the others has a gradient.

    Source: A. S. Rakin et al., T-BFA, TPAMI 2021. Arguments as ``bfa``; ``batch`` images are drawn
    of the source class where there is one, as many others beside them where they are kept.

    Raises:
        InputError: as ``bfa``; a class is none of the graph, source and target are one, or no
            image is of the source class.
    """
    classes = int(graph.edge(graph.logits).shape[-1])
    for name, value in (("target", target), ("source", 0 if source is None else source)):
        if not 0 <= value < classes:
            raise InputError(f"{name} {value}: no class of the graph; give 0 to {classes - 1}")
    if target == source or (stealthy and source is None):
        raise InputError("give another class as source than as target; a stealthy attack needs one")
    if source is not None and not ((y_attack == source).any() and (evaluate_on[1] == source).any()):
        raise InputError(f"source {source}: no image of this class; choose another")
    x, y = draw_batch(graph, (x_attack, y_attack), evaluate_on, batch=len(x_attack), seed=seed)
    order = np.random.default_rng(seed).permutation(len(x))
    meant = order[(y[order] == source) if source is not None else (y[order] != target)][:batch]
    others = order[y[order] != source][:batch] if stealthy else order[:0]
    chosen = np.sort(np.concatenate([meant, others]))
    x, y = x[chosen], y[chosen]
    engine = BatchedEngine(graph, device=device)
    temperature = logit_temperature(engine.run_edges(x, (graph.logits,))[graph.logits])
    surrogate = Surrogate.of(engine, x, y, Towards(temperature, target, source, stealthy))
    clean_loss = surrogate.exact_loss(())
    return play(
        engine,
        proposals(surrogate, clean_loss, budget, most=1),
        method=f"tbfa-{3 if stealthy else 1 if source is None else 2}",
        seed=seed,
        budget=budget,
        evaluate_on=evaluate_on,
        clean_loss=clean_loss,
        temperature=temperature,
        goal=Goal(target, source),
        progress=progress,
    )
