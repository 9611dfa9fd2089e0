"""The runner: what it refuses, what it caches, and that a failing bench fails."""

import re
import shutil
from pathlib import Path

import pytest

from flow.errors import ClaimError, InputError
from sim import runner
from sim.runner import CompiledDesign, compile_design, simulate

COUNTER = """
module counter #(parameter int Bits = 4) (input logic clk_i, output logic [Bits-1:0] count_o);
  logic [Bits-1:0] count_q;
  initial count_q = '0;
  always_ff @(posedge clk_i) count_q <= count_q + 1'b1;
  assign count_o = count_q;
endmodule
"""
BENCH = """
import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles

@cocotb.test()
async def it_counts_to_{wanted}(dut):
    Clock(dut.clk_i, 10, unit="ns").start()
    await ClockCycles(dut.clk_i, 3)
    assert int(dut.count_o.value) in ({wanted}, {wanted} - 1)
"""
FORCE = """
import cocotb
from cocotb.clock import Clock
from cocotb.handle import Force, Release
from cocotb.triggers import ClockCycles

@cocotb.test()
async def a_forced_register_stays(dut):
    Clock(dut.clk_i, 10, unit="ns").start()
    await ClockCycles(dut.clk_i, 1)  # Verilator loses a Force at time 0
    dut.count_q.value = Force(5)
    await ClockCycles(dut.clk_i, 3)
    assert int(dut.count_o.value) == 5
    dut.count_q.value = Release()
    await ClockCycles(dut.clk_i, 3)
    assert int(dut.count_o.value) > 5
"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "counter.sv"
    path.write_text(COUNTER)
    return path


def bench(tmp_path, monkeypatch, wanted):
    name = f"counter_bench_{wanted}"
    (tmp_path / f"{name}.py").write_text(BENCH.format(wanted=wanted))
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.mark.rtl
def test_a_passing_bench_passes_and_a_failing_one_is_named(
    source, tmp_path, monkeypatch, simulator, compiled
):
    design = compile_design([source], "counter", cache=compiled, simulator=simulator)

    simulate(design, bench(tmp_path, monkeypatch, 3), work=tmp_path / "good")

    with pytest.raises(ClaimError, match=r"failed .*it_counts_to_9; see .*simulation\.log$"):
        simulate(design, bench(tmp_path, monkeypatch, 9), work=tmp_path / "bad")


@pytest.mark.rtl
def test_a_marked_signal_can_be_forced(source, tmp_path, monkeypatch, simulator, compiled):
    marked = {"counter": ["count_q"]}
    design = compile_design(
        [source], "counter", cache=compiled, simulator=simulator, forceable=marked
    )
    (tmp_path / "force_bench.py").write_text(FORCE)
    monkeypatch.syspath_prepend(tmp_path)

    design.require_forceable("counter", "count_q")
    simulate(design, "force_bench", work=tmp_path)


@pytest.mark.rtl
def test_the_same_design_is_compiled_once(source, simulator, compiled):
    first = compile_design([source], "counter", cache=compiled, simulator=simulator)
    stamp = first.directory.stat().st_mtime_ns
    second = compile_design([source], "counter", cache=compiled, simulator=simulator)

    assert second == first
    assert second.directory.stat().st_mtime_ns == stamp


@pytest.mark.rtl
def test_another_source_or_parameter_is_another_design(source, simulator, compiled):
    first = compile_design([source], "counter", cache=compiled, simulator=simulator)
    wider = compile_design(
        [source], "counter", cache=compiled, simulator=simulator, parameters={"Bits": 5}
    )
    source.write_text(COUNTER.replace("+ 1'b1", "- 1'b1"))
    other = compile_design([source], "counter", cache=compiled, simulator=simulator)

    assert len({first.directory, wider.directory, other.directory}) == 3


@pytest.mark.rtl
def test_a_refused_design_leaves_nothing_but_its_log(source, tmp_path, simulator):
    source.write_text("module counter (input logic clk_i; endmodule\n")
    refused = rf"^{simulator} refuses counter; see (.*\.log)$"

    with pytest.raises(ClaimError, match=refused) as caught:
        compile_design([source], "counter", cache=tmp_path / "c", simulator=simulator)

    assert "syntax error" in Path(re.match(refused, str(caught.value)).group(1)).read_text()
    assert not [path for path in (tmp_path / "c").iterdir() if path.is_dir()]


def test_an_unknown_simulator_is_refused(source, tmp_path):
    with pytest.raises(
        InputError, match=r"^simulator 'spice': unknown; choose one of verilator, icarus$"
    ):
        compile_design([source], "counter", cache=tmp_path, simulator="spice")


def test_force_on_an_unmarked_signal_is_refused(tmp_path):
    marked = frozenset({("matvec", "acc_q")})
    design = CompiledDesign("verilator", "top", tmp_path, marked)

    design.require_forceable("matvec", "acc_q")

    with pytest.raises(
        InputError,
        match=r"^matvec\.sum_q: verilator ignores Force on it; name it in `forceable` when compil",
    ):
        design.require_forceable("matvec", "sum_q")


def test_icarus_forces_every_signal(tmp_path):
    CompiledDesign("icarus", "top", tmp_path, None).require_forceable("matvec", "sum_q")


def test_a_missing_simulator_is_named(source, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda tool: None)
    runner._versions.cache_clear()

    with pytest.raises(InputError, match=r"^icarus: 'iverilog' is not on PATH; install it"):
        compile_design([source], "counter", cache=tmp_path, simulator="icarus")


def test_a_control_file_names_every_marked_signal():
    text = runner._control_file({"memory": ["words"]}, {"matvec": ["acc_q", "sum_q"]}, "")

    assert text.splitlines() == [
        "`verilator_config",
        'public_flat_rw -module "memory" -var "words"',
        'forceable -module "matvec" -var "acc_q"',
        'forceable -module "matvec" -var "sum_q"',
    ]
