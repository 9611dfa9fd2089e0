"""Verbs from a network to its integer graph, and what the graph is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flow import stages
from flow.cli.common import data_root, images_of, rows_of, signed
from flow.console import emit, note, print_rows, progress
from flow.errors import InputError
from flow.graphfile import load_graph
from flow.ops import Compare, Decode
from flow.options import Data, Json, Limit, Lowered, Network, Output, To, TrainRecipe
from flow.passes import Policy

verbs = typer.Typer()


@verbs.command()
def train(
    recipe: TrainRecipe,
    output: To,
    accelerator: Annotated[str, typer.Option(help="cpu, cuda or auto; Lightning's names.")] = "cpu",
    devices: Annotated[int, typer.Option(min=1, help="How many of them, on each node.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Machines that train together.")] = 1,
    precision: Annotated[str, typer.Option(help="32-true, bf16-mixed or 16-mixed.")] = "32-true",
    json: Json = False,
) -> None:
    """Train the network of a TOML recipe and export it as QONNX.

    A run that was killed goes on behind its last whole epoch when it is started again.
    """
    from models.export import train_and_export
    from models.loop import Machine

    if output.suffix == ".json":
        raise InputError(f"{output}: the record goes to .json; give the network another suffix")
    with progress(f"train {recipe.stem}") as step:
        record = train_and_export(
            recipe,
            output,
            data_root=data_root(),
            note=signed({}),
            machine=Machine(accelerator, devices, nodes, precision),
            progress=step,
        )
    if record:
        emit(record, as_json=json)


@verbs.command()
def study(
    name: Annotated[str, typer.Argument(help="A file of models/studies, without .toml.")],
    seeds: Annotated[int | None, typer.Option(min=1, help="Networks per row.")] = None,
    results: Annotated[Path, typer.Option(help="Where raw numbers go, a file per network.")] = Path(
        "docs/results"
    ),
    json: Json = False,
) -> None:
    """Train the networks of a study, measure them, and print its table as Markdown.

    What is done is not done again: a killed study goes on, and a finished one prints its table.
    """
    from models.study import load_study, run_study

    plan = load_study(name)
    record = run_study(
        plan, seeds=seeds or plan.seeds, results=results, data_root=data_root(), progress=progress
    )
    if json:
        emit(signed(record), as_json=True)
    else:
        typer.echo(record["markdown"], nl=False)


@verbs.command()
def search(
    recipe: Annotated[Path, typer.Argument(help="A recipe with a table named search.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The SQLite study.")],
    trials: Annotated[int, typer.Option(min=1, help="Trials in the study, earlier ones too.")] = 20,
    cost: Annotated[str, typer.Option(help="Second objective: cycles or lut.")] = "none",
    cycles: Annotated[
        int | None, typer.Option(min=1, help="Per image, of the folding that lut is of.")
    ] = None,
    best: Annotated[Path | None, typer.Option(help="Write the best trial's recipe here.")] = None,
    json: Json = False,
) -> None:
    """Try the values of a recipe's search table; held-out images judge. A killed search goes on.

    With a cost the best are those that no other trial beats in both.
    """
    from flow.atomic import write_atomic
    from models.search import Cost, best_recipe, load_space
    from models.search import search as run

    if cost not in tuple(Cost):
        raise InputError(f"--cost {cost!r}: unknown; choose from {', '.join(Cost)}")
    space = load_space(recipe)
    with progress(f"search {recipe.stem}") as step:
        rows = run(
            space, output, trials=trials, data_root=data_root(), cost=Cost(cost), cycles=cycles,
            progress=step,
        )  # fmt: skip
    if best is not None:
        write_atomic(best, best_recipe(space, rows).encode())
    if json:
        emit(signed({"trials": rows}), as_json=True)
    else:
        print_rows(rows)


@verbs.command()
def widths(
    recipe: TrainRecipe,
    output: Annotated[Path, typer.Option("-o", "--output", help="The recipe with its widths.")],
    budget: Annotated[
        int | None, typer.Option(min=1, help="Stored weight bits; as many as the recipe's widths.")
    ] = None,
    least: Annotated[int, typer.Option(help="Bits of a weight, at least.")] = 2,
    most: Annotated[int, typer.Option(help="Bits at most, and of the reference.")] = 8,
    json: Json = False,
) -> None:
    """Choose the bits of each layer's weights by Lipschitz constants, and write them as a recipe.

    A network of fine weights is trained first; a killed run goes on behind its last whole epoch.
    """
    from models.mixed_widths import choose_widths

    with progress(f"widths {recipe.stem}") as step:
        record = choose_widths(
            recipe, output, data_root=data_root(), least=least, most=most, budget=budget,
            progress=step,
        )  # fmt: skip
    _tell(signed(record), as_json=json)


@verbs.command()
def lower(
    model: Network,
    output: To,
    accumulator: Annotated[Policy, typer.Option(help="Width of accumulators.")] = Policy.EXACT,
    decode: Annotated[
        Decode, typer.Option(help="How codes that training never uses are read.")
    ] = Decode.PLAIN,
    compare: Annotated[
        Compare, typer.Option(help="How thresholds reached are found; search for many levels.")
    ] = Compare.COUNT,
    input_type: Annotated[
        str | None, typer.Option(help="The input's integers, if the file does not say: u8.")
    ] = None,
    input_scale: Annotated[
        str | None, typer.Option(help="What 1 of them means in the file: 1/255.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Also say what became of each node of the file.")
    ] = False,
    json: Json = False,
) -> None:
    """Lower a quantized network to the exact integer graph, or refuse it naming the node."""
    from flow.ingest import RefusedError

    try:
        record = stages.lower(
            model,
            output,
            accumulator=accumulator,
            decode=decode,
            compare=compare,
            input_type=input_type,
            input_scale=input_scale,
        )
    except RefusedError as refused:
        if explain:
            nodes = rows_of(refused.explained)
            if json:
                emit(signed({"refused": str(refused), "nodes": nodes}), as_json=True)
            else:
                print_rows(nodes)
        raise
    if not explain:
        record = {key: value for key, value in record.items() if key not in ("nodes", "changes")}
    _tell(signed(record), as_json=json)


def _tell(record: dict[str, Any], *, as_json: bool) -> None:
    """The record with its lists as tables."""
    if as_json:
        emit(record, as_json=True)
        return
    for name in ("nodes", "changes", "layers"):
        print_rows(record.pop(name, []))
    emit(record, as_json=False)


@verbs.command()
def operators(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="As docs/ingestion.md has it.")
    ] = False,
    json: Json = False,
) -> None:
    """What `bitproof lower` reads: every op of the file, what it becomes, what is refused."""
    from flow.ingest.table import markdown_table, operator_rows

    if json:
        emit({"operators": rows_of(operator_rows())}, as_json=True)
    elif markdown:
        typer.echo(markdown_table(), nl=False)
    else:
        print_rows(
            [{"op": row.op, "dialect": row.dialect, "is": row.becomes} for row in operator_rows()]
        )


@verbs.command()
def optimise(
    graph: Lowered,
    output: To,
    passes: Annotated[
        list[str] | None,
        typer.Option("--pass", help="One pass (repeatable, in order); all if none is named."),
    ] = None,
    json: Json = False,
) -> None:
    """Run passes that may drop stored bits, and say how many there were and are."""
    emit(signed(stages.optimise(graph, output, passes=passes or ())), as_json=json)


@verbs.command()
def compare(
    model: Network,
    graph: Lowered,
    data: Data,
    finn: Annotated[Path, typer.Option(help="Where the FINN-dialect export is written.")],
    most_excused: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share that float32 may decide otherwise; default 1e-6."),
    ] = None,
    output: Output = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Compare a graph with qonnx (its source) and finn-base (its export), element by element."""
    with progress(f"compare {graph.parent.name}"):
        record = stages.compare(
            model, graph, images_of(data, limit), finn=finn, most_excused=most_excused
        )
    for engine, opinion in record.items():
        if isinstance(opinion, dict) and "not_run" in opinion:
            note(f"{engine}: not run, {opinion['not_run']}")
    emit(signed(record), as_json=json, output=output)


@verbs.command()
def export(
    graph: Lowered,
    output: Annotated[Path, typer.Option("--output", "-o", help="The ONNX file.")],
    form: Annotated[str, typer.Option("--format", help="finn, or onnx: standard operators.")],
    json: Json = False,
) -> None:
    """Write a graph so that other tools execute it to the same integers (docs/export.md)."""
    emit(signed(stages.export(graph, output, form=form)), as_json=json)


@verbs.command(name="eval")
def evaluate(
    graph: Lowered, data: Data, output: Output = None, limit: Limit = None, json: Json = False
) -> None:
    """Accuracy of an integer graph on test images."""
    emit(signed(stages.evaluate(graph, images_of(data, limit))), as_json=json, output=output)


@verbs.command()
def show(
    graph: Lowered,
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
