"""Verbs of the hardware: build, simulate, synthesise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flow import stages
from flow.build.axi import PART
from flow.build.goal import Goal
from flow.cli.common import images_of, signed
from flow.console import emit, print_rows, progress
from flow.errors import InputError
from flow.options import (
    CACHE,
    Built,
    Cache,
    Data,
    Engine,
    Json,
    Limit,
    Lowered,
    Output,
    Simulator,
    Target,
    To,
)
from flow.schedule import MemoryStyle

verbs = typer.Typer()


@verbs.command()
def build(
    graph: Lowered,
    output: To,
    cycles: Annotated[int | None, typer.Option(min=1, help="At most so many per image.")] = None,
    fps: Annotated[float | None, typer.Option(help="Images per second, at least.")] = None,
    clock: Annotated[
        float | None, typer.Option(help="In MHz, of --fps; the board's, or 100.")
    ] = None,
    board: Annotated[
        str | None,
        typer.Option(help="A folder of hls/boards: the fastest that fits, unless told otherwise."),
    ] = None,
    folding: Annotated[
        Path | None, typer.Option(help="TOML or JSON: pe and simd of each MatVec.")
    ] = None,
    parity: Annotated[
        bool, typer.Option("--parity", help="Protect each word of weights and thresholds.")
    ] = False,
    memory_style: Annotated[
        MemoryStyle, typer.Option(help="Of weights and thresholds; rom: constants in tables.")
    ] = MemoryStyle.AUTO,
    target: Annotated[
        Target, typer.Option(help="vivado, vitis: also AXI and scripts for AMD's tools.")
    ] = Target.RTL,
    part: Annotated[str, typer.Option(help="The AMD device.")] = PART,
    no_dsp: Annotated[
        bool, typer.Option("--no-dsp", help="Plan without DSP blocks, as for synth --no-dsp.")
    ] = False,
    json: Json = False,
) -> None:
    """Plan and write the accelerator: RTL, HLS C++, memory images, fault sites, cycle report."""
    goal = Goal(cycles, fps, clock, folding, board, parity, not no_dsp, memory_style)
    record = signed(stages.build(graph, output, goal, target=target, part=part))
    if json:
        emit(record, as_json=True)
        return
    layers = record.pop("layers")
    print_rows([{**row, "slowest": "<" if row["slowest"] else ""} for row in layers])
    emit({key: value for key, value in record.items() if key != "folding"}, as_json=False)


@verbs.command()
def vendor(
    directory: Built,
    sim: Annotated[Simulator, typer.Option(help="Of the RTL that Vitis makes.")] = (
        Simulator.VERILATOR
    ),
    cache: Cache = CACHE,
    json: Json = False,
) -> None:
    """Run AMD's tool on a build for it: IP core, synthesis; or say that it is missing."""
    with progress(f"vendor tool on {directory}") as step:
        record = stages.vendor(directory, simulator=sim, cache=cache, progress=step)
    emit(signed(record), as_json=json)


@verbs.command()
def simulate(
    directory: Annotated[
        Path, typer.Argument(help="A build; for --engine board what `bitproof synth` wrote.")
    ],
    data: Data,
    engine: Annotated[Engine, typer.Option(help="What stands for the hardware.")] = Engine.RTL,
    sim: Annotated[Simulator, typer.Option(help="Of the RTL.")] = Simulator.VERILATOR,
    cache: Cache = CACHE,
    output: Output = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Run test images through RTL, HLS C++ or a board's pins, and compare with the graph."""
    images = images_of(data, limit)
    with progress(f"simulate {engine} {directory.parent.name}") as step:
        if engine is Engine.BOARD:
            record = stages.simulate_board(
                directory, images, simulator=sim, cache=cache, progress=step
            )
        else:
            record = stages.simulate(
                directory, images, engine=engine, simulator=sim, cache=cache, progress=step
            )
    emit(signed(record), as_json=json, output=output)


@verbs.command()
def synth(
    directory: Built,
    output: To,
    board: Annotated[str, typer.Option(help="A folder of hls/boards.")] = "ulx3s",
    seed: Annotated[int, typer.Option(min=0, help="Of place and route.")] = 1,
    seeds: Annotated[
        int, typer.Option(min=1, help="Place with so many, from --seed on; keep the fastest.")
    ] = 1,
    no_dsp: Annotated[
        bool, typer.Option("--no-dsp", help="Multiply in look-up tables, not in DSP blocks.")
    ] = False,
    smooth: Annotated[
        str | None,
        typer.Option(
            metavar="SIGMA", help="In pixel codes: answer with votes under such Gaussian noise."
        ),
    ] = None,
    votes: Annotated[
        int | None, typer.Option(min=1, help="Per image, of --smooth; 100 unless given.")
    ] = None,
    noise_seed: Annotated[
        int | None, typer.Option(min=0, help="Of --smooth; 0 unless given.")
    ] = None,
    json: Json = False,
) -> None:
    """Synthesise, place and route a build with its UART top; write the bitstream."""
    from flow.build.boards import load_board
    from flow.evidence.smoothing import smoother
    from flow.synth import synthesise

    around = None
    if smooth is not None:
        around = smoother(
            directory,
            sigma=smooth,
            votes=100 if votes is None else votes,
            seed=0 if noise_seed is None else noise_seed,
        )
    elif votes is not None or noise_seed is not None:
        raise InputError("--votes and --noise-seed are of --smooth; give --smooth SIGMA")
    with progress(f"synthesise {directory.parent.name} for {board}") as step:
        record = synthesise(
            directory,
            load_board(board),
            output,
            seed=seed,
            seeds=seeds,
            dsp=not no_dsp,
            smoother=around,
            progress=step,
        )
    emit(signed(record), as_json=json)


@verbs.command()
def bitstream(
    directory: Annotated[Path, typer.Argument(help="A folder, made by `bitproof synth`.")],
    json: Json = False,
) -> None:
    """Print what a bitstream takes of its device, its clock, and how to program the board."""
    from flow.synth import summary

    emit(summary(directory), as_json=json)
