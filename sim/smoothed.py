"""Smoothed inference in RTL: every image replayed with noise, and its classes counted on chip."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from flow.atomic import write_atomic
from flow.build import Build, load_build, netlist
from flow.build.images import code_bits, image_text
from flow.build.smoothing import Smoother, count_bits, smoother_parameters
from flow.errors import ClaimError, InputError
from flow.ir import Array
from flow.schedule import unit_cycles
from sim.runner import RTL, CompiledDesign, compile_design, simulate

HARNESS = Path(__file__).with_name("harness") / "smoothing_harness.sv"
TOP = "smoothing_harness"
UNITS = ("smoother", "replay", "noise", "vote")
ALWAYS = 256  # chance in 256 per cycle to offer or to accept a word


def simulate_smoothed(
    directory: Path,
    x: Array,
    smoother: Smoother,
    *,
    cache: Path,
    simulator: str = "verilator",
    offer: int = ALWAYS,
    accept: int = ALWAYS,
) -> tuple[Array, Array]:
    """The votes of every image, (images, classes), and the winners, (images,).

    Each image of ``x``, (images, *input shape), goes ``smoother.votes`` times through the build's
    RTL; the generators are seeded once, so image k sees the rows ``k * votes`` onward of the noise.

    Raises:
        InputError: the directory is damaged, ``x`` or the smoother does not fit, or no image is
            given.
        ClaimError: a result is missing.
    """
    build = load_build(directory)
    graph, net = build.graph(), netlist(build.graph(), build.plan())
    edge, lanes = graph.input_edge, net.input.lanes
    if x.shape[1:] != edge.shape or not len(x) or not edge.type.contains(x):
        raise InputError(f"images of shape {x.shape}: graph {graph.name!r} takes integers {edge}")
    parameters = {
        **smoother_parameters(smoother, net, graph),
        "Memories": len(net.memories),
        "CfgBits": net.cfg_bits,
        "CfgMemoryBits": net.cfg_memory_bits,
        "CfgAddressBits": net.cfg_address_bits,
    }
    busy = sum(unit_cycles(graph, build.plan().folding).values())
    with tempfile.TemporaryDirectory(prefix="smoothed.") as name:
        work = Path(name)
        top = work / "smoothed_top.sv"
        write_atomic(top, _top(parameters))
        design = _compiled(build, top, cache=cache, simulator=simulator)
        (work / "images").symlink_to((directory / "images").resolve())
        codes = edge.type.encode(x.astype(np.int64)).reshape(-1, lanes)
        write_atomic(work / "stimulus.hex", image_text(code_bits(codes, edge.type.bits)))
        given = {"images": len(x), "offer": offer, "accept": accept}
        given["watchdog"] = 256 * (smoother.votes + 4) * (busy + edge.elements)
        plusargs = [f"+{key}={value}" for key, value in given.items()]
        simulate(design, "sim.bench.smoothing_bench", work=work, plusargs=plusargs)
        lines = (work / "results.txt").read_text().split()
    if len(lines) != len(x):
        raise ClaimError(f"{directory}: {len(lines)} results of {len(x)} images came")
    return _decode(lines, graph.edge(graph.logits).elements, count_bits(smoother.votes))


def _compiled(build: Build, top: Path, *, cache: Path, simulator: str) -> CompiledDesign:
    """The build's own sources, with the units that smooth from the library, under ``top``."""
    sources = {path.name: path for path in build.sources()}
    sources |= {f"{unit}.sv": RTL / f"{unit}.sv" for unit in UNITS}
    return compile_design(
        [*sources.values(), HARNESS, top],
        top.stem,
        cache=cache,
        simulator=simulator,
        public={top.stem: ("done",)},
        timing=True,
        fast=True,
    )


def _top(parameters: dict[str, int | str]) -> str:
    """An instance of the harness with its parameters, some of them wide numbers."""
    given = ",\n    ".join(f".{name}({value})" for name, value in parameters.items())
    body = f"  logic done;\n  {TOP} #(\n    {given}\n  ) u_harness ();\n"
    return f"module smoothed_top;\n{body}  assign done = u_harness.done;\nendmodule\n"


def _decode(lines: Sequence[str], classes: int, bits: int) -> tuple[Array, Array]:
    words = [int(line, 16) for line in lines]
    mask = (1 << bits) - 1
    counts = [[word >> bits * c & mask for c in range(classes)] for word in words]
    return np.array(counts), np.array([word >> bits * classes for word in words])
