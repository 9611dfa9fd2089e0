"""What every single flip does, on disk: parts of a run that survive a kill, and the final table."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flow.atomic import write_atomic
from flow.certify.effect import Effect
from flow.certify.flips import SingleFlips, single_flips
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
    x, y = data
    size = images or _images_of_a_part(graph)
    if size % 8:
        raise InputError(f"{size} images in a part: give a multiple of 8")
    found = []
    for first in range(0, max(len(x), 1), size):
        span = slice(first, first + size)
        path = folder / f"{part_key(graph, x[span], y[span], {'single': True})}.npz"
        if path.exists():
            found.append(_load(path, graph))
        else:
            step = within(progress, first, len(x[span]), len(x))
            found.append(single_flips(graph, x[span], y=y[span], jobs=jobs, progress=step))
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


def join(parts: Sequence[SingleFlips]) -> SingleFlips:
    """The flips of the images of all ``parts``, in order; all but the last have a multiple of 8."""
    return SingleFlips(
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
    stream = io.BytesIO()
    table = pa.concat_tables(blocks).unify_dictionaries() if blocks else pa.table({})
    pq.write_table(
        table.replace_schema_metadata({"graph": flips.graph_digest}), stream, compression="zstd"
    )
    write_atomic(path, stream.getvalue())


def _save(flips: SingleFlips, path: Path) -> None:
    stream = io.BytesIO()
    np.savez_compressed(stream, **{name: getattr(flips, name) for name in ARRAYS})
    write_atomic(path, stream.getvalue())


def _load(path: Path, graph: Graph) -> SingleFlips:
    try:
        with np.load(path) as arrays:
            return SingleFlips(
                digest(graph), StoredBits.of(graph), *(arrays[name] for name in ARRAYS)
            )
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise InputError(f"{path}: damaged ({error}); remove it and certify again") from None
