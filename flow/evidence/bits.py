"""Certificates of stored bits: every single flip, or any so many together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from flow.build import load_build, site_table
from flow.certify import (
    BitSubset,
    Bursts,
    CertificateSet,
    SingleFlips,
    accumulator_ranges,
    burst_flips_in_parts,
    certify_bursts,
    certify_k_flips,
    largest_k,
    one_layer_each,
    save_certificates,
    single_flips_in_parts,
    with_fewer,
    write_burst_table,
    write_flip_table,
)
from flow.certify import certify_bits as certify_every_flip
from flow.certify.branch_answers import certify_flips_by_branching
from flow.certify.k_flips import BRANCH, BUDGET, CASES, EXACT, SOLVER
from flow.certify.parts import in_parts
from flow.errors import InputError
from flow.graphfile import digest, load_graph
from flow.ir import Graph
from flow.stages import Images, Progress, Record, fitting

LARGEST = "largest"  # as a number of flips: however many are certified, up to MOST
MOST = 16
WORDS = {
    BUDGET: "budgets of flips through integer intervals, then an attack on the rest",
    CASES: "budgets of flips, by cases of the channel struck first, then an attack on the rest",
    EXACT: "the most that flips of the last two layers can add to a rival's lead, exactly",
    BRANCH: "budgets of flips, an attack, then branch and bound on bits",
    SOLVER: "budgets of flips, an attack, then the solver CP-SAT",
}
TIMED = BRANCH, SOLVER  # methods that take ``seconds``


@dataclass(frozen=True, slots=True)
class _Question:
    """How many flips of which bits, within which radius of the input, answered by which method."""

    subset: BitSubset
    names: tuple[str, ...]  # of the choice, in the names of files
    flips: int = 1
    radius: int = 0
    method: str = BUDGET
    seconds: float = 60.0  # of branching or the solver, for each image

    @property
    def asked(self) -> dict[str, Any]:
        """What parts of an earlier run must have been asked to be of this one."""
        own = {"flips": self.flips, "subset": self.subset.terms(), "radius": self.radius}
        limit = {"seconds": self.seconds} if self.method in TIMED else {}
        return {**own, "method": self.method, **limit}

    def path(self, directory: Path, flips: int) -> Path:
        """Where the certificates of so many flips go."""
        return directory / ("-".join(["bits", str(flips), *self.names]) + ".json")

    def answer(self, directory: Path) -> Callable[..., CertificateSet]:
        """What certifies some images."""
        own: dict[str, Any] = {"flips": self.flips, "subset": self.subset}
        if self.method == BRANCH:
            return partial(certify_flips_by_branching, **own, seconds=self.seconds)
        if self.method != SOLVER:
            return partial(certify_k_flips, **own, radius=self.radius, method=self.method)
        from flow.certify.flip_answers import certify_flips_by_solver  # brings the solver

        models = directory / "models"
        return partial(certify_flips_by_solver, **own, seconds=self.seconds, models=models)


def certify_bits(
    graph_path: Path, data: Images, *, directory: Path, flips: str | None = None,
    layer: Sequence[str] = (), memory: Sequence[str] = (), highest: int | None = None,
    radius: Sequence[int] = (), each_layer: bool = False, cases: bool = False,
    exact: bool = False, branch: bool = False, solver: bool = False,
    seconds: float | None = None, burst: int | None = None, build: Path | None = None,
    jobs: int = 1, progress: Progress | None = None,
) -> Record:  # fmt: skip
    """Certificates of flipped bits; the record counts images by number of flips.

    Args:
        flips: any so many bits flip together, or ``largest``; None: every single one, exactly.
        layer, memory, highest: the bits that may flip, as ``BitSubset.choose`` takes them.
        radius: of flips, one at most: every input within it may take the image's place.
        each_layer: of flips: say what is certified with the flips in each layer alone.
        cases: of flips: take what budgets leave open apart by the channel struck first.
        exact: of flips: the fewest there are, for bits of the last two layers of a fixed input.
        branch: of flips: split the rest bit by bit, ``seconds`` (60) for each image.
        solver: of flips: ask CP-SAT about the rest, ``seconds`` (60) for each image.
        burst, build: instead of single flips every run of ``burst`` adjacent bits of one word of
            the memories of ``build``, exactly.
        jobs: threads that enumerate flips or bursts.

    Raises:
        InputError: options that do not go together, or bits that the graph does not store.
    """
    graph = load_graph(graph_path)
    of_flips = radius, each_layer, cases, exact, branch, solver, seconds
    if burst is not None or build is not None:
        length, made = _burst(
            burst, build, alone=not any((flips, layer, memory, highest, *of_flips))
        )
        return _every_burst(graph, data, length, made, directory, jobs, progress)
    subset = BitSubset.choose(graph, layers=layer, memories=memory, highest=highest)
    method = _method(cases, exact, branch, solver)
    solved = (method,) if method in (EXACT, BRANCH, SOLVER) else ()
    names = *layer, *memory, *solved, *([f"highest-{highest}"] if highest else [])
    if flips is None:
        _of_flips_alone(of_flips)
        return _every_flip(graph, data, subset, directory, names, jobs, progress)
    near = _radius(radius, method)
    names += (f"radius-{near}",) if near else ()
    if seconds is not None and method not in TIMED:
        raise InputError("--seconds with --flips is of --branch and --solver")
    count = _flips(flips, subset.count(graph))
    question = _Question(subset, names, count, near, method, 60.0 if seconds is None else seconds)
    return _any_flips(graph, data, question, directory, each_layer, progress)


def _burst(burst: int | None, build: Path | None, *, alone: bool) -> tuple[int, Path]:
    if burst is None or build is None:
        raise InputError("--burst and --build go together: adjacent bits of the words of a build")
    if not alone:
        raise InputError("--burst takes --build and --jobs; it is about every memory")
    return burst, build


def _of_flips_alone(options: Sequence[object]) -> None:
    if any(options):
        raise InputError(
            "--radius, --each-layer, --cases, --exact, --branch, --solver and --seconds are of "
            "--flips; give how many bits"
        )


def _radius(radius: Sequence[int], method: str) -> int:
    if len(radius) > 1:
        raise InputError("--radius with --flips: give one radius for each run")
    near = radius[0] if radius else 0
    if near and method in TIMED:
        option = "--branch" if method == BRANCH else "--solver"
        raise InputError(f"{option} with --flips is about fixed inputs; leave --radius out")
    return near


def _method(cases: bool, exact: bool, branch: bool, solver: bool) -> str:
    if cases + exact + branch + solver > 1:
        raise InputError("--cases, --exact, --branch and --solver: give one of them")
    chosen = {CASES: cases, EXACT: exact, BRANCH: branch, SOLVER: solver}
    return next((method for method, asked in chosen.items() if asked), BUDGET)


def _flips(text: str, stored: int) -> int:
    if text == LARGEST:
        return min(MOST, stored)
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"--flips {text}: give a number of at least 1, or {LARGEST}")
    return int(text)


def _every_flip(
    graph: Graph,
    data: Images,
    subset: BitSubset,
    directory: Path,
    chosen: Sequence[str],
    jobs: int,
    progress: Progress | None,
) -> Record:
    """Every single stored bit flip on every image, exactly; one certificate file and the effects
    of every bit as a table."""
    x = fitting(graph, data)
    started = perf_counter()
    folder = directory / "bits-single.parts"
    flips = single_flips_in_parts(graph, (x, data.y), folder=folder, jobs=jobs, progress=progress)
    seconds = perf_counter() - started
    found = certify_every_flip(flips, x, y=data.y, subset=subset)
    name = "-".join(["bits-single", *chosen]) + ".json"
    save_certificates(found, directory / name)
    write_flip_table(flips, directory / "bits-single.parquet")
    bits = np.flatnonzero(subset.positions(flips.bits))
    changes = flips.class_changes[bits]
    worst = int(changes.argmax())
    return {
        **_about(graph, data, "exhaustive single flips by delta propagation, exact"),
        "stored_bits": len(bits),
        "pairs": len(bits) * len(x),
        "pairs_with_changed_logits": int(flips.logit_changes[bits].sum()),
        "pairs_with_changed_class": int(changes.sum()),
        "seconds": round(seconds, 2),
        "pairs_per_second": round(len(flips.bits) * len(x) / max(seconds, 1e-9)),
        "jobs": jobs,
        "worst_fault": str(flips.bits.fault(int(bits[worst]))),
        "worst_fault_images": int(changes[worst]),
        "by_bit": _by_bit(flips, len(x)),
        "enumeration": found.enumeration,
        **found.terms,
        **found.summary(),
        "certificates": name,
        "table": "bits-single.parquet",
    }


def _every_burst(
    graph: Graph,
    data: Images,
    length: int,
    build: Path,
    directory: Path,
    jobs: int,
    progress: Progress | None,
) -> Record:
    """Every burst of a build on every image, exactly; a certificate file and a table of effects."""
    made = load_build(build, graph=graph)
    bursts, x = Bursts(site_table(graph, made.plan()), length), fitting(graph, data)
    name, started = f"bits-burst-{length}", perf_counter()
    flips = burst_flips_in_parts(
        graph, (x, data.y), bursts=bursts, folder=directory / f"{name}.parts", jobs=jobs,
        progress=progress,
    )  # fmt: skip
    seconds = perf_counter() - started
    found = certify_bursts(flips, x, y=data.y)
    save_certificates(found, directory / f"{name}.json")
    write_burst_table(flips, directory / f"{name}.parquet")
    worst = int(flips.class_changes.argmax())
    memory, word, bit = bursts.place(worst)
    return {
        **_about(
            graph, data, "every burst of adjacent bits of a memory word by delta propagation, exact"
        ),
        "build": str(build),
        "flips": length,
        "bursts": len(bursts),
        "pairs": len(bursts) * len(x),
        "pairs_with_changed_logits": int(flips.logit_changes.sum()),
        "pairs_with_changed_class": int(flips.class_changes.sum()),
        "seconds": round(seconds, 2),
        "pairs_per_second": round(len(bursts) * len(x) / max(seconds, 1e-9)),
        "jobs": jobs,
        "worst_burst": f"{memory} word {word} from bit {bit}",
        "worst_burst_images": int(flips.class_changes[worst]),
        "enumeration": found.enumeration,
        **found.terms,
        **found.summary(),
        "certificates": f"{name}.json",
        "table": f"{name}.parquet",
    }


def _any_flips(
    graph: Graph,
    data: Images,
    asked: _Question,
    directory: Path,
    each_layer: bool,
    progress: Progress | None,
) -> Record:
    """Any so many bits flipped together: budgets prove, an attack refutes. One file for each
    number of flips up to the first that is certified for no image, and one for all."""
    x, started, flips = fitting(graph, data), perf_counter(), asked.flips
    path = asked.path(directory, flips)
    found = in_parts(
        asked.answer(directory), graph, (x, data.y), path=path, asked=asked.asked, progress=progress
    )
    seconds, rows = round(perf_counter() - started, 2), _by_flips(found)
    last = next((row["flips"] for row in rows if not row["certified"]), flips)
    for k in range(1, min(last + 1, flips)):
        save_certificates(with_fewer(found, k), asked.path(directory, k))
    subset = asked.subset
    layers = _by_layer(graph, data, flips, asked.radius, subset) if each_layer else {}
    return {
        **_about(graph, data, WORDS[asked.method]),
        "stored_bits": subset.count(graph),
        "flips": flips,
        "seconds": seconds,
        "by_flips": rows,
        **layers,
        **found.terms,
        **found.summary(),
        "certificates": path.name,
    }


def _about(graph: Graph, data: Images, method: str) -> Record:
    """What every record of flips begins with."""
    return {
        "graph": graph.name,
        "graph_digest": digest(graph),
        "property": "bits",
        "method": method,
        "data": data.name,
        "images": len(data.y),
    }


def _by_flips(found: CertificateSet) -> list[Record]:
    """Images by number of flips: certified, and changed by an attack."""
    known = [c.detail for c in found.certificates if c.correct]
    return [
        {
            "flips": k,
            "certified": sum(c["certified"] >= k for c in known),
            "attacked": sum(c["attacked"] is not None and c["attacked"] <= k for c in known),
        }
        for k in range(1, found.radius + 1)
    ]


def _by_layer(
    graph: Graph, data: Images, flips: int, radius: int, subset: BitSubset
) -> dict[str, list[Record]]:
    """For each layer the images certified for 1 .. ``flips`` flips of its bits alone; the layers
    that certify fewest come first: they limit the whole. And what accumulators can hold."""
    x, rows = fitting(graph, data), []
    for name, layer in one_layer_each(graph, highest=subset.highest).items():
        if subset.parameters is None or set(layer.parameters or ()) <= set(subset.parameters):
            most = min(flips, layer.count(graph))
            held = largest_k(graph, x, y=data.y, most=most, subset=layer, radius=radius)
            counts = [int((held >= k).sum()) for k in range(1, most + 1)]
            rows.append({"layer": name, "stored_bits": layer.count(graph), "certified": counts})
    ranges = [
        {
            "layer": reached.node,
            "sums": [reached.low, reached.high],
            "needed": str(reached.needed),
            "register": str(reached.register),
            "wraps": reached.wraps,
        }
        for reached in accumulator_ranges(graph, flips=flips, subset=subset)
    ]
    return {"by_layer": sorted(rows, key=lambda row: row["certified"]), "accumulators": ranges}


def _by_bit(flips: SingleFlips, images: int) -> list[Record]:
    """Exact shares of pairs with changed logits and class, per parameter and bit position."""
    rows = []
    for block in flips.bits.blocks:
        span = slice(block.first, block.first + block.size)
        logits = flips.logit_changes[span].reshape(-1, block.bits).sum(axis=0)
        classes = flips.class_changes[span].reshape(-1, block.bits).sum(axis=0)
        pairs = block.size // block.bits * images
        rows += [
            {
                "group": f"{block.node}.{block.parameter} bit {bit}",
                "pairs": pairs,
                "changed": int(logits[bit]) / pairs,
                "critical": int(classes[bit]) / pairs,
            }
            for bit in range(block.bits)
        ]
    return rows
