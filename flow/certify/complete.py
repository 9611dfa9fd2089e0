"""Certificates of the input-box property by linear bounds, and by branch and bound on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic
from typing import TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from flow.certify.box import Box
from flow.certify.branch import Search, Work
from flow.certify.certificate import Certificate, CertificateSet, Verdict
from flow.certify.input import certify_input
from flow.certify.ranges import Ranges
from flow.certify.witness import Effort
from flow.certify.zonotope_bound import withstands, zonotope_if_any
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.ir import Array, Graph

Progress = Callable[[int, int], None]
Attack = Callable[..., tuple[Array, NDArray[np.bool_]]]  # engine, x, box, y, rng -> points, broken


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


class Settings(TypedDict, total=False):
    """What the methods of this module take beside their question; all may be left out.

    ``attack`` is tried first on what intervals leave open, called as ``flow.attack.pgd`` is; the
    others are those of ``certify_input``.
    """

    ranges: Ranges | None
    seed: int
    effort: Effort | None
    attack: Attack | None
    device: str
    progress: Progress | None


def certify_linear(
    graph: Graph, x: Array, *, y: Array, radius: int, **settings: Unpack[Settings]
) -> CertificateSet:
    """``certify_input``, and what it leaves open bounded by Lagrangian relaxation once.

    Each PROVED image that intervals leave open carries the multipliers that show it. Arguments and
    errors as ``certify_input``, and :class:`Settings`.
    """
    return _certify(graph, x, y, radius, "linear", Budget(splits=0), **settings)


def certify_zonotope(
    graph: Graph, x: Array, *, y: Array, radius: int, **settings: Unpack[Settings]
) -> CertificateSet:
    """``certify_linear`` within the intervals that affine forms give, which may decide alone.

    Each PROVED image that needs forms carries the slopes of its staircases in ``detail``. Graphs
    whose forms the checker could not hold are bounded as by ``certify_linear``.

    Arguments and errors as ``certify_linear``.
    """
    return _certify(graph, x, y, radius, "zonotope", Budget(splits=0), **settings)


def certify_complete(
    graph: Graph,
    x: Array,
    *,
    y: Array,
    radius: int,
    budget: Budget | None = None,
    **settings: Unpack[Settings],
) -> CertificateSet:
    """``certify_linear``, and what it leaves open split until decided or out of budget.

    Given time this decides every image. Arguments and errors as ``certify_linear``.
    """
    found = Budget() if budget is None else budget
    return _certify(graph, x, y, radius, "complete", found, **settings)


def _certify(
    graph: Graph,
    x: Array,
    y: Array,
    radius: int,
    method: str,
    budget: Budget,
    *,
    ranges: Ranges | None = None,
    seed: int = 0,
    effort: Effort | None = None,
    attack: Attack | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> CertificateSet:
    search = Search(BatchedEngine(graph, device=device))
    quick = certify_input(
        graph, x, y=y, radius=radius, ranges=ranges, seed=seed, effort=effort, device=device
    )
    box, found = (ranges or Ranges()).box(graph, x, radius=radius), []
    witnesses = _attacked(search.engine, x, box, y, quick, attack, np.random.default_rng(seed))
    for k, certificate in enumerate(quick.certificates):
        if k in witnesses:
            certificate = replace(certificate, verdict=Verdict.REFUTED, witness=witnesses[k])
        if certificate.verdict is Verdict.UNKNOWN:
            work = Work(splits=budget.splits, until=monotonic() + budget.seconds)
            certificate = _decided(certificate, search, box[[k]], work, forms=method != "linear")
        found.append(replace(certificate, method=method))
        if progress is not None:
            progress(k + 1, len(x))
    return replace(quick, method=method, certificates=tuple(found))


def _attacked(
    engine: BatchedEngine,
    x: Array,
    box: Box,
    y: Array,
    quick: CertificateSet,
    attack: Attack | None,
    rng: np.random.Generator,
) -> dict[int, tuple[int, ...]]:
    """Witnesses that ``attack`` finds against images that are still unknown."""
    left = [k for k, c in enumerate(quick.certificates) if c.verdict is Verdict.UNKNOWN]
    if attack is None or not left:
        return {}
    points, broken = attack(engine, x[left], box[left], y[left], rng=rng)
    return {
        k: tuple(point.ravel().tolist())
        for k, point, hit in zip(left, points, broken, strict=True)
        if hit
    }


def _decided(
    certificate: Certificate, search: Search, box: Box, work: Work, *, forms: bool
) -> Certificate:
    """By the leads of forms, or by multipliers, and splits, within the intervals forms give."""
    label, limits = certificate.label, {}
    found = zonotope_if_any(search.relaxed, box) if forms else None
    if found is not None:
        slopes = {name: own.ravel().tolist() for name, own in found.slopes.items()}
        certificate = replace(certificate, detail={"slopes": slopes})
        if withstands(search.relaxed, found, label):
            return replace(certificate, verdict=Verdict.PROVED)
        limits = {node.name: found.boxes[node.inputs[0]] for node in search.relaxed.thresholds}
    decision = search.decide(box, label, work=work, limits=limits)
    if decision.proof is not None:
        return replace(certificate, verdict=Verdict.PROVED, proof=decision.proof)
    if decision.witness is not None:
        certificate = replace(certificate, verdict=Verdict.REFUTED, witness=decision.witness)
    return replace(certificate, detail={})
