"""How far the weights of a layer may move before a label can change (after Weng et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import partial

import numpy as np
from numpy.typing import NDArray

from flow.certify.box import Box
from flow.certify.certificate import Certificate, CertificateSet, Property, Verdict, input_digest
from flow.certify.input import check_labels
from flow.certify.weights_box import Moves, free_weights, least, moved_boxes, moved_sums
from flow.certify.weights_linear import Proof, further
from flow.engine import BatchedEngine
from flow.engine.kernels import dense
from flow.errors import InputError
from flow.graphfile import digest
from flow.ir import Array, Graph, Node
from flow.ops import Add, MatVec

Progress = Callable[[int, int], None]
METHODS = INTERVALS, LINEAR = "intervals", "linear"
PLACES = 8  # binary places of a radius
_CELLS = 1 << 22  # elements of all edges held at once


def moved_layers(graph: Graph, names: Iterable[str] | None = None) -> tuple[str, ...]:
    """The named layers with weights, in the graph's order; all of them by default.

    Raises:
        InputError: there is no such layer with weights.
    """
    known = [node.name for node in graph.nodes if isinstance(node.op, MatVec)]
    wanted = known if names is None else list(names)
    for name in wanted:
        if name not in known:
            raise InputError(f"layer {name!r}: has no weights; choose from {', '.join(known)}, all")
    return tuple(name for name in known if name in wanted)


def half_step(graph: Graph, layers: Iterable[str]) -> Fraction:
    """How far rounding to the weights' own grid moves a weight at most: 1/2, or 1 if bipolar."""
    bipolar = [graph.node(name).op.stored["weights"].bipolar for name in layers]
    return Fraction(1) if all(bipolar) else Fraction(1, 2)


def certify_weights(
    graph: Graph,
    x: Array,
    *,
    y: Array,
    layers: tuple[str, ...],
    places: int = PLACES,
    method: str = INTERVALS,
    progress: Progress | None = None,
) -> CertificateSet:
    """The largest move, on a grid, that no weight of ``layers`` needs more than to change a label.

    PROVED with ``epsilon`` in ``detail``: for all real moves of at most epsilon of every weight of
    the layers, each its own, the graph computed on real sums has the image's label. Units are those
    of the stored integers. The interval bound is sound, and exact for one moved layer of a chain
    with at most one Threshold behind it. UNKNOWN where it shows no epsilon above 0; a misclassified
    image is REFUTED by itself.

    Args:
        x: images (batch, *input shape) within the declared range; y: their labels (batch,).
        places: radii are whole numbers over ``2**places``.
        method: ``intervals``; or ``linear``, which goes on from there with Lagrangian bounds, never
            to a smaller epsilon, and keeps the multipliers that show a larger one.
        progress: called with (images done, in all).

    Raises:
        InputError: a layer is unknown, an op has no such bound, or images or labels are no input.
    """
    check_labels(graph, x, y)
    layers = moved_layers(graph, layers)
    if not layers or not 0 <= places <= 16:
        raise InputError(f"layers {layers}, {places} places: give a layer, and 0 to 16 places")
    if method not in METHODS:
        raise InputError(f"method {method!r} of weights: choose from {', '.join(METHODS)}")
    correct = BatchedEngine(graph).run(x) == y
    search = partial(_radii, graph, layers=frozenset(layers), places=places, method=method)
    found, proofs = _in_parts(graph, search, x, y, correct, progress)
    own = digest(graph)

    def certificate(k: int) -> Certificate:
        """Of image ``k``: PROVED with its radius where one above 0 was found."""
        verdict = Verdict.PROVED if found[k] else Verdict.UNKNOWN
        verdict = verdict if correct[k] else Verdict.REFUTED
        detail = {"epsilon": str(Fraction(int(found[k]), 1 << places))} if found[k] else {}
        image = own, input_digest(x[k]), int(y[k]), bool(correct[k])
        claim = Property.WEIGHTS, 0, method, verdict
        return Certificate(*image, *claim, proof=proofs[k], detail=detail)

    certificates = tuple(map(certificate, range(len(x))))
    terms = {"layers": list(layers)}
    return CertificateSet(own, Property.WEIGHTS, 0, method, certificates, terms=terms)


def _in_parts(
    graph: Graph,
    search: Callable[[Array, Array], tuple[Array, list[Proof | None]]],
    x: Array,
    y: Array,
    correct: NDArray[np.bool_],
    progress: Progress | None,
) -> tuple[Array, list[Proof | None]]:
    """``search`` on the correct images, as many at once as fit in memory; 0 for the others."""
    found = np.zeros(len(x), dtype=np.int64)
    proofs: list[Proof | None] = [None] * len(x)
    size = max(1, _CELLS // sum(edge.elements for edge in graph.edges().values()))
    for start in range(0, len(x), size):
        part = np.flatnonzero(correct[start : start + size]) + start
        if part.size:
            found[part], shown = search(x[part], y[part])
            for k, proof in zip(part, shown, strict=True):
                proofs[k] = proof
        if progress is not None:
            progress(min(start + size, len(x)), len(x))
    return found, proofs


def _radii(
    graph: Graph, x: Array, y: Array, *, layers: frozenset[str], places: int, method: str
) -> tuple[Array, list[Proof | None]]:
    """Each image's steps, and multipliers where it is they that show so many."""
    known = _largest(graph, x, y, layers, places)
    if method == INTERVALS:
        return known, [None] * len(x)
    return further(graph, x, y, layers, known, most_steps(graph, layers, places), places)


def most_steps(graph: Graph, layers: Iterable[str], places: int) -> int:
    """Moves as wide as the layers' types are: no larger ones are looked for."""
    types = (graph.node(name).op.stored["weights"] for name in layers)
    return max((t.code_hi - t.code_lo) << places for t in types)


def _largest(graph: Graph, x: Array, y: Array, layers: frozenset[str], places: int) -> Array:
    """By bisection the largest number of steps that the bound allows each image; 0 where none."""
    low = np.zeros(len(x), dtype=np.int64)
    high = np.full(len(x), most_steps(graph, layers, places) + 1)
    while (high - low > 1).any():
        middle = (low + high) // 2
        held = labels_hold(graph, x, y, Moves(middle, places), layers)
        low, high = np.where(held, middle, low), np.where(held, high, middle)
    return low


def labels_hold(
    graph: Graph, x: Array, y: Array, moves: Moves, layers: frozenset[str]
) -> NDArray[np.bool_]:
    """Whether each image has its label whatever moves its weights make."""
    boxes = moved_boxes(graph, x, moves, layers)
    logits, rival = boxes[graph.logits], np.arange(graph.edge(graph.logits).shape[0])
    lead = np.take_along_axis(logits.lo, y[:, None], axis=1) - logits.hi
    own = rival == y[:, None]
    held: NDArray[np.bool_] = ((lead >= (rival < y[:, None])) | own).all(axis=1)
    return held | _differences_hold(graph, boxes, y, moves, layers)


def _differences_hold(
    graph: Graph, boxes: dict[str, Box], y: Array, moves: Moves, layers: frozenset[str]
) -> NDArray[np.bool_]:
    """The last product and the comparison together; only where no logit can leave its register."""
    held = np.zeros(len(y), dtype=np.bool_)
    end = _last_product(graph)
    if end is None:
        return held
    last, op, scale, offset = end
    moves = moves if last.name in layers else moves.none()
    box = boxes[last.inputs[0]]
    fits = _inside(moved_sums(op, box, moves), op, moves.places)
    if isinstance(add := graph.nodes[-2].op, Add):
        ends = [scale * end + (offset << moves.places) for end in _ends(boxes[last.output])]
        fits &= _inside(Box(np.minimum(*ends), np.maximum(*ends)), add, moves.places)
    weights, free = scale[:, None] * dense(op), free_weights(op)
    if op.popcount:  # twice the logit is a product again
        offset = 2 * offset + scale * op.weights.shape[1]
    for label in np.unique(y):
        images = np.flatnonzero((y == label) & fits)
        rivals = np.delete(np.arange(len(scale)), label)
        lead = least(
            weights[label] - weights[rivals],
            free[rivals],
            np.abs(scale[label]) + np.abs(scale[rivals]),
            box[images],
            Moves(moves.steps[images], moves.places),
        )
        lead = lead + ((offset[label] - offset[rivals]) << moves.places)
        held[images] = (lead >= (rivals < label)).all(axis=1)
    return held


def _last_product(graph: Graph) -> tuple[Node, MatVec, Array, Array] | None:
    """The MatVec in front of ArgMax, and scale and offset of each class between the two."""
    at, scale, offset = -2, np.ones(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    if len(graph.nodes) > 2 and isinstance(add := graph.nodes[-2].op, Add):
        if len(add.multipliers) > 1 or graph.nodes[-3].output != graph.nodes[-2].inputs[0]:
            return None
        at, scale, offset = -3, add.multipliers[0], add.offset
    last = graph.nodes[at] if len(graph.nodes) >= -at else None
    if last is None or not isinstance(last.op, MatVec) or last.op.groups > 1:
        return None
    shape = (last.op.weights.shape[0],)
    return last, last.op, np.broadcast_to(scale, shape), np.broadcast_to(offset, shape)


def _ends(box: Box) -> tuple[Array, Array]:
    return box.lo, box.hi


def _inside(sums: Box, op: MatVec | Add, places: int) -> NDArray[np.bool_]:
    kind = op.accumulator
    inside: NDArray[np.bool_] = (sums.lo.min(axis=1) >= kind.code_lo << places) & (
        sums.hi.max(axis=1) <= kind.code_hi << places
    )
    return inside
