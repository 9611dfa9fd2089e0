"""How many flipped stored bits each image provably withstands: budgets, then an attack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow.certify.box import product_bound
from flow.certify.budget import State, bit_steps, budgeted, struck_sums, sums_of_rows
from flow.certify.certificate import (
    Certificate,
    CertificateSet,
    Property,
    Verdict,
    input_digest,
)
from flow.certify.chain import check_chain
from flow.certify.flips import single_flips
from flow.certify.input import last_product
from flow.certify.stored_bits import StoredBits
from flow.engine import BatchedEngine
from flow.engine.kernels import dense
from flow.errors import InputError
from flow.graphfile import digest
from flow.ir import Array, Fault, Graph, IntType
from flow.ops import Add

Progress = Callable[[int, int], None]
Held = NDArray[np.bool_]
METHOD = "budget"

# Images whose bounds are held at once.
_IMAGES = 128


@dataclass(frozen=True, slots=True, eq=False)
class KFlips:
    """Per image: ``certified`` flips that no choice of bits makes matter (0 where misclassified),
    and ``witness``, a set of at most ``flips`` bits that changes its class, where one was found.

    ``certified[i] < true k <= len(witness[i])`` for a correct image with a witness, where the true
    k is the fewest flips that change its class.
    """

    flips: int
    correct: Array
    certified: Array
    witness: tuple[tuple[Fault, ...], ...]


def k_flips(
    graph: Graph, x: Array, *, y: Array, flips: int, progress: Progress | None = None
) -> KFlips:
    """Bound any ``flips`` flips of stored weight, threshold and sign bits, then attack the rest.

    Sound at every depth, decode and compare form, wrapping included; the attack is greedy on exact
    single flips, so an image may stay between the two.

    Args:
        x: images, (batch, inputs); y: their labels, (batch,).
        progress: called with (images done, in all), for bounds and attack together.

    Raises:
        InputError: the graph is no chain of one-dimensional layers that ends in ArgMax, labels do
            not match, or there are not that many bits.
    """
    check_chain(graph, x, y)
    stored = len(StoredBits.of(graph))
    if not 1 <= flips <= stored:
        raise InputError(f"{flips} flips: the graph stores {stored} bits; give 1 to {stored}")
    correct = BatchedEngine(graph).run(x) == y
    certified = np.zeros(len(x), dtype=np.int64)
    steps = 2 * len(x)
    for start in range(0, len(x), _IMAGES):
        part = slice(start, start + _IMAGES)
        certified[part] = withstood(graph, x[part], y=y[part], flips=flips) * correct[part]
        if progress is not None:
            progress(min(start + _IMAGES, len(x)), steps)
    witness: list[tuple[Fault, ...]] = []
    for k in range(len(x)):
        open_ = correct[k] and certified[k] < flips
        witness.append(greedy_witness(graph, x[k], label=int(y[k]), flips=flips) if open_ else ())
        if progress is not None:
            progress(len(x) + k + 1, steps)
    return KFlips(flips, correct, certified, tuple(witness))


def withstood(graph: Graph, x: Array, *, y: Array, flips: int) -> Array:
    """For each image the most flips, up to ``flips``, that the bounds show to keep label ``y``.

    0 says nothing: not even that the clean image has the label.
    """
    states = budgeted(graph, x, flips=flips)
    logits = states[graph.logits]
    leads = [_apart(logits, y, budget) for budget in range(flips + 1)]
    fused = _fused(graph, states, y, flips)
    held = np.array([a | b for a, b in zip(leads, fused, strict=True)])
    most: Array = np.logical_and.accumulate(held, axis=0).sum(axis=0) - 1
    return np.maximum(most, 0)


def greedy_witness(graph: Graph, image: Array, *, label: int, flips: int) -> tuple[Fault, ...]:
    """At most ``flips`` flips that change the image's class, each the worst one there is after the
    last; empty where this finds none."""
    x, y = image[None], np.array([label])
    taken: tuple[Fault, ...] = ()
    for _ in range(flips):
        found = single_flips(graph.with_faults(taken), x, y=y)
        taken += (found.bits.fault(int(found.worst_fault[0])),)
        if len(set(taken)) < len(taken):
            return ()
        if graph.evaluate(x, taken)[0] != label:
            return taken
    return ()


def certify_k_flips(graph: Graph, found: KFlips, x: Array, *, y: Array) -> CertificateSet:
    """The certificates of ``found``: PROVED, REFUTED with the set of flips, or UNKNOWN."""
    own = digest(graph)

    def certificate(k: int) -> Certificate:
        verdict = Verdict.UNKNOWN
        if found.correct[k] and found.certified[k] >= found.flips:
            verdict = Verdict.PROVED
        elif not found.correct[k] or found.witness[k]:
            verdict = Verdict.REFUTED
        return Certificate(
            own,
            input_digest(x[k]),
            int(y[k]),
            bool(found.correct[k]),
            Property.BITS,
            found.flips,
            METHOD,
            verdict,
            faults=found.witness[k] if verdict is Verdict.REFUTED else (),
        )

    certificates = tuple(map(certificate, range(len(x))))
    return CertificateSet(own, Property.BITS, found.flips, METHOD, certificates)


def _apart(logits: State, y: Array, budget: int) -> Held:
    """Whether the label's logit beats each rival's, flips of the two rows shared out."""
    rows, rival = np.arange(len(y)), np.arange(logits[0, 0].lo.shape[1])
    held = np.ones(len(y), dtype=np.bool_)
    for q in range(budget + 1):
        for own in range(budget - q + 1):
            lead = logits[q, own].lo[rows, y][:, None] - logits[q, budget - q - own].hi
            ahead = (lead >= (rival < y[:, None])) | (rival == y[:, None])
            held &= ahead.all(axis=1)
    return held


def _fused(graph: Graph, states: dict[str, State], y: Array, flips: int) -> list[Held]:
    """As ``_apart``, the last product fused with the comparison where no logit can wrap."""
    nothing = [np.zeros(len(y), dtype=np.bool_) for _ in range(flips + 1)]
    end = last_product(graph)
    if end is None:
        return nothing
    last, op, scale, offset = end
    state, edge = states[last.inputs[0]], graph.edge(last.inputs[0])
    if int(abs(scale).max()) * product_bound(op, edge) + int(abs(offset).max()) >= 1 << 56:
        return nothing
    sums = struck_sums(op, state, edge, flips=flips)
    fits = [_fits(graph, op.accumulator, sums, budget) for budget in range(flips + 1)]
    classes = np.arange(len(scale))
    steps = scale[:, None, None] * bit_steps(op.weights, op.weight_type)
    weights = scale[:, None] * dense(op)
    if op.popcount:  # twice the logit is a product again
        offset = 2 * offset + scale * op.weights.shape[1]
    held = nothing
    for label in np.unique(y):
        images = np.flatnonzero(y == label)
        rivals = np.delete(classes, label)
        own = np.broadcast_to(steps[label], (len(rivals), *steps[label].shape))
        part = {key: box[images] for key, box in state.items()}
        both = np.concatenate([own, -steps[rivals]], axis=2)
        least = sums_of_rows(weights[label] - weights[rivals], both, part, flips=flips)
        for budget in range(flips + 1):
            worst = np.minimum.reduce([least[q, budget - q].lo for q in range(budget + 1)])
            lead = worst + (offset[label] - offset[rivals])
            held[budget][images] = (lead >= (rivals < label)).all(axis=1) & fits[budget][images]
    return held


def _fits(graph: Graph, kind: IntType, sums: State, budget: int) -> Held:
    """Whether no logit, nor the Add behind it, can leave its register within the budget."""
    last = graph.nodes[-2].op
    fits = np.ones(len(sums[0, 0]), dtype=np.bool_)
    for q in range(budget + 1):
        box = sums[q, budget - q]
        fits &= _inside(box.lo, box.hi, kind)
        if isinstance(last, Add):
            for end in (box.lo, box.hi):
                scaled = last.multipliers[0] * end + last.offset
                fits &= _inside(scaled, scaled, last.accumulator)
    return fits


def _inside(low: Array, high: Array, kind: IntType) -> Held:
    inside: Held = (low.min(axis=1) >= kind.code_lo) & (high.max(axis=1) <= kind.code_hi)
    return inside
