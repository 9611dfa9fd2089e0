"""Attacks on stored bits and on inputs, as JSON records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np

from flow.attack import Descent, bfa, exhaustive_best_flip, pgd, random_flips
from flow.attack.result import AttackResult
from flow.certify import input_box
from flow.certify.input import check_labels as check_classes
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.graphfile import digest, load_graph
from flow.stages import Images, Progress, Record, fitting


def attack(
    graph_path: Path,
    train: Images,
    test: Images,
    *,
    method: str,
    budget: int,
    seeds: Sequence[int],
    progress: Progress | None = None,
) -> Record:
    """Run an attack once per seed; the attack sees training images, the accuracy is the test's."""
    graph = load_graph(graph_path)
    on = (fitting(graph, test), test.y)
    results: list[AttackResult] = []
    started = perf_counter()
    for seed in seeds:
        if method in ("bfa", "greedy"):
            search = bfa if method == "bfa" else exhaustive_best_flip
            source = (fitting(graph, train), train.y)
            results.append(
                search(graph, *source, budget=budget, seed=seed, evaluate_on=on, progress=progress)
            )
        elif method == "random":
            results.append(
                random_flips(graph, budget=budget, seed=seed, evaluate_on=on, progress=progress)
            )
        else:
            raise InputError(f"method {method!r}: unknown; choose bfa, greedy or random")
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
        "stop": [str(r.stop) for r in results],
        "runs": [r.record() for r in results],
    }


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
