"""ECP5 cells of library units, by synthesis of one unit at a time.

python -m tests.hls.cells    prints the table of hls/README.md
"""

import os
import re
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

from flow.build.smoothing import noise_parameters, vote_parameters
from flow.certify.noise import NoiseTable
from flow.ir import IntType
from sim.runner import RTL
from sim.unit import PARTS

SYNTHESIS = """
import sys
from pyosys import libyosys
top, given, *sources = sys.argv[1:]
design = libyosys.Design()
libyosys.run_pass(f"read_slang --threads 1 --top {top} {given} {' '.join(sources)}", design)
libyosys.run_pass(f"synth_ecp5 -top {top}", design)
"""
COLUMNS = ("LUT4", "CCU2C", "TRELLIS_FF", "DP16KD", "TRELLIS_DPR16X4", "MULT18X18D")


def image(height, width, channels, lanes, **others):
    """The parameters of a unit on images."""
    return {"Height": height, "Width": width, "Channels": channels, "Lanes": lanes, **others}


TABLE = NoiseTable.of(Fraction(2), bits=32, span=16)
BINARY = {"InBits": 1, "InKind": 2, "WeightBits": 1, "WeightKind": 2, "Popcount": 1}
LARGE = {"KernelH": 3, "KernelW": 3}
GLOBAL = {"KernelH": 8, "KernelW": 8, "StrideH": 8, "StrideW": 8}
SIZES = (
    ("window", "3 x 3, 30 x 30 x 64 of 1 bit, 32 lanes", image(30, 30, 64, 32, Bits=1)),
    ("window", "3 x 3, 34 x 34 x 16 of 4 bits, 4 lanes", image(34, 34, 16, 4, Bits=4)),
    (
        "window",
        "3 x 3 stride 2, 226 x 226 x 3 of 8 bits, 3 lanes",
        image(226, 226, 3, 3, Bits=8, StrideH=2, StrideW=2),
    ),
    ("pad", "1 around 32 x 32 x 16 of 4 bits, 4 lanes", image(32, 32, 16, 4, Bits=4)),
    (
        "maxpool",
        "2 x 2, 28 x 28 x 64 of 1 bit, 32 lanes",
        image(28, 28, 64, 32, InBits=1, InKind=2),
    ),
    (
        "maxpool",
        "3 x 3 stride 2, 32 x 32 x 64 of 4 bits, 8 lanes",
        image(32, 32, 64, 8, InBits=4, **LARGE),
    ),
    (
        "sumpool",
        "8 x 8 of 8 x 8 x 64 of 4 bits, 8 lanes",
        image(8, 8, 64, 8, InBits=4, AccBits=10, **GLOBAL),
    ),
    (
        "depthwise",
        "64 channels, 9 taps, 4 x 4 bits, 8 lanes",
        {"Rows": 64, "Columns": 9, "Pe": 8, "CfgBits": 32},
    ),
    (
        "depthwise",
        "64 channels, 9 taps, XNOR, 32 lanes",
        {"Rows": 64, "Columns": 9, "Pe": 32, "AccBits": 4, "CfgBits": 32, **BINARY},
    ),
    (
        "add",
        "two streams of 4 bits, all multipliers 1, 8 lanes",
        {
            **{"Channels": 8, "Lanes": 8, "InBits0": 4, "InBits1": 4, "AccBits": 6},
            **{"MultiplierBits": 2, "OffsetBits": 1, "Constants": "40'h294a5294a5"},
        },
    ),
    (
        "noise",
        "5 bits (0 to 16), sigma 2 (13 levels), 8 lanes",
        noise_parameters(TABLE.levels, IntType(5, declared=(0, 16)), lanes=8),
    ),
    ("vote", "10 classes, 1,000 votes", vote_parameters(classes=10, word_bits=112, votes=1000)),
    (
        "concat",
        "64 and 32 channels of 4 bits, 8 lanes",
        {"Channels0": 64, "Channels1": 32, "Lanes": 8},
    ),
    ("eager_fork", "two consumers", {"Outputs": 2}),
)


def cells(top, values, *, work):
    """Cells of one unit by type, synthesised in the folder ``work``."""
    given = " ".join(f"-G {name}={value}" for name, value in values.items())
    sources = [os.path.relpath(RTL / f"{stem}.sv", work) for stem in (top, *PARTS.get(top, ()))]
    done = subprocess.run(
        [sys.executable, "-c", SYNTHESIS, top, given, *sources],
        cwd=work,
        capture_output=True,
        text=True,
        check=True,
    )
    report = done.stdout[done.stdout.rindex("Printing statistics") :]
    counts = re.findall(r"^\s+(\d+)\s+([A-Z]\w+)$", report, re.MULTILINE)
    return {name: int(count) for count, name in counts}


if __name__ == "__main__":
    print(f"| Unit | Size | {' | '.join(COLUMNS)} |")
    print("|---|---" + "|---" * len(COLUMNS) + "|")
    with tempfile.TemporaryDirectory() as folder:
        for unit, what, parameters in SIZES:
            found = cells(unit, parameters, work=Path(folder))
            counts = " | ".join(str(found.get(name, 0)) for name in COLUMNS)
            print(f"| `{unit}` | {what} | {counts} |")
