"""Any one input element moved: so few points that the exact answer is an enumeration."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from flow.certify.certificate import (
    Certificate,
    CertificateSet,
    Property,
    Verdict,
    input_digest,
)
from flow.certify.input import check_labels
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.graphfile import digest
from flow.ir import Array, Graph, IntType

Progress = Callable[[int, int], None]
METHOD = "enumeration"


def certify_pixel(
    graph: Graph,
    x: Array,
    *,
    y: Array,
    radius: int,
    device: str = "cpu",
    progress: Progress | None = None,
) -> CertificateSet:
    """Decide for each image whether moving one element by at most ``radius`` changes its class.

    Every such point is run, so each image is PROVED or REFUTED with the first point that breaks it.

    Args:
        x: images (batch, *input shape) within the declared range; y: their labels (batch,).
        progress: called with (images done, in all).

    Raises:
        InputError: the graph does not end in ArgMax, or images, labels or radius are no input.
    """
    check_labels(graph, x, y)
    if radius < 1:
        raise InputError(f"radius {radius}: moves nothing; give 1 or more")
    engine = BatchedEngine(graph, device=device)
    correct = engine.run(x) == y
    own = digest(graph)
    certificates = []
    for k, image in enumerate(x):
        witness = None if correct[k] else tuple(image.ravel().tolist())
        if correct[k]:
            points = neighbours(image, graph.input_edge.type, radius)
            broken = np.flatnonzero(engine.run(points) != y[k]) if len(points) else np.array([])
            if broken.size:
                witness = tuple(points[broken[0]].ravel().tolist())
        certificates.append(
            Certificate(
                own,
                input_digest(image),
                int(y[k]),
                bool(correct[k]),
                Property.PIXEL,
                radius,
                METHOD,
                Verdict.PROVED if correct[k] and witness is None else Verdict.REFUTED,
                witness=witness,
            )
        )
        if progress is not None:
            progress(k + 1, len(x))
    return CertificateSet(own, Property.PIXEL, radius, METHOD, tuple(certificates))


def neighbours(image: Array, kind: IntType, radius: int) -> Array:
    """Every image that differs from ``image`` in one element by at most ``radius``, in order of
    element and value: (points, *input shape)."""
    flat = image.ravel()
    moves = [
        (place, value)
        for place, own in enumerate(flat.tolist())
        for value in range(max(kind.lo, own - radius), min(kind.hi, own + radius) + 1)
        if value != own and not (kind.bipolar and value == 0)
    ]
    points = np.repeat(flat[None], len(moves), axis=0).astype(np.int64)
    for row, (place, value) in enumerate(moves):
        points[row, place] = value
    return points.reshape(len(moves), *image.shape)
