"""Drive, observe and check valid/ready streams."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ReadOnly, RisingEdge

Pace = Callable[[], Iterator[bool]]
PERIOD = 10  # ns
PATIENCE = 2000  # cycles without a word on either side that count as a deadlock


def always() -> Iterator[bool]:
    """Every cycle."""
    while True:
        yield True


def bursty() -> Iterator[bool]:
    """Half the cycles, reproducibly at random."""
    rng = random.Random(1)
    while True:
        yield rng.random() < 0.5


def rare() -> Iterator[bool]:
    """One cycle in ten, reproducibly at random."""
    rng = random.Random(2)
    while True:
        yield rng.random() < 0.1


PACES = [always, bursty, rare]


class Pins:
    """The ports of one instance among several: ``pins.valid_i`` is ``<prefix>_valid_i``."""

    def __init__(self, dut: Any, prefix: str) -> None:
        self._dut, self._prefix = dut, prefix
        self.clk_i = dut.clk_i

    def __getattr__(self, port: str) -> Any:
        handle = getattr(self._dut, f"{self._prefix}_{port}")
        setattr(self, port, handle)
        return handle


def start_clock(dut: Any) -> None:
    """A free-running clock of :data:`PERIOD`."""
    Clock(dut.clk_i, PERIOD, unit="ns").start()


async def reset(pins: Any, cycles: int = 2) -> None:
    """Hold reset for ``cycles`` and leave both handshakes idle."""
    pins.rst_ni.value = pins.valid_i.value = pins.ready_i.value = 0
    pins.data_i.value = 0
    for _ in range(cycles):
        await RisingEdge(pins.clk_i)
    pins.rst_ni.value = 1


async def exchange(
    pins: Any, words: Sequence[int], count: int, *, offer: Pace = always, accept: Pace = always
) -> list[tuple[int, int]]:
    """Send ``words`` and take ``count``; returns (cycle, word) of each one taken.

    Cycle 0 is the first in which a word is offered. An offered word stays until it is taken.

    Raises:
        AssertionError: an output word was withdrawn or changed before it was taken, or neither
            side moved for :data:`PATIENCE` cycles.
    """
    offers, accepts = offer(), accept()
    queue = list(reversed(words))
    taken: list[tuple[int, int]] = []
    offered, cycle, idle, waiting = False, -1, 0, None
    while queue or len(taken) < count:
        if queue and not offered and next(offers):
            offered = True
            pins.valid_i.value, pins.data_i.value = 1, queue[-1]
        pins.ready_i.value = ready = int(len(taken) < count and next(accepts))
        cycle += int(offered or cycle >= 0)
        await ReadOnly()
        valid = pins.valid_o.value == 1
        if waiting is not None:
            assert valid, "valid_o fell before ready_i"
            assert pins.data_o.value == waiting, "data_o changed before ready_i"
        waiting = pins.data_o.value if valid and not ready else None
        came = valid and ready
        if came:
            taken.append((cycle, int(pins.data_o.value)))
        sent = offered and pins.ready_o.value == 1
        await RisingEdge(pins.clk_i)
        if sent:
            queue.pop()
            offered, pins.valid_i.value = False, 0
        idle = 0 if sent or came else idle + 1
        assert idle < PATIENCE, f"deadlock: {len(queue)} to send, {len(taken)} of {count} taken"
    pins.ready_i.value = 0
    return taken


async def offer_each_cycle(pins: Any, words: Sequence[int]) -> None:
    """Offer each word for one cycle, taken or not, and take nothing: a vector cut short."""
    for word in words:
        pins.valid_i.value, pins.data_i.value = 1, word
        await RisingEdge(pins.clk_i)
    pins.valid_i.value = 0


async def expect_silence(pins: Any, cycles: int) -> None:
    """Fail if a word is offered within ``cycles``."""
    pins.ready_i.value = 1
    for cycle in range(cycles):
        await ReadOnly()
        assert pins.valid_o.value == 0, f"an extra word {cycle} cycles after the last"
        await RisingEdge(pins.clk_i)
    pins.ready_i.value = 0


async def cycles_until_valid(pins: Any, words: Sequence[int], limit: int) -> int:
    """Offer ``words`` and accept nothing: the cycles until an output word is offered.

    Raises:
        AssertionError: none came within ``limit``: valid waits for ready.
    """
    queue = iter(words)
    word = next(queue, None)
    for cycle in range(limit + 1):
        pins.valid_i.value, pins.data_i.value = int(word is not None), word or 0
        await ReadOnly()
        if pins.valid_o.value == 1:
            await RisingEdge(pins.clk_i)
            pins.valid_i.value = 0
            return cycle
        sent = word is not None and pins.ready_o.value == 1
        await RisingEdge(pins.clk_i)
        if sent:
            word = next(queue, None)
    raise AssertionError(f"no word offered in {limit} cycles while ready_i is 0")


async def together(tasks: Sequence[tuple[str, Coroutine[Any, Any, None]]]) -> None:
    """Run coroutines side by side; fail with the name and message of each one that failed."""
    started = [cocotb.start_soon(_named(name, task)) for name, task in tasks]
    failures = [found for task in started if (found := await task) is not None]
    assert not failures, "; ".join(failures)


async def _named(name: str, task: Coroutine[Any, Any, None]) -> str | None:
    try:
        await task
    except AssertionError as error:
        return f"{name}: {error}"
    return None
