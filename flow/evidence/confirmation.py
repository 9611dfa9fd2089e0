"""What certificates name, run in the RTL of a build and compared with the graph bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from time import perf_counter

import numpy as np

from flow.build import SiteTable, load_build, site_table
from flow.certify import load_certificates
from flow.certify.check import same_subject
from flow.certify.trials import Trial, trials_of
from flow.errors import ClaimError
from flow.graphfile import digest, load_graph
from flow.ir import Graph
from flow.schedule import interval
from flow.stages import Images, Progress, Record, fitting

TOGETHER = 2_000_000  # clock cycles of one simulation, about; each image runs under all its flips


def confirm(
    certificate: Path,
    graph_path: Path,
    data: Images,
    *,
    build: Path,
    simulator: str,
    cache: Path,
    most: int = 3,
    progress: Progress | None = None,
) -> Record:
    """Run in RTL what breaks the REFUTED images of a file, and the worst flips of those PROVED.

    Args:
        build: of the graph; the certificates of bursts must be about it.
        most: sets of flips of each image PROVED.

    Raises:
        InputError: the file is damaged, or graph, images or build are others.
        ClaimError: RTL and graph differ in a logit, or a claim does not hold.
    """
    graph, found = load_graph(graph_path), load_certificates(certificate)
    x, started = fitting(graph, data), perf_counter()
    same_subject(found, certificate, graph, x, data.y)
    plan = load_build(build, graph=graph).plan()
    sites, pace = site_table(graph, plan), interval(graph, plan.folding)
    trials = trials_of(found, graph, x, sites=sites, most=most)
    pairs = cycles = done = 0
    for batch in _batches(trials, pace):
        answered, spent = _run(certificate, graph, sites, batch, build, simulator, cache)
        pairs, cycles, done = pairs + answered, cycles + spent, done + len(batch)
        if progress is not None:
            progress(done, len(trials))
    return {
        "graph": graph.name,
        "graph_digest": digest(graph),
        "certificates": str(certificate),
        "build": str(build),
        "simulator": simulator,
        "images": len(x),
        **_counts(trials),
        "pairs": pairs,
        "cycles": cycles,
        "logit_mismatches": 0,  # the first one would have raised
        "seconds": round(perf_counter() - started, 2),
    }


def _counts(trials: Sequence[Trial]) -> Record:
    kept = [trial.image for trial in trials if not trial.breaks]
    return {
        "witnesses": len(trials) - len(kept),
        "worst_sets": len(kept),
        "images_of_worst_sets": len(set(kept)),
    }


def _batches(trials: Sequence[Trial], pace: int) -> Iterator[list[Trial]]:
    """The trials of some images at a time, of ``pace`` cycles each: starting a simulator costs
    seconds, and every image of a batch runs under the flips of all."""
    batch: list[Trial] = []
    images = 0
    for _, own in groupby(sorted(trials, key=_image), key=_image):
        new = list(own)
        if batch and (len(batch) + len(new)) * (images + 1) * pace > TOGETHER:
            yield batch
            batch, images = [], 0
        batch, images = [*batch, *new], images + 1
    if batch:
        yield batch


def _image(trial: Trial) -> int:
    return trial.image


def _run(
    path: Path,
    graph: Graph,
    sites: SiteTable,
    batch: Sequence[Trial],
    build: Path,
    simulator: str,
    cache: Path,
) -> tuple[int, int]:
    """Every set of flips of the batch on every input of it: how many pairs, and clock cycles."""
    from sim.accelerator import simulate_faults

    points, which = np.unique([trial.point for trial in batch], axis=0, return_inverse=True)
    groups = [[sites.site(fault) for fault in trial.faults] for trial in batch]
    found = simulate_faults(build, points, groups, cache=cache, simulator=simulator)
    for trial, logits, point in zip(batch, found.logits, which.ravel().tolist(), strict=True):
        expected = graph.evaluate_all(points, trial.faults)
        flips = " and ".join(map(str, trial.faults)) or "no fault"
        wrong = np.flatnonzero((logits != expected[graph.logits]).any(axis=1))
        if wrong.size:
            k = int(wrong[0])
            raise ClaimError(
                f"{path}: image {trial.image}: under {flips} RTL answers {logits[k].tolist()}, the "
                f"graph {expected[graph.logits][k].tolist()}"
            )
        if (int(expected[graph.output][point]) != trial.label) != trial.breaks:
            verdict, does = ("REFUTED", "leaves") if trial.breaks else ("PROVED", "takes")
            raise ClaimError(
                f"{path}: image {trial.image}: {verdict}, but {flips} {does} its label"
            )
    return len(batch) * len(points), found.cycles
