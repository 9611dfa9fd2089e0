"""popcount.sv as synthesis takes it counts the agreeing bits, at any width.

Equality with ``$countones`` in one step is out of reach beyond 40 bits. Here it takes two: the tree
equals the count added up by sevens, by a checker that finds the sevens' counts equal first; and
adding a count of seven bits to any count is adding the bits one by one.
"""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from sim.formal import HLS
from sim.runner import RTL

AIGER = """
import sys
from pyosys import libyosys
source, top, parameter, value, *rest = sys.argv[1:]
design = libyosys.Design()
libyosys.run_pass(f"read_verilog -sv {' '.join(rest)} {source}", design)
libyosys.run_pass(f"chparam -set {parameter} {value} {top}", design)
libyosys.run_pass(f"prep -top {top}; flatten; opt -full", design)
"""
WRITE = (
    AIGER + 'libyosys.run_pass(f"techmap; opt; aigmap; opt_clean; write_aiger {top}.aig", design)'
)
PROVE = AIGER + 'libyosys.run_pass("chformal -lower; sat -verify -prove-asserts", design)'
TREE = (RTL / "popcount.sv", "popcount")
GROUPED = (HLS / "formal" / "popcount_grouped.sv", "popcount_grouped")
STEP = (HLS / "formal" / "popcount_step.sv", "popcount_step")


def yosys(script, source, top, parameter, value, *rest, work):
    given = [sys.executable, "-c", script, str(source), top, parameter, str(value), *rest]
    return subprocess.run(given, cwd=work, capture_output=True, text=True, check=False)


def equals_the_grouped_count(bits, work, source=TREE[0]):
    for file, top in ((source, TREE[1]), GROUPED):
        done = yosys(WRITE, file, top, "Bits", bits, "-DSYNTHESIS", work=work)
        assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-1000:]
    abc = Path(find_spec("pyosys").origin).with_name("yosys-abc")
    check = f"cec {TREE[1]}.aig {GROUPED[1]}.aig"
    said = subprocess.run([abc, "-c", check], cwd=work, capture_output=True, text=True, check=True)
    return "Networks are equivalent" in said.stdout


@pytest.mark.parametrize("bits", [1, 6, 7, 8, 15, 49])
def test_the_tree_counts_as_the_definition(bits, tmp_path):
    assert equals_the_grouped_count(bits, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [25, 27, 32, 64, 72, 128, 196])
def test_wide_trees_count_as_the_definition(bits, tmp_path):
    assert equals_the_grouped_count(bits, tmp_path)


@pytest.mark.parametrize("bits", [3, 6, 8, 11])
def test_seven_at_a_time_is_one_by_one(bits, tmp_path):
    done = yosys(PROVE, *STEP, "CountBits", bits, "-formal", work=tmp_path)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-1000:]


def test_a_wrong_carry_is_seen(tmp_path):
    text = TREE[0].read_text()
    wrong = tmp_path / "popcount.sv"
    wrong.write_text(text.replace("carry0 ^ carry1 ^ carry2", "carry0 ^ carry1"))
    assert wrong.read_text() != text
    assert not equals_the_grouped_count(15, tmp_path, wrong)
