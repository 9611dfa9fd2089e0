"""The command line: the only reader of arguments and of the environment.

Results go to standard output, progress and errors to standard error. Exit status: 0 done, 1 a
check or a claim failed, 2 bad usage or bad input.
"""

from __future__ import annotations

import os
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from flow import stages
from flow.console import STDERR, emit, print_rows, progress
from flow.errors import ClaimError, InputError
from flow.graphfile import load_graph
from flow.ops import Decode
from flow.options import (
    CACHE,
    Cache,
    Data,
    Engine,
    Json,
    Limit,
    Method,
    Output,
    Property,
    Simulator,
    To,
)
from flow.passes import Policy

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="From quantized network to FPGA bitstream, with evidence. Start: make demo",
)
campaigns = typer.Typer(no_args_is_help=True, help="Fault campaigns: run, resume, show.")
app.add_typer(campaigns, name="campaign")


@app.command()
def train(recipe: Path, output: To, json: Json = False) -> None:
    """Train the network of a TOML recipe and export it as QONNX."""
    from models.export import train_and_export

    if output.suffix == ".json":
        raise InputError(f"{output}: the record goes to .json; give the network another suffix")
    with progress(f"train {recipe.stem}") as step:
        record = train_and_export(
            recipe, output, data_root=_data_root(), note=_signed({}), progress=step
        )
    emit(record, as_json=json)


@app.command()
def lower(
    model: Path,
    output: To,
    accumulator: Annotated[Policy, typer.Option(help="Width of accumulators.")] = Policy.EXACT,
    decode: Annotated[
        Decode, typer.Option(help="How codes that training never uses are read.")
    ] = Decode.PLAIN,
    input_type: Annotated[
        str | None, typer.Option(help="The input's integers, if the file does not say: u8.")
    ] = None,
    input_scale: Annotated[
        str | None, typer.Option(help="What 1 of them means in the file: 1/255.")
    ] = None,
    json: Json = False,
) -> None:
    """Lower a QONNX file to the exact integer graph, or refuse it naming the node."""
    record = stages.lower(
        model,
        output,
        accumulator=accumulator,
        decode=decode,
        input_type=input_type,
        input_scale=input_scale,
    )
    emit(_signed(record), as_json=json)


@app.command()
def optimise(
    graph: Path,
    output: To,
    passes: Annotated[
        list[str] | None,
        typer.Option("--pass", help="One pass (repeatable, in order); all if none is named."),
    ] = None,
    json: Json = False,
) -> None:
    """Run passes that may drop stored bits, and say how many there were and are."""
    emit(_signed(stages.optimise(graph, output, passes=passes or ())), as_json=json)


@app.command()
def compare(
    model: Path,
    graph: Path,
    data: Data,
    finn: Annotated[Path, typer.Option(help="Where the FINN-dialect export is written.")],
    output: Output = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Compare a graph with qonnx (its source) and finn-base (its export), element by element."""
    with progress(f"compare {graph.parent.name}"):
        record = stages.compare(model, graph, _images(data, limit), finn=finn)
    emit(_signed(record), as_json=json, output=output)


@app.command(name="eval")
def evaluate(
    graph: Path, data: Data, output: Output = None, limit: Limit = None, json: Json = False
) -> None:
    """Accuracy of an integer graph on test images."""
    emit(_signed(stages.evaluate(graph, _images(data, limit))), as_json=json, output=output)


@app.command()
def show(
    graph: Path,
    svg: Annotated[Path | None, typer.Option(help="Draw the graph into this SVG file.")] = None,
    dot: Annotated[Path | None, typer.Option(help="Write the graph in the DOT language.")] = None,
    text: Annotated[bool, typer.Option(help="Print one line per node instead.")] = False,
    json: Json = False,
) -> None:
    """A graph as a table of nodes, and as a picture."""
    from flow.atomic import write_atomic
    from flow.graphfile import digest
    from flow.ir.text import graph_text
    from flow.report.drawing import graph_dot, graph_svg
    from flow.report.tables import node_rows

    loaded = load_graph(graph)
    if svg is not None:
        write_atomic(svg, graph_svg(loaded))
    if dot is not None:
        write_atomic(dot, graph_dot(loaded))
    rows = node_rows(loaded)
    if json:
        emit({"graph": loaded.name, "digest": digest(loaded), "nodes": rows}, as_json=True)
    elif text:
        typer.echo(graph_text(loaded), nl=False)
    else:
        print_rows(rows)


@app.command()
def build(
    graph: Path,
    output: To,
    cycles: Annotated[int | None, typer.Option(min=1, help="At most so many per image.")] = None,
    json: Json = False,
) -> None:
    """Plan and write the accelerator: RTL, HLS C++, memory images, fault sites, cycle report."""
    emit(_signed(stages.build(graph, output, cycles=cycles)), as_json=json)


@app.command()
def simulate(
    directory: Annotated[
        Path, typer.Argument(help="A build; for --engine board what `bitproof synth` wrote.")
    ],
    data: Data,
    engine: Engine = Engine.RTL,
    sim: Annotated[Simulator, typer.Option(help="Of the RTL.")] = Simulator.VERILATOR,
    cache: Cache = CACHE,
    output: Output = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Run test images through RTL, HLS C++ or a board's pins, and compare with the graph."""
    images = _images(data, limit)
    with progress(f"simulate {engine} {directory.parent.name}") as step:
        if engine is Engine.BOARD:
            record = stages.simulate_board(
                directory, images, simulator=sim, cache=cache, progress=step
            )
        else:
            record = stages.simulate(
                directory, images, engine=engine, simulator=sim, cache=cache, progress=step
            )
    emit(_signed(record), as_json=json, output=output)


@app.command()
def synth(
    directory: Path,
    output: To,
    board: Annotated[str, typer.Option(help="A folder of hls/boards.")] = "ulx3s",
    seed: Annotated[int, typer.Option(min=0, help="Of place and route.")] = 1,
    json: Json = False,
) -> None:
    """Synthesise, place and route a build with its UART top; write the bitstream."""
    from flow.build.board import load_board
    from flow.synth.ecp5 import synthesise

    with progress(f"synthesise {directory.parent.name} for {board}") as step:
        record = synthesise(directory, load_board(board), output, seed=seed, progress=step)
    emit(_signed(record), as_json=json)


@app.command()
def certify(
    graph: Path,
    data: Data,
    certificates: Annotated[Path, typer.Option(help="Folder for the certificate files.")],
    property: Annotated[Property, typer.Option(help="What is perturbed.")],
    radius: Annotated[
        list[int] | None, typer.Option(min=0, help="Of input and pixel: grid steps; default 1.")
    ] = None,
    output: Output = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Certify test images: whole inputs, any one pixel, or every single stored-bit flip."""
    from flow import evidence
    from flow.certify import Property as Claim

    images = _images(data, limit)
    with progress(f"certify {property} {graph.parent.name}") as step:
        if property is Property.BITS:
            if radius:
                raise InputError("--radius is of inputs; --property bits flips one bit at a time")
            record = evidence.certify_bits(graph, images, directory=certificates, progress=step)
        else:
            record = evidence.certify_inputs(
                Claim(property),
                graph,
                images,
                radii=radius or [1],
                directory=certificates,
                progress=step,
            )
    emit(_signed(record), as_json=json, output=output)


@app.command()
def check(
    certificate: Path,
    graph: Annotated[Path, typer.Option(help="The graph the certificate is about.")],
    data: Data,
    image: Annotated[
        list[int] | None, typer.Option(help="Enumerate the flips of these images only.")
    ] = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Re-verify a certificate file with a slow checker that shares no bound code."""
    from dataclasses import asdict

    from flow.certify import check as recheck

    images, loaded = _images(data, limit), load_graph(graph)
    with progress(f"check {certificate.name}") as step:
        x = stages.fitting(loaded, images)
        found = recheck(certificate, loaded, x, images.y, images=image, progress=step)
    emit(_signed({"certificate": str(certificate), **asdict(found)}), as_json=json)


@app.command()
def attack(
    graph: Path,
    data: Data,
    method: Method = Method.BFA,
    budget: Annotated[int, typer.Option(min=1, help="Most flips.")] = 100,
    seed: Annotated[
        list[int] | None, typer.Option(min=0, help="One run each; repeat the option.")
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Attack the stored bits of a graph; training images guide it, test images judge it."""
    from flow import evidence

    train_images, test_images = _images(data, None, part="train"), _images(data, None)
    with progress(f"attack {method} {graph.parent.name}") as step:
        record = evidence.attack(
            graph,
            train_images,
            test_images,
            method=method,
            budget=budget,
            seeds=seed or [0],
            progress=step,
        )
    emit(_signed(record), as_json=json, output=output)


@campaigns.command("run")
def campaign_run(recipe: Path, to: To, cache: Cache = CACHE, json: Json = False) -> None:
    """Start a campaign in a new folder."""
    _campaign(recipe, to, cache, json, resume=False)


@campaigns.command("resume")
def campaign_resume(
    recipe: Path,
    to: To,
    replace: Annotated[
        bool, typer.Option(help="Empty a folder that holds another campaign first.")
    ] = False,
    cache: Cache = CACHE,
    json: Json = False,
) -> None:
    """Go on where a campaign was stopped; starts it when nothing is there."""
    _campaign(recipe, to, cache, json, resume=True, replace=replace)


@campaigns.command("show")
def campaign_show(directory: Path, json: Json = False) -> None:
    """The results of a finished campaign."""
    from flow.campaign import summary

    emit(_signed(summary(directory)), as_json=json)


@app.command()
def replay(reproducer: Path, cache: Cache = CACHE, json: Json = False) -> None:
    """Run a reproducer file in every engine it concerns; exit status 1 if its claim fails again."""
    from dataclasses import asdict

    from flow.campaign import replay as run_again

    with progress(f"replay {reproducer.name}"):
        found = run_again(reproducer, cache=cache)
    emit(_signed(asdict(found)), as_json=json)
    if found.reproduced:
        raise ClaimError(f"{reproducer}: the claim fails again: {found.reproducer}")


@app.command()
def report(
    directories: Annotated[list[Path], typer.Argument(help="Folders of networks.")], output: To
) -> None:
    """One self-contained HTML page of everything found in the folders."""
    from flow.report.page import write_report

    write_report(directories, output)
    STDERR.print(f"bitproof: wrote {output}", soft_wrap=True)


@app.command()
def run(
    recipe: Path,
    out: Annotated[Path | None, typer.Option(help="Folder of results.")] = None,
    board: Annotated[str | None, typer.Option(help="Also make this board's bitstream.")] = None,
    cache: Cache = CACHE,
) -> None:
    """The whole flow for one recipe, from training to the report."""
    from flow.pipeline import run_flow

    run_flow(recipe, out=out, board=board, cache=cache, data_root=_data_root(), progress=progress)


@app.callback(invoke_without_command=True)
def _top(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if show_version:
        typer.echo(f"bitproof {version('bitproof')}")
        raise typer.Exit


def _campaign(
    recipe: Path, out: Path, cache: Path, as_json: bool, *, resume: bool, replace: bool = False
) -> None:
    from flow import evidence
    from flow.campaign import load_recipe

    loaded = load_recipe(recipe)
    images = _images(loaded.data, None)
    with progress(f"campaign {loaded.name}") as step:
        record = evidence.campaign(
            loaded, images, out=out, cache=cache, resume=resume, replace=replace, progress=step
        )
    emit(_signed(record), as_json=as_json)


def _images(name: str, limit: int | None, *, part: str = "test") -> stages.Images:
    return stages.load_images(name, root=_data_root(), limit=limit, part=part)


def _data_root() -> Path:
    return Path(os.environ.get("BITPROOF_DATA", "data"))


def _signed(record: dict[str, Any]) -> dict[str, Any]:
    """The record with the command that made it."""
    return {**record, "command": shlex.join(["bitproof", *sys.argv[1:]])}


def main() -> None:
    """The console script; turns the project's errors into one line and an exit status."""
    try:
        app()
    except InputError as error:
        _die(error, 2)
    except ClaimError as error:
        _die(error, 1)
    except OSError as error:
        _die(error, 2)
    except KeyboardInterrupt:
        _die("interrupted", 130)


def _die(error: object, status: int) -> None:
    text = " ".join(str(error).split())
    print(f"bitproof: error: {text}", file=sys.stderr)
    sys.exit(status)
