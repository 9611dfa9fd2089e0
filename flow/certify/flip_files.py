"""What every single flip does, on disk: parts of a run that survive a kill, and the final table."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flow.atomic import write_atomic
from flow.certify.bursts import Bursts
from flow.certify.effect import Effect
from flow.certify.flips import Bits, Flips, SingleFlips, burst_flips, single_flips
from flow.certify.parts import Progress, part_key, within
from flow.certify.stored_bits import StoredBits
from flow.errors import InputError
from flow.graphfile import digest
from flow.ir import Array, Graph

ARRAYS = ("correct", "counts", "critical", "critical_faults", "worst_fault", "rises")
_PAIRS = 1 << 24  # of flips and images in a part


def single_flips_in_parts(
    graph: Graph,
    data: tuple[Array, Array],
    *,
    folder: Path,
    jobs: int = 1,
    images: int | None = None,
    progress: Progress | None = None,
) -> SingleFlips:
    """``single_flips`` of images and labels, ``images`` at a time; finished parts lie in ``folder``
    until all are there, so a killed run that is started again goes on where it was.

    Args:
        images: of a part; by default 8 to 64 of a network of images, by how many bits it stores,
            4,096 of any other.

    Raises:
        InputError: as ``single_flips``; ``images`` is no multiple of 8; a part is damaged.
    """
    strike = partial(single_flips, graph, jobs=jobs)
    return _in_parts(strike, graph, data, StoredBits.of(graph), folder, images, progress)


def burst_flips_in_parts(
    graph: Graph,
    data: tuple[Array, Array],
    *,
    bursts: Bursts,
    folder: Path,
    jobs: int = 1,
    images: int | None = None,
    progress: Progress | None = None,
) -> Flips[Bursts]:
    """``burst_flips`` as ``single_flips_in_parts`` runs single ones."""
    strike = partial(burst_flips, graph, bursts=bursts, jobs=jobs)
    return _in_parts(strike, graph, data, bursts, folder, images, progress)


def _in_parts(
    strike: Callable[..., Flips[Bits]],
    graph: Graph,
    data: tuple[Array, Array],
    bits: Bits,
    folder: Path,
    images: int | None,
    progress: Progress | None,
) -> Flips[Bits]:
    x, y = data
    size = images or _images_of_a_part(graph)
    if size % 8:
        raise InputError(f"{size} images in a part: give a multiple of 8")
    asked: dict[str, Any] = {"single": True}
    if isinstance(bits, Bursts):
        asked = bits.terms()
    found = []
    for first in range(0, max(len(x), 1), size):
        span = slice(first, first + size)
        path = folder / f"{part_key(graph, x[span], y[span], asked)}.npz"
        if path.exists():
            found.append(_load(path, graph, bits))
        else:
            step = within(progress, first, len(x[span]), len(x))
            found.append(strike(x[span], y=y[span], progress=step))
            _save(found[-1], path)
        if progress is not None:
            progress(min(first + size, len(x)), len(x))
    rmtree(folder)
    return join(found)


def _images_of_a_part(graph: Graph) -> int:
    """So many that a part of a network of images is minutes of work at most."""
    if len(graph.input_edge.shape) == 1:
        return 4096
    return min(64, max(8, _PAIRS // max(1, len(StoredBits.of(graph))) // 8 * 8))


def join(parts: Sequence[Flips[Bits]]) -> Flips[Bits]:
    """The flips of the images of all ``parts``, in order; all but the last have a multiple of 8."""
    return Flips(
        parts[0].graph_digest,
        parts[0].bits,
        np.concatenate([part.correct for part in parts]),
        np.sum([part.counts for part in parts], axis=0),
        np.concatenate([part.critical for part in parts], axis=1),
        np.concatenate([part.critical_faults for part in parts]),
        np.concatenate([part.worst_fault for part in parts]),
        np.sum([part.rises for part in parts], axis=0),
    )


def write_flip_table(flips: SingleFlips, path: Path) -> None:
    """Write one Parquet row per stored bit: node, parameter, index (as in the graph), bit, and the
    number of images on which its flip has each effect."""
    blocks = []
    for block in flips.bits.blocks:
        elements = block.size // block.bits
        index = np.indices(block.shape).reshape(len(block.shape), -1).T
        rows = {
            "node": pa.array([block.node] * block.size).dictionary_encode(),
            "parameter": pa.array([block.parameter] * block.size).dictionary_encode(),
            "index": pa.FixedSizeListArray.from_arrays(
                pa.array(np.repeat(index, block.bits, axis=0).ravel(), pa.int32()),
                len(block.shape),
            ).cast(pa.list_(pa.int32())),
            "bit": pa.array(np.tile(np.arange(block.bits), elements), pa.int8()),
        }
        span = slice(block.first, block.first + block.size)
        for kind in Effect:
            rows[kind.name.lower()] = pa.array(flips.counts[span, kind], pa.int32())
        blocks.append(pa.table(rows))
    table = pa.concat_tables(blocks).unify_dictionaries() if blocks else pa.table({})
    _write(table, path, graph=flips.graph_digest)


def write_burst_table(flips: Flips[Bursts], path: Path) -> None:
    """Write one Parquet row per burst: memory, word, lowest bit, and the number of images on which
    it has each effect."""
    places = [flips.bits.place(k) for k in range(len(flips.bits))]
    memory, word, bit = ([place[k] for place in places] for k in range(3))
    rows = {
        "memory": pa.array(memory, pa.string()).dictionary_encode(),
        "word": pa.array(word, pa.int32()),
        "bit": pa.array(bit, pa.int32()),
    }
    rows |= {kind.name.lower(): pa.array(flips.counts[:, kind], pa.int32()) for kind in Effect}
    terms = flips.bits.terms()["burst"]
    _write(
        pa.table(rows),
        path,
        graph=flips.graph_digest,
        **{name: str(term) for name, term in terms.items()},
    )


def _write(table: pa.Table, path: Path, **metadata: str) -> None:
    stream = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), stream, compression="zstd")
    write_atomic(path, stream.getvalue())


def _save(flips: Flips[Bits], path: Path) -> None:
    stream = io.BytesIO()
    np.savez_compressed(stream, **{name: getattr(flips, name) for name in ARRAYS})
    write_atomic(path, stream.getvalue())


def _load(path: Path, graph: Graph, bits: Bits) -> Flips[Bits]:
    try:
        with np.load(path) as arrays:
            return Flips(digest(graph), bits, *(arrays[name] for name in ARRAYS))
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise InputError(f"{path}: damaged ({error}); remove it and certify again") from None
