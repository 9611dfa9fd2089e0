"""Certify a test set in parts that survive a kill: each finished part is a file at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
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
    progress: Progress | None = None,
) -> CertificateSet:
    """``certify(graph, x, y=labels, progress=...)`` on ``images`` at a time, saved as one file.

    Finished parts lie in ``<path>.parts`` until ``path`` is written, so a killed run that is
    started again goes on where it was. Parts of another graph, image, label or ``asked`` are not
    looked at.

    Args:
        data: images (batch, *input shape) and their labels (batch,).
        asked: everything that the answer depends on, as JSON.
        progress: called with (images done, in all); within a part as ``certify`` counts.

    Raises:
        InputError: ``certify`` refuses the graph or an image.
    """
    x, y = data
    folder = path.with_name(f"{path.name}.parts")
    found: list[CertificateSet] = []
    for first in range(0, max(len(x), 1), images):
        span = slice(first, first + images)
        part = folder / f"{part_key(graph, x[span], y[span], asked)}.json"
        if part.exists():
            found.append(load_certificates(part))
        else:
            step = within(progress, first, len(x[span]), len(x))
            found.append(certify(graph, x[span], y=y[span], progress=step))
            save_certificates(found[-1], part)
        if progress is not None:
            progress(min(first + images, len(x)), len(x))
    whole = replace(found[0], certificates=tuple(c for p in found for c in p.certificates))
    save_certificates(whole, path)
    rmtree(folder)
    return whole


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
