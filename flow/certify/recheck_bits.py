"""Re-check of certificates of stored bits: budgets recomputed, single flips enumerated again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from flow.certify.certificate import Certificate, Verdict
from flow.certify.plain_bit_tree import label_withstands_by_bits
from flow.certify.plain_budget import label_withstands
from flow.certify.plain_cases import label_withstands_by_channel
from flow.certify.plain_suffix import label_withstands_exactly
from flow.certify.subject import Checked, Subject
from flow.certify.subset import EVERY_BIT, BitSubset
from flow.errors import ClaimError, InputError
from flow.ir import Array, Fault, Graph, Kind

# The methods of certificates of any number of flips.
_HOLDS: dict[str, Callable[..., bool]] = {
    "budget": label_withstands,
    "cases": label_withstands_by_channel,  # shared out case by case
    "exact": label_withstands_exactly,
    "cpsat": label_withstands,  # what a solver proved is refused before
    "branch": label_withstands,  # of images without a tree of bits
}


def recheck_bits(subject: Subject) -> Checked:
    """Run the witnesses; recompute budgets, or enumerate every flip by running the reference."""
    found, path = subject.found, subject.path
    if "burst" in found.terms:
        return _recheck_bursts(subject)
    if found.radius < 0 or (found.method not in _HOLDS and found.radius != 1):
        raise InputError(f"{path}: radius {found.radius} is not one this checker knows")
    subset, near = _terms(subject)
    for k in subject.refuted:
        if not _witness_breaks(subject.graph, subject.x[k], found.certificates[k], subset, near):
            raise subject.denied(k, "REFUTED, but its witness does not break it")
    if found.method in _HOLDS:
        return _recheck_budgets(subject, subset, near)
    singles = [(fault,) for fault in _every_flip(subject.graph, subset)]
    return _recheck_enumeration(subject, singles)


def _recheck_bursts(subject: Subject) -> Checked:
    """Run the witnesses, which must be bursts of the build, and every burst by the reference."""
    bursts = _bursts(subject)
    known = {frozenset(faults) for faults in bursts}
    for k in subject.refuted:
        own = subject.found.certificates[k]
        if own.fault is not None or (own.correct and frozenset(own.faults) not in known):
            raise subject.denied(k, "REFUTED, but its witness is no burst of this build")
        if not _witness_breaks(subject.graph, subject.x[k], own, EVERY_BIT, 0):
            raise subject.denied(k, "REFUTED, but its witness does not break it")
    return _recheck_enumeration(subject, bursts)


def _bursts(subject: Subject) -> list[tuple[Fault, ...]]:
    """What every run of adjacent bits of the build strikes, word by word."""
    path, terms, sites = subject.path, subject.found.terms, subject.sites
    burst = terms["burst"]
    if set(terms) != {"burst"} or not isinstance(burst, dict) or set(burst) != {"length", "sites"}:
        raise InputError(f"{path}: the checker does not know the terms {dict(terms)}")
    length = burst["length"]
    if type(length) is not int or length < 1 or length != subject.found.radius:
        raise InputError(f"{path}: bursts of {length} bits, but {subject.found.radius} flips")
    if sites is None:
        raise InputError(f"{path}: about the words of a build; give it with --build")
    if sites.digest() != burst["sites"]:
        raise InputError(f"{path}: about another build's memories; give the build certified")
    found = []
    for layout in sites.layouts:
        for word in range(layout.words):
            faults = [sites.at(layout.name, word, bit).fault for bit in range(layout.bits)]
            for low in range(max(1, layout.bits - length + 1)):
                found.append(tuple(f for f in faults[low : low + length] if f is not None))
    return found


def _terms(subject: Subject) -> tuple[BitSubset, int]:
    """Which bits may flip, and how far the input may move besides."""
    terms, graph = subject.found.terms, subject.graph
    radius = terms.get("input_radius", 0)
    if set(terms) - {"subset", "input_radius"} or type(radius) is not int or radius < 0:
        raise InputError(f"{subject.path}: the checker does not know the terms {dict(terms)}")
    if radius and subject.found.method not in _HOLDS:
        raise InputError(f"{subject.path}: single flips are enumerated for fixed inputs only")
    subset = BitSubset.of_terms(terms.get("subset", {}))
    known = {f"{node.name}.{name}" for node in graph.nodes for name in node.op.stored}
    for name in subset.parameters or ():
        if name not in known:
            raise InputError(f"{subject.path}: the graph stores no {name!r}; certify again")
    return subset, radius


def _recheck_budgets(subject: Subject, subset: BitSubset, near: int) -> Checked:
    graph, found = subject.graph, subject.found
    flips, holds = found.radius, _HOLDS[found.method]
    chosen = set(_chosen(subject))
    proved, part = [k for k in subject.proved if k in chosen], subject.part
    by_case = holds is label_withstands_by_channel and not part.whole
    if by_case:
        holds = partial(holds, part=part)
    else:
        proved = list(part.share(proved))
    for k in subject.each(proved):
        image, label = subject.x[k], int(subject.y[k])
        if found.method == "branch" and "tree" in found.certificates[k].detail:
            _recheck_tree(subject, k, subset, near)
        elif not holds(graph, image, label, flips, subset=subset, radius=near):
            raise subject.denied(k, "PROVED, but budgets leave other classes open")
    unchecked = len(subject.proved) - len(proved)
    return Checked(
        len(proved), len(subject.refuted), 0, unchecked, part=str(part) if by_case else None
    )


def _recheck_tree(subject: Subject, k: int, subset: BitSubset, near: int) -> None:
    """Replay the splits of one image, which lies where it is."""
    image, label, flips = subject.x[k], int(subject.y[k]), subject.found.radius
    record = subject.found.certificates[k].detail["tree"]
    try:
        holds = not near and label_withstands_by_bits(
            subject.graph, image, label, flips, record=record, subset=subset
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise subject.denied(k, f"PROVED, but by no tree of bits ({error})") from None
    if not holds:
        raise subject.denied(k, "PROVED, but its tree of bits leaves other classes open")


def _chosen(subject: Subject) -> list[int]:
    """The images that the caller wants checked, ascending; all by default."""
    images = len(subject.x)
    chosen = list(range(images)) if subject.images is None else sorted(set(subject.images))
    if chosen and not (chosen[0] >= 0 and chosen[-1] < images):
        raise InputError(f"images {chosen}: choose from 0 to {images - 1}")
    return chosen


def _recheck_enumeration(subject: Subject, strikes: Sequence[tuple[Fault, ...]]) -> Checked:
    x, y = subject.x, subject.y
    chosen = _chosen(subject)
    part = subject.part
    enumeration = _enumerate(subject, x[chosen], y[chosen], chosen, list(part.share(strikes)))
    if subject.images is None and part.whole and enumeration != subject.found.enumeration:
        raise ClaimError(
            f"{subject.path}: the flips, enumerated again, have other effects (SHA-256)"
        )
    unchecked = len(set(subject.proved) - set(chosen))
    done = None if part.whole else str(part)
    return Checked(0, len(subject.refuted), len(chosen), unchecked, part=done)


def _witness_breaks(
    graph: Graph, image: Array, certificate: Certificate, subset: BitSubset, near: int
) -> bool:
    """A misclassified image needs no fault to be wrong; a witness strikes allowed bits only."""
    if certificate.witness is not None:
        if not certificate.correct or len(certificate.witness) != image.size:
            return False
        point = np.array(certificate.witness, dtype=np.int64).reshape(image.shape)
        if (abs(point - image) > near).any() or not graph.input_edge.type.contains(point):
            return False
        image = point
    faults = list(certificate.faults)
    if certificate.fault is not None:
        faults.append(certificate.fault)
    if not certificate.correct and faults:
        return False
    if len(faults) > certificate.radius or any(f.kind is not Kind.FLIP for f in faults):
        return False
    try:
        kinds = [graph.node(fault.node).op.stored[fault.parameter] for fault in faults]
        if not all(subset.allows(*pair) for pair in zip(faults, kinds, strict=True)):
            return False
        return int(graph.evaluate(image[None], faults)[0]) != certificate.label
    except (KeyError, IndexError):
        return False


def _enumerate(
    subject: Subject,
    x: Array,
    y: Array,
    chosen: Sequence[int],
    strikes: Sequence[tuple[Fault, ...]],
) -> str:
    """Run the reference once per strike; return the SHA-256 over all effects.

    An effect is 0 masked, 1 other logits, 2 right to wrong, 3 wrong to right, 4 wrong to wrong.
    """
    found, graph = subject.found, subject.graph
    proved = np.array([found.certificates[k].verdict is Verdict.PROVED for k in chosen])
    clean = graph.evaluate_all(x)
    was = clean[graph.output]
    counts = np.zeros((len(strikes), 5), dtype=np.int64)
    critical = np.zeros((len(strikes), -(-len(x) // 8)), dtype=np.uint8)
    totals = np.zeros(len(x), dtype=np.int64)
    for k in subject.each(range(len(strikes))):
        struck = graph.evaluate_all(x, strikes[k])
        now = struck[graph.output]
        effect = (struck[graph.logits] != clean[graph.logits]).any(axis=1).astype(np.int64)
        effect[now != was] = np.select([was == y, now == y], [2, 3], 4)[now != was]
        if (proved & (effect > 1)).any():
            together = " and ".join(map(str, strikes[k]))
            image = chosen[int((proved & (effect > 1)).argmax())]
            raise subject.denied(image, f"PROVED, but {together} changes its class")
        counts[k] = np.bincount(effect, minlength=5)
        critical[k] = np.packbits(effect > 1)
        totals += effect > 1
    total = hashlib.sha256(found.graph_digest.encode())
    for part in (was == y, counts, critical, totals):
        total.update(part.tobytes())
    return total.hexdigest()


def _every_flip(graph: Graph, subset: BitSubset) -> list[Fault]:
    return [
        Fault(node.name, parameter, tuple(int(i) for i in index), bit)
        for node in graph.nodes
        for parameter, kind in node.op.stored.items()
        for index in np.ndindex(*getattr(node.op, parameter).shape)
        for bit in subset.bits(node.name, parameter, kind).tolist()
    ]
