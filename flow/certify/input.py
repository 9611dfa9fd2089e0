"""Certificates of the input-box property, by integer intervals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from flow.certify.box import (
    Box,
    exact_sums,
    input_box,
    interval_product,
    product_bound,
    propagate,
)
from flow.certify.certificate import (
    Certificate,
    CertificateSet,
    Property,
    Verdict,
    input_digest,
)
from flow.certify.witness import Effort, find_witnesses
from flow.engine import BatchedEngine
from flow.engine.kernels import dense
from flow.errors import InputError
from flow.graphfile import digest
from flow.ir import Array, Graph
from flow.ops import ArgMax, MatVec

Progress = Callable[[int, int], None]
METHOD = "box"


def certify_input(
    graph: Graph,
    x: Array,
    *,
    y: Array,
    radius: int,
    seed: int = 0,
    effort: Effort | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> CertificateSet:
    """Decide for each image whether any input within ``radius`` has a class other than its label.

    The bounds travel through the integer graph, so the answer is about the numbers the hardware
    computes, wrapping included, and not about a float model. PROVED is sound: a counterexample
    found later is a bug in this function. What the boxes leave open is searched for a witness.

    Args:
        x: images (batch, *input shape) within the declared range; y: their labels (batch,).
        seed: of the witness search, the only random part.
        progress: called with (witness searches done, in all).

    Raises:
        InputError: the graph does not end in ArgMax, or images, labels or radius are no input.
    """
    check_labels(graph, x, y)
    box = input_box(graph, x, radius=radius)
    engine = BatchedEngine(graph, device=device)
    correct = engine.run(x) == y
    proved = correct & prove_labels(graph, box, y)
    points, broken = x.astype(np.int64), ~correct
    left = np.flatnonzero(correct & ~proved)
    if left.size:
        points[left], broken[left] = find_witnesses(
            engine,
            box[left],
            y[left],
            rng=np.random.default_rng(seed),
            effort=effort,
            progress=progress,
        )
    graph_digest = digest(graph)

    def certificate(k: int) -> Certificate:
        verdict = Verdict.UNKNOWN
        if proved[k]:
            verdict = Verdict.PROVED
        elif broken[k]:
            verdict = Verdict.REFUTED
        return Certificate(
            graph_digest,
            input_digest(x[k]),
            int(y[k]),
            bool(correct[k]),
            Property.INPUT,
            radius,
            METHOD,
            verdict,
            witness=tuple(map(int, points[k].ravel())) if broken[k] else None,
        )

    return CertificateSet(
        graph_digest, Property.INPUT, radius, METHOD, tuple(map(certificate, range(len(x))))
    )


def prove_labels(graph: Graph, box: Box, y: Array) -> NDArray[np.bool_]:
    """Whether every input in each image's box certainly has the class ``y``.

    The last product is fused with the comparison it feeds: rival j loses to label c everywhere iff
    ``(w_c - w_j) @ v`` stays above 0 (j < c, which would win a tie) or at least 0 (j > c). Where a
    logit could wrap, the wrapped logit boxes are compared instead.
    """
    boxes = propagate(graph, box)
    proved = _apart(boxes[graph.logits], y)
    last = graph.nodes[-2].op if len(graph.nodes) > 1 else None
    if not isinstance(last, MatVec):
        return proved
    source = graph.nodes[-2].inputs[0]
    edge = graph.edge(source)
    low, high = exact_sums(last, boxes[source], edge)
    fits = (low >= last.accumulator.code_lo) & (high <= last.accumulator.code_hi)
    weights, bound = dense(last), 2 * product_bound(last, edge)
    for label in np.unique(y):
        images = np.flatnonzero((y == label) & fits.all(axis=1) & ~proved)
        rivals = np.delete(np.arange(len(weights)), label)
        least, _ = interval_product(
            weights[label] - weights[rivals], boxes[source][images], bound=bound
        )
        proved[images] = (least >= (rivals < label)).all(axis=1)
    return proved


def check_labels(graph: Graph, x: Array, y: Array) -> None:
    """Raise ``InputError`` unless ``graph`` ends in one ArgMax and ``y`` labels ``x``."""
    last = graph.nodes[-1]
    if not isinstance(last.op, ArgMax) or len(graph.edge(graph.logits).shape) != 1:
        raise InputError(
            f"node {last.name!r}: certificates are about a class; end the graph with ArgMax"
        )
    classes = graph.edge(graph.logits).shape[0]
    integers = y.dtype.kind in "iu" and y.shape == (len(x),)
    if not integers or (y.size and not (y.min() >= 0 and y.max() < classes)):
        raise InputError(f"labels must be {len(x)} integers from 0 to {classes - 1}, one per image")


def _apart(logits: Box, y: Array) -> NDArray[np.bool_]:
    """Whether the label's logit beats every rival's between the boxes alone."""
    lead = np.take_along_axis(logits.lo, y[:, None], axis=1) - logits.hi
    rival = np.arange(logits.lo.shape[1])
    apart: NDArray[np.bool_] = ((lead >= (rival < y[:, None])) | (rival == y[:, None])).all(axis=1)
    return apart
