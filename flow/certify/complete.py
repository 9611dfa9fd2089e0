"""Certificates of the input-box property by linear bounds, and by branch and bound on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic

from flow.certify.box import input_box
from flow.certify.branch import Decision, Search, Work
from flow.certify.certificate import Certificate, CertificateSet, Verdict
from flow.certify.input import certify_input
from flow.certify.witness import Effort
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.ir import Array, Graph

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to work on each image that intervals leave open: seconds, and regions to split."""

    seconds: float = 60.0
    splits: int = 1_000_000

    def __post_init__(self) -> None:
        if not (self.seconds >= 0 and self.splits >= 0):
            raise InputError(
                f"a budget of {self.seconds} s and {self.splits} splits: give 0 or more"
            )


def certify_linear(
    graph: Graph,
    x: Array,
    *,
    y: Array,
    radius: int,
    seed: int = 0,
    effort: Effort | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> CertificateSet:
    """``certify_input``, and what it leaves open bounded by Lagrangian relaxation once.

    Each PROVED image that intervals leave open carries the multipliers that show it.
    Arguments and errors as ``certify_input``; also ``InputError`` where the graph is no chain.
    """
    return _certify(graph, x, y, radius, "linear", Budget(splits=0), seed, effort, device, progress)


def certify_complete(
    graph: Graph,
    x: Array,
    *,
    y: Array,
    radius: int,
    budget: Budget | None = None,
    seed: int = 0,
    effort: Effort | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> CertificateSet:
    """``certify_linear``, and what it leaves open split until decided or out of budget.

    Given time this decides every image. Arguments and errors as ``certify_linear``.
    """
    found = Budget() if budget is None else budget
    return _certify(graph, x, y, radius, "complete", found, seed, effort, device, progress)


def _certify(
    graph: Graph,
    x: Array,
    y: Array,
    radius: int,
    method: str,
    budget: Budget,
    seed: int,
    effort: Effort | None,
    device: str,
    progress: Progress | None,
) -> CertificateSet:
    search = Search(BatchedEngine(graph, device=device))
    quick = certify_input(graph, x, y=y, radius=radius, seed=seed, effort=effort, device=device)
    box, found = input_box(graph, x, radius=radius), []
    for k, certificate in enumerate(quick.certificates):
        if certificate.verdict is Verdict.UNKNOWN:
            work = Work(splits=budget.splits, until=monotonic() + budget.seconds)
            certificate = _decided(certificate, search.decide(box[[k]], int(y[k]), work=work))
        found.append(replace(certificate, method=method))
        if progress is not None:
            progress(k + 1, len(x))
    return replace(quick, method=method, certificates=tuple(found))


def _decided(certificate: Certificate, decision: Decision) -> Certificate:
    if decision.witness is not None:
        return replace(certificate, verdict=Verdict.REFUTED, witness=decision.witness)
    if decision.proof is not None:
        return replace(certificate, verdict=Verdict.PROVED, proof=decision.proof)
    return certificate
