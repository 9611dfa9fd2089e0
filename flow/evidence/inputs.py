"""Certificates of the input: whole boxes, or one element moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

from flow.attack import pgd
from flow.certify import Budget, CertificateSet, Property, certify_complete, certify_linear
from flow.certify import certify_input as certify_box
from flow.certify import certify_pixel as certify_one_element
from flow.certify.parts import in_parts
from flow.certify.ranges import load_ranges
from flow.errors import InputError
from flow.graphfile import digest, load_graph
from flow.stages import Images, Progress, Record, fitting

# How a property of the input is answered, in the words of the record.
WORDS = {
    "ibp": "integer interval bounds, then a search for witnesses",
    "linear": "interval and Lagrangian bounds in exact integers, and a search for witnesses",
    "complete": "branch and bound on interval and Lagrangian bounds in exact integers",
    "pixel": "every value of every one element within the radius",
}


def certify_inputs(
    graph_path: Path,
    data: Images,
    *,
    directory: Path,
    radius: Sequence[int] | None = None,
    method: str = "ibp",
    seconds: float | None = None,
    mask: Path | None = None,
    range: Path | None = None,
    progress: Progress | None = None,
) -> Record:
    """Certificates of whole boxes, one file per radius; counts in the record.

    Args:
        radius: by default 1; where ``range`` limits the elements, nothing else does.
        method: ``ibp``, ``linear``, or ``complete`` with ``seconds`` (60) for each image.
        mask, range: files of :func:`flow.certify.ranges.load_ranges`.

    Raises:
        InputError: seconds are given to a method that takes the time it takes.
    """
    if method == "complete":
        budget = Budget(60.0 if seconds is None else seconds)
        certify: Callable[..., CertificateSet]
        certify = partial(certify_complete, budget=budget, attack=pgd)
    elif seconds is not None:
        raise InputError("--seconds is of --method complete; the others take the time they take")
    else:
        certify = partial(certify_linear, attack=pgd) if method == "linear" else certify_box
    ranges = load_ranges(mask, range)
    certify = partial(certify, ranges=ranges)
    asked = {"method": method, "seconds": seconds, "terms": ranges.terms}
    kind = str(Property.INPUT) if method == "ibp" else f"{Property.INPUT}-{method}"
    kind += "-limited" if ranges.terms else ""
    if radius is None:
        kind_of = load_graph(graph_path).input_edge.type
        radius = (1,) if range is None else (kind_of.hi - kind_of.lo,)
    rows = _each_radius(certify, graph_path, data, directory, kind, asked, radius, progress)
    return {**rows, "property": str(Property.INPUT), "method": WORDS[method]}


def certify_pixel(
    graph_path: Path,
    data: Images,
    *,
    directory: Path,
    radius: Sequence[int] = (1,),
    progress: Progress | None = None,
) -> Record:
    """Certificates of any one element moved, one file per radius; counts in the record."""
    certify, kind = certify_one_element, str(Property.PIXEL)
    rows = _each_radius(certify, graph_path, data, directory, kind, {}, radius, progress)
    return {**rows, "property": kind, "method": WORDS[kind]}


def _each_radius(
    certify: Callable[..., CertificateSet],
    graph_path: Path,
    data: Images,
    directory: Path,
    kind: str,
    asked: Record,
    radii: Sequence[int],
    progress: Progress | None,
) -> Record:
    graph = load_graph(graph_path)
    x = fitting(graph, data)
    rows = []
    for radius in radii:
        started = perf_counter()
        path = directory / f"{kind}-radius-{radius}.json"
        found = in_parts(
            partial(certify, radius=radius),
            graph,
            (x, data.y),
            path=path,
            asked={**asked, "kind": kind, "radius": radius},
            progress=progress,
        )
        spent = round(perf_counter() - started, 2)
        rows.append(
            {"radius": radius, **found.summary(), "seconds": spent, "certificates": path.name}
        )
    return {
        "graph": graph.name,
        "graph_digest": digest(graph),
        "data": data.name,
        "images": len(x),
        "radii": rows,
    }
