"""No unit's valid or data depends on ready in the same cycle."""

import re
import subprocess
import sys

import pytest

from sim.runner import RTL
from sim.unit import PARTS

STREAMS = sorted(
    path.stem
    for path in RTL.glob("*.sv")
    if re.search(r"\bready_i\b.*\n.*\bdata_o\b", path.read_text())
    and "uart" not in path.stem
    and path.stem != "pool"  # maxpool and sumpool hold it
)
# every path of the netlist before optimisation, that no register cuts
PATHS = """
import sys
from pyosys import libyosys
top, ends, *sources = sys.argv[1:]
design = libyosys.Design()
libyosys.run_pass("read_verilog -sv " + " ".join(sources), design)
libyosys.run_pass(f"hierarchy -check -top {top}; proc; flatten", design)
libyosys.run_pass(f"select -assert-none {ends} %ci*:-$dff w:ready_i %i", design)
print("no path")
"""


def has_path(unit, ends, file=None):
    """Whether ready_i reaches any of ``ends`` of ``unit`` without a register between."""
    parts = (unit, *PARTS.get(unit, ()))
    sources = [str(RTL / f"{stem}.sv") for stem in parts]
    if file is not None:
        sources[0] = str(file)
    given = [sys.executable, "-c", PATHS, unit, ends, *sources]
    done = subprocess.run(given, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert ("no path" in said) != ("selection is not empty" in said.lower()), said[-2000:]
    return "no path" not in said


def test_the_units_are_those_with_a_stream_out():
    assert {"fifo", "window", "matvec", "threshold", "eager_fork", "argmax"} <= set(STREAMS)


@pytest.mark.parametrize("unit", STREAMS)
def test_valid_and_data_wait_for_no_ready(unit):
    assert not has_path(unit, "w:valid_o w:data_o %u")


def test_a_path_would_be_seen(tmp_path):
    assert has_path("replay", "w:ready_o")
    broken = tmp_path / "eager_fork.sv"
    text = (RTL / "eager_fork.sv").read_text()
    broken.write_text(text.replace("& ~taken_q", "& ~taken_q & ready_i"))
    assert has_path("eager_fork", "w:valid_o", broken)
