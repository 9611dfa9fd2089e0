"""A serial port made of two simulated pins: the transport that ``sim.host`` asks for."""

from __future__ import annotations

from collections import deque
from typing import Any

import cocotb
from cocotb.task import resume
from cocotb.triggers import Event, FallingEdge, SimTimeoutError, Timer, with_timeout
from cocotb.utils import get_sim_time

BITS = 10  # start, eight data, stop


class SerialPins:
    """Sends on ``out`` and listens on ``back``; ``bit`` is the bit time in picoseconds.

    ``read`` and ``write`` block, so they are called in a thread made by ``cocotb.task.bridge``.
    ``stretch`` scales the bit time of what is sent: a sender whose clock is off.
    """

    def __init__(self, out: Any, back: Any, *, bit: int, limit: int) -> None:
        self.stretch = 1.0
        self.starts: list[int] = []  # time of each start bit received, in picoseconds
        self._out, self._back, self._bit, self._limit = out, back, bit, limit
        self._bytes: deque[int] = deque()
        self._came = Event()
        out.value = 1

    def listen(self) -> None:
        """Start to receive; call it once the line is idle."""
        cocotb.start_soon(self._receive())

    def write(self, data: bytes) -> None:
        """Send ``data``, bit by bit."""
        resume(self.send)(data)

    def read(self, count: int) -> bytes:
        """``count`` bytes, or fewer if nothing comes for the time limit."""
        return bytes(resume(self.take)(count))

    async def send(self, data: bytes, *, stop: int = 1) -> None:
        """Send ``data``; ``stop`` is the level of the stop bits."""
        bit = round(self._bit * self.stretch)
        for byte in data:
            for level in (0, *((byte >> i) & 1 for i in range(8)), stop):
                self._out.value = level
                await Timer(bit, "ps")
        self._out.value = 1

    async def take(self, count: int) -> bytes:
        """What :meth:`read` returns."""
        while len(self._bytes) < count:
            self._came.clear()
            try:
                await with_timeout(self._came.wait(), self._limit, "ps")
            except SimTimeoutError:
                break
        return bytes(self._bytes.popleft() for _ in range(min(count, len(self._bytes))))

    async def _receive(self) -> None:
        while True:
            await FallingEdge(self._back)
            self.starts.append(round(get_sim_time("ps")))
            await Timer(self._bit // 2, "ps")
            byte = 0
            for index in range(8):
                await Timer(self._bit, "ps")
                byte |= int(self._back.value) << index
            await Timer(self._bit, "ps")
            assert self._back.value == 1, "the board sent a byte without a stop bit"
            self._bytes.append(byte)
            self._came.set()
