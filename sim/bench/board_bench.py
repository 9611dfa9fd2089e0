"""Carries out the requests of ``job.json`` at the pins of a board's top module.

Writes the replies to ``replies.json``, one entry per step; ``sim/board.py`` describes both files.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.task import bridge
from cocotb.triggers import Timer

from sim.bench.pins import SerialPins
from sim.host import Board, Command, request

RESET = 300  # cycles, more than power_on_reset counts
SILENCE = 1 << 17  # cycles, SilenceBits of uart_bridge


@cocotb.test()
async def serve_requests(dut: Any) -> None:
    """Power up, identify, then every step in order."""
    job = json.loads(Path("job.json").read_text())
    period, bit, ports = job["period_ps"], job["bit_ps"], job["ports"]
    button, pressed = getattr(dut, ports["button"]), not job["button_active_low"]
    out, back = getattr(dut, ports["receive"]), getattr(dut, ports["transmit"])
    limit = (2 * SILENCE + job["latency_cycles"]) * period
    pins = SerialPins(out, back, bit=bit, limit=limit)
    button.value = not pressed
    Clock(getattr(dut, ports["clock"]), period, unit="ps").start()
    for _ in range(RESET):
        await Timer(period, "ps")
        assert back.value == 1, "the line is not idle while the board powers up"
    pins.listen()
    board = await bridge(Board)(pins)
    board.expect(job["digest"])
    bench = _Bench(pins, board, getattr(dut, ports["leds"]), job["leds"])
    bench.expect_leds()
    replies: list[Any] = [asdict(board.identification)]
    for step in job["steps"]:
        match step:
            case {"button": cycles}:
                await pins.send(request(Command.RUN, b"\0\0")[:3])
                button.value = pressed
                await Timer(cycles * period, "ps")
                button.value = not pressed
                await Timer(RESET * period, "ps")
                bench.shown = 0
                replies.append(None)
            case _:
                replies.append(await bench.carried_out(step))
    Path("replies.json").write_text(json.dumps(replies))


@dataclass(slots=True)
class _Bench:
    """A board behind its pins; ``shown`` is what the bridge shows: image, refused, class."""

    pins: SerialPins
    board: Board
    leds: Any
    lit: dict[str, list[int]]
    shown: int = 0

    def expect_leds(self) -> None:
        """Fail unless the LEDs show ``shown``."""
        found = int(self.leds.value)
        assert found == _lit(self.shown, **self.lit), f"LEDs {found:#x} for {self.shown:#x}"

    async def carried_out(self, step: dict[str, Any]) -> Any:
        """The reply to one request, for JSON."""
        match step:
            case {"run": image}:
                result = await bridge(self.board.run)(image)
                self.shown = (~self.shown & 0x80) | (result.label & 0x3F)
                self.expect_leds()
                return asdict(result)
            case {"write": [memory, address, word]}:
                await bridge(self.board.write)(memory, address, int(word, 16))
                return None
            case {"read": [memory, address]}:
                return f"{await bridge(self.board.read)(memory, address):x}"
            case {"detected": True}:
                return list(await bridge(self.board.detected)())
            case {"garble": command}:
                status = await _refused(self.pins, command)
                self.shown |= 0x40
                self.expect_leds()
                return status
            case _:
                raise ValueError(f"unknown step {step}")


async def _refused(pins: SerialPins, command: int) -> int:
    """The status that answers a request with an unknown command."""
    await pins.send(request(command))
    status, *_ = await pins.take(3)
    return int(status)


def _lit(shown: int, *, shows: list[int], active_low: list[int]) -> int:
    """The LED pins when the bridge's ``led_o`` is ``shown``."""
    lit = sum((shown >> bit & 1) << led for led, bit in enumerate(shows))
    return lit ^ sum(1 << led for led in active_low)
