"""What `bitproof certify` can be asked: one option each, with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flow.options import Bounds
from flow.options import Property as Kinds

Certificates = Annotated[Path, typer.Option(help="Folder for the certificate files.")]
Claim = Annotated[Kinds, typer.Option(help="What is perturbed.")]
Radius = Annotated[
    list[int] | None,
    typer.Option(min=0, help="Grid steps; 1. With flips: inputs move too; else they do not."),
]
How = Annotated[
    Bounds | None,
    typer.Option(
        help="Of input: intervals, relaxed once, zonotopes, split until decided, a solver; ibp. "
        "Of weights: ibp or linear."
    ),
]
Seconds = Annotated[
    float | None,
    typer.Option(min=0, help="Of complete, cpsat, --branch, --solver: most per image; 60."),
]
Mask = Annotated[
    Path | None, typer.Option(help="Of input: .npy file; elements that are not 0 may move.")
]
Limits = Annotated[
    Path | None,
    typer.Option(help="Of input: .npz file of `low` and `high`, which no element leaves."),
]
Vnnlib = Annotated[
    Path | None,
    typer.Option(help="Of input: a folder for the same questions as VNN-LIB and ONNX."),
]
Pixels = Annotated[
    int | None, typer.Option(min=1, help="Of pixel: any so many elements; 1, by enumeration.")
]
Flips = Annotated[
    str | None,
    typer.Option(help="Of bits: any so many flips, or `largest`; else every single one."),
]
Cases = Annotated[
    bool, typer.Option("--cases", help="Of flips: by cases of the channel struck first.")
]
Exact = Annotated[
    bool, typer.Option("--exact", help="Of flips in the last two layers: the fewest there are.")
]
Solver = Annotated[
    bool, typer.Option("--solver", help="Of flips: ask CP-SAT about what stays open.")
]
Branch = Annotated[
    bool, typer.Option("--branch", help="Of flips: split what stays open, bit by bit.")
]
Jobs = Annotated[
    int | None,
    typer.Option(min=1, help="Of input and pixel: processes; 1. Of bits: threads; all processors."),
]
Layer = Annotated[
    list[str] | None,
    typer.Option(help="Of bits: only those of this node; of weights: whose move, or all."),
]
Memory = Annotated[
    list[str] | None, typer.Option(help="Of bits: only NODE.weights or NODE.thresholds.")
]
Highest = Annotated[
    int | None, typer.Option(min=1, help="Of bits: only so many highest of each code.")
]
EachLayer = Annotated[
    bool, typer.Option("--each-layer", help="Of flips: also those of each layer alone.")
]
Burst = Annotated[
    int | None, typer.Option(min=1, help="Of bits: so many adjacent bits of a memory word.")
]
Build = Annotated[
    Path | None, typer.Option(help="Of bursts: the build whose memories they strike.")
]
Sigma = Annotated[
    str | None, typer.Option(help="Of smoothing: of the noise, in pixel codes; 1.5 or 3/2.")
]
Samples = Annotated[int | None, typer.Option(help="Of smoothing: votes that count; 10000.")]
Selection = Annotated[
    int | None, typer.Option(help="Of smoothing: votes that choose the class; 100.")
]
Alpha = Annotated[
    str | None, typer.Option(help="Of smoothing: chance of a wrong certificate; 0.001.")
]
Seed = Annotated[int | None, typer.Option(help="Of smoothing: of the noise; 0.")]
Lanes = Annotated[
    int | None, typer.Option(help="Of smoothing: noise as hardware of so many lanes draws it.")
]
Plot = Annotated[
    Path | None, typer.Option(help="An HTML page: certified images against radius or flips.")
]
