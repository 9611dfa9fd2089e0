"""Certify a test set in parts that survive a kill: each finished part is a file at once."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np

from flow.certify.certificate import (
    CertificateSet,
    input_digest,
    load_certificates,
    save_certificates,
)
from flow.errors import InputError
from flow.graphfile import digest
from flow.ir import Array, Graph

Progress = Callable[[int, int], None]
IMAGES = 100  # in a part; memory grows with a part, not with the test set


def in_parts(
    certify: Callable[..., CertificateSet],
    graph: Graph,
    data: tuple[Array, Array],
    *,
    path: Path,
    asked: Mapping[str, Any],
    images: int = IMAGES,
    jobs: int = 1,
    progress: Progress | None = None,
) -> CertificateSet:
    """``certify(graph, x, y=labels, progress=...)`` on ``images`` at a time, saved as one file.

    Finished parts lie in ``<path>.parts`` until ``path`` is written, so a killed run that is
    started again goes on where it was. Parts of another graph, image, label or ``asked`` are not
    looked at.

    Args:
        data: images (batch, *input shape) and their labels (batch,).
        asked: everything that the answer depends on, as JSON.
        jobs: processes that each work on a part of their own; what comes out is the same. With
            more than one, ``certify`` must be one that can be pickled.
        progress: called with (images done, in all); within a part as ``certify`` counts.

    Raises:
        InputError: ``certify`` refuses the graph or an image; a process was ended from outside.
    """
    x, y = data
    folder = path.with_name(f"{path.name}.parts")
    spans = [slice(first, first + images) for first in range(0, max(len(x), 1), images)]
    parts = [folder / f"{part_key(graph, x[span], y[span], asked)}.json" for span in spans]
    left = [(s, part) for s, part in zip(spans, parts, strict=True) if not part.exists()]
    if jobs > 1 and len(left) > 1:
        tasks = [(certify, graph, x[span], y[span], part) for span, part in left]
        _in_processes(tasks, jobs, progress, len(x))
    found: list[CertificateSet] = []
    for span, part in zip(spans, parts, strict=True):
        if part.exists():
            found.append(load_certificates(part))
        else:
            step = within(progress, span.start, len(x[span]), len(x))
            found.append(certify(graph, x[span], y=y[span], progress=step))
            save_certificates(found[-1], part)
        if progress is not None:
            progress(min(span.stop, len(x)), len(x))
    whole = replace(found[0], certificates=tuple(c for p in found for c in p.certificates))
    save_certificates(whole, path)
    rmtree(folder)
    return whole


_Task = tuple[Callable[..., CertificateSet], Graph, Array, Array, Path]


def _in_processes(tasks: list[_Task], jobs: int, progress: Progress | None, total: int) -> None:
    """Save every part, several at a time; one that fails ends the others that have not begun."""
    done = total - sum(len(task[2]) for task in tasks)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=context) as pool:
        try:
            for future in as_completed([pool.submit(_save_part, *task) for task in tasks]):
                done += future.result()
                if progress is not None:
                    progress(done, total)
        except BrokenProcessPool:
            raise InputError(
                "a process was ended from outside (out of memory?); start again with fewer --jobs, "
                "finished parts are kept"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _save_part(
    certify: Callable[..., CertificateSet], graph: Graph, x: Array, y: Array, part: Path
) -> int:
    save_certificates(certify(graph, x, y=y, progress=None), part)
    return len(x)


def part_key(graph: Graph, x: Array, y: Array, asked: Mapping[str, Any]) -> str:
    """What a part is about, short enough for a file name: equal only for equal questions."""
    subject = [digest(graph), input_digest(x), input_digest(np.asarray(y)), dict(asked)]
    return sha256(json.dumps(subject, sort_keys=True).encode()).hexdigest()[:32]


def within(progress: Progress | None, first: int, size: int, total: int) -> Progress | None:
    """Progress within a part of ``size`` images from ``first`` on, as images of the whole."""
    if progress is None:
        return None

    def step(done: int, of: int) -> None:
        progress(first + size * done // max(of, 1), total)

    return step
