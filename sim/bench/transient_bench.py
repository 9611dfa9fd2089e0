"""Streams images with bits of what units have computed inverted, in each image at its own time.

Reads ``job.json`` in its working folder and writes ``summary.json`` there (both described in
``sim/transients.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from sim.bench.upset_bench import NEVER, unsigned

Schedule = Sequence[tuple[int, str, int]]  # cycle, unit, mask; in order


@cocotb.test()
async def run_job(dut: Any) -> None:
    """A clean run that records when words are offered, every strike, and a clean run again."""
    await report(_run, dut)


async def _run(dut: Any, job: Mapping[str, Any]) -> dict[str, Any]:
    memories, images = await prepared(dut, job)
    units = {name: at(dut, name) for name in job["units"]}
    summary = no_runs()
    offered = await _record(dut, units)
    count(dut, summary)
    for name, words in job["units"].items():
        expect_equal(f"{name}: words", len(offered[name]), words * job["images"])
    for run in job["runs"]:
        schedule = sorted(
            (offered[name][image * job["units"][name] + word], name, int(mask, 16))
            for name, word, mask in run
            for image in range(job["images"])
        )
        await _strike(dut, units, schedule)
        count(dut, summary)
    await _strike(dut, units, [])
    count(dut, summary)
    expect_images(memories, images, "at the end")
    return summary


async def _record(dut: Any, units: Mapping[str, Any]) -> dict[str, list[int]]:
    """The first cycle in which each word of each unit is offered, in a run without a strike."""
    offered: dict[str, list[int]] = {name: [] for name in units}
    moved = dict.fromkeys(units, True)  # whether the register could take a word since
    done, cycle = int(dut.done.value), 0
    dut.strike.set(Immediate(cycle))
    dut.start.set(Immediate(1 - int(dut.start.value)))
    while True:
        await First(dut.struck.value_change, dut.done.value_change)
        if int(dut.done.value) != done:
            return offered
        for name, unit in units.items():
            if int(unit.valid_q.value) and moved[name]:
                offered[name].append(cycle)
            moved[name] = bool(int(unit.advance.value))
        cycle += 1
        dut.strike.set(Immediate(cycle))


async def _strike(dut: Any, units: Mapping[str, Any], schedule: Schedule) -> None:
    """One run; each entry of ``schedule`` inverts the mask in the unit's output register."""
    done = int(dut.done.value)
    dut.strike.set(Immediate(schedule[0][0] if schedule else NEVER))
    dut.start.set(Immediate(1 - int(dut.start.value)))
    for number, (cycle, name, mask) in enumerate(schedule):
        if not number or cycle != schedule[number - 1][0]:
            await First(dut.struck.value_change, dut.done.value_change)
            expect_equal(f"cycle {cycle}: the run has ended", int(dut.done.value), done)
        unit = units[name]
        expect_equal(f"{name} in cycle {cycle}: offers", int(unit.valid_q.value), 1)
        deposit(unit.data_q, unsigned(unit.data_q) ^ mask, f"{name}.data_q")
        later = schedule[number + 1][0] if number + 1 < len(schedule) else NEVER
        if later != cycle:
            dut.strike.set(Immediate(later))
    await dut.done.value_change
