"""Certificates of the input-box property, by integer intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from flow.certify.box import (
    Box,
    exact_sums,
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
from flow.certify.ranges import Ranges
from flow.certify.witness import Effort, find_witnesses
from flow.engine import BatchedEngine
from flow.engine.kernels import dense
from flow.errors import InputError
from flow.graphfile import digest
from flow.ir import Array, Edge, Graph, Node
from flow.ops import Add, ArgMax, MatVec

Progress = Callable[[int, int], None]
METHOD = "box"
HELD = 1 << 28  # bytes of intervals held at once


def certify_input(
    graph: Graph,
    x: Array,
    *,
    y: Array,
    radius: int,
    ranges: Ranges | None = None,
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
        ranges: which elements move at all, and between which limits; by default all that may.
        seed: of the witness search, the only random part.
        progress: called with (witness searches done, in all).

    Raises:
        InputError: the graph does not end in ArgMax, or images, labels or radius are no input.
    """
    check_labels(graph, x, y)
    ranges = Ranges() if ranges is None else ranges
    box = ranges.box(graph, x, radius=radius)
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
    certificates = tuple(
        Certificate(
            graph_digest,
            input_digest(x[k]),
            int(y[k]),
            bool(correct[k]),
            Property.INPUT,
            radius,
            METHOD,
            _verdict(proved=proved[k], refuted=broken[k]),
            witness=tuple(map(int, points[k].ravel())) if broken[k] else None,
        )
        for k in range(len(x))
    )
    return CertificateSet(
        graph_digest, Property.INPUT, radius, METHOD, certificates, terms=ranges.terms
    )


def _verdict(*, proved: bool, refuted: bool) -> Verdict:
    if proved:
        return Verdict.PROVED
    return Verdict.REFUTED if refuted else Verdict.UNKNOWN


def prove_labels(graph: Graph, box: Box, y: Array) -> NDArray[np.bool_]:
    """Whether every input in each image's box certainly has the class ``y``.

    The last product, scaled where an Add scales it, is fused with the comparison it feeds: rival j
    loses to label c everywhere iff ``(w_c - w_j) @ v``, and the difference of their offsets, stays
    above 0 (j < c, which would win a tie) or at least 0 (j > c). Where a logit could wrap, the
    wrapped logit boxes are compared instead.
    """
    elements = sum(edge.elements for edge in graph.edges().values())
    size = max(1, HELD // (64 * elements))  # two ends in int64, and as much again on the way
    parts = [slice(first, first + size) for first in range(0, len(y), size)]
    found = [labels_hold(graph, propagate(graph, box[part]), y[part]) for part in parts]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.bool_)


def labels_hold(graph: Graph, boxes: Mapping[str, Box], y: Array) -> NDArray[np.bool_]:
    """``prove_labels`` from the boxes of every edge."""
    proved = _apart(boxes[graph.logits], y)
    end, made = last_product(graph), graph.producer(graph.logits)
    if end is None or made is None:
        return proved
    last, op, scale, offset = end
    source, classes = last.inputs[0], np.arange(len(scale))
    edge = graph.edge(source)
    fits = _never_wraps(op, boxes[source], edge)
    weights = scale[:, None] * dense(op)
    if isinstance(made.op, Add):
        fits &= _stays(made.op, boxes[last.output])
    if op.popcount:  # twice the logit is a product again
        offset = 2 * offset + scale * op.weights.shape[1]
    bound = 2 * (int(abs(scale).max()) * product_bound(op, edge) + int(abs(offset).max()))
    if bound >= 1 << 62:
        return proved
    for label in np.unique(y):
        images = np.flatnonzero((y == label) & fits & ~proved)
        rivals = np.delete(classes, label)
        least, _ = interval_product(
            weights[label] - weights[rivals], boxes[source][images], bound=bound
        )
        lead = least + (offset[label] - offset[rivals])
        proved[images] = (lead >= (rivals < label)).all(axis=1)
    return proved


def last_product(graph: Graph) -> tuple[Node, MatVec, Array, Array] | None:
    """The MatVec in front of ArgMax, and scale and offset of each class between the two."""
    last, scale, offset = graph.producer(graph.logits), np.ones(1, dtype=int), np.zeros(1, int)
    if last is not None and isinstance(add := last.op, Add) and len(add.multipliers) == 1:
        last, scale, offset = graph.producer(last.inputs[0]), add.multipliers[0], add.offset
    if last is None or not isinstance(last.op, MatVec):
        return None
    shape = (last.op.weights.shape[0],)
    return last, last.op, np.broadcast_to(scale, shape), np.broadcast_to(offset, shape)


def _never_wraps(op: MatVec, box: Box, edge: Edge) -> NDArray[np.bool_]:
    low, high = exact_sums(op, [box], [edge])
    least, largest = low.min(axis=1), high.max(axis=1)
    fits: NDArray[np.bool_] = (least >= op.accumulator.code_lo) & (
        largest <= op.accumulator.code_hi
    )
    return fits


def _stays(op: Add, box: Box) -> NDArray[np.bool_]:
    """Whether no sum of an Add of one input wraps; ``propagate`` has seen that int64 holds it."""
    ends = np.hstack([op.multipliers[0] * end + op.offset for end in (box.lo, box.hi)])
    least, largest = ends.min(axis=1), ends.max(axis=1)
    fits: NDArray[np.bool_] = (least >= op.accumulator.code_lo) & (
        largest <= op.accumulator.code_hi
    )
    return fits


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
