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
from flow.campaign.shards import SHARDS, Unit, shard_path
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
    by_path = {shard_path(directory, unit): unit for unit in wanted}
    found = {}
    for path in sorted((directory / SHARDS).glob("*")):
        unit = by_path.get(path)
        if unit is None:
            raise InputError(f"{path}: not part of this campaign; move it away")
        found[unit] = _check(path, unit, campaign)
    return found


def _check(path: Path, unit: Unit, campaign: str) -> float:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: damaged ({reason}); delete it and resume") from None
    metadata = table.schema.metadata or {}
    if metadata.get(b"campaign") != campaign.encode():
        raise InputError(f"{path}: a shard of another campaign; move it away")
    sound = table.schema.equals(SCHEMA) and table.num_rows == unit.last - unit.first
    sound = sound and metadata.get(b"unit") == str(unit.number).encode()
    if not sound or metadata.get(b"rows") != _digest(table).encode():
        raise InputError(f"{path}: damaged (its rows are not those written); delete it and resume")
    return float(json.loads(metadata[b"seconds"]))


def _digest(rows: pa.Table) -> str:
    return hashlib.sha256(json.dumps(rows.to_pydict()).encode()).hexdigest()
