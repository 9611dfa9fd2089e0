"""The independent checker: slow, in plain Python integers, sharing no code with the bounds.

It reads the claims of a certificate file and repeats the argument for each, from the graph's
stored integers alone: boxes are recomputed for PROVED inputs and budgets of flips, witnesses are
run, and single flips are enumerated again by running the reference once per flip.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flow.certify.certificate import (
    Certificate,
    CertificateSet,
    Evidence,
    Property,
    Verdict,
    input_digest,
    load_certificates,
)
from flow.certify.plain_bounds import label_holds
from flow.certify.plain_budget import label_withstands
from flow.certify.plain_proof import proof_holds
from flow.errors import ClaimError, InputError
from flow.graphfile import digest
from flow.ir import Array, Fault, Graph, Kind

Progress = Callable[[int, int], None]
BUDGET = "budget"  # the method of certificates of any number of flips


@dataclass(frozen=True, slots=True)
class Checked:
    """What was repeated: boxes recomputed, witnesses run, images whose flips were all enumerated
    again; and the PROVED images left out because the caller chose others."""

    boxes: int
    witnesses: int
    enumerated: int
    unchecked: int


def check(
    path: Path,
    graph: Graph,
    x: Array,
    y: Array,
    *,
    images: Sequence[int] | None = None,
    progress: Progress | None = None,
) -> Checked:
    """Repeat every claim of the file at ``path`` about ``graph`` on images ``x`` labelled ``y``.

    Args:
        images: enumerate the flips of these images only; by default of all, and compare the hash
            over all effects. Boxes and witnesses are always all checked.
        progress: called with (steps done, in all).

    Raises:
        InputError: the file is damaged, or is about another graph or other images.
        ClaimError: a claim does not hold.
    """
    found = load_certificates(path)
    _same_subject(found, path, graph, x, y)
    classes = graph.evaluate(x)
    for k, certificate in enumerate(found.certificates):
        if certificate.evidence is not Evidence.REPLAYABLE:
            raise ClaimError(
                f"{path}: image {k}: evidence {certificate.evidence} cannot be replayed"
            )
        if certificate.correct != (classes[k] == y[k]):
            raise ClaimError(f"{path}: image {k}: its class is {classes[k]}, its label {y[k]}")
        if not certificate.correct and certificate.verdict is not Verdict.REFUTED:
            raise ClaimError(f"{path}: image {k}: misclassified, yet {certificate.verdict}")
    witnesses = _check_witnesses(found, path, graph, x)
    proved = [k for k, c in enumerate(found.certificates) if c.verdict is Verdict.PROVED]
    if found.claim is Property.INPUT:
        for done, k in enumerate(proved, start=1):
            if not _input_holds(graph, x[k], found.certificates[k]):
                raise ClaimError(
                    f"{path}: image {k}: PROVED, but its box leaves another class open"
                )
            if progress is not None:
                progress(done, len(proved))
        return Checked(len(proved), witnesses, 0, 0)
    if found.claim is Property.PIXEL:
        for done, k in enumerate(proved, start=1):
            if not _every_neighbour_keeps(graph, x[k], int(y[k]), found.radius):
                raise ClaimError(f"{path}: image {k}: PROVED, but one element moved changes it")
            if progress is not None:
                progress(done, len(proved))
        return Checked(0, witnesses, len(proved), 0)
    if found.method == BUDGET:
        for done, k in enumerate(proved, start=1):
            if not label_withstands(graph, x[k].tolist(), int(y[k]), found.radius):
                raise ClaimError(f"{path}: image {k}: PROVED, but budgets leave other classes open")
            if progress is not None:
                progress(done, len(proved))
        return Checked(len(proved), witnesses, 0, 0)
    chosen = list(range(len(x))) if images is None else sorted(set(images))
    if chosen and not (chosen[0] >= 0 and chosen[-1] < len(x)):
        raise InputError(f"images {chosen}: choose from 0 to {len(x) - 1}")
    enumeration = _enumerate(path, found, graph, x[chosen], y[chosen], chosen, progress)
    if images is None and enumeration != found.enumeration:
        raise ClaimError(f"{path}: the flips, enumerated again, have other effects (SHA-256)")
    return Checked(0, witnesses, len(chosen), len(set(proved) - set(chosen)))


def _same_subject(found: CertificateSet, path: Path, graph: Graph, x: Array, y: Array) -> None:
    if found.graph_digest != digest(graph):
        raise InputError(
            f"{path}: about another graph ({found.graph_digest[:12]}...); certify this"
        )
    if len(found.certificates) != len(x) or len(x) != len(y):
        raise InputError(
            f"{path}: {len(found.certificates)} certificates for {len(x)} images; give the images "
            "it was made for"
        )
    single = found.claim is Property.BITS and found.method != BUDGET
    if found.radius < 0 or (single and found.radius != 1):
        raise InputError(f"{path}: radius {found.radius} is not one this checker knows")
    for k, certificate in enumerate(found.certificates):
        if certificate.input_digest != input_digest(x[k]) or certificate.label != int(y[k]):
            raise InputError(
                f"{path}: image {k} or its label is another; give the images certified"
            )


def _check_witnesses(found: CertificateSet, path: Path, graph: Graph, x: Array) -> int:
    """Run every REFUTED witness; return how many there are."""
    refuted = [(k, c) for k, c in enumerate(found.certificates) if c.verdict is Verdict.REFUTED]
    for k, certificate in refuted:
        if found.claim is Property.BITS:
            broken = _fault_breaks(graph, x[k], certificate)
        else:
            broken = _input_breaks(graph, x[k], certificate)
        if not broken:
            raise ClaimError(f"{path}: image {k}: REFUTED, but its witness does not break it")
    return len(refuted)


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


def _fault_breaks(graph: Graph, image: Array, certificate: Certificate) -> bool:
    """A misclassified image needs no fault to be wrong."""
    faults = list(certificate.faults)
    if certificate.fault is not None:
        faults.append(certificate.fault)
    if not certificate.correct and faults:
        return False
    if len(faults) > certificate.radius or any(f.kind is not Kind.FLIP for f in faults):
        return False
    try:
        return int(graph.evaluate(image[None], faults)[0]) != certificate.label
    except (KeyError, IndexError):
        return False


def _enumerate(
    path: Path,
    found: CertificateSet,
    graph: Graph,
    x: Array,
    y: Array,
    chosen: Sequence[int],
    progress: Progress | None,
) -> str:
    """Run the reference once per stored bit; return the SHA-256 over all effects.

    An effect is 0 masked, 1 other logits, 2 right to wrong, 3 wrong to right, 4 wrong to wrong.
    """
    proved = np.array([found.certificates[k].verdict is Verdict.PROVED for k in chosen])
    faults = _every_flip(graph)
    clean = graph.evaluate_all(x)
    was = clean[graph.output]
    counts = np.zeros((len(faults), 5), dtype=np.int64)
    critical = np.zeros((len(faults), -(-len(x) // 8)), dtype=np.uint8)
    totals = np.zeros(len(x), dtype=np.int64)
    for k, fault in enumerate(faults):
        struck = graph.evaluate_all(x, [fault])
        now = struck[graph.output]
        effect = (struck[graph.logits] != clean[graph.logits]).any(axis=1).astype(np.int64)
        effect[now != was] = np.select([was == y, now == y], [2, 3], 4)[now != was]
        if (proved & (effect > 1)).any():
            image = chosen[int((proved & (effect > 1)).argmax())]
            raise ClaimError(f"{path}: image {image}: PROVED, but {fault} changes its class")
        counts[k] = np.bincount(effect, minlength=5)
        critical[k] = np.packbits(effect > 1)
        totals += effect > 1
        if progress is not None:
            progress(k + 1, len(faults))
    total = hashlib.sha256(found.graph_digest.encode())
    for part in (was == y, counts, critical, totals):
        total.update(part.tobytes())
    return total.hexdigest()


def _every_flip(graph: Graph) -> list[Fault]:
    return [
        Fault(node.name, parameter, tuple(int(i) for i in index), bit)
        for node in graph.nodes
        for parameter, kind in node.op.stored.items()
        for index in np.ndindex(*getattr(node.op, parameter).shape)
        for bit in range(kind.bits)
    ]
