"""Carries out the requests of ``job.json`` at the pins of a board's top module.

Writes the replies to ``replies.json``, one entry per step; ``sim/board.py`` describes both files.
"""

from __future__ import annotations

import json
from dataclasses import asdict
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
    replies: list[Any] = [asdict(board.identification)]
    leds = getattr(dut, ports["leds"])
    shown = 0  # what the bridge shows: image, refused, class
    assert int(leds.value) == _lit(shown, **job["leds"])
    for step in job["steps"]:
        match step:
            case {"run": image}:
                result = await bridge(board.run)(image)
                shown = (~shown & 0x80) | (result.label & 0x3F)
                lit = int(leds.value)
                assert lit == _lit(shown, **job["leds"]), f"LEDs {lit:#x} for {shown:#x}"
                replies.append(asdict(result))
            case {"write": [memory, address, word]}:
                await bridge(board.write)(memory, address, int(word, 16))
                replies.append(None)
            case {"read": [memory, address]}:
                replies.append(f"{await bridge(board.read)(memory, address):x}")
            case {"detected": True}:
                replies.append(list(await bridge(board.detected)()))
            case {"garble": command}:
                replies.append(await _refused(pins, command))
                shown |= 0x40
                assert int(leds.value) == _lit(shown, **job["leds"])
            case {"button": cycles}:
                await pins.send(request(Command.RUN, b"\0\0")[:3])
                button.value = pressed
                await Timer(cycles * period, "ps")
                button.value = not pressed
                await Timer(RESET * period, "ps")
                shown = 0
                replies.append(None)
            case _:
                raise ValueError(f"unknown step {step}")
    Path("replies.json").write_text(json.dumps(replies))


async def _refused(pins: SerialPins, command: int) -> int:
    """The status that answers a request with an unknown command."""
    await pins.send(request(command))
    status, *_ = await pins.take(3)
    return int(status)


def _lit(shown: int, *, shows: list[int], active_low: list[int]) -> int:
    """The LED pins when the bridge's ``led_o`` is ``shown``."""
    lit = sum((shown >> bit & 1) << led for led, bit in enumerate(shows))
    return lit ^ sum(1 << led for led in active_low)
