"""Area, clock, cycles and simulation speed of the hardware, beside the targets they should meet.

make bench-hw      prints a table. Needs Yosys, nextpnr, Verilator; some ten minutes on two cores.
python -m tests.bench.hardware PART...      some of it: mvu, routed, tfc, lfc, cnv-w1a1, cnv-w2a2
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from flow.build import build
from flow.build.boards import load_board
from flow.errors import ClaimError, InputError
from flow.schedule import make_plan
from flow.synth import synthesise
from flow.synth.ecp5 import SMALLEST
from flow.synth.families import FAMILIES
from flow.synth.tools import find, yosys
from sim.accelerator import simulate_rtl
from sim.runner import RTL
from tests.bench.finn_networks import Published, cnv, lfc, tfc

CACHE = Path("build/cache")
PARTS = ("matvec", "dot", "popcount", "threshold", "memory", "replay")
PE, SIMD = 16, 49
MVU = f"""
module mvu (
  input logic clk_i, rst_ni, valid_i, ready_i, cfg_valid_i, cfg_write_i,
  input logic [{SIMD - 1}:0] data_i, input logic [7:0] cfg_memory_i,
  input logic [15:0] cfg_address_i, input logic [{PE * SIMD - 1}:0] cfg_data_i,
  output logic ready_o, valid_o, output logic [{PE - 1}:0] data_o,
  output logic [{PE * SIMD - 1}:0] cfg_chain_o
);
  logic valid, ready;
  logic [{PE * 10 - 1}:0] data;
  logic [{PE * SIMD - 1}:0] chain;
  matvec #(.Rows(64), .Columns(784), .Pe({PE}), .Simd({SIMD}), .InBits(1), .InKind(2),
           .WeightBits(1), .WeightKind(2), .AccBits(10), .Popcount(1), .CfgIndex(0),
           .CfgBits({PE * SIMD}), .CfgFirst(1)) u_matvec (
    .valid_o(valid), .ready_i(ready), .data_o(data), .cfg_chain_i('0), .cfg_chain_o(chain),
    .detected_o(), .*);
  threshold #(.Channels(64), .Lanes({PE}), .AccBits(10), .AccSigned(0), .ThresholdBits(10),
              .ThresholdSigned(0), .Steps(1), .OutBits(1), .CfgIndex(1),
              .CfgBits({PE * SIMD})) u_threshold (
    .valid_i(valid), .ready_o(ready), .data_i(data), .cfg_chain_i(chain), .detected_o(),
    .*);
endmodule
"""
SYNTHESIS = """
import sys
from pyosys import libyosys
design = libyosys.Design()
libyosys.run_pass("read_slang --top mvu " + " ".join(sys.argv[2:]), design)
libyosys.run_pass("synth_ecp5 -nowidelut -top mvu -run begin:map_luts", design)
libyosys.run_pass(f"abc9 -lut 4 -script {sys.argv[1]}", design)
libyosys.run_pass("clean", design)
libyosys.run_pass("synth_ecp5 -nowidelut -top mvu -run map_cells:json", design)
libyosys.run_pass("tee -q -o stat.json stat -json", design)
"""
Row = tuple[str, str, str]


def tables(cells: dict[str, int]) -> int:
    """Look-up tables that cells take: two in a carry cell; four, and two for writing, in a RAM."""
    each = {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 6}
    return sum(count * each.get(cell, 0) for cell, count in cells.items())


def mvu() -> Iterator[Row]:
    """(a) a binary MVU with accumulators, thresholds and memory interface."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "mvu.sv").write_text(MVU)
        sources = [os.path.relpath(RTL / f"{part}.sv", work) for part in PARTS]
        command = [sys.executable, "-c", SYNTHESIS, SMALLEST, *sources, "mvu.sv"]
        subprocess.run(command, cwd=work, check=True, capture_output=True)
        cells = json.loads((work / "stat.json").read_text())["design"]["num_cells_by_type"]
    each = tables(cells) / (PE * SIMD)
    yield f"MVU ({PE},{SIMD}) ECP5, LUT per XNOR", f"{each:.2f}", "3.5 at most"
    yield "  cells", ", ".join(f"{cells[c]} {c}" for c in sorted(cells)), ""


def routed() -> Iterator[Row]:
    """(b) TFC-w1a1 with its UART top, placed and routed for the ULX3S-85F at 100 MHz."""
    net, board = tfc(), replace(load_board("ulx3s"), clock_hz=100_000_000)
    with tempfile.TemporaryDirectory() as name:
        accelerator = Path(name) / "accelerator"
        build(net.graph, make_plan(net.graph, folding=net.folding), accelerator)
        try:
            record = synthesise(accelerator, board, Path(name) / "board")
        except ClaimError as error:  # a missed clock comes with its number
            yield "TFC-w1a1 routed, ULX3S-85F", str(error), "100 MHz at least"
            return
    fmax = min(clock["achieved"] for clock in record["fmax_mhz"].values())
    used = {cell: count["used"] for cell, count in record["utilisation"].items()}
    yield "TFC-w1a1 routed, ULX3S-85F, Fmax in MHz", f"{fmax:.1f}", "100 at least"
    wanted = ("TRELLIS_COMB", "TRELLIS_FF", "DP16KD")
    yield "  cells", ", ".join(f"{used[cell]} {cell}" for cell in wanted), ""


def simulated(net: Published, images: int) -> Iterator[Row]:
    """(c), (d), (e): cycles per frame in RTL, speed of the simulation, time to plan and write."""
    graph, kind = net.graph, net.graph.input_edge.type
    rng = np.random.default_rng(0)
    x = rng.integers(kind.lo, kind.hi + 1, (images, *graph.input_edge.shape))
    x = np.where(x < 0, -1, 1) if kind.bipolar else x
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name) / "accelerator"
        started = time.perf_counter()
        plan = make_plan(graph, folding=net.folding)
        planned = time.perf_counter()
        try:
            build(graph, plan, directory)
        except InputError as error:
            yield f"{graph.name} cycles per frame, RTL", str(error), f"{net.cycles:,}"
            return
        written = time.perf_counter()
        simulate_rtl(directory, x, cache=CACHE)  # compiles, for so many images
        compiled, before = time.perf_counter(), _children()
        found = simulate_rtl(directory, x, cache=CACHE)
        taken, simulator = time.perf_counter() - compiled, _children() - before
    pace = int(found.intervals[-1])
    yield f"{graph.name} cycles per frame, RTL", f"{pace:,}", f"{net.cycles:,}"
    yield "  plan with buffers, s", f"{planned - started:.1f}", "seconds"
    yield "  RTL, HLS and images written, s", f"{written - planned:.1f}", "60 at most"
    cycles = int(found.taken[-1])
    wanted = "1,000,000 for TFC"
    yield "  the simulator's process, cycles per CPU second", f"{cycles / simulator:,.0f}", wanted
    yield "  packing and checking too, cycles per second", f"{cycles / taken:,.0f}", ""


def _children() -> float:
    """CPU seconds of every process that this one has started and seen end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


MEASURED: dict[str, Callable[[], Iterator[Row]]] = {
    "mvu": mvu,
    "routed": routed,
    "tfc": lambda: simulated(tfc(), 100_000),
    "lfc": lambda: simulated(lfc(), 40),
    "cnv-w1a1": lambda: simulated(cnv(1), 5),
    "cnv-w2a2": lambda: simulated(cnv(2), 4),
}


if __name__ == "__main__":
    placer = find(FAMILIES["ecp5"].nextpnr)
    print(f"{yosys().name} {yosys().version}, {placer.name} {placer.version}")
    for part in sys.argv[1:] or MEASURED:
        for what, measured, wanted in MEASURED[part]():
            print(f"| {what} | {measured} | {wanted} |", flush=True)
