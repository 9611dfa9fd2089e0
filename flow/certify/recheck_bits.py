"""Re-check of certificates of stored bits: budgets recomputed, single flips enumerated again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from flow.certify.certificate import Certificate, Verdict
from flow.certify.plain_budget import label_withstands
from flow.certify.subject import Checked, Subject
from flow.errors import ClaimError, InputError
from flow.ir import Array, Fault, Graph, Kind

BUDGET = "budget"  # the method of certificates of any number of flips


def recheck_bits(subject: Subject) -> Checked:
    """Run the witnesses; recompute budgets, or enumerate every flip by running the reference."""
    found, path = subject.found, subject.path
    if found.radius < 0 or (found.method != BUDGET and found.radius != 1):
        raise InputError(f"{path}: radius {found.radius} is not one this checker knows")
    for k in subject.refuted:
        if not _fault_breaks(subject.graph, subject.x[k], found.certificates[k]):
            raise subject.denied(k, "REFUTED, but its witness does not break it")
    if found.method == BUDGET:
        return _recheck_budgets(subject)
    return _recheck_enumeration(subject)


def _recheck_budgets(subject: Subject) -> Checked:
    for k in subject.each(subject.proved):
        image, label = subject.x[k].tolist(), int(subject.y[k])
        if not label_withstands(subject.graph, image, label, subject.found.radius):
            raise subject.denied(k, "PROVED, but budgets leave other classes open")
    return Checked(len(subject.proved), len(subject.refuted), 0, 0)


def _recheck_enumeration(subject: Subject) -> Checked:
    x, y = subject.x, subject.y
    chosen = list(range(len(x))) if subject.images is None else sorted(set(subject.images))
    if chosen and not (chosen[0] >= 0 and chosen[-1] < len(x)):
        raise InputError(f"images {chosen}: choose from 0 to {len(x) - 1}")
    enumeration = _enumerate(subject, x[chosen], y[chosen], chosen)
    if subject.images is None and enumeration != subject.found.enumeration:
        raise ClaimError(
            f"{subject.path}: the flips, enumerated again, have other effects (SHA-256)"
        )
    unchecked = len(set(subject.proved) - set(chosen))
    return Checked(0, len(subject.refuted), len(chosen), unchecked)


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


def _enumerate(subject: Subject, x: Array, y: Array, chosen: Sequence[int]) -> str:
    """Run the reference once per stored bit; return the SHA-256 over all effects.

    An effect is 0 masked, 1 other logits, 2 right to wrong, 3 wrong to right, 4 wrong to wrong.
    """
    found, graph = subject.found, subject.graph
    proved = np.array([found.certificates[k].verdict is Verdict.PROVED for k in chosen])
    faults = _every_flip(graph)
    clean = graph.evaluate_all(x)
    was = clean[graph.output]
    counts = np.zeros((len(faults), 5), dtype=np.int64)
    critical = np.zeros((len(faults), -(-len(x) // 8)), dtype=np.uint8)
    totals = np.zeros(len(x), dtype=np.int64)
    for k in subject.each(range(len(faults))):
        fault = faults[k]
        struck = graph.evaluate_all(x, [fault])
        now = struck[graph.output]
        effect = (struck[graph.logits] != clean[graph.logits]).any(axis=1).astype(np.int64)
        effect[now != was] = np.select([was == y, now == y], [2, 3], 4)[now != was]
        if (proved & (effect > 1)).any():
            image = chosen[int((proved & (effect > 1)).argmax())]
            raise subject.denied(image, f"PROVED, but {fault} changes its class")
        counts[k] = np.bincount(effect, minlength=5)
        critical[k] = np.packbits(effect > 1)
        totals += effect > 1
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
