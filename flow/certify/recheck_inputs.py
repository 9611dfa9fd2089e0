"""Re-check of certificates of the input: boxes and trees recomputed, neighbours run again."""

from __future__ import annotations

import numpy as np

from flow.certify.certificate import Certificate, Property
from flow.certify.plain_bounds import label_holds
from flow.certify.plain_proof import proof_holds
from flow.certify.subject import Checked, Subject
from flow.errors import InputError
from flow.ir import Array, Graph


def recheck_inputs(subject: Subject) -> Checked:
    """Run the witnesses and recompute the boxes and trees of whole inputs."""
    witnesses = _check_witnesses(subject)
    for k in subject.each(subject.proved):
        certificate = subject.found.certificates[k]
        if not _input_holds(subject.graph, subject.x[k], certificate):
            raise subject.denied(k, "PROVED, but its box leaves another class open")
    return Checked(len(subject.proved), witnesses, 0, 0)


def recheck_pixels(subject: Subject) -> Checked:
    """Run the witnesses, and the reference on every image with one element moved."""
    witnesses = _check_witnesses(subject)
    for k in subject.each(subject.proved):
        label, radius = int(subject.y[k]), subject.found.radius
        if not _every_neighbour_keeps(subject.graph, subject.x[k], label, radius):
            raise subject.denied(k, "PROVED, but one element moved changes it")
    return Checked(0, witnesses, len(subject.proved), 0)


def _check_witnesses(subject: Subject) -> int:
    """Run every REFUTED witness; return how many there are."""
    if subject.found.radius < 0:
        raise InputError(f"{subject.path}: radius {subject.found.radius} is below 0")
    for k in subject.refuted:
        if not _input_breaks(subject.graph, subject.x[k], subject.found.certificates[k]):
            raise subject.denied(k, "REFUTED, but its witness does not break it")
    return len(subject.refuted)


def _input_breaks(graph: Graph, image: Array, certificate: Certificate) -> bool:
    witness = certificate.witness
    if witness is None or len(witness) != image.size:
        return False
    near = all(
        abs(a - int(b)) <= certificate.radius for a, b in zip(witness, image.ravel(), strict=True)
    )
    if not near:
        return False
    point = np.array(witness, dtype=np.int64).reshape(image.shape)
    inside = graph.input_edge.type.contains(point)
    if certificate.claim is Property.PIXEL and int((point != image).sum()) > 1:
        return False
    return inside and int(graph.evaluate(point[None])[0]) != certificate.label


def _input_holds(graph: Graph, image: Array, certificate: Certificate) -> bool:
    """Whether the intervals of the whole box, or the certificate's trees, show its claim."""
    values, label, radius = image.ravel().tolist(), certificate.label, certificate.radius
    if certificate.proof is None:
        return label_holds(graph, values, label, radius)
    return proof_holds(graph, values, label, radius, certificate.proof)


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
