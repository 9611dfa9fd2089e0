"""``python run_pyosys.py SCRIPT LOG``: a Yosys script in a process of its own.

Yosys ends its process on an error and keeps its design in globals, so it never runs inside ours.
"""

from __future__ import annotations

import sys

from pyosys import libyosys  # type: ignore[import-untyped]

if __name__ == "__main__":
    script, log = sys.argv[1:]
    libyosys.run_pass(f"tee -q -o {log} script {script}", libyosys.Design())
