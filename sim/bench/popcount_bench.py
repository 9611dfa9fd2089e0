"""popcount.sv: the number of agreeing bits, for every word of the vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import Timer

from sim.stream import Pins
from sim.vectors import load_cases


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def counts_equal_the_reference(dut: Any) -> None:
    """Each word's count follows it without a clock, whatever word it is compared with."""
    for case in load_cases(Path("cases.json")):
        pins = Pins(dut, case.name)
        ones = (1 << case.in_bits) - 1
        for word, count in zip(case.inputs, case.outputs, strict=True):
            for shared in (ones, 0, word ^ ones, ones // 3):
                pins.data_i.value, pins.shared_i.value = word ^ shared ^ ones, shared
                await Timer(1, "ns")
                found = int(pins.count_o.value)
                assert found == count, f"{case.name}: {word:x} counts {found}, not {count}"
