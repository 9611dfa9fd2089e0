"""What every stream unit owes, whatever it computes; each bench imports these tests.

A test runs all parameter sets of the build side by side and names the ones that fail.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import cocotb

from sim.stream import (
    PACES,
    Pace,
    Pins,
    always,
    cycles_until_valid,
    exchange_streams,
    expect_silence,
    flow_for,
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
        if case.stores:
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
    offers: Sequence[Pace] = (),
    accepts: Sequence[Pace] = (),
    outputs: tuple[int, ...] | None = None,
) -> list[list[int]]:
    """Every output word equals the reference, in order, and nothing follows.

    All streams of a side have one pace, or each its own (``offers``, ``accepts``). Returns the
    cycles of the words of each output stream.
    """
    wanted, streams = case.outputs if outputs is None else outputs, case.streams()
    all_taken = await exchange_streams(
        pins,
        streams,
        [len(wanted)] * case.sinks,
        offers=offers or [offer] * len(streams),
        accepts=accepts or [accept] * case.sinks,
        widths=case.widths,
    )
    for taken in all_taken:
        for place, ((_, found), word) in enumerate(zip(taken, wanted, strict=True)):
            assert found == word, f"output word {place} is {found:x}, not {word:x}"
    await expect_silence(pins, SILENCE + case.steps)
    return [[cycle for cycle, _ in taken] for taken in all_taken]


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
@cocotb.parametrize(percent=[20, 50, 80, 99])
async def reset_in_full_flow_starts_over(dut: Any, percent: int) -> None:
    """A reset leaves nothing behind while words come and go, wherever in the frame it falls."""

    async def check(pins: Pins, case: Case) -> None:
        cycles = case.expected_cycles()[-1] * percent // 100
        await flow_for(pins, case.streams(), cycles, widths=case.widths)
        await reset(pins)
        await expect_silence(pins, SILENCE)
        await expect_answers(pins, case)

    await for_each_case(dut, check)


@cocotb.test(timeout_time=10, timeout_unit="ms")
@cocotb.parametrize(shift=[1, 2])
async def streams_may_have_different_paces(dut: Any, shift: int) -> None:
    """A stream that comes or goes slowly delays the others and changes no answer."""

    def turn(count: int, start: int) -> list[Pace]:
        return [PACES[(start + stream * shift) % len(PACES)] for stream in range(count)]

    async def check(pins: Pins, case: Case) -> None:
        for start in range(len(PACES)):
            offers, accepts = turn(len(case.widths), start), turn(case.sinks, start + 1)
            await expect_answers(pins, case, offers=offers, accepts=accepts)

    await for_each_case(dut, check)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def cycles_equal_the_datasheet(dut: Any) -> None:
    """Without stalls every word comes in the cycle that latency and throughput promise."""

    async def check(pins: Pins, case: Case) -> None:
        wanted = case.expected_cycles()
        for cycles in await expect_answers(pins, case):
            pairs = enumerate(zip(cycles, wanted, strict=True))
            at = next((k for k, (found, due) in pairs if found != due), 0)
            late, due = cycles[at : at + 8], wanted[at : at + 8]
            assert cycles == wanted, f"words {at}.. come in cycles {late}.., not {due}.."

    await for_each_case(dut, check)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def valid_does_not_wait_for_ready(dut: Any) -> None:
    """The first word is offered in time although nobody is ready for it."""

    async def check(pins: Pins, case: Case) -> None:
        wanted = case.expected_cycles()[0]
        streams = case.streams()
        found = await cycles_until_valid(pins, streams, limit=wanted + 8, widths=case.widths)
        assert found == wanted, f"the first word is offered in cycle {found}, not {wanted}"

    await for_each_case(dut, check)
