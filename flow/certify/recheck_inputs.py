"""Re-check of certificates of the input: boxes and trees recomputed, neighbours run again."""

from __future__ import annotations

import numpy as np

from flow.certify.certificate import Certificate, Property
from flow.certify.plain_bounds import Ends, near
from flow.certify.plain_pixels import withstands_pixels
from flow.certify.plain_proof import label_holds, proof_holds
from flow.certify.plain_zonotope import reached
from flow.certify.subject import Checked, Subject
from flow.errors import InputError
from flow.ir import Array, Graph


def recheck_inputs(subject: Subject) -> Checked:
    """Run the witnesses and recompute the boxes and trees of whole inputs."""
    witnesses = _check_witnesses(subject)
    proved = list(subject.part.share(subject.proved))
    for k in subject.each(proved):
        certificate = subject.found.certificates[k]
        if not _input_holds(subject.graph, box(subject, k), certificate):
            raise subject.denied(k, "PROVED, but its box leaves another class open")
    return Checked(len(proved), witnesses, 0, len(subject.proved) - len(proved))


def recheck_pixels(subject: Subject) -> Checked:
    """Run the witnesses, and the reference on every image with one element moved."""
    witnesses, pixels = _check_witnesses(subject), _pixels(subject)
    proved = list(subject.part.share(subject.proved))
    others = len(subject.proved) - len(proved)
    if pixels > 1:
        for k in subject.each(proved):
            label, radius = int(subject.y[k]), subject.found.radius
            if not withstands_pixels(subject.graph, subject.x[k], label, radius, pixels):
                raise subject.denied(k, "PROVED, but the largest effects leave another class open")
        return Checked(len(proved), witnesses, 0, others)
    for k in subject.each(proved):
        label, radius = int(subject.y[k]), subject.found.radius
        if not _every_neighbour_keeps(subject.graph, subject.x[k], label, radius):
            raise subject.denied(k, "PROVED, but one element moved changes it")
    return Checked(0, witnesses, len(proved), others)


def _check_witnesses(subject: Subject) -> int:
    """Run every REFUTED witness; return how many there are."""
    if subject.found.radius < 0:
        raise InputError(f"{subject.path}: radius {subject.found.radius} is below 0")
    for k in subject.refuted:
        if not _input_breaks(subject, k):
            raise subject.denied(k, "REFUTED, but its witness does not break it")
    return len(subject.refuted)


def _input_breaks(subject: Subject, k: int) -> bool:
    certificate, image = subject.found.certificates[k], subject.x[k]
    if certificate.witness is None or len(certificate.witness) != image.size:
        return False
    low, high = box(subject, k)
    point = np.array(certificate.witness, dtype=object).reshape(1, *image.shape)
    if (point < low).any() or (point > high).any():
        return False
    point = point.astype(np.int64)
    moved = int((point[0] != image).sum())
    if certificate.claim is Property.PIXEL and moved > _pixels(subject):
        return False
    inside = subject.graph.input_edge.type.contains(point)
    return inside and int(subject.graph.evaluate(point)[0]) != certificate.label


def _pixels(subject: Subject) -> int:
    """How many elements may move at once, by the terms of the file."""
    pixels = subject.found.terms.get("pixels", 1)
    if type(pixels) is not int or pixels < 1:
        raise InputError(f"{subject.path}: {pixels!r} elements are none that may move")
    return pixels


def _input_holds(graph: Graph, inputs: Ends, certificate: Certificate) -> bool:
    """Whether the intervals of the whole box, or the certificate's trees, show its claim."""
    if "slopes" in certificate.detail:
        return _forms_hold(graph, inputs, certificate)
    if certificate.proof is None:
        return label_holds(graph, inputs, certificate.label)
    return proof_holds(graph, inputs, certificate.label, certificate.proof)


def _forms_hold(graph: Graph, inputs: Ends, certificate: Certificate) -> bool:
    """Whether affine forms keep every rival behind, or trees within the intervals they give do."""
    label = certificate.label
    try:
        found = reached(graph, inputs, certificate.detail["slopes"])
    except (AttributeError, ValueError):
        return False
    if certificate.proof is not None:
        return proof_holds(graph, inputs, label, certificate.proof, found.limits)
    return all(rival == label or found.behind(graph, label, rival) for rival in found.rivals(graph))


def box(subject: Subject, k: int) -> Ends:
    """The inputs that the claim about image ``k`` is about, by the radius and terms of the file.

    Raises:
        InputError: the terms are none for this input.
    """
    image, terms = subject.x[k], subject.found.terms
    low, high = near(subject.graph, image, subject.found.radius)
    try:
        lows = [int(v) for v in terms.get("low", low.ravel())]
        highs = [int(v) for v in terms.get("high", high.ravel())]
        marks = {int(v) for v in terms.get("mask", range(image.size))}
    except (TypeError, ValueError):
        lows = highs = []
        marks = set()
    if len(lows) != image.size or len(highs) != image.size or not marks <= set(range(image.size)):
        raise InputError(f"{subject.path}: its mask or limits are none for this input")
    ends = [
        (max(least, a), min(most, b)) if place in marks else (own, own)
        for place, (own, least, most, a, b) in enumerate(
            zip(
                image.ravel().tolist(), low.ravel().tolist(), high.ravel().tolist(), lows, highs,
                strict=True,
            )
        )
    ]  # fmt: skip
    least_of, most_of = (np.array(side, dtype=np.int64) for side in zip(*ends, strict=True))
    return least_of.reshape(low.shape), most_of.reshape(low.shape)


def _every_neighbour_keeps(graph: Graph, image: Array, label: int, radius: int) -> bool:
    """Run the reference on every image with one element moved, one element at a time."""
    kind = graph.input_edge.type
    for place in np.ndindex(image.shape):
        low, high = (
            max(kind.lo, int(image[place]) - radius),
            min(kind.hi, int(image[place]) + radius),
        )
        values = [v for v in range(low, high + 1) if not kind.bipolar or v in (-1, 1)]
        moved = np.repeat(image[None], len(values), axis=0)
        moved[(slice(None), *place)] = values
        if (graph.evaluate(moved) != label).any():
            return False
    return True
