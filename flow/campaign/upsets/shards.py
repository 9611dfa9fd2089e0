"""Results on disk: one Parquet file per completed unit of upsets, whole or absent."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flow.atomic import write_atomic
from flow.campaign.shards import Unit, read_shard, shard_path, written
from flow.campaign.upsets.outcome import SCHEMA
from flow.errors import InputError


def write_upsets(
    directory: Path, unit: Unit, rows: pa.Table, *, campaign: str, seconds: float
) -> None:
    """Write a unit's shard atomically, with the campaign's digest and its own inside."""
    metadata = {
        "campaign": campaign,
        "unit": str(unit.number),
        "rows": _digest(rows),
        "seconds": json.dumps(seconds),
    }
    sink = io.BytesIO()
    pq.write_table(rows.replace_schema_metadata(metadata), sink, compression="zstd")
    write_atomic(shard_path(directory, unit), sink.getvalue())


def completed_upsets(
    directory: Path, wanted: Iterable[Unit], *, campaign: str
) -> dict[Unit, float]:
    """The units whose shard is there, checked row by row, and the seconds each took.

    Raises:
        InputError: a shard is damaged, belongs to another campaign, or to none of ``wanted``.
    """
    return {unit: _check(path, unit, campaign) for path, unit in written(directory, wanted)}


def _check(path: Path, unit: Unit, campaign: str) -> float:
    table, metadata = read_shard(path, campaign)
    sound = table.schema.equals(SCHEMA) and table.num_rows == unit.last - unit.first
    sound = sound and metadata.get(b"unit") == str(unit.number).encode()
    if not sound or metadata.get(b"rows") != _digest(table).encode():
        raise InputError(f"{path}: damaged (its rows are not those written); delete it and resume")
    return float(json.loads(metadata[b"seconds"]))


def _digest(rows: pa.Table) -> str:
    return hashlib.sha256(json.dumps(rows.to_pydict()).encode()).hexdigest()
