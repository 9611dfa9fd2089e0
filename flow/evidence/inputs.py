"""Certificates of the input: whole boxes, or one element moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

from flow.attack import pgd
from flow.certify import (
    Budget,
    CertificateSet,
    Property,
    certify_complete,
    certify_linear,
    certify_zonotope,
)
from flow.certify import certify_input as certify_box
from flow.certify import certify_pixel as certify_one_element
from flow.certify.parts import IMAGES, in_parts
from flow.certify.pixels import certify_pixels
from flow.certify.ranges import load_ranges
from flow.errors import InputError
from flow.export import export_vnnlib
from flow.graphfile import digest, load_graph
from flow.stages import Images, Progress, Record, fitting

FEW_IMAGES = 10  # in a part, of methods that may take a minute for each

# How a property of the input is answered, in the words of the record.
WORDS = {
    "ibp": "integer interval bounds, then a search for witnesses",
    "linear": "interval and Lagrangian bounds in exact integers, and a search for witnesses",
    "zonotope": "interval bounds, then affine forms in exact dyadic numbers",
    "complete": "branch and bound on interval and Lagrangian bounds in exact integers",
    "cpsat": "interval and Lagrangian bounds in exact integers, then the solver CP-SAT",
    "pixel": "every value of every one element within the radius",
    "pixels": "the largest effects of so many elements on the first products, then intervals",
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
    vnnlib: Path | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Record:
    """Certificates of whole boxes, one file per radius; counts in the record.

    Args:
        radius: by default 1; where ``range`` limits the elements, nothing else does.
        method: ``ibp``, ``linear``, ``zonotope``, or ``complete`` and ``cpsat`` with ``seconds``
            (60) for each image.
        mask, range: files of :func:`flow.certify.ranges.load_ranges`.
        jobs: processes that share the images out; verdicts and files are those of one, but for what
            ``seconds`` cut off.
        vnnlib: a folder for the same questions as VNN-LIB, with the network as ONNX.

    Raises:
        InputError: seconds are given to a method that takes the time it takes.
    """
    certify: Callable[..., CertificateSet]
    budget = Budget(60.0 if seconds is None else seconds)
    if method == "complete":
        certify = partial(certify_complete, budget=budget, attack=pgd)
    elif method == "cpsat":
        from flow.certify.solver import certify_cpsat  # brings the solver

        certify = partial(certify_cpsat, budget=budget, attack=pgd, models=directory / "models")
    elif seconds is not None:
        raise InputError(
            "--seconds is of --method complete and cpsat; the others take the time they take"
        )
    else:
        relaxed = {"linear": certify_linear, "zonotope": certify_zonotope}
        certify = partial(relaxed[method], attack=pgd) if method in relaxed else certify_box
    ranges = load_ranges(mask, range)
    certify = partial(certify, ranges=ranges)
    asked = {"method": method, "seconds": seconds, "terms": ranges.terms}
    kind = str(Property.INPUT) if method == "ibp" else f"{Property.INPUT}-{method}"
    kind += "-limited" if ranges.terms else ""
    if radius is None:
        kind_of = load_graph(graph_path).input_edge.type
        radius = (1,) if range is None else (kind_of.hi - kind_of.lo,)
    if vnnlib is not None:
        graph = load_graph(graph_path)
        x = fitting(graph, data)
        for r in radius:
            box = ranges.box(graph, x, radius=r)
            export_vnnlib(graph, box.lo, box.hi, data.y, directory=vnnlib, stem=f"radius-{r}")
    rows = _each_radius(certify, graph_path, data, directory, kind, asked, radius, jobs, progress)
    return {**rows, "property": str(Property.INPUT), "method": WORDS[method]}


def certify_pixel(
    graph_path: Path,
    data: Images,
    *,
    directory: Path,
    radius: Sequence[int] = (1,),
    pixels: int = 1,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Record:
    """Certificates of any ``pixels`` elements moved, one file per radius; counts in the record.

    One element moved is decided by enumeration, more are bounded.
    """
    certify, kind, words = certify_one_element, str(Property.PIXEL), WORDS["pixel"]
    if pixels != 1:
        certify, kind = partial(certify_pixels, pixels=pixels), f"pixel-{pixels}"
        words = WORDS["pixels"]
    asked = {"pixels": pixels}
    rows = _each_radius(certify, graph_path, data, directory, kind, asked, radius, jobs, progress)
    return {**rows, "property": str(Property.PIXEL), "pixels": pixels, "method": words}


def _each_radius(
    certify: Callable[..., CertificateSet],
    graph_path: Path,
    data: Images,
    directory: Path,
    kind: str,
    asked: Record,
    radii: Sequence[int],
    jobs: int,
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
            images=IMAGES if asked.get("method", "ibp") == "ibp" else FEW_IMAGES,
            jobs=jobs,
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
