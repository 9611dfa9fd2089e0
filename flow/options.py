"""Options that several commands share: their legal values and their help."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Engine(StrEnum):
    """What simulates the hardware."""

    RTL = "rtl"
    HLS = "hls"
    BOARD = "board"


class Target(StrEnum):
    """What a build is for; it holds RTL, HLS C++ and images whichever it is."""

    RTL = "rtl"
    VIVADO = "vivado"
    VITIS = "vitis"


class Simulator(StrEnum):
    """What runs RTL."""

    VERILATOR = "verilator"
    ICARUS = "icarus"


class Property(StrEnum):
    """What is certified."""

    INPUT = "input"
    PIXEL = "pixel"
    BITS = "bits"
    SMOOTHING = "smoothing"
    WEIGHTS = "weights"


class Bounds(StrEnum):
    """How whole inputs are certified."""

    IBP = "ibp"
    LINEAR = "linear"
    ZONOTOPE = "zonotope"
    COMPLETE = "complete"
    CPSAT = "cpsat"


class Method(StrEnum):
    """How stored bits, or inputs (pgd, fgsm), are attacked."""

    BFA = "bfa"
    TBFA = "tbfa"
    DNL = "dnl"
    GREEDY = "greedy"
    RANDOM = "random"
    PGD = "pgd"
    FGSM = "fgsm"


Network = Annotated[Path, typer.Argument(help="A quantized network: .onnx (QONNX, FINN) or .h5.")]
Lowered = Annotated[Path, typer.Argument(help="A graph, made by `bitproof lower`.")]
Built = Annotated[Path, typer.Argument(help="A folder, made by `bitproof build`.")]
TrainRecipe = Annotated[Path, typer.Argument(help="What to train: a file of models/recipes.")]
CampaignRecipe = Annotated[Path, typer.Argument(help="What to try: a TOML file, docs/campaign.md.")]
CampaignFolder = Annotated[Path, typer.Argument(help="The folder of a campaign.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="Also write the result here.")]
To = Annotated[Path, typer.Option("-o", "--output", help="Where the result goes.")]
Data = Annotated[
    str, typer.Option(help="digits, mnist, fashion-mnist, cifar10, or a file.npz with x and y.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Use only the first N test images.")]
Cache = Annotated[Path, typer.Option(help="Where compiled simulators are kept.")]
CACHE = Path("build/cache")
