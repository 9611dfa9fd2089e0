"""A list of faults on disk: Parquet with its own digest, re-runnable on the graph it was drawn for.

The columns name each fault in the graph's terms, so one list serves every build of the graph.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flow.atomic import write_atomic
from flow.campaign.sample import strata
from flow.errors import InputError
from flow.graphfile import digest
from flow.ir import Fault, Graph, Kind

FORMAT = 1
SCHEMA = pa.schema(
    {
        "fault": pa.int32(),  # the position in the list
        "memory": pa.string(),
        "node": pa.string(),
        "parameter": pa.string(),
        "index": pa.list_(pa.int32()),
        "bit": pa.int32(),
        "kind": pa.string(),
        "weight": pa.float64(),  # how many stored bits this draw stands for
    }
)


@dataclass(frozen=True)
class FaultList:
    """Distinct single-bit faults of the graph with ``graph_digest``, in a fixed order."""

    graph_digest: str
    faults: tuple[Fault, ...]

    def __post_init__(self) -> None:
        twice = [fault for fault, times in Counter(self.faults).items() if times > 1]
        if twice:
            raise InputError(f"faults: {twice[0]} is listed twice; list each fault once")

    def __len__(self) -> int:
        return len(self.faults)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the graph digest and every fault, independent of any file format."""
        text = json.dumps([self.graph_digest, *(_row(fault) for fault in self.faults)])
        return hashlib.sha256(text.encode()).hexdigest()


def save_faults(faults: FaultList, path: Path, *, graph: Graph) -> None:
    """Write ``path`` atomically, one row per fault with the weight of its draw."""
    sink = io.BytesIO()
    pq.write_table(_table(faults, graph), sink, compression="zstd")
    write_atomic(path, sink.getvalue())


def load_faults(path: Path, *, graph: Graph) -> FaultList:
    """Read a list written by :func:`save_faults`.

    Raises:
        InputError: the file is missing or damaged, or was drawn for another graph.
    """
    try:
        table = pq.read_table(path, schema=SCHEMA)
        metadata = pq.read_schema(path).metadata or {}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; draw a list by running a campaign") from None
    except (OSError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: not a fault list ({reason}); draw it again") from None
    if metadata.get(b"format") != str(FORMAT).encode():
        raise InputError(f"{path}: not a fault list of format {FORMAT}; draw it again")
    if metadata.get(b"graph") != digest(graph).encode():
        raise InputError(f"{path}: drawn for another graph than {graph.name!r}; draw it again")
    try:
        faults = FaultList(
            digest(graph),
            tuple(
                Fault(r["node"], r["parameter"], tuple(r["index"]), r["bit"], Kind(r["kind"]))
                for r in table.to_pylist()
            ),
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged ({error}); draw it again") from None
    if faults.digest.encode() != metadata.get(b"faults") or not _table(faults, graph).equals(table):
        raise InputError(f"{path}: damaged (digest or weights differ); draw it again")
    return faults


def memory_name(fault: Fault) -> str:
    """The memory that holds the bit in every build; sign bits lie in the words of thresholds."""
    return f"{fault.node}.{'thresholds' if fault.parameter == 'sign' else fault.parameter}"


def _table(faults: FaultList, graph: Graph) -> pa.Table:
    sizes = {(s.node, s.parameter, s.bit): s.size for s in strata(graph)}
    drawn = Counter(map(_stratum, faults.faults))
    return pa.table(
        {
            "fault": range(len(faults)),
            "memory": [memory_name(fault) for fault in faults.faults],
            "node": [fault.node for fault in faults.faults],
            "parameter": [fault.parameter for fault in faults.faults],
            "index": [fault.index for fault in faults.faults],
            "bit": [fault.bit for fault in faults.faults],
            "kind": [str(fault.kind) for fault in faults.faults],
            "weight": [sizes[_stratum(f)] / drawn[_stratum(f)] for f in faults.faults],
        },
        schema=SCHEMA.with_metadata(
            {"format": str(FORMAT), "graph": faults.graph_digest, "faults": faults.digest}
        ),
    )


def _stratum(fault: Fault) -> tuple[str, str, int]:
    return fault.node, fault.parameter, fault.bit


def _row(fault: Fault) -> Sequence[object]:
    return [fault.node, fault.parameter, list(fault.index), fault.bit, str(fault.kind)]
