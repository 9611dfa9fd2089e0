"""The independent checker: slow, in plain Python integers, sharing no code with the bounds.

It reads the claims of a certificate file and repeats the argument for each, from the graph's
stored integers alone. What all properties have in common is here; each has a module of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from flow.build.sites import SiteTable
from flow.certify.certificate import (
    CertificateSet,
    Evidence,
    Property,
    Verdict,
    input_digest,
    load_certificates,
)
from flow.certify.recheck_bits import recheck_bits
from flow.certify.recheck_inputs import recheck_inputs, recheck_pixels
from flow.certify.recheck_smoothing import recheck_smoothing
from flow.certify.recheck_weights import recheck_weights
from flow.certify.subject import WHOLE, Checked, Part, Progress, Subject
from flow.errors import InputError
from flow.graphfile import digest
from flow.ir import Array, Graph

RECHECKS: dict[Property, Callable[[Subject], Checked]] = {
    Property.INPUT: recheck_inputs,
    Property.PIXEL: recheck_pixels,
    Property.BITS: recheck_bits,
    Property.WEIGHTS: recheck_weights,
    Property.SMOOTHING: recheck_smoothing,
}


def check(
    path: Path,
    graph: Graph,
    x: Array,
    y: Array,
    *,
    images: Sequence[int] | None = None,
    sites: SiteTable | None = None,
    part: Part = WHOLE,
    progress: Progress | None = None,
) -> Checked:
    """Repeat every claim of the file at ``path`` about ``graph`` on images ``x`` labelled ``y``.

    Args:
        images: enumerate or bound the flips of these images only; by default of all, and compare
            the hash over all effects. Boxes of inputs and witnesses are always all checked.
        sites: of the build that a certificate of bursts is about.
        part: what to repeat of it: the PROVED images are shared out among the parts, but the cases
            and the enumerated flips of each image where the argument is of such. A hash over all
            effects is compared only by a check that is whole.
        progress: called with (steps done, in all).

    Raises:
        InputError: the file is damaged, or is about another graph or other images.
        ClaimError: a claim does not hold.
    """
    found = load_certificates(path)
    same_subject(found, path, graph, x, y)
    subject = Subject(path, found, graph, x, y, images, progress, sites, part)
    _labels_are_true(subject)
    return RECHECKS[found.claim](subject)


def same_subject(found: CertificateSet, path: Path, graph: Graph, x: Array, y: Array) -> None:
    """Raise InputError unless the file is about this graph and these labelled images."""
    if found.graph_digest != digest(graph):
        raise InputError(
            f"{path}: about another graph ({found.graph_digest[:12]}...); certify this"
        )
    if found.claim not in RECHECKS:
        raise InputError(f"{path}: the checker knows no property {found.claim}")
    if len(found.certificates) != len(x) or len(x) != len(y):
        raise InputError(
            f"{path}: {len(found.certificates)} certificates for {len(x)} images; give the images "
            "it was made for"
        )
    for k, certificate in enumerate(found.certificates):
        if certificate.input_digest != input_digest(x[k]) or certificate.label != int(y[k]):
            raise InputError(
                f"{path}: image {k} or its label is another; give the images certified"
            )


def _labels_are_true(subject: Subject) -> None:
    classes = subject.graph.evaluate(subject.x)
    for k, certificate in enumerate(subject.found.certificates):
        if certificate.evidence is not Evidence.REPLAYABLE:
            own = certificate.detail
            solver = f"{own.get('solver', 'a solver')} {own.get('version', '')}".strip()
            raise subject.denied(
                k,
                f"its evidence is trust in {solver}, which cannot be replayed; run the solver on "
                f"{own.get('model', 'its model')} again",
            )
        if certificate.claim is Property.SMOOTHING:
            continue  # its class is that of many noisy images, not of this one
        if certificate.correct != (classes[k] == subject.y[k]):
            raise subject.denied(k, f"its class is {classes[k]}, its label {subject.y[k]}")
        if not certificate.correct and certificate.verdict is not Verdict.REFUTED:
            raise subject.denied(k, f"misclassified, yet {certificate.verdict}")
