"""What synthesis makes of whole networks: the table that estimates before synthesis are held to.

python -m tests.bench.networks [NAME ...]    synthesises networks of ``models/zoo``, all unless
named (``NAME:search`` with thresholds found by search), at their default folding and at a slower
one, and writes tests/bench/networks_ecp5.jsonl again for them: some minutes each, no placement.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from flow.atomic import write_atomic
from flow.build import build
from flow.ingest import lower
from flow.ir import Graph
from flow.schedule import Folding, interval, make_plan
from flow.synth.ecp5 import SMALLEST
from models import frozen
from tests.bench.units import CELLS

TABLE = Path(__file__).with_name("networks_ecp5.jsonl")
WANTED = (*CELLS, "MULT18X18D")
SLOWER = 4  # times the cycles of the default folding
SYNTHESIS = """
import sys
from pyosys import libyosys
script, *sources = sys.argv[1:]
design = libyosys.Design()
synth = "synth_ecp5 -nowidelut -top accelerator"
libyosys.run_pass("read_slang --threads 1 --top accelerator " + " ".join(sources), design)
libyosys.run_pass(f"{synth} -run begin:map_luts", design)
libyosys.run_pass(f"abc9 -lut 4 -script {script}; clean", design)
libyosys.run_pass(f"{synth} -run map_cells:json", design)
libyosys.run_pass("tee -q -o stat.json stat -json", design)
"""


def recorded() -> list[dict[str, Any]]:
    """One record per synthesised network: name, folding, cells."""
    return [json.loads(line) for line in TABLE.read_text().splitlines()]


def zoo(name: str) -> Graph:
    """A network of ``models/zoo`` as the graph that is built; ``NAME:search`` finds its levels by
    binary search."""
    stem, _, form = name.partition(":")
    path = next(entry.path for entry in frozen.entries() if entry.name == stem)
    return lower(path, compare=form or "count").graph


def folding_of(record: dict[str, Any]) -> dict[str, Folding]:
    """The folding of a record."""
    return {node: Folding(*pair) for node, pair in record["folding"].items()}


def synthesise(graph: Graph, folding: dict[str, Folding]) -> dict[str, int]:
    """The ECP5 cells of the whole accelerator, without its UART top."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name) / "accelerator"
        build(graph, make_plan(graph, folding=folding), work)
        sources = [str(path.relative_to(work)) for path in sorted((work / "rtl").glob("*.sv"))]
        command = [sys.executable, "-c", SYNTHESIS, SMALLEST, *sources]
        subprocess.run(command, cwd=work, check=True, capture_output=True)
        cells = json.loads((work / "stat.json").read_text())["design"]["num_cells_by_type"]
    return {cell: cells[cell] for cell in WANTED if cell in cells}


def targets(graph: Graph) -> tuple[dict[str, Folding], ...]:
    """Two foldings: the default one, and one that may take ``SLOWER`` times as long."""
    plan = make_plan(graph)
    slower = make_plan(graph, cycles=SLOWER * interval(graph, plan.folding))
    return dict(slower.folding), dict(plan.folding)


def record(name: str, graph: Graph, folding: dict[str, Folding]) -> dict[str, Any]:
    """What synthesis makes of one network at one folding."""
    pairs = {node: [f.pe, f.simd] for node, f in folding.items()}
    return {"network": name, "folding": pairs, "cells": synthesise(graph, folding)}


if __name__ == "__main__":
    names = sys.argv[1:] or [entry.name for entry in frozen.entries()]
    kept = [one for one in recorded() if one["network"] not in names]
    for name in names:
        graph = zoo(name)
        for folding in targets(graph):
            kept.append(record(name, graph, folding))
            write_atomic(TABLE, "".join(json.dumps(one) + "\n" for one in kept))
            print(name, kept[-1]["cells"], flush=True)
