"""Certificates of any k flips that budgets leave open and a solver decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from flow.certify.certificate import Certificate, CertificateSet, Evidence, Verdict
from flow.certify.flip_solver import FlipQuestion
from flow.certify.k_flips import SOLVER, certify_k_flips
from flow.certify.solver import trusted
from flow.certify.subset import EVERY_BIT, BitSubset
from flow.ir import Array, Graph

Progress = Callable[[int, int], None]


def certify_flips_by_solver(
    graph: Graph,
    x: Array,
    *,
    y: Array,
    flips: int,
    models: Path,
    subset: BitSubset = EVERY_BIT,
    seconds: float = 60.0,
    progress: Progress | None = None,
) -> CertificateSet:
    """``certify_k_flips``, and what it leaves open asked of CP-SAT, ``seconds`` for each image.

    What only the solver proves has evidence ``solver``; its ``detail`` says how many flips the
    budgets alone certify (``bounds``), by whom it was solved, and the model's file in ``models``.

    Raises:
        InputError: as ``certify_k_flips`` and ``FlipQuestion``.
    """

    def bounded(done: int, total: int) -> None:
        if progress is not None:
            progress(done, 2 * total)

    quick = certify_k_flips(graph, x, y=y, flips=flips, subset=subset, progress=bounded)
    found = []
    for k, certificate in enumerate(quick.certificates):
        if certificate.verdict is Verdict.UNKNOWN:
            question = FlipQuestion(graph, x[k], int(y[k]), flips=flips, subset=subset)
            certificate = _answered(certificate, question, seconds, models)
        found.append(replace(certificate, method=SOLVER))
        if progress is not None:
            progress(len(x) + k + 1, 2 * len(x))
    return replace(quick, method=SOLVER, certificates=tuple(found))


def _answered(
    certificate: Certificate, question: FlipQuestion, seconds: float, models: Path
) -> Certificate:
    answer, faults = question.solve(seconds)
    known = dict(certificate.detail)
    if answer is Verdict.REFUTED and faults is not None:
        known["attacked"] = len(faults)
        return replace(certificate, verdict=answer, faults=faults, detail=known)
    if answer is Verdict.UNKNOWN:
        return certificate
    by = trusted(question.model, models, certificate.input_digest)
    known = {**known, "bounds": known["certified"], "certified": certificate.radius, **by}
    return replace(certificate, verdict=answer, evidence=Evidence.SOLVER, detail=known)
