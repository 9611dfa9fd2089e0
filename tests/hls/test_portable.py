"""Every file of the RTL library is accepted by each front end it may meet."""

import os
import subprocess
import sys

import pytest

from flow.build.parameters import MODULES
from sim.runner import RTL, verilator_lint

FILES = sorted(path.stem for path in RTL.glob("*.sv"))
FRONT_ENDS = ("read_verilog -sv {sources}", "read_slang --top {stem} {sources}")
READ_ALL = """
import sys
from pyosys import libyosys
front_end, folder, *stems = sys.argv[1:]
for stem in stems:
    design = libyosys.Design()
    sources = " ".join(f"{folder}/{name}.sv" for name in [stem, *[s for s in stems if s != stem]])
    libyosys.run_pass(front_end.format(stem=stem, sources=sources), design)
    libyosys.run_pass(f"hierarchy -check -top {stem}", design)
    print("accepted", stem)
"""


def test_the_library_holds_what_the_generator_instantiates():
    assert {stem for parts in MODULES.values() for stem in parts} <= set(FILES)


@pytest.mark.parametrize("stem", FILES)
def test_verilator_has_nothing_to_warn_about(stem):
    assert verilator_lint(RTL / f"{stem}.sv", library=RTL) == ""


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=["read_verilog", "read_slang"])
def test_yosys_accepts_every_file(front_end, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, front_end, os.path.relpath(RTL, tmp_path), *FILES],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    accepted = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("accepted")]
    assert accepted == FILES, done.stdout[-2000:] + done.stderr[-2000:]
