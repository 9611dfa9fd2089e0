"""Each stage from files to files, returning the JSON record that the command line prints.

The command line and ``flow.pipeline`` call the same functions; nothing here prints or reads the
environment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from flow.build import build as build_accelerator
from flow.build import load_build
from flow.build.axi import PART
from flow.build.goal import Goal, plan_for
from flow.errors import ClaimError, InputError
from flow.fitting import fit
from flow.graphfile import digest, load_graph, save_graph
from flow.ir import Array, Graph
from flow.ir.text import stored_bits
from flow.passes import OPTIMISE, run_passes
from flow.schedule import interval

# Torch, the simulators and the synthesis tools are imported where a stage needs them, so that
# `bitproof --help` and the small stages start at once.

Progress = Callable[[int, int], None]
Record = dict[str, Any]


@dataclass(frozen=True, eq=False, slots=True)
class Images:
    """Labelled images in the order every stage uses: (images, *input shape) and (images,)."""

    name: str
    x: Array
    y: Array


def load_images(name: str, *, root: Path, limit: int | None = None, part: str = "test") -> Images:
    """The test (or ``train``) images of a data set, or the first ``limit`` of them."""
    from models.data import load_dataset

    data = load_dataset(name, root=root)
    x, y = (data.train_x, data.train_y) if part == "train" else (data.test_x, data.test_y)
    return Images(data.name, x[:limit], y[:limit])


def accuracy(classes: Array, y: Array) -> Record:
    """``accuracy``, ``correct`` and ``total``, the three keys every evaluation has."""
    correct = int((classes == y).sum())
    return {"accuracy": correct / len(y), "correct": correct, "total": len(y)}


def lower(
    model: Path,
    output: Path,
    *,
    accumulator: str,
    decode: str,
    compare: str = "count",
    input_type: str | None = None,
    input_scale: str | None = None,
) -> Record:
    """Lower a network to the integer graph at ``output``.

    ``nodes`` and ``changes`` of the record say what became of each node of the file, and what the
    passes changed.
    """
    from flow.ingest import RefusedError
    from flow.ingest import lower as lower_file

    try:
        lowered = lower_file(
            model,
            accumulator=accumulator,
            decode=decode,
            compare=compare,
            input_type=input_type,
            input_scale=input_scale,
        )
    except RefusedError as refused:
        raise RefusedError(f"{model}: {refused}", refused.explained) from None
    written = save_graph(lowered.graph, output)
    return {
        "graph": lowered.graph.name,
        "output": str(output),
        "digest": written,
        "accumulator": accumulator,
        "decode": decode,
        "compare": compare,
        "input": str(lowered.graph.input_edge),
        "stored_bits": sum(stored_bits(node.op) for node in lowered.graph.nodes),
        "nodes": [asdict(row) for row in lowered.explained],
        "changes": [asdict(row) for row in lowered.changes],
    }


def optimise(graph_path: Path, output: Path, *, passes: Sequence[str] = ()) -> Record:
    """Run the passes named (all of ``OPTIMISE`` if none) and write the graph they make.

    Raises:
        InputError: there is no such pass.
    """
    names = tuple(passes) or tuple(OPTIMISE)
    for name in names:
        if name not in OPTIMISE:
            raise InputError(f"--pass {name!r}: no such pass; known are {', '.join(OPTIMISE)}")
    source = load_graph(graph_path)
    graph = run_passes(source, [OPTIMISE[name] for name in names])
    return {
        "graph": graph.name,
        "output": str(output),
        "passes": list(names),
        "source_digest": digest(source),
        "digest": save_graph(graph, output),
        "nodes_before": len(source.nodes),
        "nodes": len(graph.nodes),
        "stored_bits_before": sum(stored_bits(node.op) for node in source.nodes),
        "stored_bits": sum(stored_bits(node.op) for node in graph.nodes),
    }


def compare(
    model: Path, graph_path: Path, data: Images, *, finn: Path, most_excused: float | None = None
) -> Record:
    """Execute ``model`` with qonnx, and the FINN-dialect export ``finn`` (written here) with
    finn-base where it has one, and compare both with the graph at every quantizer output; at most
    the share ``most_excused`` of the elements, and always one, may be excused by float32's error
    (``Agreement`` has the default).

    Raises:
        InputError: the graph was not lowered from this model.
        ClaimError: an element differs that float32 cannot be excused for, or too many do.
    """
    from flow.agreement import agree_finn, agree_qonnx
    from flow.export import export_finn
    from flow.ingest import lower_again

    graph = load_graph(graph_path)
    lowered = lower_again(model, graph)
    if lowered is None:
        raise InputError(f"{graph_path}: not lowered from {model}; lower the model again")
    x = fitting(graph, data)
    opinions, not_run = [agree_qonnx(model, lowered, x)], {}
    try:
        export_finn(graph, finn)
    except InputError as refusal:  # finn-base has no say where its dialect has no form
        finn.unlink(missing_ok=True)  # of an earlier graph
        not_run["finn-base"] = {"not_run": str(refusal)}
    else:
        opinions.append(agree_finn(finn, graph, x))
    if most_excused is not None:
        opinions = [replace(opinion, most_excused=most_excused) for opinion in opinions]
    for opinion in opinions:
        if not opinion.holds:
            raise ClaimError(f"{model}: {opinion.complaint()}")
    return {
        "graph": graph.name,
        "graph_digest": digest(graph),
        "data": data.name,
        **{o.engine: o.record() for o in opinions},
        **not_run,
    }


def export(graph_path: Path, output: Path, *, form: str) -> Record:
    """Write a graph in the dialect ``form``: finn or onnx.

    Raises:
        InputError: there is no such format, or a node has no exact form in it.
    """
    from flow.export import FORMATS

    if form not in FORMATS:
        raise InputError(f"no format {form!r}; use {' or '.join(FORMATS)}")
    graph = load_graph(graph_path)
    FORMATS[form](graph, output)
    return {"graph": graph.name, "graph_digest": digest(graph), "format": form}


def evaluate(graph_path: Path, data: Images) -> Record:
    """Accuracy of the integer graph on ``data``."""
    graph = load_graph(graph_path)
    x = fitting(graph, data)
    return {"graph": graph.name, "data": data.name, **accuracy(graph.evaluate(x), data.y)}


def fitting(graph: Graph, data: Images) -> Array:
    """The images in the graph's input shape; raises ``InputError`` when they are not its input."""
    return fit(graph, data.x, name=data.name)


def build(
    graph_path: Path,
    directory: Path,
    goal: Goal | None = None,
    *,
    target: str = "rtl",
    part: str = PART,
) -> Record:
    """Plan and write the accelerator of a graph into ``directory``; see ``docs/amd.md``.

    Raises:
        InputError: the goal cannot be reached, see ``plan_for``; nothing is written then.
    """
    graph = load_graph(graph_path)
    plan, family = plan_for(graph, goal or Goal())
    made = build_accelerator(graph, plan, directory, target=target, part=part, family=family)
    report = json.loads((directory / "report.json").read_text())
    return {
        "graph": graph.name,
        "directory": str(directory),
        "cycles_per_image": interval(graph, plan.folding),
        "folding": {name: f"pe {f.pe}, simd {f.simd}" for name, f in plan.folding.items()},
        "estimate": {"family": family.name, **report["resources"]["total"]},
        "layers": report["layers"],
        "graph_digest": made.graph_digest,
        "plan_digest": made.plan_digest,
        "sites_digest": made.sites_digest,
        "files": len(made.files),
    }


def vendor(
    directory: Path, *, simulator: str, cache: Path, progress: Progress | None = None
) -> Record:
    """Run AMD's tool on a build for it; the RTL that Vitis makes is simulated under its vectors.

    Raises:
        InputError: the build is for no such tool, or the tool is not on PATH.
        ClaimError: a script failed, or the RTL differs from the graph.
    """
    from flow.build.vendor import run_vendor
    from flow.build.vitis import VITIS
    from sim.vitis import simulate_vitis_rtl

    record = run_vendor(directory, progress=progress)
    if record["tool"] == VITIS:
        made = Path(record["directory"])
        record["calls_simulated"] = simulate_vitis_rtl(made, cache=cache, simulator=simulator)
    return record


def simulate(
    directory: Path,
    data: Images,
    *,
    engine: str,
    simulator: str,
    cache: Path,
    progress: Progress | None = None,
) -> Record:
    """Run ``data`` through the RTL or the HLS C++ of a build and compare with the graph.

    Raises:
        ClaimError: one logit or class differs from the graph, or a cycle from the plan.
    """
    from sim.accelerator import simulate_rtl
    from sim.csim import simulate_hls

    graph = load_build(directory).graph()
    x = fitting(graph, data)
    expected = graph.evaluate_all(x)
    record: Record = {
        "graph": graph.name,
        "graph_digest": digest(graph),
        "data": data.name,
        "engine": engine,
        "images": len(x),
    }
    started = perf_counter()
    if engine == "hls":
        hls = simulate_hls(directory, x, binaries=cache / "csim", progress=progress)
        logits, classes = hls.logits, hls.classes
    else:
        rtl = simulate_rtl(directory, x, cache=cache, simulator=simulator, progress=progress)
        logits, classes = rtl.logits, rtl.classes
        record |= _timing(directory, rtl.taken, simulator)
    record["seconds"] = round(perf_counter() - started, 2)
    wrong_logits = int((logits != expected[graph.logits]).any(axis=1).sum())
    wrong_classes = int((classes != expected[graph.output]).sum())
    record |= {"logit_mismatches": wrong_logits, "class_mismatches": wrong_classes}
    if wrong_logits or wrong_classes:
        raise ClaimError(
            f"{directory}: {engine} differs from the graph on {max(wrong_logits, wrong_classes)} "
            f"of {len(x)} images; the first is {_first(logits, expected[graph.logits])}"
        )
    return record | accuracy(classes, data.y)


def _timing(directory: Path, taken: Array, simulator: str) -> Record:
    built = load_build(directory)
    formula = interval(built.graph(), built.plan().folding)
    steady = np.diff(taken)[1:]
    measured = int(steady.max()) if steady.size else None
    if steady.size and (steady != formula).any():
        raise ClaimError(
            f"{directory}: {measured} cycles between images where the plan promises {formula}"
        )
    return {
        "simulator": simulator,
        "cycles_per_image": measured,
        "cycles_formula": formula,
        "first_latency": int(taken[0]),
    }


def _first(found: Array, expected: Array) -> int:
    return int(np.flatnonzero((found != expected).any(axis=1))[0])


def simulate_board(
    directory: Path,
    data: Images,
    *,
    simulator: str,
    cache: Path,
    progress: Progress | None = None,
) -> Record:
    """Run images and memory accesses through the serial pins of a synthesised board top."""
    from sim.board import simulate_board as talk

    graph = load_graph(directory / "graph.json")
    x = fitting(graph, data)
    started = perf_counter()
    found = talk(directory, graph, x, cache=cache, simulator=simulator, progress=progress)
    return {
        "graph": graph.name,
        "graph_digest": digest(graph),
        "data": data.name,
        "engine": "board",
        "simulator": simulator,
        **found,
        "logit_mismatches": 0,  # the first one would have raised
        "class_mismatches": 0,
        "seconds": round(perf_counter() - started, 2),
    }
