"""What every stream unit owes, whatever it computes; each bench imports these tests.

A test runs all parameter sets of the build side by side and names the ones that fail.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import cocotb

from sim.stream import (
    PACES,
    Pace,
    Pins,
    always,
    cycles_until_valid,
    exchange,
    expect_silence,
    offer_each_cycle,
    reset,
    start_clock,
    together,
)
from sim.vectors import Case, load_cases

SILENCE = 8  # cycles without a word after the last, plus what one vector takes
Check = Callable[[Pins, Case], Coroutine[Any, Any, None]]


async def for_each_case(dut: Any, check: Check) -> None:
    """Start the clock, reset every instance and run ``check`` on all of them."""
    start_clock(dut)
    cases = load_cases(Path("cases.json"))

    async def run(case: Case) -> None:
        pins = Pins(dut, case.name)
        if case.store is not None:
            pins.cfg_valid_i.value = pins.cfg_write_i.value = pins.cfg_chain_i.value = 0
        await reset(pins)
        await check(pins, case)

    await together([(case.name, run(case)) for case in cases])


async def expect_answers(
    pins: Pins,
    case: Case,
    *,
    offer: Pace = always,
    accept: Pace = always,
    outputs: tuple[int, ...] | None = None,
) -> list[int]:
    """Every output word equals the reference, in order, and nothing follows; returns the cycles."""
    wanted = case.outputs if outputs is None else outputs
    taken = await exchange(pins, case.inputs, len(wanted), offer=offer, accept=accept)
    for place, ((_, found), word) in enumerate(zip(taken, wanted, strict=True)):
        assert found == word, f"output word {place} is {found:x}, not {word:x}"
    await expect_silence(pins, SILENCE + case.steps)
    return [cycle for cycle, _ in taken]


@cocotb.test(timeout_time=10, timeout_unit="ms")
@cocotb.parametrize(offer=PACES, accept=PACES)
async def answers_equal_the_reference(dut: Any, offer: Pace, accept: Pace) -> None:
    """However the two sides stall, every word of back-to-back vectors comes once, in order."""

    async def check(pins: Pins, case: Case) -> None:
        await expect_answers(pins, case, offer=offer, accept=accept)

    await for_each_case(dut, check)


@cocotb.test(timeout_time=10, timeout_unit="ms")
@cocotb.parametrize(beats=[1, 2, 3, 5])
async def reset_inside_a_vector_starts_over(dut: Any, beats: int) -> None:
    """A reset leaves nothing behind, wherever in the pipeline the words were."""

    async def check(pins: Pins, case: Case) -> None:
        await offer_each_cycle(pins, (case.inputs[::-1] * beats)[:beats])
        await reset(pins)
        await expect_answers(pins, case)

    await for_each_case(dut, check)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def reset_of_a_full_unit_starts_over(dut: Any) -> None:
    """A reset also empties a unit in which everything waits."""

    async def check(pins: Pins, case: Case) -> None:
        await offer_each_cycle(pins, (case.inputs * 2)[: 2 * (case.steps + case.vector) + 8])
        await reset(pins)
        await expect_answers(pins, case)

    await for_each_case(dut, check)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def cycles_equal_the_datasheet(dut: Any) -> None:
    """Without stalls every word comes in the cycle that latency and throughput promise."""

    async def check(pins: Pins, case: Case) -> None:
        cycles = await expect_answers(pins, case)
        wanted = case.expected_cycles()
        assert cycles == wanted, f"words come in cycles {cycles[:8]}.., not {wanted[:8]}.."

    await for_each_case(dut, check)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def valid_does_not_wait_for_ready(dut: Any) -> None:
    """The first word is offered in time although nobody is ready for it."""

    async def check(pins: Pins, case: Case) -> None:
        wanted = case.expected_cycles()[0]
        found = await cycles_until_valid(pins, case.inputs, limit=wanted + 8)
        assert found == wanted, f"the first word is offered in cycle {found}, not {wanted}"

    await for_each_case(dut, check)
