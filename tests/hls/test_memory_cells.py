"""What synthesis makes of a weight memory: block RAM and nothing to emulate a second port."""

import os
import re
import subprocess
import sys

from sim.runner import RTL

BITS = 72
SYNTHESIS = """
import sys
from pyosys import libyosys
design = libyosys.Design()
libyosys.run_pass(f"read_slang --top memory {sys.argv[1]} {sys.argv[2]}", design)
libyosys.run_pass("synth_ecp5 -top memory", design)
"""


def cells(work, words):
    """ECP5 cells of memory.sv with ``words`` of :data:`BITS` bits, by type."""
    values = {"Words": words, "Bits": BITS, "CfgBits": BITS}
    given = " ".join(f"-G {name}={value}" for name, value in values.items())
    source = os.path.relpath(RTL / "memory.sv", work)
    done = subprocess.run(
        [sys.executable, "-c", SYNTHESIS, given, source],
        cwd=work,
        capture_output=True,
        text=True,
        check=True,
    )
    report = done.stdout[done.stdout.rindex("Printing statistics") :]
    return {
        name: int(count) for count, name in re.findall(r"^\s+(\d+)\s+([A-Z]\w+)$", report, re.M)
    }


def test_a_deep_memory_is_block_ram_with_its_output_register_inside(tmp_path):
    found = cells(tmp_path, 512)

    assert found["DP16KD"] == 2
    assert found["TRELLIS_FF"] == 1  # cfg_read_q; a second port would need one per bit
    assert "TRELLIS_DPR16X4" not in found


def test_a_shallow_memory_is_distributed_ram(tmp_path):
    found = cells(tmp_path, 16)

    assert found["TRELLIS_DPR16X4"] == BITS / 4
    assert "DP16KD" not in found
