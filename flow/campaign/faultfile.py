"""A list of faults on disk: Parquet, one row per struck bit, re-runnable on its graph.

Format 1, of single bits, is read too.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from flow.atomic import write_atomic
from flow.campaign.elements import element_bits
from flow.campaign.faultlist import KINDS, NO_CHIP, FaultList, memory_name
from flow.campaign.sample import bit_weights
from flow.certify.stored_bits import StoredBits
from flow.errors import InputError
from flow.graphfile import digest
from flow.ir import Array, Graph

FORMAT = 2
PASSING = "passing"  # the metadata ``bits`` of a list of transient faults
GROUP = 1 << 16  # faults written at once
NAME = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    {
        "fault": pa.int32(),  # the position in the list; rows of one fault are struck together
        "level": pa.float64(),  # what the fault model was set to: bits, or a rate
        "chip": pa.int32(),  # null: not a pattern of a chip
        "weight": pa.float64(),  # how many stored bits this draw stands for; 1: independent draws
        "memory": NAME,  # from here null in the one row of a fault that strikes nothing
        "node": NAME,
        "parameter": NAME,
        "index": pa.list_(pa.int32()),
        "bit": pa.int32(),
        "kind": NAME,
    }
)
PLACE = ("node", "parameter", "index", "bit", "kind")


def save_faults(faults: FaultList, path: Path) -> None:
    """Write ``path`` atomically, in the order of the list."""
    named = {"format": str(FORMAT), "graph": faults.graph_digest, "model": faults.model}
    named |= {"bits": PASSING} if faults.transient else {}
    schema = SCHEMA.with_metadata(named | {"faults": faults.digest, "count": str(len(faults))})
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for first in range(0, len(faults), GROUP):
            writer.write_table(_rows(faults, first, min(first + GROUP, len(faults)), schema))
    write_atomic(path, sink.getvalue())


def load_faults(path: Path, *, graph: Graph) -> FaultList:
    """Read a list written by :func:`save_faults`.

    Raises:
        InputError: the file is missing or damaged, or was drawn for another graph.
    """
    with _opened(path) as file:
        return _load(path, file, graph)


def holds_faults(path: Path, faults: FaultList, *, graph: Graph) -> bool:
    """Whether the list at ``path`` is ``faults``; it is read a part at a time, never as a whole.

    Raises:
        InputError: as :func:`load_faults`.
    """
    with _opened(path) as file:
        form, metadata = _heading(path, file, graph)
        if form == "1":
            return _load(path, file, graph).digest == faults.digest
        if metadata.get(b"faults") != faults.digest.encode():
            _load(path, file, graph)  # damaged, or the list of another campaign
            return False
        batches = file.iter_batches(batch_size=GROUP, columns=SCHEMA.names)
        rest = pa.Table.from_batches([], schema=file.schema_arrow)
        for first in range(0, len(faults), GROUP):
            wanted = _rows(faults, first, min(first + GROUP, len(faults)), SCHEMA)
            while rest.num_rows < wanted.num_rows and (batch := next(batches, None)) is not None:
                rest = pa.concat_tables([rest, pa.Table.from_batches([batch])])
            if not _plain(rest.slice(0, wanted.num_rows)).equals(_plain(wanted)):
                raise InputError(f"{path}: damaged (digest differs); draw it again")
            rest = rest.slice(wanted.num_rows)
        if rest.num_rows or next(batches, None) is not None:
            raise InputError(f"{path}: damaged (digest differs); draw it again")
    return True


def _plain(table: pa.Table) -> pa.Table:
    """Without dictionaries, which may be in another order, and descriptions."""
    columns = [
        pc.cast(column, pa.string()) if pa.types.is_dictionary(column.type) else column
        for column in table.columns
    ]
    return pa.table(columns, names=table.column_names).combine_chunks()


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; draw a list by running a campaign") from None
    except (OSError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: not a fault list ({reason}); draw it again") from None


def _heading(path: Path, file: pq.ParquetFile, graph: Graph) -> tuple[str, dict[bytes, bytes]]:
    """The format, and what the writer says of the list."""
    metadata = file.schema_arrow.metadata or {}
    form = metadata.get(b"format", b"").decode()
    if form not in ("1", str(FORMAT)):
        raise InputError(f"{path}: not a fault list of format 1 or {FORMAT}; draw it again")
    if metadata.get(b"graph") != digest(graph).encode():
        raise InputError(f"{path}: drawn for another graph than {graph.name!r}; draw it again")
    return form, metadata


def _load(path: Path, file: pq.ParquetFile, graph: Graph) -> FaultList:
    form, metadata = _heading(path, file, graph)
    try:
        if form == "1":
            faults, found = _first_format(file, graph)
        else:
            faults = _second_format(file, graph)
            found = faults.digest
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise InputError(f"{path}: damaged ({error}); draw it again") from None
    if found.encode() != metadata.get(b"faults"):
        raise InputError(f"{path}: damaged (digest differs); draw it again")
    return faults


def _second_format(file: pq.ParquetFile, graph: Graph) -> FaultList:
    metadata = file.schema_arrow.metadata
    passing = metadata.get(b"bits", b"").decode() == PASSING
    bits = element_bits(graph) if passing else StoredBits.of(graph)
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in (*SCHEMA.names[:4], "at", "kind")}
    for batch in file.iter_batches(columns=[*SCHEMA.names[:4], *PLACE]):
        struck = pc.is_valid(batch["node"])
        chip = pc.fill_null(batch["chip"], NO_CHIP)
        for name, column in (
            ("chip", chip),
            *((n, batch[n]) for n in ("fault", "level", "weight")),
        ):
            parts[name].append(column.to_numpy(zero_copy_only=False))
        at, kind = _positions(bits, batch.filter(struck))
        parts["at"].append(np.where(struck.to_numpy(zero_copy_only=False), 0, -1))
        parts["at"][-1][parts["at"][-1] == 0] = at
        parts["kind"].append(kind)
    table = {name: np.concatenate(found) for name, found in parts.items()}
    number, struck = table["fault"], table["at"] >= 0
    count = int(metadata[b"count"])
    first = np.searchsorted(number, np.arange(count))
    if (np.diff(number) < 0).any() or (number[first] != np.arange(count)).any():
        raise ValueError("its faults are not numbered in order")
    return FaultList.assemble(
        graph,
        model=metadata[b"model"].decode(),
        bits=bits,
        sizes=np.bincount(number[struck], minlength=count),
        position=table["at"][struck],
        kind=table["kind"],
        weight=table["weight"][first],
        level=table["level"][first],
        chip=table["chip"][first].astype(np.int32),
    )


def _first_format(file: pq.ParquetFile, graph: Graph) -> tuple[FaultList, str]:
    """A list of single bits, and the digest its writer gave it."""
    table = file.read(columns=list(PLACE))
    bits = StoredBits.of(graph)
    position, kind = _positions(bits, table)
    named = zip(*(table[name].to_pylist() for name in PLACE), strict=True)
    text = json.dumps([digest(graph), *(list(row) for row in named)])
    faults = FaultList.assemble(
        graph,
        model="single",
        sizes=np.ones(len(position), dtype=np.int64),
        position=position,
        kind=kind,
        weight=bit_weights(bits, position),
    )
    return faults, hashlib.sha256(text.encode()).hexdigest()


def _rows(faults: FaultList, first: int, last: int, schema: pa.Schema) -> pa.Table:
    """The rows of faults ``first .. last - 1``; one that strikes nothing has one, of nulls."""
    sizes = np.diff(faults.start[first : last + 1])
    rows = np.maximum(sizes, 1)
    number = np.repeat(np.arange(first, last), rows)
    nothing = np.repeat(sizes == 0, rows)
    position = np.zeros(len(number), dtype=np.int64)
    position[~nothing] = faults.position[faults.start[first] : faults.start[last]]
    kind = np.zeros(len(number), dtype=np.int64)
    kind[~nothing] = faults.kind[faults.start[first] : faults.start[last]]
    blocks = faults.bits.blocks
    where = faults.bits.block_numbers(position)
    names = ((memory_name(b.node, b.parameter), b.node, b.parameter) for b in blocks)
    columns = [_named(list(name), where, nothing) for name in zip(*names, strict=True)]
    per_element = np.array([block.bits for block in blocks])[where]
    within = position - np.array([block.first for block in blocks])[where]
    chip = faults.chip[number]
    return pa.table(
        [
            pa.array(number, pa.int32()),
            pa.array(faults.level[number]),
            pa.array(chip, mask=chip == NO_CHIP),
            pa.array(faults.weight[number]),
            *columns,
            _indices(faults.bits, where, within // per_element, nothing),
            pa.array(within % per_element, pa.int32(), mask=nothing),
            _named(list(map(str, KINDS)), kind, nothing),
        ],
        schema=schema,
    )


def _named(names: list[str], which: Array, nothing: Any) -> pa.DictionaryArray:
    # Names may repeat (sign bits lie beside thresholds), entries of a dictionary may not.
    unique = sorted(set(names))
    codes = np.array([unique.index(name) for name in names], dtype=np.int32)[which]
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=nothing), pa.array(unique))


def _indices(bits: StoredBits, where: Array, element: Array, nothing: Any) -> pa.Array:
    axes = np.array([len(block.shape) for block in bits.blocks])[where]
    axes[nothing] = 0
    ends = np.cumsum(axes)
    flat = np.zeros(int(ends[-1]) if len(ends) else 0, dtype=np.int32)
    for number, block in enumerate(bits.blocks):
        here = np.flatnonzero((where == number) & ~nothing)
        for axis, places in enumerate(np.unravel_index(element[here], block.shape)):
            flat[ends[here] - axes[here] + axis] = places
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    starts = pa.array(offsets, mask=np.append(nothing, False))
    return pa.ListArray.from_arrays(starts, pa.array(flat))


def _positions(bits: StoredBits, rows: Any) -> tuple[Array, Any]:
    """The numbers of the bits and kinds that ``rows`` name.

    Raises:
        KeyError, ValueError: the graph does not store such a bit, or there is no such kind.
    """
    columns = [pc.cast(rows[name], pa.string()).to_pylist() for name in ("node", "parameter")]
    bit = rows["bit"].to_numpy(zero_copy_only=False).astype(np.int64)
    found = np.empty(len(bit), dtype=np.int64)
    names = np.array([f"{node}\0{parameter}" for node, parameter in zip(*columns, strict=True)])
    lengths = pc.list_value_length(rows["index"]).to_numpy(zero_copy_only=False)
    left = np.ones(len(bit), dtype=bool)
    for block in bits.blocks:
        here = np.flatnonzero(names == f"{block.node}\0{block.parameter}")
        if not here.size:
            continue
        left[here] = False
        if (lengths[here] != len(block.shape)).any():
            raise ValueError(f"an index of another length than {block.shape}")
        index = pc.list_flatten(rows["index"].take(pa.array(here)))
        place = index.to_numpy(zero_copy_only=False).reshape(len(here), -1)
        if not ((bit[here] >= 0) & (bit[here] < block.bits)).all():
            raise ValueError(f"a bit of {block.node}.{block.parameter} outside 0..{block.bits - 1}")
        element = np.ravel_multi_index(tuple(place.T), block.shape)
        found[here] = block.first + element * block.bits + bit[here]
    if left.any():
        raise KeyError(f"no parameter {str(names[left][0]).replace(chr(0), '.')}")
    kinds = pc.cast(rows["kind"], pa.string()).to_pylist()
    known = {str(kind): number for number, kind in enumerate(KINDS)}
    return found, np.array([known[kind] for kind in kinds], dtype=np.uint8)
