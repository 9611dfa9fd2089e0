"""How far weights may move: one certificate file per layer, and one for all together."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

from flow.certify import CertificateSet, Property
from flow.certify import certify_weights as certify_moves
from flow.certify.parts import in_parts
from flow.certify.weights import INTERVALS, LINEAR, half_step, moved_layers
from flow.errors import InputError
from flow.graphfile import digest, load_graph
from flow.ir import Graph
from flow.stages import Images, Progress, Record, fitting

ALL = "all"  # every layer with weights, each weight by its own move
BOUNDS = {
    "ibp": (INTERVALS, "intervals of real sums in exact integers"),
    "linear": (LINEAR, "intervals, then linear bounds, of real sums in exact dyadic numbers"),
}


def certify_weights(
    graph_path: Path,
    data: Images,
    *,
    directory: Path,
    layer: Sequence[str] | None = None,
    method: str = "ibp",
    progress: Progress | None = None,
) -> Record:
    """The certified radius of each layer's weights and of all jointly, in units of their integers.

    Args:
        layer: names of layers, or ``all``; by default every one and then all.
        method: ``ibp``, or ``linear``, which never certifies less.

    Raises:
        InputError: there is no such layer or method, or the graph has an op without such a bound.
    """
    if method not in BOUNDS:
        raise InputError(f"--method {method} is of inputs; weights take {' and '.join(BOUNDS)}")
    graph = load_graph(graph_path)
    every = moved_layers(graph)
    asked = {name: every if name == ALL else moved_layers(graph, [name]) for name in layer or ()}
    if not asked:
        asked = {name: (name,) for name in every} | {ALL: every}
    x = fitting(graph, data)
    rows = []
    for name, layers in asked.items():
        started = perf_counter()
        kind = str(Property.WEIGHTS) if method == "ibp" else f"{Property.WEIGHTS}-{method}"
        path = directory / f"{kind}-{name}.json"
        found = in_parts(
            partial(certify_moves, layers=layers, method=BOUNDS[method][0]),
            graph,
            (x, data.y),
            path=path,
            asked={"kind": kind, "layers": list(layers)},
            progress=progress,
        )
        seconds = round(perf_counter() - started, 2)
        rows.append(
            {**_row(graph, name, layers, found), "seconds": seconds, "certificates": path.name}
        )
    return {
        "graph": graph.name,
        "graph_digest": digest(graph),
        "property": str(Property.WEIGHTS),
        "method": f"{BOUNDS[method][1]}, bisection over the radius",
        "data": data.name,
        "images": len(x),
        "layers": rows,
    }


def _row(graph: Graph, name: str, layers: tuple[str, ...], found: CertificateSet) -> Record:
    """Counts, and the spread of the radius over the images classified rightly."""
    radii = [Fraction(c.detail.get("epsilon", 0)) for c in found.certificates if c.correct]
    step = half_step(graph, layers)
    return {
        "layer": name,
        **found.summary(),
        "least": float(min(radii, default=Fraction(0))),
        "median": float(median(radii)) if radii else 0.0,
        "largest": float(max(radii, default=Fraction(0))),
        "half_step": float(step),
        "rounding_is_safe": sum(radius >= step for radius in radii),
    }
