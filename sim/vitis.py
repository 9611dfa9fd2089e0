"""Simulate the RTL that Vitis HLS made of a build's top function, under the build's own vectors."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path

from flow.build.axi import AXI_TOP
from flow.build.vitis import VITIS
from flow.errors import InputError
from sim.runner import compile_design, simulate

BENCH = "sim.bench.vitis_bench"
MADE = Path(AXI_TOP) / "solution"  # project and solution of build.tcl
ARGUMENTS = ("vectors", "access", "memory", "address", "part", "value", "answer", "told")


def simulate_vitis_rtl(
    directory: Path,
    *,
    cache: Path,
    simulator: str = "verilator",
    offer: str = "always",
    accept: str = "always",
) -> int:
    """Make every call of ``vectors.txt`` on the Verilog that the tool left in ``directory``.

    Returns:
        How many calls were made; every result and every stored word was as the graph says.

    Raises:
        InputError: the tool left no Verilog or no addresses there.
        ClaimError: a result or a stored word differs, or a call does not end.
    """
    folder = directory / VITIS
    sources = sorted((folder / MADE / "syn" / "verilog").glob("*.v"))
    headers = sorted((folder / MADE).rglob("*_hw.h"))
    if not sources or not headers:
        raise InputError(f"{folder / MADE}: no Verilog and addresses; run `bitproof vendor` first")
    design = compile_design(
        sources, AXI_TOP, cache=cache, simulator=simulator, arguments=_quiet(simulator)
    )
    vectors = (folder / "vectors.txt").read_text()
    job = {"offsets": addresses(headers[0].read_text()), "offer": offer, "accept": accept}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for table in (folder / MADE / "syn" / "verilog").glob("*.dat"):
            shutil.copy(table, work)
        (work / "vectors.txt").write_text(vectors)
        (work / "job.json").write_text(json.dumps(job))
        simulate(design, BENCH, work=work)
    return len(vectors.splitlines())


def addresses(header: str) -> dict[str, int]:
    """The offset of each argument, from the header that the tool writes for drivers.

    Raises:
        InputError: an argument is not in it.
    """
    found = {}
    for name in ARGUMENTS:
        place = re.search(rf"_ADDR_{name.upper()}_DATA\s+0x([0-9a-fA-F]+)", header)
        if place is None:
            raise InputError(f"argument {name!r}: no address in the header of the vendor's driver")
        found[name] = int(place[1], 16)
    return found


def _quiet(simulator: str) -> tuple[str, ...]:
    """The vendor's Verilog is not ours to lint."""
    return ("-Wno-fatal",) if simulator == "verilator" else ()
