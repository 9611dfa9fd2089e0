"""How many flipped stored bits each image provably withstands: budgets, then an attack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.certify.box import input_box
from flow.certify.budget import budgeted
from flow.certify.certificate import (
    Certificate,
    CertificateSet,
    Evidence,
    Property,
    Verdict,
    input_digest,
)
from flow.certify.exact import exact_flips
from flow.certify.first_struck import withstands_by_channel
from flow.certify.flip_attack import fewest_flips
from flow.certify.input import check_labels
from flow.certify.margins import logits_apart, sums_apart
from flow.certify.subset import EVERY_BIT, BitSubset
from flow.certify.witness import find_witnesses
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.graphfile import digest
from flow.ir import Array, Fault, Graph

Progress = Callable[[int, int], None]
BUDGET, CASES, EXACT, SOLVER, BRANCH = "budget", "cases", "exact", "cpsat", "branch"  # methods

# Elements of the boxes held at once, times sixteen bytes.
_HELD = 1 << 25


@dataclass(frozen=True, slots=True, eq=False)
class KFlips:
    """Per image: ``certified`` flips that no choice of bits makes matter (0 where misclassified),
    and ``witness``, a set of at most ``flips`` bits that takes its label from the input
    ``points[i]``; None where no set was found, or none was looked for.

    ``certified[i] < true k <= len(witness[i])`` for a correct image with a witness, where the true
    k is the fewest flips of ``subset`` that change the class of an input within ``radius`` of it.
    Without a radius ``points`` are the images, and the true k is at least 1.
    """

    flips: int
    correct: Array
    certified: Array
    witness: tuple[tuple[Fault, ...] | None, ...]
    points: Array
    subset: BitSubset = EVERY_BIT
    radius: int = 0


def k_flips(
    graph: Graph,
    x: Array,
    *,
    y: Array,
    flips: int,
    subset: BitSubset = EVERY_BIT,
    radius: int = 0,
    method: str = BUDGET,
    attack: bool = True,
    progress: Progress | None = None,
) -> KFlips:
    """Bound any ``flips`` flips of stored weight, threshold and sign bits, then attack the rest.

    Sound at every depth, for every op, decode and compare form, wrapping included; an image may
    stay between the two.

    Args:
        x: images, (batch, *input shape); y: their labels, (batch,).
        subset: the bits that may flip.
        radius: every input within it may take the image's place, whatever the flips. The attack
            strikes the network at the worst such input that a search finds.
        method: ``budget``, or ``cases``: what that leaves open is taken apart by the channel that
            is struck first, which proves more and takes a run of bounds for every channel; or
            ``exact``, for bits of the last two layers, as ``exact_flips``.
        progress: called with (images done, in all), for bounds and attack together.

    Raises:
        InputError: an op has no bounds, labels do not match, or there are not that many bits.
    """
    check_labels(graph, x, y)
    stored = subset.count(graph)
    if not 1 <= flips <= stored:
        raise InputError(f"{flips} flips: {stored} stored bits may flip; give 1 to {stored}")
    correct = BatchedEngine(graph).run(x) == y
    if method == EXACT:
        if radius:
            raise InputError("--exact is about fixed inputs; leave --radius or --exact out")
        held, sets = exact_flips(graph, x, y=y, flips=flips, subset=subset)
        sets = [found if right else None for found, right in zip(sets, correct, strict=True)]
        held = np.where(correct, held, 0)
        return KFlips(flips, correct, held, tuple(sets), x.astype(np.int64), subset)

    def bounded(done: int, total: int) -> None:
        if progress is not None:
            progress(done, 2 * total)

    certified = largest_k(graph, x, y=y, most=flips, subset=subset, radius=radius, progress=bounded)
    if method == CASES:
        for image in np.flatnonzero(correct).tolist():
            box, label = input_box(graph, x[[image]], radius=radius), int(y[image])
            while certified[image] < flips and withstands_by_channel(
                graph, box, label=label, flips=int(certified[image]) + 1, subset=subset
            ):
                certified[image] += 1
    points = worst_inputs(graph, x, y, radius, correct & (certified < flips) & attack)
    witness: list[tuple[Fault, ...] | None] = []
    for k in range(len(x)):
        open_ = attack and correct[k] and certified[k] < flips
        witness.append(_broken(graph, points[k], int(y[k]), flips, subset) if open_ else None)
        if progress is not None:
            progress(len(x) + k + 1, 2 * len(x))
    return KFlips(flips, correct, certified, tuple(witness), points, subset, radius)


def worst_inputs(graph: Graph, x: Array, y: Array, radius: int, chosen: NDArray[np.bool_]) -> Array:
    """The images; those ``chosen`` moved within ``radius`` where that brings a rival closest."""
    points, rows = x.astype(np.int64), np.flatnonzero(chosen)
    if radius and rows.size:
        box = input_box(graph, x[rows], radius=radius)
        rng = np.random.default_rng(0)
        points[rows], _ = find_witnesses(BatchedEngine(graph), box, y[rows], rng=rng)
    return points


def _broken(
    graph: Graph, point: Array, label: int, flips: int, subset: BitSubset
) -> tuple[Fault, ...] | None:
    """Flips that take ``label`` from ``point``: none at all where its class is another."""
    if int(graph.evaluate(point[None])[0]) != label:
        return ()
    return fewest_flips(graph, point, label=label, most=flips, subset=subset) or None


def largest_k(
    graph: Graph,
    x: Array,
    *,
    y: Array,
    most: int,
    subset: BitSubset = EVERY_BIT,
    radius: int = 0,
    progress: Progress | None = None,
) -> Array:
    """For each correct image the most flips, up to ``most``, that the bounds certify; else 0.

    The budget is doubled for the images that withstand all of it, so that its cost, which grows
    with its square, is spent where it is used. Arguments and errors as ``k_flips``.
    """
    check_labels(graph, x, y)
    found = np.zeros(len(x), dtype=np.int64)
    left = np.flatnonzero(BatchedEngine(graph).run(x) == y)
    most, flips = min(most, subset.count(graph)), 1
    while left.size and flips <= most:
        size = images_at_once(graph, flips)
        for start in range(0, len(left), size):
            part = left[start : start + size]
            found[part] = withstood(
                graph, x[part], y=y[part], flips=flips, subset=subset, radius=radius
            )
        left = left[found[left] == flips]
        if progress is not None:
            progress(len(x) - len(left), len(x))
        if flips == most:
            break
        flips = min(2 * flips, most)
    return found


def images_at_once(graph: Graph, flips: int) -> int:
    """Images whose bounds fit in memory together."""
    elements = sum(edge.elements for edge in graph.edges().values())
    states = (flips + 1) * (flips + 2) // 2
    return max(1, min(128, _HELD // (elements * states)))


def withstood(
    graph: Graph,
    x: Array,
    *,
    y: Array,
    flips: int,
    subset: BitSubset = EVERY_BIT,
    radius: int = 0,
) -> Array:
    """For each image the most flips, up to ``flips``, that the bounds show to keep label ``y``.

    0 says nothing: not even that the clean image has the label.

    Args:
        subset: the bits that may flip.
        radius: every input within it may take the image's place, whatever the flips.
    """
    box = input_box(graph, x, radius=radius)
    reached = budgeted(graph, box, flips=flips, subset=subset)
    held = logits_apart(reached[graph.logits], y, flips=flips)
    held |= sums_apart(graph, reached, y, flips=flips, subset=subset)
    most: Array = np.logical_and.accumulate(held, axis=0).sum(axis=0) - 1
    return np.maximum(most, 0)


def certify_k_flips(
    graph: Graph,
    x: Array,
    *,
    y: Array,
    flips: int,
    subset: BitSubset = EVERY_BIT,
    radius: int = 0,
    method: str = BUDGET,
    progress: Progress | None = None,
) -> CertificateSet:
    """The certificates of what ``k_flips`` finds: PROVED, REFUTED with flips, or UNKNOWN.

    ``detail`` says what is known of the fewest flips: more than ``certified``, and at most
    ``attacked`` where that is not None. Arguments and errors as ``k_flips``.
    """
    found = k_flips(
        graph, x, y=y, flips=flips, subset=subset, radius=radius, method=method, progress=progress
    )
    own = digest(graph)

    def certificate(k: int) -> Certificate:
        """Of image ``k``, with the flips, and the input they strike, where it is refuted."""
        right, witness = bool(found.correct[k]), found.witness[k]
        attacked = None if witness is None else len(witness)
        known = {"certified": int(found.certified[k]), "attacked": attacked} if right else {}
        verdict = _verdict(right, flips, known)
        refuted = right and verdict is Verdict.REFUTED
        moved = tuple(found.points[k].ravel().tolist()) if refuted and radius else None
        return Certificate(
            own,
            input_digest(x[k]),
            int(y[k]),
            right,
            Property.BITS,
            flips,
            method,
            verdict,
            witness=moved,
            faults=witness if refuted and witness else (),
            detail=known,
        )

    certificates = tuple(map(certificate, range(len(x))))
    terms = bits_terms(subset, radius)
    return CertificateSet(own, Property.BITS, flips, method, certificates, terms=terms)


def with_fewer(found: CertificateSet, flips: int) -> CertificateSet:
    """What the certificates of some number of flips say about fewer."""

    def certificate(c: Certificate) -> Certificate:
        """What ``c`` says about ``flips`` of its flips."""
        verdict = _verdict(c.correct, flips, c.detail)
        if not c.correct:
            return replace(c, radius=flips)
        known = {**c.detail, "certified": min(c.detail["certified"], flips)}
        if verdict is Verdict.REFUTED:
            return replace(c, radius=flips, detail=known)
        known["attacked"] = None
        if c.evidence is Evidence.SOLVER and flips <= c.detail["bounds"]:
            known = {"certified": flips, "attacked": None}
            return replace(c, radius=flips, evidence=Evidence.REPLAYABLE, detail=known)
        return replace(c, radius=flips, verdict=verdict, witness=None, faults=(), detail=known)

    return replace(found, radius=flips, certificates=tuple(map(certificate, found.certificates)))


def _verdict(correct: bool, flips: int, known: Mapping[str, int | None]) -> Verdict:
    if not correct:
        return Verdict.REFUTED
    certified, attacked = known["certified"], known["attacked"]
    if attacked is not None and attacked <= flips:
        return Verdict.REFUTED
    return Verdict.PROVED if certified is not None and certified >= flips else Verdict.UNKNOWN


def bits_terms(subset: BitSubset, radius: int) -> dict[str, Any]:
    """What completes a claim about stored bits: which of them, and how far inputs may move."""
    terms: dict[str, Any] = {}
    if subset != EVERY_BIT:
        terms["subset"] = subset.terms()
    if radius:
        terms["input_radius"] = radius
    return terms
