"""Verbs over everything: the whole flow, and its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flow.cli.common import data_root
from flow.console import STDERR, progress
from flow.options import CACHE, Cache, To, TrainRecipe

verbs = typer.Typer()


@verbs.command()
def report(
    directories: Annotated[list[Path], typer.Argument(help="Folders of networks.")], output: To
) -> None:
    """One self-contained HTML page of everything found in the folders."""
    from flow.report.page import write_report

    write_report(directories, output)
    STDERR.print(f"bitproof: wrote {output}", soft_wrap=True)


@verbs.command()
def run(
    recipe: TrainRecipe,
    out: Annotated[Path | None, typer.Option(help="Folder of results.")] = None,
    board: Annotated[str | None, typer.Option(help="Also make this board's bitstream.")] = None,
    cache: Cache = CACHE,
) -> None:
    """The whole flow for one recipe, from training to the report."""
    from flow.pipeline import run_flow

    run_flow(recipe, out=out, board=board, cache=cache, data_root=data_root(), progress=progress)
