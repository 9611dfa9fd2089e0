"""The whole flow for one recipe, in order: read this second."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from flow import evidence, stages
from flow.atomic import write_json
from flow.build.boards import load_board
from flow.campaign import Recipe as Campaign
from flow.campaign import Single
from flow.certify import Property
from flow.report.page import write_report
from flow.synth import synthesise
from models.export import train_and_export
from models.recipe import load_recipe

Title = Callable[[str], AbstractContextManager[stages.Progress]]
Keep = Callable[[str, stages.Record], None]
RADII = {Property.INPUT: (1, 2, 3), Property.PIXEL: (1, 2, 4, 16)}
SEEDS, FLIPS = (0, 1, 2), 200
FAULTS, IMAGES, DRAW = 2000, 100, 2026  # of the campaign: distinct faults, images, seed


def run_flow(
    recipe_path: Path,
    *,
    out: Path | None,
    board: str | None,
    cache: Path,
    data_root: Path,
    progress: Title,
) -> Path:
    """Train, lower, build, simulate, certify, attack, inject and report; returns the report.

    Every result is a file in ``out`` (default ``build/<recipe>``). With ``board`` the bitstream is
    made too, and its top simulated at its pins. Any engine that disagrees stops the run with
    ``ClaimError``.
    """
    recipe = load_recipe(recipe_path)
    target = None if board is None else load_board(board)
    out = Path("build") / recipe.name if out is None else out
    model, graph, accelerator = out / "model.onnx", out / "graph.json", out / "accelerator"
    command = {"command": f"bitproof run {recipe_path}"}

    def keep(name: str, record: stages.Record) -> None:
        write_json(out / f"{name}.json", record | command)

    with progress(f"train {recipe.name}") as step:
        train_and_export(recipe_path, model, data_root=data_root, note=command, progress=step)
    test = stages.load_images(recipe.dataset, root=data_root)
    train = stages.load_images(recipe.dataset, root=data_root, part="train")
    with progress("lower, compare, build"):
        stages.lower(model, graph, accumulator="exact", decode="plain")
        keep("compare", stages.compare(model, graph, test, finn=out / "finn.onnx"))
        stages.build(graph, accelerator)
    for engine in ("hls", "rtl"):
        with progress(f"simulate {engine}") as step:
            found = stages.simulate(
                accelerator, test, engine=engine, simulator="verilator", cache=cache, progress=step
            )
        keep(engine, found)
    bits = _prove_and_attack(graph, train, test, keep, progress)
    faults = _campaign(recipe.name, accelerator, test, bits=bits)
    with progress("campaign") as step:
        evidence.campaign(
            faults, test, out=out / "campaign", cache=cache, replace=True, progress=step
        )
    if target is not None:
        with progress(f"synthesise for {target.name}") as step:
            synthesise(accelerator, target, out / target.name, progress=step)
        some = stages.Images(test.name, test.x[:10], test.y[:10])
        found = stages.simulate_board(out / target.name, some, simulator="verilator", cache=cache)
        keep("board", found)
    write_report([out], out / "report.html")
    return out / "report.html"


def _campaign(name: str, accelerator: Path, test: stages.Images, *, bits: int) -> Campaign:
    """Single flips of some of the ``bits`` stored."""
    return Campaign(
        name=name,
        build=accelerator,
        data=test.name,
        images=min(IMAGES, len(test.y)),
        faults=Single(count=min(FAULTS, bits)),
        seed=DRAW,
    )


def _prove_and_attack(
    graph: Path, train: stages.Images, test: stages.Images, keep: Keep, progress: Title
) -> int:
    """Certificates and attacks; returns how many bits the network stores."""
    certificates = graph.with_name("certificates")
    with progress("certify") as step:
        for claim, radii in RADII.items():
            certify = evidence.certify_pixel if claim is Property.PIXEL else evidence.certify_inputs
            keep(claim, certify(graph, test, radius=radii, directory=certificates, progress=step))
        bits = evidence.certify_bits(graph, test, directory=certificates, progress=step)
        keep("bits", bits)
    for method in ("bfa", "random"):
        with progress(f"attack {method}") as step:
            found = evidence.attack(
                graph, train, test, method=method, budget=FLIPS, seeds=SEEDS, progress=step
            )
        keep(method, found)
    return int(bits["stored_bits"])
