"""Which stored bits are critical, and which to protect: a record and its files."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flow.atomic import write_atomic
from flow.build import SiteTable, load_build, site_table
from flow.campaign.faultlist import memory_name
from flow.certify import SingleFlips, StoredBits, save_certificates, single_flips_in_parts
from flow.certify.effect import Effect
from flow.certify.k_flips import certify_k_flips
from flow.certify.protection import (
    Protection,
    critical_bits,
    fewest_bits,
    fewest_parts,
    lift,
    memories,
    ranking,
    smallest_parts,
    words,
)
from flow.errors import InputError
from flow.graphfile import load_graph
from flow.ir import Array, Graph
from flow.stages import Images, Progress, Record, fitting

SHOWN = 5  # of the most critical bits, in the record
SHARES = ("0.5", "0.9", "0.99", "1")


def protect(
    graph_path: Path,
    data: Images,
    *,
    directory: Path,
    shares: Sequence[str] = SHARES,
    build: Path | None = None,
    flips: int | None = None,
    certified: str = "1",
    jobs: int = 1,
    progress: Progress | None = None,
) -> Record:
    """Rank every stored bit by the images whose class its flip changes, exactly, and find the
    smallest sets to protect. Writes ``ranking.parquet`` and ``protected.parquet``.

    Args:
        shares: of critical faults to keep away, decimal numbers above 0 up to 1.
        build: a build, whose memory words are the ones to protect.
        flips: also memories whose protection certifies correct images for so many flips.
        certified: of flips: the share of the correct images.

    Raises:
        InputError: a share is none, or the build is of another graph.
    """
    graph = load_graph(graph_path)
    wanted, goal = [(text, _share(text)) for text in shares], _share(certified)
    x, bits = fitting(graph, data), StoredBits.of(graph)
    table = None if build is None else site_table(graph, load_build(build, graph=graph).plan())
    started = perf_counter()
    folder = directory / "protect.parts"
    found = single_flips_in_parts(graph, (x, data.y), folder=folder, jobs=jobs, progress=progress)
    sets: dict[str, Array] = {}
    rows = [row for text, share in wanted for row in _smallest(found, text, share, table, sets)]
    sets["certified 1"] = critical_bits(found)
    lifted = {} if flips is None else _lifted(graph, (x, data.y), flips, goal, directory, sets)
    _write_ranking(found, directory / "ranking.parquet")
    _write_sets(bits, sets, directory / "protected.parquet", found.graph_digest)
    return {
        "graph": graph.name,
        **_counts(found, data),
        "protected_for_one_flip": len(sets["certified 1"]),
        **lifted,
        "seconds": round(perf_counter() - started, 2),
        "worst": _worst(found),
        "sets": rows,
        "ranking": "ranking.parquet",
        "protected": "protected.parquet",
    }


def _counts(flips: SingleFlips, data: Images) -> Record:
    """Images, bits and faults, before anything is protected, and how they were counted."""
    return {
        "graph_digest": flips.graph_digest,
        "method": "exhaustive single flips by delta propagation, exact",
        "data": data.name,
        "images": len(data.y),
        "correct": int(flips.correct.sum()),
        "stored_bits": len(flips.bits),
        "critical_bits": int((flips.class_changes > 0).sum()),
        "critical_faults": int(flips.class_changes.sum()),
        "certified_for_one_flip": int(flips.certified.sum()),
    }


def _worst(flips: SingleFlips) -> list[dict[str, Any]]:
    """The most critical bits in words."""
    return [
        {"bit": str(flips.bits.fault(int(k))), "images": int(flips.class_changes[k])}
        for k in ranking(flips)[:SHOWN]
    ]


def _smallest(
    flips: SingleFlips, text: str, share: Fraction, table: SiteTable | None, sets: dict[str, Array]
) -> Iterator[dict[str, Any]]:
    """A row for bits, memories and words that keep ``share`` away; their bits go into ``sets``."""
    fewest = fewest_bits(flips, share)
    sets[f"bits {text}"] = fewest
    removed = int(flips.class_changes[fewest].sum())
    yield _row("bits", text, len(fewest), len(fewest), removed, flips)
    parted = {"memories": smallest_parts(flips, memories(flips.bits), share)}
    if table is not None:
        parted["words"] = fewest_parts(flips, words(table, flips.bits), share)
    for unit, chosen in parted.items():
        sets[f"{unit} {text}"] = _bits_of(chosen)
        row = _row(unit, text, len(chosen.parts), chosen.bits, chosen.removed, flips)
        yield row | ({"which": _names(chosen)} if unit == "memories" else {})


def _share(text: str) -> Fraction:
    try:
        share = Fraction(text)
    except (ValueError, ZeroDivisionError):
        share = Fraction(0)
    if not 0 < share <= 1:
        raise InputError(f"share {text}: give a number above 0 up to 1, as 0.9")
    return share


def _row(
    unit: str, share: str, parts: int, bits: int, removed: int, flips: SingleFlips
) -> dict[str, Any]:
    faults = int(flips.class_changes.sum())
    return {
        "unit": unit,
        "share": share,
        "protected": parts,
        "bits": bits,
        "of_all_bits": round(bits / len(flips.bits), 6),
        "removed": round(removed / faults, 6) if faults else 1.0,
    }


def _names(chosen: Protection) -> str:
    return " ".join(part.name for part in chosen.parts)


def _bits_of(chosen: Protection) -> Array:
    parts = [part.bits for part in chosen.parts]
    return np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *parts]))


def _lifted(
    graph: Graph,
    data: tuple[Array, Array],
    flips: int,
    goal: Fraction,
    directory: Path,
    sets: dict[str, Array],
) -> dict[str, Any]:
    """Of --flips: the memories found, and the certificates that hold with them protected."""
    x, y = data
    found = lift(graph, x, y=y, flips=flips, share=goal)
    if found is None:
        return {"lift": {"flips": flips, "memories": "all; bounds certify no smaller set"}}
    most = min(flips, found.subset.count(graph))
    made = certify_k_flips(graph, x, y=y, flips=most, subset=found.subset)
    name = f"protected-bits-{flips}.json"
    save_certificates(made, directory / name)
    stored = StoredBits.of(graph)
    sets[f"certified {flips}"] = np.flatnonzero(~found.subset.positions(stored))
    return {
        "lift": {
            "flips": flips,
            "memories": " ".join(found.memories) or "none",
            "bits": found.bits,
            "certified": f"{found.certified} of {found.correct}",
            "sets_tried": found.tried,
            "certificates": name,
        }
    }


def _write_ranking(flips: SingleFlips, path: Path) -> None:
    """Every stored bit, the most critical first."""
    order = ranking(flips)
    critical = flips.class_changes[order]
    total = max(1, int(critical.sum()))
    table = _places(flips.bits, order)
    table |= {
        "critical": pa.array(critical, pa.int32()),
        "right_to_wrong": pa.array(flips.counts[order, Effect.RIGHT_TO_WRONG], pa.int32()),
        "removed": pa.array(np.cumsum(critical) / total),  # with this and all above protected
    }
    _write(table, path, flips.graph_digest)


def _write_sets(bits: StoredBits, sets: Mapping[str, Array], path: Path, graph: str) -> None:
    """One row per set and bit in it."""
    order = np.concatenate([np.zeros(0, dtype=np.int64), *sets.values()])
    names = np.repeat(np.array(list(sets)), [len(chosen) for chosen in sets.values()])
    table = {"set": pa.array(names.tolist(), pa.string()).dictionary_encode()}
    _write(table | _places(bits, order), path, graph)


def _places(bits: StoredBits, order: Array) -> dict[str, pa.Array]:
    faults = [bits.fault(int(k)) for k in order]
    return {
        "memory": pa.array([memory_name(f.node, f.parameter) for f in faults], pa.string()),
        "node": pa.array([f.node for f in faults], pa.string()),
        "parameter": pa.array([f.parameter for f in faults], pa.string()),
        "index": pa.array([list(f.index) for f in faults], pa.list_(pa.int32())),
        "bit": pa.array([f.bit for f in faults], pa.int8()),
    }


def _write(columns: Mapping[str, pa.Array], path: Path, graph: str) -> None:
    sink = io.BytesIO()
    table = pa.table(dict(columns)).replace_schema_metadata({"graph": graph})
    pq.write_table(table, sink, compression="zstd")
    write_atomic(path, sink.getvalue())
