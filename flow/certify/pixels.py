"""Any few input elements moved: the products that read them add up the largest few effects."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from flow.certify.box import Box, input_box, product_bound, propagate_box, wrap_box
from flow.certify.certificate import Certificate, CertificateSet, Property, Verdict, input_digest
from flow.certify.effect import standing
from flow.certify.input import check_labels, labels_hold
from flow.engine import BatchedEngine
from flow.engine.kernels import dense
from flow.errors import InputError
from flow.graphfile import digest
from flow.ir import Array, Graph
from flow.ops import Concat, MatVec, Pad, Reshape, Transpose, Window

Progress = Callable[[int, int], None]
METHOD = "top-k"
MOVES = (Window, Pad, Reshape, Transpose, Concat)
_HELD = 1 << 22  # effects looked at together


def certify_pixels(
    graph: Graph,
    x: Array,
    *,
    y: Array,
    radius: int,
    pixels: int,
    device: str = "cpu",
    progress: Progress | None = None,
) -> CertificateSet:
    """Decide for each image whether moving any ``pixels`` elements by at most ``radius`` changes
    its class.

    A product that reads the input moves at most by its ``pixels`` largest effects; intervals go on
    from there. PROVED is sound. A witness moves one element after the other, each the one that
    hurts the label most; where neither succeeds the verdict is UNKNOWN.

    Args:
        x: images (batch, *input shape) within the declared range; y: their labels (batch,).
        progress: called with (images done, in all).

    Raises:
        InputError: the graph does not end in ArgMax, or images, labels or numbers are no input.
    """
    check_labels(graph, x, y)
    size = graph.input_edge.elements
    if not 1 <= pixels <= size or radius < 1:
        raise InputError(f"{pixels} elements, radius {radius}: give 1 to {size} and 1 or more")
    engine = BatchedEngine(graph, device=device)
    correct, own, found = engine.run(x) == y, digest(graph), []
    for k, image in enumerate(x):
        verdict, witness = Verdict.UNKNOWN, None
        boxes = few_moved(graph, image[None], radius=radius, pixels=pixels)
        if not correct[k]:
            verdict, witness = Verdict.REFUTED, tuple(image.ravel().tolist())
        elif labels_hold(graph, boxes, y[[k]])[0]:
            verdict = Verdict.PROVED
        else:
            witness = _witness(engine, image, int(y[k]), radius, pixels)
            verdict = Verdict.UNKNOWN if witness is None else Verdict.REFUTED
        found.append(
            Certificate(
                own, input_digest(image), int(y[k]), bool(correct[k]), Property.PIXEL, radius,
                METHOD, verdict, witness=witness,
            )
        )  # fmt: skip
        if progress is not None:
            progress(k + 1, len(x))
    terms = {"pixels": pixels}
    return CertificateSet(own, Property.PIXEL, radius, METHOD, tuple(found), terms=terms)


def few_moved(graph: Graph, image: Array, *, radius: int, pixels: int) -> dict[str, Box]:
    """Boxes of every edge over all inputs that differ from ``image``, (1, *input shape), in at most
    ``pixels`` elements by at most ``radius``.

    Raises:
        InputError: a node has no exact box bound; the line names it.
    """
    edges, boxes = graph.edges(), {graph.input: input_box(graph, image, radius=radius)}
    clean = {graph.input: image.astype(np.int64)}  # of edges whose elements are the input's
    for node in graph.nodes:
        sources = [boxes[name] for name in node.inputs]
        kinds = [edges[name] for name in node.inputs]
        still = [clean[name] for name in node.inputs if name in clean]
        try:
            if isinstance(node.op, MatVec) and still:
                product_bound(node.op, kinds[0])  # or is refused
                low, high = _few_effects(node.op, still[0], sources[0], pixels)
                boxes[node.output] = wrap_box(node.op.accumulator, low, high)
                continue
            boxes[node.output] = propagate_box(node.op, sources, kinds)
        except InputError as error:
            raise InputError(f"node {node.name!r}: {error}") from None
        if isinstance(node.op, MOVES) and len(still) == len(node.inputs) == 1:
            clean[node.output] = node.op.evaluate(*still)
    return boxes


def _few_effects(op: MatVec, x: Array, box: Box, pixels: int) -> tuple[Array, Array]:
    """The sums of ``x``, less and more the largest ``pixels`` effects of one element each."""
    weights = dense(op)
    vectors = x.reshape(-1, x.shape[-1])
    low, high = box.lo.reshape(vectors.shape), box.hi.reshape(vectors.shape)
    down, up = low - vectors, high - vectors
    kept, columns = min(pixels, vectors.shape[1]), vectors.shape[1]
    sums = vectors @ weights.T
    ends = np.stack([sums, sums])
    size = max(1, _HELD // weights.size)
    for start in range(0, len(vectors), size):
        part = slice(start, start + size)
        effects = weights * down[part, None], weights * up[part, None]
        for end, pick in ((0, np.minimum), (1, np.maximum)):
            moves = np.abs(pick(*effects))
            largest = np.partition(moves, columns - kept, axis=2)[:, :, columns - kept :]
            ends[end, part] += (2 * end - 1) * largest.sum(axis=2)
    if op.popcount:
        ends = (ends + op.weights.shape[1]) // 2
    shape = (*x.shape[:-1], len(op.weights))
    return ends[0].reshape(shape), ends[1].reshape(shape)


def _moved(now: Array, free: NDArray[np.bool_], ends: Array) -> Array:
    """Every input that has one more of the ``free`` elements at its end."""
    places = np.flatnonzero(free & (ends != now.ravel()))
    points = np.repeat(now.reshape(1, -1), len(places), axis=0)
    points[np.arange(len(places)), places] = ends[places]
    return points.reshape(len(places), *now.shape)


def _witness(
    engine: BatchedEngine, image: Array, label: int, radius: int, pixels: int
) -> tuple[int, ...] | None:
    """Elements moved one after the other, each to the end that hurts the label most."""
    box = input_box(engine.graph, image[None], radius=radius)
    now, free = image.astype(np.int64), np.ones(image.size, dtype=bool)
    for _ in range(pixels):
        points = np.concatenate([_moved(now, free, end.ravel()) for end in (box.lo, box.hi)])
        if not len(points):
            return None
        logits = engine.run_edges(points, (engine.graph.logits,))[engine.graph.logits]
        score = standing(logits, np.full(len(points), label))
        worst = int(score.argmin())
        free[(points[worst] != now).ravel()] = False
        now = points[worst]
        if score[worst] < 0:
            return tuple(now.ravel().tolist())
    return None
