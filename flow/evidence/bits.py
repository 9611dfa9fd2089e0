"""Certificates of stored bits: every single flip, or any so many together."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from flow.certify import (
    SingleFlips,
    certify_k_flips,
    k_flips,
    save_certificates,
    single_flips_in_parts,
    write_flip_table,
)
from flow.certify import certify_bits as certify_every_flip
from flow.graphfile import digest, load_graph
from flow.stages import Images, Progress, Record, fitting


def certify_bits(
    graph_path: Path,
    data: Images,
    *,
    directory: Path,
    flips: int | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Record:
    """Every single flip, exactly; with ``flips`` any so many together. One certificate file."""
    if flips is None:
        return _every_flip(graph_path, data, directory=directory, jobs=jobs, progress=progress)
    return _any_flips(graph_path, data, flips=flips, directory=directory, progress=progress)


def _every_flip(
    graph_path: Path, data: Images, *, directory: Path, jobs: int, progress: Progress | None
) -> Record:
    """Every single stored bit flip on every image, exactly; one certificate file and the effects
    of every bit as a table."""
    graph = load_graph(graph_path)
    x = fitting(graph, data)
    started = perf_counter()
    folder = directory / "bits-single.parts"
    flips = single_flips_in_parts(graph, (x, data.y), folder=folder, jobs=jobs, progress=progress)
    seconds = perf_counter() - started
    found = certify_every_flip(flips, x, y=data.y)
    save_certificates(found, directory / "bits-single.json")
    write_flip_table(flips, directory / "bits-single.parquet")
    pairs = len(flips.bits) * len(x)
    worst = int(flips.class_changes.argmax())
    return {
        "graph": graph.name,
        "graph_digest": digest(graph),
        "property": "bits",
        "method": "exhaustive single flips by delta propagation, exact",
        "data": data.name,
        "images": len(x),
        "stored_bits": len(flips.bits),
        "pairs": pairs,
        "pairs_with_changed_logits": int(flips.logit_changes.sum()),
        "pairs_with_changed_class": int(flips.class_changes.sum()),
        "seconds": round(seconds, 2),
        "pairs_per_second": round(pairs / max(seconds, 1e-9)),
        "jobs": jobs,
        "worst_fault": str(flips.bits.fault(worst)),
        "worst_fault_images": int(flips.class_changes[worst]),
        "by_bit": _by_bit(flips, len(x)),
        "enumeration": flips.enumeration(),
        **found.summary(),
        "certificates": "bits-single.json",
        "table": "bits-single.parquet",
    }


def _any_flips(
    graph_path: Path,
    data: Images,
    *,
    flips: int,
    directory: Path,
    progress: Progress | None = None,
) -> Record:
    """Any ``flips`` stored bits flipped together: budgets prove, a greedy attack refutes."""
    graph = load_graph(graph_path)
    x = fitting(graph, data)
    started = perf_counter()
    found = k_flips(graph, x, y=data.y, flips=flips, progress=progress)
    seconds = perf_counter() - started
    name = f"bits-{flips}.json"
    certificates = certify_k_flips(graph, found, x, y=data.y)
    save_certificates(certificates, directory / name)
    attacked = [len(witness) for witness in found.witness]
    return {
        "graph": graph.name,
        "graph_digest": digest(graph),
        "property": "bits",
        "method": "budgets of flips through integer intervals, then greedy exact flips",
        "data": data.name,
        "images": len(x),
        "flips": flips,
        "seconds": round(seconds, 2),
        "by_flips": [
            {
                "flips": k,
                "certified": int((found.correct & (found.certified >= k)).sum()),
                "attacked": sum(0 < n <= k for n in attacked),
            }
            for k in range(1, flips + 1)
        ],
        **certificates.summary(),
        "certificates": name,
    }


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
