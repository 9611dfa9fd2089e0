"""fifo.sv: order, depth and high water, however the two sides stall."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from sim.bench.stream_unit import (
    answers_equal_the_reference,
    cycles_equal_the_datasheet,
    for_each_case,
    reset_inside_a_vector_starts_over,
    reset_of_a_full_unit_starts_over,
    valid_does_not_wait_for_ready,
)
from sim.stream import Pins, exchange, reset
from sim.vectors import Case

__all__ = [
    "answers_equal_the_reference",
    "cycles_equal_the_datasheet",
    "reset_inside_a_vector_starts_over",
    "reset_of_a_full_unit_starts_over",
    "valid_does_not_wait_for_ready",
]


async def fill(pins: Pins, words: tuple[int, ...]) -> int:
    """Offer ``words`` while taking nothing; returns how many went in."""
    for place, word in enumerate(words):
        pins.valid_i.value, pins.data_i.value = 1, word
        await ReadOnly()
        ready = pins.ready_o.value == 1
        await RisingEdge(pins.clk_i)
        pins.valid_i.value = 0
        if not ready:
            return place
    return len(words)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def it_holds_exactly_its_depth(dut: Any) -> None:
    """``Depth`` words go in and not one more; they come out in order, and high water stays."""

    async def check(pins: Pins, case: Case) -> None:
        depth = int(case.parameters["Depth"])
        assert await fill(pins, case.inputs) == depth, "not as many words as the depth"
        await high_water_is(pins, depth)
        words = [word for _, word in await exchange(pins, [], depth)]
        assert words == list(case.inputs[:depth]), f"came out as {words}"
        await high_water_is(pins, depth)
        await reset(pins)
        await high_water_is(pins, 0)

    await for_each_case(dut, check)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def high_water_is_the_most_words_held(dut: Any) -> None:
    """Words that pass through one at a time raise it to one, a backlog of n to n."""

    async def check(pins: Pins, case: Case) -> None:
        await exchange(pins, case.inputs, len(case.inputs))
        await high_water_is(pins, 1)
        backlog = min(2, int(case.parameters["Depth"]))
        await fill(pins, case.inputs[:backlog])
        await high_water_is(pins, backlog)

    await for_each_case(dut, check)


async def high_water_is(pins: Pins, words: int) -> None:
    """Fail unless ``high_water_o`` says ``words``."""
    await ReadOnly()
    found = int(pins.high_water_o.value)
    assert found == words, f"high_water_o is {found}, not {words}"
    await RisingEdge(pins.clk_i)
