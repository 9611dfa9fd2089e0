"""What synthesis makes of units: the table that ``flow/schedule/resources.py`` is held to.

python -m tests.bench.units       writes tests/bench/units_ecp5.jsonl again (some fifteen minutes).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from flow.atomic import write_atomic
from flow.build.parameters import MODULES
from flow.synth.ecp5 import SMALLEST
from sim.runner import RTL

TABLE = Path(__file__).with_name("units_ecp5.jsonl")
CELLS = ("LUT4", "CCU2C", "TRELLIS_DPR16X4", "TRELLIS_FF", "DP16KD")
SYNTHESIS = """
import sys, json
from pyosys import libyosys
script, module, *sources = sys.argv[1:]
for number, parameters in enumerate(json.load(open("grid.json"))):
    design = libyosys.Design()
    given = " ".join(f"-G {name}={value}" for name, value in parameters.items())
    synth = f"synth_ecp5 -nowidelut -nodsp -top {module}"
    libyosys.run_pass(f"read_slang --top {module} {given} " + " ".join(sources), design)
    libyosys.run_pass(f"{synth} -run begin:map_luts", design)
    libyosys.run_pass(f"abc9 -lut 4 -script {script}; clean", design)
    libyosys.run_pass(f"{synth} -run map_cells:json", design)
    libyosys.run_pass(f"tee -q -o {number}.json stat -json", design)
"""


SOURCES = {**MODULES, "uart_bridge": ("uart_bridge", "crc16", "uart_image", "fifo")}


def recorded() -> list[dict[str, Any]]:
    """One record per synthesised unit: module, parameters, cells."""
    return [json.loads(line) for line in TABLE.read_text().splitlines()]


def synthesise(module: str, grid: list[dict[str, int]]) -> list[dict[str, Any]]:
    """The records of ``module`` at each parameter set of ``grid``."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "grid.json").write_text(json.dumps(grid))
        sources = [os.path.relpath(RTL / f"{part}.sv", work) for part in SOURCES[module]]
        command = [sys.executable, "-c", SYNTHESIS, SMALLEST, module, *sources]
        subprocess.run(command, cwd=work, check=True, capture_output=True)
        found = [json.loads((work / f"{i}.json").read_text()) for i in range(len(grid))]
    counts = [one["design"]["num_cells_by_type"] for one in found]
    return [
        {
            "module": module,
            "parameters": parameters,
            "cells": {cell: cells[cell] for cell in CELLS if cell in cells},
        }
        for parameters, cells in zip(grid, counts, strict=True)
    ]


if __name__ == "__main__":
    before = recorded()
    lines = []
    for module in dict.fromkeys(record["module"] for record in before):
        grid = [record["parameters"] for record in before if record["module"] == module]
        lines += [json.dumps(record) for record in synthesise(module, grid)]
        print(module, len(grid))
    write_atomic(TABLE, "\n".join(lines) + "\n")
