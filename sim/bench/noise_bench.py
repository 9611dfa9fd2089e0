"""noise.sv against the lanes of the reference, seeded anew before every run."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from sim.bench.stream_unit import expect_answers, for_each_case
from sim.stream import PACES, Pace, Pins, cycles_until_valid, offer_each_cycle, reset
from sim.vectors import Case


async def seed(pins: Pins, case: Case) -> None:
    """Shift the case's seed words in, with pauses, which must not matter."""
    pins.seed_valid_i.value = 0
    for place, word in enumerate(case.image):
        if place % 3 == 1:
            await RisingEdge(pins.clk_i)
        await FallingEdge(pins.clk_i)
        pins.seed_valid_i.value, pins.seed_i.value = 1, word
        await RisingEdge(pins.clk_i)
        await FallingEdge(pins.clk_i)
        pins.seed_valid_i.value = 0
    await RisingEdge(pins.clk_i)


@cocotb.test(timeout_time=10, timeout_unit="ms")
@cocotb.parametrize(offer=PACES, accept=PACES)
async def answers_equal_the_reference(dut: Any, offer: Pace, accept: Pace) -> None:
    """However the two sides stall, each beat gets the noise of its own place in the row."""

    async def check(pins: Pins, case: Case) -> None:
        await seed(pins, case)
        await expect_answers(pins, case, offer=offer, accept=accept)

    await for_each_case(dut, check)


@cocotb.test(timeout_time=10, timeout_unit="ms")
@cocotb.parametrize(beats=[1, 2, 5])
async def a_reset_and_the_same_seed_start_the_noise_over(dut: Any, beats: int) -> None:
    """Nothing of an interrupted run is left, neither words nor the generators' state."""

    async def check(pins: Pins, case: Case) -> None:
        await seed(pins, case)
        await offer_each_cycle(pins, (case.inputs * beats)[:beats])
        await reset(pins)
        await seed(pins, case)
        await expect_answers(pins, case)

    await for_each_case(dut, check)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def a_reset_keeps_the_seed(dut: Any) -> None:
    """Seeded once, reset, and run: the noise is that of the seed."""

    async def check(pins: Pins, case: Case) -> None:
        await seed(pins, case)
        await reset(pins)
        await expect_answers(pins, case)

    await for_each_case(dut, check)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def cycles_equal_the_datasheet(dut: Any) -> None:
    """Without stalls every beat comes after the latency, one per cycle."""

    async def check(pins: Pins, case: Case) -> None:
        await seed(pins, case)
        (cycles,) = await expect_answers(pins, case)
        assert cycles == case.expected_cycles(), f"{cycles[:4]}, not {case.expected_cycles()[:4]}"

    await for_each_case(dut, check)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def valid_does_not_wait_for_ready(dut: Any) -> None:
    """The first beat is offered in time although nobody is ready for it."""

    async def check(pins: Pins, case: Case) -> None:
        await seed(pins, case)
        wanted = case.expected_cycles()[0]
        found = await cycles_until_valid(pins, case.streams(), limit=wanted + 8, widths=case.widths)
        assert found == wanted, f"the first beat is offered in cycle {found}, not {wanted}"

    await for_each_case(dut, check)
