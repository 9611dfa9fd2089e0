"""popcount.sv: what synthesis takes is proved equal to what simulation takes."""

import os
import subprocess
import sys

import pytest

from sim.runner import RTL

# ``-formal`` reads the file as simulators do: without the macro SYNTHESIS
PROVE = """
import sys
from pyosys import libyosys
source, *sizes = sys.argv[1:]
for bits in sizes:
    design = libyosys.Design()
    for flag, name in (("", "tree"), ("-formal", "definition")):
        libyosys.run_pass(f"read_verilog -sv {flag} {source}", design)
        libyosys.run_pass(f"chparam -set Bits {bits} popcount", design)
        libyosys.run_pass(f"rename popcount {name}", design)
    libyosys.run_pass("hierarchy -check; proc; flatten; opt", design)
    libyosys.run_pass("miter -equiv -flatten -make_outputs tree definition miter", design)
    libyosys.run_pass("opt -full miter; techmap miter; opt miter; abc -g AND,XOR miter", design)
    libyosys.run_pass("sat -verify -prove trigger 0 miter", design)
    print("proved", bits)
"""
USED = 7  # what dot.sv gives to one instance at most


def proved(sizes, work):
    """The sizes for which no input tells the two apart."""
    source = os.path.relpath(RTL / "popcount.sv", work)
    done = subprocess.run(
        [sys.executable, "-c", PROVE, source, *map(str, sizes)],
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    return [int(line.split()[1]) for line in lines if line.startswith("proved")]


def test_the_tree_of_full_adders_counts_as_defined(tmp_path):
    sizes = range(1, 2 * USED + 3)
    assert proved(sizes, tmp_path) == list(sizes)


@pytest.mark.slow
def test_wider_trees_count_as_defined(tmp_path):
    """Beyond 32 bits this takes minutes; tests/formal proves any width in two steps."""
    sizes = range(2 * USED + 3, 33)
    assert proved(sizes, tmp_path) == list(sizes)
