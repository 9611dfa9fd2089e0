"""Parameters that a unit cannot serve stop the simulation at time 0, with a sentence."""

import pytest

from flow.errors import ClaimError
from sim.runner import RTL, compile_design, simulate
from sim.unit import PARTS

BENCH = """
import cocotb
from cocotb.triggers import Timer

@cocotb.test()
async def time_passes(dut):
    await Timer(1, "ns")
"""
REFUSALS = [
    ("matvec", {"Rows": 4, "Pe": 3}, "Pe=3 must divide Rows=4 and Simd=4 Columns=8"),
    ("threshold", {"Channels": 8, "Lanes": 3}, "Lanes=3 does not divide Channels=8"),
    ("memory", {"Style": 4}, "Style=4 is none of 0, 1, 2, 3"),
    ("memory", {"Style": 3, "Parity": 1, "CfgBits": 17}, "or constants have no Parity=1"),
    ("window", {"Height": 2, "KernelH": 3}, "a window of 3 x 3 does not fit into 2 x 6"),
    ("concat", {"Channels1": 3, "Lanes": 2}, "Lanes=2 must divide Channels0=4 and Channels1=3"),
    ("argmax", {"Classes": 10, "Lanes": 4}, "Lanes=4 does not divide Classes=10"),
]


@pytest.mark.rtl
@pytest.mark.parametrize(
    ("unit", "parameters", "sentence"), REFUSALS, ids=[f"{r[0]} {r[2]}" for r in REFUSALS]
)
def test_the_unit_refuses_parameters_it_cannot_serve(
    unit, parameters, sentence, simulator, compiled, tmp_path, monkeypatch
):
    sources = [RTL / f"{stem}.sv" for stem in (unit, *PARTS.get(unit, ()))]
    design = compile_design(
        sources, unit, parameters=parameters, cache=compiled, simulator=simulator
    )

    (tmp_path / "patient_bench.py").write_text(BENCH)
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ClaimError):
        simulate(design, "patient_bench", work=tmp_path)

    assert sentence in (tmp_path / "simulation.log").read_text()
