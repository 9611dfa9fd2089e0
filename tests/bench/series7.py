"""CNV-w1a1 on AMD 7-series by Yosys, unit by unit: LUT and block RAM beside the published ones.

python -m tests.bench.series7      some four minutes. Units are synthesised apart and added up: what
they would share or drop together is not counted; placement and the vendor's synthesis were not run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path

from flow.build.netlist import Netlist, Unit, netlist
from flow.build.parameters import MODULES
from flow.schedule import make_plan
from sim.runner import RTL
from tests.bench.finn_networks import cnv

SYNTHESIS = """
import sys
from pyosys import libyosys
module, given, *sources = sys.argv[1:]
design = libyosys.Design()
libyosys.run_pass(f"read_slang --top {module} {given} " + " ".join(sources), design)
synth = "synth_xilinx -family xc7 -flatten -noiopad -noclkbuf"
libyosys.run_pass(f"{synth} -top {module}", design)
libyosys.run_pass("tee -q -o stat.json stat -json", design)
"""
TABLES = {f"LUT{inputs}": 1 for inputs in range(1, 7)} | {
    "RAM32M": 4,
    "RAM64M": 4,
    "RAM64X1S": 1,
    "RAM128X1S": 2,
    "RAM256X1S": 4,
    "SRL16E": 1,
    "INV": 1,
}  # LUT6 sites that a cell takes


@cache
def synthesised(module: str, given: str) -> Counter[str]:
    """Cells of one unit."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        sources = [os.path.relpath(RTL / f"{part}.sv", work) for part in MODULES[module]]
        command = [sys.executable, "-c", SYNTHESIS, module, given, *sources]
        subprocess.run(command, cwd=work, check=True, capture_output=True)
        found = json.loads((work / "stat.json").read_text())
    return Counter(found["design"]["num_cells_by_type"])


def given(unit: Unit, net: Netlist) -> str:
    """The parameters of ``unit`` as options of ``read_slang``; its image is left out."""
    values = dict(unit.parameters)
    if unit.memories:
        values |= {
            "CfgBits": net.cfg_bits,
            "CfgFirst": int(unit is net.chain[0]),
            "CfgMemoryBits": net.cfg_memory_bits,
            "CfgAddressBits": net.cfg_address_bits,
        }
    return " ".join(f"-G {name}={value}" for name, value in values.items())


if __name__ == "__main__":
    network = cnv(1)
    net = netlist(network.graph, make_plan(network.graph, folding=network.folding))
    total: Counter[str] = Counter()
    for unit in net.units:
        total += synthesised(unit.module, given(unit, net))
    print(f"LUT {sum(count * TABLES.get(cell, 0) for cell, count in total.items())}")
    print(*(f"{total[cell]} {cell}" for cell in sorted(total)), sep=", ")
