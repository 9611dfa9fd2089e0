"""What is to be run in hardware about the certificates of a file.

A REFUTED image comes with flips, or an input, that take its label: they must take it there too. Of
an image PROVED against flips, the sets that its own bound is about are named, and the worst of them
run: they must change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from flow.build.sites import SiteTable
from flow.certify.bursts import Bursts
from flow.certify.certificate import CertificateSet, Property, Verdict
from flow.certify.effect import standing
from flow.certify.exact import furthest_flips
from flow.certify.flip_attack import worst_sets
from flow.certify.flips import burst_flips
from flow.certify.k_flips import EXACT, worst_inputs
from flow.certify.subset import BitSubset
from flow.errors import InputError
from flow.ir import Array, Fault, Graph

Flips = tuple[Fault, ...]
Progress = Callable[[int, int], None]
RUNNABLE = (Property.INPUT, Property.PIXEL, Property.BITS)


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """``faults`` together while ``point`` is computed, about image ``image``: with ``breaks`` they
    must take its ``label``, else leave it."""

    image: int
    label: int
    point: Array
    faults: Flips
    breaks: bool


def trials_of(
    found: CertificateSet,
    graph: Graph,
    x: Array,
    *,
    sites: SiteTable,
    most: int = 3,
    progress: Progress | None = None,
) -> list[Trial]:
    """Every witness of ``found``, and the worst sets of flips of every image PROVED against flips,
    at most ``most`` for each.

    Args:
        found: the certificates of images ``x``.
        sites: of the build, for claims about its words.

    Raises:
        InputError: the claims are about no flips and no integer inputs, so there is nothing to run.
    """
    if found.claim not in RUNNABLE:
        raise InputError(
            f"property {found.claim}: its certificates name nothing that hardware can run; give "
            f"those of {', '.join(RUNNABLE)}"
        )
    trials = [*_witnesses(found, x)]
    proved = [k for k, c in enumerate(found.certificates) if c.verdict is Verdict.PROVED]
    if found.claim is not Property.BITS or not proved:
        return trials
    if "burst" in found.terms:
        return trials + _worst_bursts(found, graph, x, proved, sites)
    points = _points(found, graph, x, proved)
    for done, k in enumerate(proved, start=1):
        label = found.certificates[k].label
        sets = _sets(found, graph, points[k], label)
        trials += [Trial(k, label, points[k], flips, False) for flips in sets[:most]]
        if progress is not None:
            progress(done, len(proved))
    return trials


def _witnesses(found: CertificateSet, x: Array) -> Iterator[Trial]:
    for k, own in enumerate(found.certificates):
        if own.correct and own.verdict is Verdict.REFUTED:
            point = x[k]
            if own.witness is not None:
                point = np.array(own.witness, dtype=np.int64).reshape(point.shape)
            faults = (*own.faults, *([] if own.fault is None else [own.fault]))
            yield Trial(k, own.label, point, faults, True)


def _worst_bursts(
    found: CertificateSet, graph: Graph, x: Array, proved: list[int], sites: SiteTable
) -> list[Trial]:
    """The burst that leaves each image's label least ahead."""
    labels = np.array([found.certificates[k].label for k in proved])
    bursts = Bursts(sites, found.radius)
    worst = burst_flips(graph, x[proved], y=labels, bursts=bursts).worst_fault
    return [
        Trial(k, int(label), x[k], bursts.faults(int(number)), False)
        for k, label, number in zip(proved, labels, worst, strict=True)
    ]


def _points(found: CertificateSet, graph: Graph, x: Array, proved: list[int]) -> Array:
    """The images; where inputs move too, the input within reach that brings a rival closest."""
    chosen = np.zeros(len(x), dtype=np.bool_)
    chosen[proved] = True
    labels = np.array([c.label for c in found.certificates])
    return worst_inputs(graph, x, labels, int(found.terms.get("input_radius", 0)), chosen)


def _sets(found: CertificateSet, graph: Graph, point: Array, label: int) -> list[Flips]:
    """The sets of flips that the bounds of the last layers are about, the worst first."""
    flips, subset = found.radius, BitSubset.of_terms(found.terms.get("subset", {}))
    values = graph.evaluate_all(point[None])
    sets = {*worst_sets(graph, values, label=label, flips=flips, subset=subset)} - {()}
    if found.method == EXACT:
        sets |= {*furthest_flips(graph, point, label=label, flips=flips, subset=subset)} - {()}
    ahead = {
        own: int(standing(graph.evaluate_all(point[None], own)[graph.logits], np.array([label]))[0])
        for own in sets
    }
    return sorted(sets, key=lambda own: (ahead[own], list(map(str, own))))
