"""Attacks on stored bits and on inputs, as JSON records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np

from flow.attack import Descent, bfa, dnl, exhaustive_best_flip, pgd, random_flips, tbfa
from flow.attack.result import AttackResult
from flow.certify import input_box
from flow.certify.input import check_labels as check_classes
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.graphfile import digest, load_graph
from flow.ir import Graph
from flow.stages import Images, Progress, Record, fitting


def attack(
    graph_path: Path,
    train: Images,
    test: Images,
    *,
    method: str,
    budget: int,
    seeds: Sequence[int],
    target: int | None = None,
    source: int | None = None,
    stealthy: bool = False,
    batch: int | None = None,
    progress: Progress | None = None,
) -> Record:
    """Run an attack once per seed; the attack sees training images, the accuracy is the test's.

    Args:
        method: ``bfa``, ``greedy``, ``random``, ``dnl``, or ``tbfa`` with ``target`` and, where it
            is wanted, ``source`` and ``stealthy``.
        batch: training images that the search sees (128); of methods that look at images.
    """
    if (method == "tbfa") != (target is not None):
        raise InputError("--target is the class of --method tbfa, which needs it")
    if target is None and (source is not None or stealthy):
        raise InputError("--source and --stealthy are of --method tbfa")
    if batch is not None and method in ("random", "dnl"):
        raise InputError(f"--batch: {method} looks at no images; leave it out")
    graph = load_graph(graph_path)
    on = (fitting(graph, test), test.y)
    results: list[AttackResult] = []
    started = perf_counter()
    run = _search(graph, train, method, target, source, stealthy)
    seen = {} if batch is None else {"batch": batch}
    for seed in seeds:
        results.append(run(**seen, budget=budget, seed=seed, evaluate_on=on, progress=progress))
    return {
        "graph": graph.name,
        "graph_digest": digest(graph),
        "method": method,
        "data": test.name,
        "images": len(test.y),
        "budget": budget,
        "seconds": round(perf_counter() - started, 1),
        "hamming_distance": [r.hamming_distance for r in results],
        "accuracy": [r.accuracy for r in results],
        "success": [r.steps[-1].success if r.steps else None for r in results],
        "stop": [str(r.stop) for r in results],
        "runs": [r.record() for r in results],
    }


def _search(
    graph: Graph,
    train: Images,
    method: str,
    target: int | None,
    source: int | None,
    stealthy: bool,
) -> Callable[..., AttackResult]:
    """The attack that is asked for, with what it sees."""
    if method in ("random", "dnl"):
        return partial(random_flips if method == "random" else dnl, graph)
    seen = (fitting(graph, train), train.y)
    if target is not None:
        return partial(tbfa, graph, *seen, target=target, source=source, stealthy=stealthy)
    searches = {"bfa": bfa, "greedy": exhaustive_best_flip}
    if method not in searches:
        raise InputError(f"method {method!r}: unknown; choose bfa, tbfa, dnl, greedy or random")
    return partial(searches[method], graph, *seen)


def attack_inputs(
    graph_path: Path,
    test: Images,
    *,
    method: str,
    radii: Sequence[int],
    seeds: Sequence[int],
    progress: Progress | None = None,
) -> Record:
    """Attack the test images within each radius, ``pgd`` or ``fgsm``; accuracies per seed.

    Raises:
        InputError: a radius is below 0, or the graph is no chain that ends in ArgMax.
    """
    graph = load_graph(graph_path)
    x = fitting(graph, test)
    check_classes(graph, x, test.y)
    engine, descent = BatchedEngine(graph), Descent.fgsm() if method == "fgsm" else Descent()
    clean, rows = float((engine.run(x) == test.y).mean()), []
    started = perf_counter()
    for radius in radii:
        box = input_box(graph, x, radius=radius)
        broken = [
            pgd(
                engine, x, box, test.y, rng=np.random.default_rng(seed), descent=descent,
                progress=progress,
            )[1]
            for seed in seeds
        ]  # fmt: skip
        rows.append({"radius": radius, "accuracy": [float(1 - b.mean()) for b in broken]})
    return {
        "graph": graph.name,
        "graph_digest": digest(graph),
        "method": method,
        "data": test.name,
        "images": len(x),
        "seeds": list(seeds),
        "steps": descent.steps,
        "restarts": descent.restarts,
        "clean_accuracy": clean,
        "radii": rows,
        "seconds": round(perf_counter() - started, 1),
    }
