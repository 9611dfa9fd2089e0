"""Verbs of certificates: make them, check them, run what they name in RTL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from flow import stages
from flow.cli import certify_options as ask
from flow.cli.common import images_of, processors, signed
from flow.console import emit, progress
from flow.errors import InputError
from flow.graphfile import load_graph
from flow.options import CACHE, Cache, Data, Json, Limit, Lowered, Output, Property, Simulator

verbs = typer.Typer()

# Which options a property takes, named as its stage in flow.evidence names them.
TAKES = {
    Property.INPUT: {"radius", "method", "seconds", "mask", "range", "vnnlib", "jobs"},
    Property.PIXEL: {"radius", "pixels", "jobs"},
    Property.BITS: {
        *("flips", "jobs", "layer", "memory", "highest", "radius", "each_layer", "cases"),
        *("burst", "build", "exact", "branch", "solver", "seconds"),
    },
    Property.WEIGHTS: {"layer", "method"},
    Property.SMOOTHING: {"sigma", "samples", "selection", "alpha", "seed", "lanes"},
}


@verbs.command()
def certify(
    graph: Lowered, data: Data, certificates: ask.Certificates, property: ask.Claim,
    radius: ask.Radius = None, method: ask.How = None, seconds: ask.Seconds = None,
    mask: ask.Mask = None, range: ask.Limits = None, vnnlib: ask.Vnnlib = None,
    pixels: ask.Pixels = None, flips: ask.Flips = None, cases: ask.Cases = False,
    exact: ask.Exact = False, branch: ask.Branch = False, solver: ask.Solver = False,
    jobs: ask.Jobs = None, layer: ask.Layer = None, memory: ask.Memory = None,
    highest: ask.Highest = None, each_layer: ask.EachLayer = False,
    burst: ask.Burst = None, build: ask.Build = None,
    sigma: ask.Sigma = None, samples: ask.Samples = None, selection: ask.Selection = None,
    alpha: ask.Alpha = None, seed: ask.Seed = None, lanes: ask.Lanes = None,
    plot: ask.Plot = None, output: Output = None, limit: Limit = None, json: Json = False,
) -> None:  # fmt: skip
    """Certify test images: inputs, any one pixel, bits flipped, weights moved, or noise.

    A run that was killed goes on where it was when it is started again.
    """
    asked = _asked(property, locals())
    if property is Property.BITS and flips is None:
        asked.setdefault("jobs", processors())
    if property is Property.SMOOTHING and sigma is None:
        raise InputError("--property smoothing needs --sigma, in pixel codes, such as 1.5")
    images = images_of(data, limit)
    with progress(f"certify {property} {graph.parent.name}") as step:
        record = _stage(property)(graph, images, directory=certificates, progress=step, **asked)
    if plot is not None:
        from flow.report.curve import write_curve

        write_curve(record, plot)
    emit(signed(record), as_json=json, output=output)


def _asked(property: Property, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options given that some property takes, all of which must be this one's."""
    known = set[str]().union(*TAKES.values())
    asked = {
        name: value
        for name, value in given.items()
        if name in known and value is not None and value is not False and value != []
    }
    for name in asked:
        if name not in TAKES[property]:
            owners = " and ".join(kind for kind, names in TAKES.items() if name in names)
            option = name.replace("_", "-")
            raise InputError(f"--{option} is of --property {owners}; {property} takes none")
    return asked


def _stage(property: Property) -> Callable[..., dict[str, Any]]:
    """What answers it; imported late, for it brings torch."""
    from flow import evidence

    stages_of: dict[Property, Callable[..., dict[str, Any]]] = {
        Property.INPUT: evidence.certify_inputs,
        Property.PIXEL: evidence.certify_pixel,
        Property.BITS: evidence.certify_bits,
        Property.WEIGHTS: evidence.certify_weights,
        Property.SMOOTHING: evidence.certify_smoothing,
    }
    return stages_of[property]


@verbs.command()
def check(
    certificate: Annotated[Path, typer.Argument(help="A file that `bitproof certify` wrote.")],
    graph: Annotated[Path, typer.Option(help="The graph the certificate is about.")],
    data: Data,
    image: Annotated[
        list[int] | None, typer.Option(help="Check the flips of these images only.")
    ] = None,
    build: Annotated[
        Path | None, typer.Option(help="The build that a certificate of bursts is about.")
    ] = None,
    part: Annotated[
        str, typer.Option(help="Check one part of several, such as 2/8; all parts are the check.")
    ] = "1/1",
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Re-verify a certificate file with a slow checker that shares no bound code."""
    from dataclasses import asdict

    from flow.certify import Part
    from flow.certify import check as recheck

    asked, images, loaded = Part.of(part), images_of(data, limit), load_graph(graph)
    sites = None
    if build is not None:
        from flow.build import load_build, site_table

        sites = site_table(loaded, load_build(build, graph=loaded).plan())
    with progress(f"check {certificate.name}") as step:
        x = stages.fitting(loaded, images)
        found = recheck(
            certificate, loaded, x, images.y, images=image, sites=sites, part=asked,
            progress=step,
        )  # fmt: skip
    emit(signed({"certificate": str(certificate), **asdict(found)}), as_json=json)


@verbs.command()
def confirm(
    certificate: Annotated[Path, typer.Argument(help="A file that `bitproof certify` wrote.")],
    graph: Annotated[Path, typer.Option(help="The graph the certificate is about.")],
    data: Data,
    build: Annotated[Path, typer.Option(help="The accelerator that is simulated.")],
    sets: Annotated[
        int, typer.Option(min=0, help="Worst sets of flips run for each image PROVED.")
    ] = 3,
    sim: Annotated[Simulator, typer.Option(help="Of the RTL.")] = Simulator.VERILATOR,
    cache: Cache = CACHE,
    output: Output = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Run a certificate's witnesses, and the worst flips of what it proves, in RTL."""
    from flow import evidence

    images = images_of(data, limit)
    with progress(f"confirm {certificate.name}") as step:
        record = evidence.confirm(
            certificate, graph, images, build=build, simulator=sim, cache=cache, most=sets,
            progress=step,
        )  # fmt: skip
    emit(signed(record), as_json=json, output=output)
