"""Makes the calls of ``vectors.txt`` at the pins of the RTL that Vitis HLS made.

Reads ``job.json`` (``sim/vitis.py``) in its working folder. The names of pins and the protocol of a
call are those that the vendor documents; this has met a stand-in only, never RTL made by the tool.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

from sim.bench.axi_pins import AxiRegisters, Dma
from sim.stream import PACES, PERIOD

CONTROL, START, DONE = 0x00, 1, 2  # the register of a call, and its bits
POLLS = 100_000  # reads of it in which a call must end
RENAMED = {
    "aclk": "ap_clk",
    "aresetn": "ap_rst_n",
    "s_axi_": "s_axi_control_",
    "s_axis_": "images_",
    "m_axis_": "results_",
}


class VendorPins:
    """The ports of the vendor's RTL under the names that ``axi_pins`` uses."""

    def __init__(self, dut: Any) -> None:
        self._dut = dut

    def __getattr__(self, name: str) -> Any:
        for ours, theirs in RENAMED.items():
            if name == ours:
                return getattr(self._dut, theirs)
            if ours.endswith("_") and name.startswith(ours):
                return getattr(self._dut, theirs + name.removeprefix(ours).upper())
        raise AttributeError(name)


@cocotb.test()
async def make_the_calls(dut: Any) -> None:
    """Every line of the vectors, in order; streams stall at the paces of the job."""
    job = json.loads(Path("job.json").read_text())
    pins, paces = VendorPins(dut), {pace.__name__: pace for pace in PACES}
    dma = Dma(pins, paces[job["offer"]](0), paces[job["accept"]](1))
    registers = AxiRegisters(pins, seed=1)
    for name in ("images_TKEEP", "images_TSTRB"):
        if hasattr(dut, name):
            getattr(dut, name).value = -1 % (1 << len(getattr(dut, name)))
    Clock(pins.aclk, PERIOD, unit="ns").start()
    pins.aresetn.value = 0
    await ClockCycles(pins.aclk, 10)
    pins.aresetn.value = 1
    await RisingEdge(pins.aclk)
    for number, line in enumerate(Path("vectors.txt").read_text().splitlines(), start=1):
        verb, *words = line.split()
        given = [int(word, 16) for word in words]
        if verb == "run":
            await _run(dma, registers, job["offsets"], given, number)
        elif verb == "told":
            await _told(registers, job["offsets"], given, number)
        else:
            await _access(registers, job["offsets"], verb, given, number)


async def _run(
    dma: Dma, registers: AxiRegisters, offsets: dict[str, int], given: list[int], line: int
) -> None:
    vectors, count, *rest = given
    images, (results, *wanted) = rest[:count], rest[count:]
    await registers.store(offsets["access"], 0)
    await registers.store(offsets["vectors"], vectors)
    last = [False] * (count - 1) + [True]
    sending = cocotb.start_soon(dma.sendchannel.send(list(zip(images, last, strict=True))))
    await registers.store(CONTROL, START)
    for place in range(results):
        word, final = await dma.recvchannel.take()
        assert word == wanted[place], f"line {line}: result word {place} is {word:x}"
        assert final == (place == results - 1), f"line {line}: TLAST is not behind the last word"
    await sending
    await _finish(registers, line)


async def _access(
    registers: AxiRegisters, offsets: dict[str, int], verb: str, given: list[int], line: int
) -> None:
    memory, address, part, value = given
    numbers = {"memory": memory, "address": address, "part": part, "value": value, "vectors": 0}
    for name, number in numbers.items():
        await registers.store(offsets[name], number)
    await registers.store(offsets["access"], 1 if verb == "write" else 2)
    await registers.store(CONTROL, START)
    await _finish(registers, line)
    answer = await registers.fetch(offsets["answer"])
    if verb == "read":
        assert answer == value, f"line {line}: the stored word is {answer:x}"


async def _told(
    registers: AxiRegisters, offsets: dict[str, int], given: list[int], line: int
) -> None:
    memory, wanted = given
    for name, number in {"memory": memory, "vectors": 0, "access": 0}.items():
        await registers.store(offsets[name], number)
    await registers.store(CONTROL, START)
    await _finish(registers, line)
    told = await registers.fetch(offsets["told"])
    assert told == wanted, f"line {line}: told {told} of damaged words"


async def _finish(registers: AxiRegisters, line: int) -> None:
    for _ in range(POLLS):
        if await registers.fetch(CONTROL) & DONE:
            return
    raise AssertionError(f"line {line}: the call does not end")
