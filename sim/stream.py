"""Drive, observe and check valid/ready streams."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ReadOnly, RisingEdge

Pace = Callable[[int], Iterator[bool]]  # of the stream of this number: each has its own
PERIOD = 10  # ns
PATIENCE = 2000  # cycles without a word on either side that count as a deadlock


def always(stream: int = 0) -> Iterator[bool]:
    """Every cycle."""
    while True:
        yield True


def bursty(stream: int = 0) -> Iterator[bool]:
    """Half the cycles, reproducibly at random."""
    rng = random.Random(1 + 2 * stream)
    while True:
        yield rng.random() < 0.5


def rare(stream: int = 0) -> Iterator[bool]:
    """One cycle in ten, reproducibly at random."""
    rng = random.Random(2 + 2 * stream)
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
    """Send ``words`` and take ``count`` on a unit of one stream each way: ``exchange_streams``."""
    (taken,) = await exchange_streams(pins, [words], [count], offers=[offer], accepts=[accept])
    return taken


async def exchange_streams(
    pins: Any,
    inputs: Sequence[Sequence[int]],
    counts: Sequence[int],
    *,
    offers: Sequence[Pace],
    accepts: Sequence[Pace],
    widths: Sequence[int] = (0,),
) -> list[list[tuple[int, int]]]:
    """Send every stream of ``inputs``, take ``counts`` words of each output stream.

    Stream i is bit i of ``valid_i`` and ``ready_o`` and lies in ``data_i`` above the earlier ones,
    whose ``widths`` are in bits. Output streams are bits of ``valid_o`` and ``ready_i`` and share
    ``data_o``. Returns (cycle, word) of each word taken, by output stream. Cycle 0 is the first in
    which a word is offered. An offered word stays until it is taken.

    Raises:
        AssertionError: an output word was withdrawn or changed before it was taken, or no side
            moved for :data:`PATIENCE` cycles.
    """
    senders = [_Sender(words, pace(i)) for words, pace, i in _numbered(inputs, offers)]
    takers = [_Taker(count, pace(i)) for count, pace, i in _numbered(counts, accepts)]
    cycle, idle = -1, 0
    while any(s.queue for s in senders) or any(len(t.taken) < t.count for t in takers):
        started = [sender.offers() for sender in senders]
        if any(started):
            _offer(pins, senders, widths)
        pins.ready_i.value = _mask([taker.accepts() for taker in takers])
        cycle += int(cycle >= 0 or any(sender.offered for sender in senders))
        await ReadOnly()
        valid, word, ready = int(pins.valid_o.value), pins.data_o.value, int(pins.ready_o.value)
        moved = [t.see(bool(valid >> i & 1), word, cycle) for i, t in enumerate(takers)]
        sent = [sender.offered and bool(ready >> i & 1) for i, sender in enumerate(senders)]
        await RisingEdge(pins.clk_i)
        for sender in (s for s, went in zip(senders, sent, strict=True) if went):
            sender.sent()
        if any(sent):
            pins.valid_i.value = _mask(sender.offered for sender in senders)
        idle = 0 if any(sent) or any(moved) else idle + 1
        left = [len(s.queue) for s in senders], [len(t.taken) for t in takers]
        assert idle < PATIENCE, f"deadlock: {left[0]} to send, {left[1]} of {list(counts)} taken"
    pins.ready_i.value = 0
    return [taker.taken for taker in takers]


class _Sender:
    """One input stream: what is left to send, the next word last."""

    def __init__(self, words: Sequence[int], pace: Iterator[bool]) -> None:
        self.queue, self.offered, self._pace = list(reversed(words)), False, pace

    def offers(self) -> bool:
        """Whether a word is offered from this cycle on."""
        if not self.queue or self.offered or not next(self._pace):
            return False
        self.offered = True
        return True

    def sent(self) -> None:
        """The word offered has moved."""
        self.queue.pop()
        self.offered = False


class _Taker:
    """One output stream: what was taken, and the word that waits for it."""

    def __init__(self, count: int, pace: Iterator[bool]) -> None:
        self.count, self._pace = count, pace
        self.taken: list[tuple[int, int]] = []
        self._ready, self._waiting = False, None

    def accepts(self) -> bool:
        """Whether it is ready in this cycle."""
        self._ready = len(self.taken) < self.count and next(self._pace)
        return self._ready

    def see(self, valid: bool, word: Any, cycle: int) -> bool:
        """Check this cycle against the last, and take a word that moves."""
        if self._waiting is not None:
            assert valid, "valid_o fell before ready_i"
            assert word == self._waiting, "data_o changed before ready_i"
        self._waiting = word if valid and not self._ready else None
        if valid and self._ready:
            self.taken.append((cycle, int(word)))
        return valid and self._ready


def _offer(pins: Any, senders: Sequence[_Sender], widths: Sequence[int]) -> None:
    words = [sender.queue[-1] if sender.offered else 0 for sender in senders]
    pins.valid_i.value = _mask(sender.offered for sender in senders)
    pins.data_i.value = sum(word << sum(widths[:place]) for place, word in enumerate(words))


def _numbered(streams: Sequence[Any], paces: Sequence[Pace]) -> Iterator[tuple[Any, Pace, int]]:
    return zip(streams, paces, range(len(streams)), strict=True)


def _mask(bits: Iterable[bool]) -> int:
    return sum(bit << place for place, bit in enumerate(bits))


def every(port: Any) -> int:
    """Ones for all streams of a handshake port."""
    return (1 << len(port)) - 1


async def offer_each_cycle(pins: Any, words: Sequence[int]) -> None:
    """Offer each word for one cycle, taken or not, and take nothing: a vector cut short."""
    for word in words:
        pins.valid_i.value, pins.data_i.value = every(pins.valid_i), word
        await RisingEdge(pins.clk_i)
    pins.valid_i.value = 0


async def flow_for(
    pins: Any, inputs: Sequence[Sequence[int]], cycles: int, *, widths: Sequence[int] = (0,)
) -> None:
    """Offer ``inputs`` and accept everything for ``cycles``: a frame cut short in full flow."""
    senders = [_Sender(words, always()) for words in inputs]
    pins.ready_i.value = every(pins.ready_i)
    for _ in range(cycles):
        for sender in senders:
            sender.offers()
        _offer(pins, senders, widths)
        await ReadOnly()
        ready = int(pins.ready_o.value)
        await RisingEdge(pins.clk_i)
        for place, sender in enumerate(senders):
            if sender.offered and ready >> place & 1:
                sender.sent()
    pins.valid_i.value = pins.ready_i.value = 0


async def expect_silence(pins: Any, cycles: int) -> None:
    """Fail if a word is offered within ``cycles``."""
    pins.ready_i.value = every(pins.ready_i)
    for cycle in range(cycles):
        await ReadOnly()
        assert pins.valid_o.value == 0, f"an extra word {cycle} cycles after the last"
        await RisingEdge(pins.clk_i)
    pins.ready_i.value = 0


async def cycles_until_valid(
    pins: Any, inputs: Sequence[Sequence[int]], limit: int, *, widths: Sequence[int] = (0,)
) -> int:
    """Offer ``inputs`` and accept nothing: the cycles until some output word is offered.

    Raises:
        AssertionError: none came within ``limit``: valid waits for ready.
    """
    senders = [_Sender(words, always()) for words in inputs]
    for cycle in range(limit + 1):
        for sender in senders:
            sender.offers()
        _offer(pins, senders, widths)
        await ReadOnly()
        valid, ready = int(pins.valid_o.value), int(pins.ready_o.value)
        await RisingEdge(pins.clk_i)
        if valid:
            pins.valid_i.value = 0
            return cycle
        for place, sender in enumerate(senders):
            if sender.offered and ready >> place & 1:
                sender.sent()
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
