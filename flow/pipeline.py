"""The whole flow for one recipe, in order: read this second."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from flow import evidence, stages
from flow.atomic import write_json
from flow.build.board import load_board
from flow.certify import Property
from flow.report.page import write_report
from flow.synth.ecp5 import synthesise
from models.export import train_and_export
from models.recipe import load_recipe

Step = Callable[[int, int], None]
RADII = (1, 2, 3)
FLIPS = 200


def run_flow(
    recipe_path: Path,
    *,
    out: Path | None,
    board: str | None,
    cache: Path,
    data_root: Path,
    progress: Callable[[str], AbstractContextManager[Step]],
) -> Path:
    """Train, lower, build, simulate, certify, attack and report; returns the report's path.

    Every result is a file in ``out`` (default ``build/<recipe>``), as the single-stage commands
    write them. Any engine that disagrees anywhere stops the run with ``ClaimError``.
    """
    recipe = load_recipe(recipe_path)
    out = Path("build") / recipe.name if out is None else out
    model, graph, accelerator = out / "model.onnx", out / "graph.json", out / "accelerator"
    with progress(f"train {recipe.name}") as step:
        train_and_export(recipe_path, model, data_root=data_root, progress=step)
    test = stages.load_images(recipe.dataset, root=data_root)
    train = stages.load_images(recipe.dataset, root=data_root, part="train")
    with progress("lower, compare, build"):
        stages.lower(model, graph, accumulator="exact", decode="plain")
        agreed = stages.compare(model, graph, test, finn=out / "finn.onnx")
        write_json(out / "compare.json", agreed)
        stages.build(graph, accelerator)
    for engine in ("hls", "rtl"):
        with progress(f"simulate {engine}") as step:
            found = stages.simulate(
                accelerator, test, engine=engine, simulator="verilator", cache=cache, progress=step
            )
        write_json(out / f"{engine}.json", found)
    certificates = out / "certificates"
    with progress("certify") as step:
        for claim in (Property.INPUT, Property.PIXEL):
            found = evidence.certify_inputs(
                claim, graph, test, radii=RADII, directory=certificates, progress=step
            )
            write_json(out / f"{claim}.json", found)
        bits = evidence.certify_bits(graph, test, directory=certificates, progress=step)
    write_json(out / "bits.json", bits)
    for method in ("bfa", "random"):
        with progress(f"attack {method}") as step:
            attacked = evidence.attack(
                graph, train, test, method=method, budget=FLIPS, seeds=[0], progress=step
            )
        write_json(out / f"{method}.json", attacked)
    if board is not None:
        with progress(f"synthesise for {board}") as step:
            synthesise(accelerator, load_board(board), out / board, progress=step)
    write_report([out], out / "report.html")
    return out / "report.html"
