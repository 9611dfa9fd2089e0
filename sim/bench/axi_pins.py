"""Registers and a DMA made of simulated AXI pins: what ``hls/drivers/bitproof_axi.py`` asks for.

Their blocking methods are called in a thread made by ``cocotb.task.bridge``.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import cocotb
import numpy as np
from cocotb.task import resume
from cocotb.triggers import Event, ReadOnly, RisingEdge
from numpy.typing import NDArray

Words = list[tuple[int, bool]]  # data and TLAST


class AxiRegisters:
    """An AXI4-Lite master; address and data of a write come in any order, ``ready`` when it may."""

    def __init__(self, dut: Any, *, seed: int) -> None:
        self._dut, self._rng = dut, random.Random(seed)
        self.hesitation = 3  # cycles at most before each step
        for name in ("awvalid", "wvalid", "arvalid", "bready", "rready"):
            getattr(dut, f"s_axi_{name}").value = 0

    def read(self, offset: int) -> int:
        """The register at ``offset``."""
        return int(resume(self.fetch)(offset))

    def write(self, offset: int, value: int) -> None:
        """Set the register at ``offset``."""
        resume(self.store)(offset, value)

    async def store(self, offset: int, value: int, *, strobes: int = 15) -> None:
        """One write, its response awaited."""
        dut = self._dut
        address = cocotb.start_soon(self._offer("aw", {"awaddr": offset}))
        await self._offer("w", {"wdata": value, "wstrb": strobes})
        await address
        await self._answer("b")
        assert int(dut.s_axi_bresp.value) == 0

    async def fetch(self, offset: int) -> int:
        """One read."""
        await self._offer("ar", {"araddr": offset})
        return await self._answer("r")

    async def _offer(self, channel: str, payload: dict[str, int]) -> None:
        await self._pause()
        for name, value in payload.items():
            getattr(self._dut, f"s_axi_{name}").value = value
        valid, ready = (getattr(self._dut, f"s_axi_{channel}{end}") for end in ("valid", "ready"))
        valid.value = 1
        while True:
            await ReadOnly()
            taken = int(ready.value)
            await RisingEdge(self._dut.aclk)
            if taken:
                break
        valid.value = 0
        for name in payload:  # nobody may look at it now
            getattr(self._dut, f"s_axi_{name}").value = 0

    async def _answer(self, channel: str) -> int:
        valid, ready = (getattr(self._dut, f"s_axi_{channel}{end}") for end in ("valid", "ready"))
        await self._pause()
        ready.value = 1
        while True:
            await ReadOnly()
            came, data = int(valid.value), self._dut.s_axi_rdata.value
            await RisingEdge(self._dut.aclk)
            if came:
                break
        ready.value = 0
        return int(data) if channel == "r" else 0

    async def _pause(self) -> None:
        for _ in range(self._rng.randint(0, self.hesitation)):
            await RisingEdge(self._dut.aclk)


class StreamChannel:
    """One direction of a DMA; ``pace`` says in which cycles it is willing."""

    def __init__(self, dut: Any, prefix: str, pace: Iterator[bool]) -> None:
        self._dut, self._pace = dut, pace
        self._pins = {end: getattr(dut, f"{prefix}_t{end}") for end in ENDS}
        self._over = Event()
        self._over.set()

    def transfer(self, array: NDArray[np.uint8]) -> None:
        """Start to send, or to fill, the whole of ``array``."""
        resume(self._begin)(array)

    def wait(self) -> None:
        """Return when the transfer is over."""
        resume(self._finish)()

    async def _begin(self, array: NDArray[np.uint8]) -> None:
        assert self._over.is_set(), "a transfer was started before the last one was over"
        self._over.clear()
        cocotb.start_soon(self._carry(array))

    async def _finish(self) -> None:
        await self._over.wait()

    async def _carry(self, array: NDArray[np.uint8]) -> None:
        raise NotImplementedError

    @property
    def _bytes(self) -> int:
        return len(self._pins["data"]) // 8


ENDS = ("valid", "ready", "data", "last")


class Sender(StreamChannel):
    """Memory to stream: TLAST with the last word of a transfer, as the vendor's DMA has it."""

    async def _carry(self, array: NDArray[np.uint8]) -> None:
        size = self._bytes
        words = [
            int.from_bytes(array[i : i + size].tobytes(), "little")
            for i in range(0, len(array), size)
        ]
        await self.send([(word, place == len(words) - 1) for place, word in enumerate(words)])
        self._over.set()

    async def send(self, words: Words) -> None:
        """Send words; one that is offered stays until it is taken."""
        pins, clock = self._pins, self._dut.aclk
        for word, last in words:
            while not next(self._pace):
                await RisingEdge(clock)
            pins["valid"].value, pins["data"].value, pins["last"].value = 1, word, int(last)
            while True:
                await ReadOnly()
                taken = int(pins["ready"].value)
                await RisingEdge(clock)
                if taken:
                    break
            pins["valid"].value = pins["last"].value = 0


class Receiver(StreamChannel):
    """Stream to memory: a transfer ends with TLAST, which must come with its last word."""

    async def _carry(self, array: NDArray[np.uint8]) -> None:
        size = self._bytes
        for place in range(0, len(array), size):
            word, last = await self.take()
            array[place : place + size] = list(word.to_bytes(size, "little"))
            assert last == (place + size == len(array)), f"TLAST is {last} at byte {place}"
        self._over.set()

    async def take(self) -> tuple[int, bool]:
        """The next word; what is offered must not change before it is taken."""
        pins, seen = self._pins, None
        while True:
            willing = next(self._pace)
            pins["ready"].value = int(willing)
            await ReadOnly()
            offered = None
            if int(pins["valid"].value):
                offered = int(pins["data"].value), bool(int(pins["last"].value))
            assert seen in (None, offered), f"{seen} was withdrawn for {offered}"
            await RisingEdge(self._dut.aclk)
            seen = offered
            if willing and offered is not None:
                pins["ready"].value = 0
                return offered


class Dma:
    """Both directions of a DMA at the pins of ``dut``."""

    def __init__(self, dut: Any, offer: Iterator[bool], accept: Iterator[bool]) -> None:
        dut.s_axis_tvalid.value = dut.s_axis_tlast.value = dut.m_axis_tready.value = 0
        self.clock = dut.aclk
        self.sendchannel = Sender(dut, "s_axis", offer)
        self.recvchannel = Receiver(dut, "m_axis", accept)
