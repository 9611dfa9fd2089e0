"""Certificates of any k flips that budgets leave open and branch and bound on bits decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import monotonic

from flow.certify.bit_branch import BitSearch, Branched
from flow.certify.certificate import Certificate, CertificateSet, Verdict
from flow.certify.k_flips import BRANCH, certify_k_flips
from flow.certify.subset import EVERY_BIT, BitSubset
from flow.errors import InputError
from flow.ir import Array, Graph

Progress = Callable[[int, int], None]


def certify_flips_by_branching(
    graph: Graph,
    x: Array,
    *,
    y: Array,
    flips: int,
    subset: BitSubset = EVERY_BIT,
    seconds: float = 60.0,
    progress: Progress | None = None,
) -> CertificateSet:
    """``certify_k_flips``, and what it leaves open split bit by bit, ``seconds`` for each image.

    Given time this decides every image. What only the splits prove carries the tree in ``detail``,
    and ``bounds``, the flips that budgets alone certify.

    Raises:
        InputError: as ``certify_k_flips``, or the seconds are below 0.
    """
    if not seconds >= 0:
        raise InputError(f"a budget of {seconds} s: give 0 or more")

    def bounded(done: int, total: int) -> None:
        if progress is not None:
            progress(done, 2 * total)

    quick = certify_k_flips(graph, x, y=y, flips=flips, subset=subset, progress=bounded)
    search, found = BitSearch(graph, flips=flips, subset=subset), []
    for k, certificate in enumerate(quick.certificates):
        if certificate.verdict is Verdict.UNKNOWN:
            answer = search.decide(x[k], int(y[k]), until=monotonic() + seconds)
            certificate = _answered(certificate, answer)
        found.append(replace(certificate, method=BRANCH))
        if progress is not None:
            progress(len(x) + k + 1, 2 * len(x))
    return replace(quick, method=BRANCH, certificates=tuple(found))


def _answered(certificate: Certificate, answer: Branched) -> Certificate:
    known = dict(certificate.detail)
    if answer.witness is not None:
        known["attacked"] = len(answer.witness)
        return replace(certificate, verdict=Verdict.REFUTED, faults=answer.witness, detail=known)
    if answer.tree is None:
        return certificate
    tree = answer.tree.record()
    known = {**known, "bounds": known["certified"], "certified": certificate.radius, "tree": tree}
    return replace(certificate, verdict=Verdict.PROVED, detail=known)
