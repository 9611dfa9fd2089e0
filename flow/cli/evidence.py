"""Verbs that attack: stored bits, inputs, fault campaigns."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from flow.cli.common import help_alone, images_of, signed
from flow.cli.upsets import list_registers, run_upset_campaign, show_upset_campaign
from flow.console import emit, note, print_rows, progress
from flow.errors import ClaimError, InputError
from flow.options import (
    CACHE,
    Cache,
    CampaignFolder,
    CampaignRecipe,
    Data,
    Json,
    Limit,
    Lowered,
    Method,
    Output,
    To,
)

verbs = typer.Typer()
campaigns = typer.Typer(help="Fault campaigns: run, resume, show, query, registers.")
campaigns.callback(invoke_without_command=True)(help_alone)
verbs.add_typer(campaigns, name="campaign")


@verbs.command()
def attack(
    graph: Lowered,
    data: Data,
    method: Annotated[Method, typer.Option(help="How the next flip is chosen.")] = Method.BFA,
    budget: Annotated[int | None, typer.Option(min=1, help="Most flips; 100.")] = None,
    radius: Annotated[
        list[int] | None, typer.Option(min=0, help="Of pgd and fgsm: grid steps; default 1.")
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option(min=0, help="One run each; repeat the option.")
    ] = None,
    target: Annotated[int | None, typer.Option(min=0, help="Of tbfa: the class to reach.")] = None,
    source: Annotated[
        int | None, typer.Option(min=0, help="Of tbfa: the class to move; all others.")
    ] = None,
    stealthy: Annotated[
        bool, typer.Option("--stealthy", help="Of tbfa: keep the other classes as they are.")
    ] = False,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Training images that a search of bits sees; 128.")
    ] = None,
    output: Output = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Attack the stored bits of a graph, guided by training images, or its test inputs."""
    from flow import evidence

    if method in (Method.PGD, Method.FGSM):
        if budget is not None or batch is not None:
            raise InputError(
                f"--budget and --batch are of flips; {method} moves inputs by --radius"
            )
        if target is not None or source is not None or stealthy:
            raise InputError("--target, --source and --stealthy are of --method tbfa")
        images = images_of(data, limit)
        go = partial(evidence.attack_inputs, graph, images, radii=radius or [1])
    else:
        if radius or limit:
            raise InputError(
                f"--radius and --limit are of pgd and fgsm; {method} flips stored bits"
            )
        train_images, test_images = images_of(data, None, part="train"), images_of(data, None)
        go = partial(
            evidence.attack, graph, train_images, test_images, budget=budget or 100, batch=batch,
            target=target, source=source, stealthy=stealthy,
        )  # fmt: skip
    with progress(f"attack {method} {graph.parent.name}") as step:
        record = go(method=method, seeds=seed or [0], progress=step)
    emit(signed(record), as_json=json, output=output)


@verbs.command()
def protect(
    graph: Lowered,
    data: Data,
    folder: Annotated[Path, typer.Option("-o", "--output", help="Folder for the tables.")],
    share: Annotated[
        list[str] | None,
        typer.Option(help="Of critical faults to keep away; repeat; 0.5, 0.9, 0.99 and 1."),
    ] = None,
    build: Annotated[
        Path | None, typer.Option(help="A build, to protect words of its memories too.")
    ] = None,
    flips: Annotated[
        int | None,
        typer.Option(min=2, help="Also: memories to protect against any so many flips elsewhere."),
    ] = None,
    certified: Annotated[
        str | None, typer.Option(help="Of --flips: the share of correct images to certify; 1.")
    ] = None,
    limit: Limit = None,
    jobs: Annotated[int, typer.Option(min=1, help="Threads.")] = 1,
    json: Json = False,
) -> None:
    """Rank every stored bit by the images it breaks, and find the smallest sets to protect."""
    from flow import evidence

    if certified is not None and flips is None:
        raise InputError("--certified is of --flips; give how many flips")
    with progress(f"protect {graph.parent.name}") as step:
        record = evidence.protect(
            graph,
            images_of(data, limit),
            directory=folder,
            shares=share or evidence.SHARES,
            build=build,
            flips=flips,
            certified=certified or "1",
            jobs=jobs,
            progress=step,
        )
    if json:
        emit(signed(record), as_json=True)
        return
    rows = [{"which": "", **row} for row in record.pop("sets")]
    emit(signed(record), as_json=False)
    print_rows([{k: row[k] for k in (*list(row)[1:7], "which")} for row in rows])


@campaigns.command("run")
def campaign_run(recipe: CampaignRecipe, to: To, cache: Cache = CACHE, json: Json = False) -> None:
    """Start a campaign in a new folder."""
    _campaign(recipe, to, cache, json, resume=False)


@campaigns.command("resume")
def campaign_resume(
    recipe: CampaignRecipe,
    to: To,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Empty a folder of another or a damaged campaign first."),
    ] = False,
    cache: Cache = CACHE,
    json: Json = False,
) -> None:
    """Go on where a campaign was stopped; starts it when nothing is there."""
    _campaign(recipe, to, cache, json, resume=True, replace=replace)


@campaigns.command("show")
def campaign_show(
    directory: CampaignFolder,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Also write its plots to this HTML file.")
    ] = None,
    json: Json = False,
) -> None:
    """The results of a finished campaign."""
    from flow.campaign import summary
    from flow.campaign.upsets.show import is_upset_campaign

    if plot is not None:
        if plot.suffix != ".html":
            raise InputError(f"--plot {plot}: the plots are a web page; name it .html")
        from flow.report.campaign_page import write_campaign_page

        write_campaign_page(directory, plot)
        note(f"wrote {plot}")
    if is_upset_campaign(directory):
        show_upset_campaign(directory, json)
        return
    emit(signed(summary(directory)), as_json=json)


@campaigns.command("query")
def campaign_query(
    directory: CampaignFolder,
    sql: Annotated[str, typer.Argument(help="DuckDB's SQL; views in docs/campaign.md.")],
    json: Json = False,
) -> None:
    """Ask the results of a campaign anything, finished or not."""
    from flow.campaign import query

    rows = query(directory, sql)
    if json:
        emit({"rows": rows}, as_json=True)
    else:
        print_rows(rows)


@campaigns.command("registers")
def campaign_registers(
    build: Annotated[Path, typer.Argument(help="A build directory.")], json: Json = False
) -> None:
    """The flip-flops of an accelerator, which a campaign on registers strikes."""
    list_registers(build, json)


@verbs.command()
def replay(
    reproducer: Annotated[Path, typer.Argument(help="A file that a failed campaign wrote.")],
    cache: Cache = CACHE,
    json: Json = False,
) -> None:
    """Run a reproducer file in every engine it concerns; exit status 1 if its claim fails again."""
    from dataclasses import asdict

    from flow.campaign import replay as run_again

    with progress(f"replay {reproducer.name}"):
        found = run_again(reproducer, cache=cache)
    emit(signed(asdict(found)), as_json=json)
    if found.reproduced:
        raise ClaimError(f"{reproducer}: the claim fails again: {found.reproducer}")


def _campaign(
    recipe: Path, out: Path, cache: Path, as_json: bool, *, resume: bool, replace: bool = False
) -> None:
    from flow import evidence
    from flow.campaign import load_recipe
    from flow.campaign.recipe import recipe_target

    if recipe_target(recipe) == "registers":
        run_upset_campaign(recipe, out, cache, as_json, resume=resume, replace=replace)
        return
    loaded = load_recipe(recipe)
    images = images_of(loaded.data, None)
    with progress(f"campaign {loaded.name}") as step:
        record = evidence.campaign(
            loaded, images, out=out, cache=cache, resume=resume, replace=replace, progress=step
        )
    emit(signed(record), as_json=as_json)
