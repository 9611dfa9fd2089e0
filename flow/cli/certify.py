"""Verbs of certificates: make them, check them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from flow import stages
from flow.cli.common import images_of, processors, signed
from flow.console import emit, progress
from flow.errors import InputError
from flow.graphfile import load_graph
from flow.options import Bounds, Data, Json, Limit, Lowered, Output, Property

verbs = typer.Typer()

# Which options a property takes, named as its stage in flow.evidence names them.
TAKES = {
    Property.INPUT: {"radius", "method", "seconds", "mask", "range", "vnnlib", "jobs"},
    Property.PIXEL: {"radius", "pixels", "jobs"},
    Property.BITS: {
        *("flips", "jobs", "layer", "memory", "highest", "radius", "each_layer", "cases"),
        *("burst", "build", "exact", "solver", "seconds"),
    },
    Property.WEIGHTS: {"layer"},
    Property.SMOOTHING: {"sigma", "samples", "selection", "alpha", "seed", "lanes"},
}


@verbs.command()
def certify(
    graph: Lowered,
    data: Data,
    certificates: Annotated[Path, typer.Option(help="Folder for the certificate files.")],
    property: Annotated[Property, typer.Option(help="What is perturbed.")],
    radius: Annotated[
        list[int] | None,
        typer.Option(min=0, help="Grid steps; 1. With flips: inputs move too; else they do not."),
    ] = None,
    method: Annotated[
        Bounds | None,
        typer.Option(
            help="Of input: intervals, relaxed once, split until decided, or by a solver; ibp."
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0, help="Of complete, cpsat and --solver: the most per image; 60."),
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(help="Of input: .npy file; elements that are not 0 may move.")
    ] = None,
    range: Annotated[
        Path | None,
        typer.Option(help="Of input: .npz file of `low` and `high`, which no element leaves."),
    ] = None,
    vnnlib: Annotated[
        Path | None,
        typer.Option(help="Of input: a folder for the same questions as VNN-LIB and ONNX."),
    ] = None,
    pixels: Annotated[
        int | None, typer.Option(min=1, help="Of pixel: any so many elements; 1, by enumeration.")
    ] = None,
    flips: Annotated[
        str | None,
        typer.Option(help="Of bits: any so many flips, or `largest`; else every single one."),
    ] = None,
    cases: Annotated[
        bool, typer.Option("--cases", help="Of flips: by cases of the channel struck first.")
    ] = False,
    exact: Annotated[
        bool, typer.Option("--exact", help="Of flips in the last two layers: the fewest there are.")
    ] = False,
    solver: Annotated[
        bool, typer.Option("--solver", help="Of flips: ask CP-SAT about what stays open.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Of input and pixel: processes; 1. Of bits: threads; all processors."
        ),
    ] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(help="Of bits: only those of this node; of weights: whose move, or all."),
    ] = None,
    memory: Annotated[
        list[str] | None, typer.Option(help="Of bits: only NODE.weights or NODE.thresholds.")
    ] = None,
    highest: Annotated[
        int | None, typer.Option(min=1, help="Of bits: only so many highest of each code.")
    ] = None,
    each_layer: Annotated[
        bool, typer.Option("--each-layer", help="Of flips: also those of each layer alone.")
    ] = False,
    burst: Annotated[
        int | None, typer.Option(min=1, help="Of bits: so many adjacent bits of a memory word.")
    ] = None,
    build: Annotated[
        Path | None, typer.Option(help="Of bursts: the build whose memories they strike.")
    ] = None,
    sigma: Annotated[
        str | None, typer.Option(help="Of smoothing: of the noise, in pixel codes; 1.5 or 3/2.")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="Of smoothing: votes that count; 10000.")
    ] = None,
    selection: Annotated[
        int | None, typer.Option(help="Of smoothing: votes that choose the class; 100.")
    ] = None,
    alpha: Annotated[
        str | None, typer.Option(help="Of smoothing: chance of a wrong certificate; 0.001.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of smoothing: of the noise; 0.")] = None,
    lanes: Annotated[
        int | None, typer.Option(help="Of smoothing: noise as hardware of so many lanes draws it.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="An HTML page: certified images against radius or flips.")
    ] = None,
    output: Output = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Certify test images: inputs, any one pixel, bits flipped, weights moved, or noise.

    A run that was killed goes on where it was when it is started again.
    """
    options: dict[str, Any] = {"radius": radius, "method": method, "seconds": seconds}
    options |= {"flips": flips, "jobs": jobs, "mask": mask, "range": range, "layer": layer}
    options |= {"memory": memory, "highest": highest, "each_layer": each_layer}
    options |= {"cases": cases, "exact": exact, "solver": solver, "burst": burst, "build": build}
    options |= {"sigma": sigma, "samples": samples, "selection": selection, "alpha": alpha}
    options |= {"seed": seed, "lanes": lanes}
    options |= {"vnnlib": vnnlib, "pixels": pixels}
    asked = {n: v for n, v in options.items() if v is not None and v is not False and v != []}
    for name in asked:
        if name not in TAKES[property]:
            owners = " and ".join(kind for kind, names in TAKES.items() if name in names)
            option = name.replace("_", "-")
            raise InputError(f"--{option} is of --property {owners}; {property} takes none")
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
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Re-verify a certificate file with a slow checker that shares no bound code."""
    from dataclasses import asdict

    from flow.certify import check as recheck

    images, loaded = images_of(data, limit), load_graph(graph)
    sites = None
    if build is not None:
        from flow.build import load_build, site_table

        sites = site_table(loaded, load_build(build, graph=loaded).plan())
    with progress(f"check {certificate.name}") as step:
        x = stages.fitting(loaded, images)
        found = recheck(certificate, loaded, x, images.y, images=image, sites=sites, progress=step)
    emit(signed({"certificate": str(certificate), **asdict(found)}), as_json=json)
