"""Results on disk: one Parquet file per completed work unit, whole or absent, never changed."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from flow.atomic import write_atomic
from flow.campaign.outcome import DIRECTIONS, OUTCOMES, Answers
from flow.errors import InputError
from flow.ir import Array

SHARDS = "shards"
NUMBERS = {name: k for names in (OUTCOMES, DIRECTIONS) for k, name in enumerate(names)}
TEXT = pa.dictionary(pa.int8(), pa.string())
SCHEMA = pa.schema(
    {
        "fault": pa.int32(),  # position in the fault list
        "image": pa.int32(),  # position in the data set
        "label": pa.int32(),
        "clean_class": pa.int32(),
        "class": pa.int32(),
        "outcome": TEXT,
        "direction": TEXT,
    }
)
ROW_BYTES = 22  # uncompressed: five integers and two dictionary codes


@dataclass(frozen=True, slots=True)
class Unit:
    """Faults ``first .. last - 1`` of the list on all images: one shard."""

    number: int
    first: int
    last: int


def units(faults: int, *, size: int) -> tuple[Unit, ...]:
    """The list of ``faults`` faults cut into units of ``size``."""
    return tuple(
        Unit(number, first, min(first + size, faults))
        for number, first in enumerate(range(0, faults, size))
    )


@dataclass(frozen=True, slots=True, eq=False)
class UnitResult:
    """A unit's rows, the digest of its logits, and the seconds each engine took."""

    unit: Unit
    table: pa.Table
    logits: str
    seconds: Mapping[str, float]


def unit_table(
    unit: Unit,
    images: Array,
    labels: Array,
    *,
    clean: Answers,
    classes: Array,
    kinds: tuple[NDArray[np.int8], NDArray[np.int8]],
) -> pa.Table:
    """One row per (fault, image), by fault and then image.

    Args:
        images: positions in the data set, (images,); labels: their true classes.
        clean: answers (images, ...); classes: with each fault (faults, images).
        kinds: outcomes and directions as ``kinds_of`` numbers them, (faults, images).
    """
    faults = len(classes)
    columns = {
        "fault": np.repeat(np.arange(unit.first, unit.last), len(images)),
        "image": np.tile(images, faults),
        "label": np.tile(labels, faults),
        "clean_class": np.tile(clean.classes, faults),
        "class": classes.ravel(),
    }
    arrays = [pa.array(values.astype(np.int32)) for values in columns.values()]
    texts = [
        pa.DictionaryArray.from_arrays(pa.array(codes.ravel()), pa.array(names))
        for codes, names in zip(kinds, (OUTCOMES, DIRECTIONS), strict=True)
    ]
    return pa.table([*arrays, *texts], schema=SCHEMA)


def write_shard(directory: Path, result: UnitResult, *, campaign: str) -> None:
    """Write a unit's shard atomically, with the campaign's digest and its own inside."""
    metadata = {
        "campaign": campaign,
        "unit": str(result.unit.number),
        "rows": _rows_digest(result.table),
        "logits": result.logits,
        "seconds": json.dumps(result.seconds),
    }
    sink = io.BytesIO()
    pq.write_table(result.table.replace_schema_metadata(metadata), sink, compression="zstd")
    write_atomic(shard_path(directory, result.unit), sink.getvalue())


def completed(
    directory: Path, wanted: Iterable[Unit], *, campaign: str, images: int
) -> dict[Unit, Mapping[str, float]]:
    """The units whose shard is there, checked row by row, and the seconds each engine took.

    Raises:
        InputError: a shard is damaged, belongs to another campaign, or to none of ``wanted``.
    """
    return {
        unit: check_shard(path, unit, campaign=campaign, images=images)
        for path, unit in written(directory, wanted)
    }


def written(directory: Path, wanted: Iterable[Unit]) -> Iterator[tuple[Path, Unit]]:
    """The shards in ``directory`` and their units, in the order of names.

    Raises:
        InputError: there is something that belongs to none of ``wanted``.
    """
    by_path = {shard_path(directory, unit): unit for unit in wanted}
    for path in sorted((directory / SHARDS).glob("*")):
        if path not in by_path:
            raise InputError(f"{path}: not part of this campaign; move it away")
        yield path, by_path[path]


def read_shard(path: Path, campaign: str) -> tuple[pa.Table, Mapping[bytes, bytes]]:
    """The rows of a shard and what it says of itself.

    Raises:
        InputError: it is damaged, or of another campaign.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: damaged ({reason}); delete it and resume") from None
    metadata: Mapping[bytes, bytes] = table.schema.metadata or {}
    if metadata.get(b"campaign") != campaign.encode():
        raise InputError(f"{path}: a shard of another campaign; move it away")
    return table, metadata


def check_shard(path: Path, unit: Unit, *, campaign: str, images: int) -> Mapping[str, float]:
    """Refuse a shard that is not what this campaign wrote; the seconds each engine took."""
    table, metadata = read_shard(path, campaign)
    if metadata.get(b"unit") != str(unit.number).encode():
        raise InputError(f"{path}: not the faults of its unit; delete it and resume")
    sound = table.schema.equals(SCHEMA) and table.num_rows == (unit.last - unit.first) * images
    if not sound or metadata.get(b"rows") != _rows_digest(table).encode():
        raise InputError(f"{path}: damaged (its rows are not those written); delete it and resume")
    try:
        seconds: Mapping[str, float] = json.loads(metadata[b"seconds"])
    except (KeyError, ValueError):
        raise InputError(f"{path}: damaged (its times are lost); delete it and resume") from None
    return seconds


def read_outcomes(directory: Path, unit: Unit) -> pa.Table:
    """The column ``outcome`` of a shard that was found sound."""
    return pq.read_table(shard_path(directory, unit), columns=["outcome"])


def shard_path(directory: Path, unit: Unit) -> Path:
    """Where a unit's shard lies in a campaign's directory."""
    return directory / SHARDS / f"{unit.number:06d}.parquet"


def _rows_digest(table: pa.Table) -> str:
    total = hashlib.sha256()
    for column in table.columns:
        values = column.combine_chunks()
        if pa.types.is_dictionary(values.type):
            names = [NUMBERS.get(name, 255) for name in values.dictionary.to_pylist()]
            total.update(np.array(names, dtype=np.uint8)[values.indices.to_numpy()].tobytes())
        else:
            total.update(values.to_numpy().astype("<i4").tobytes())
    return total.hexdigest()
