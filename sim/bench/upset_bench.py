"""Streams images with one register bit inverted in one cycle, then more images without a reset.

Reads ``job.json`` in its working folder and writes ``summary.json`` there (both described in
``sim/upsets.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cocotb
from cocotb.handle import Immediate
from cocotb.triggers import First

from sim.bench.accelerator_bench import (
    at,
    count,
    deposit,
    expect_equal,
    expect_images,
    no_runs,
    prepared,
    report,
)

NEVER = -1  # no cycle of a run


@cocotb.test()
async def run_job(dut: Any) -> None:
    """The clean run, every upset, and the clean run again."""
    await report(_run, dut)


async def _run(dut: Any, job: Mapping[str, Any]) -> dict[str, Any]:
    memories, images = await prepared(dut, job)
    handles = {name: at(dut, name) for name in job["registers"]}
    for name, bits in job["registers"].items():
        expect_equal(f"{name}: width", len(handles[name]), bits)
    window, follow = job["window"], job["follow"]
    summary = no_runs()
    await _stream(dut, summary, first=0, images=job["images"], watchdog=job["patience"])
    for name, bit, cycle, first in job["upsets"]:
        place = {"first": first, "images": window, "watchdog": job["watchdog"]}
        await _stream(dut, summary, **place, cycle=cycle, struck=(handles[name], bit, name))
        place |= {"first": first + window, "images": follow}
        await _stream(dut, summary, **place, keep=1)
    await _stream(dut, summary, first=0, images=job["images"], watchdog=job["patience"])
    expect_images(memories, images, "at the end")
    return summary


async def _stream(
    dut: Any,
    summary: dict[str, Any],
    *,
    first: int,
    images: int,
    watchdog: int,
    keep: int = 0,
    cycle: int = NEVER,
    struck: tuple[Any, int, str] | None = None,
) -> None:
    """One run of the harness; ``struck`` is the register, bit and name inverted in ``cycle``."""
    settings = {"first": first, "images": images, "watchdog": watchdog, "keep": keep}
    for name, value in (settings | {"strike": cycle}).items():
        getattr(dut, name).set(Immediate(value))
    done = int(dut.done.value)
    dut.start.set(Immediate(1 - int(dut.start.value)))
    if struck is not None:
        register, bit, name = struck
        await First(dut.struck.value_change, dut.done.value_change)
        expect_equal(f"{name} in cycle {cycle}: the run has ended", int(dut.done.value), done)
        deposit(register, unsigned(register) ^ (1 << bit), f"{name} bit {bit}")
    await dut.done.value_change
    count(dut, summary)


def unsigned(register: Any) -> int:
    """Its bits as a number; what was never written counts as 0, which Verilator makes it."""
    return int(str(register.value).replace("X", "0").replace("U", "0"), 2)
