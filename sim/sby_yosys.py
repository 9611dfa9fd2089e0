"""``python sby_yosys.py -ql LOG SCRIPT``: Yosys as SymbiYosys calls it, by the ``pyosys`` package.

It is native code, ten times as fast as the WebAssembly Yosys that the same package of SymbiYosys
carries.
"""

from __future__ import annotations

import sys

from pyosys import libyosys  # type: ignore[import-untyped]

if __name__ == "__main__":
    quiet, log, script = sys.argv[1:]
    assert quiet == "-ql", quiet
    libyosys.run_pass(f"tee -q -o {log} script {script}", libyosys.Design())
