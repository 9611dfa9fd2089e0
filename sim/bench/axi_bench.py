"""Carries out ``job.json`` at the pins of ``accelerator_axi`` with the driver that a board has.

Writes what came to ``answers.json``; ``sim/axi.py`` describes both files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import bridge
from cocotb.triggers import ClockCycles, RisingEdge

from hls.drivers.bitproof_axi import (
    ADDRESS,
    COMMAND,
    DATA,
    EARLY,
    MEMORY,
    PACKET,
    READ,
    REFUSED,
    STATUS,
    Accelerator,
    pack_images,
)
from sim.bench.axi_pins import AxiRegisters, Dma
from sim.stream import PACES, PERIOD

SILENCE = 300  # cycles after the last result in which nothing may come
LIMIT = 200  # ms
MEETINGS = 8  # cycles between the beginning of an access and that of an image


@cocotb.test(timeout_time=LIMIT, timeout_unit="ms")
async def serve_the_driver(dut: Any) -> None:
    """Identify, run, read and write as ``job.json`` says, then what a driver would never do."""
    job = json.loads(Path("job.json").read_text())
    record, x = job["record"], np.array(job["images"])
    paces = {pace.__name__: pace for pace in PACES}
    offer, accept = (paces[job[name]] for name in ("offer", "accept"))
    dma = Dma(dut, offer(0), accept(1))
    registers = AxiRegisters(dut, seed=job["seed"])
    Clock(dut.aclk, PERIOD, unit="ns").start()
    await _reset(dut)

    net = await bridge(Accelerator)(registers, dma, np.zeros, record)
    answers: dict[str, Any] = {"runs": [], "flips": []}
    at = 0
    for count in job["batches"]:
        answers["runs"] += _rows(*await bridge(net.run)(x[at : at + count]))
        at += count
    for place in job["flips"]:
        answers["flips"].append(await _flipped(net, x, *place, parity=record["parity"]))
    answers["counters"] = await bridge(net.counters)()
    await _whole_images_only(dma, registers, x, record)
    answers["after early"] = _rows(*await bridge(net.run)(x))
    await _busy_is_refused(dma, registers, x, record)
    await _accesses_meet_images(dma, registers, x, record)
    await _unknown_is_refused(registers)
    answers["again"] = _rows(*await bridge(net.run)(x))
    for _ in range(SILENCE):
        await RisingEdge(dut.aclk)
        assert not int(dut.m_axis_tvalid.value), "a word after the last result"
    await _reset(dut)
    assert await registers.fetch(STATUS) == 0
    answers["reset"] = _rows(*await bridge(net.run)(x))
    Path("answers.json").write_text(json.dumps(answers))


async def _flipped(
    net: Accelerator, x: Any, memory: str, word: int, bit: int, *, parity: bool
) -> dict[str, Any]:
    """The word before, during and after a flip, and the answers to ``x`` meanwhile."""
    before = await bridge(net.read)(memory, word)
    await bridge(_flip)(net, memory, word, bit)
    during = await bridge(net.read)(memory, word)
    rows = _rows(*await bridge(net.run)(x))
    told = await bridge(net.detected)()
    assert told == ((memory,) if parity else ()), told
    await bridge(_flip)(net, memory, word, bit)
    after = await bridge(net.read)(memory, word)
    assert await bridge(net.detected)() == ()
    return {"words": [f"{value:x}" for value in (before, during, after)], "rows": rows}


async def _reset(dut: Any) -> None:
    dut.aresetn.value = 0
    await ClockCycles(dut.aclk, 3)
    dut.aresetn.value = 1
    await RisingEdge(dut.aclk)


def _rows(classes: Any, logits: Any) -> list[list[int]]:
    rows: list[list[int]] = np.column_stack([classes, logits]).tolist()
    return rows


def _flip(net: Accelerator, memory: str, word: int, bit: int) -> None:
    net.flip(memory, word=word, bit=bit)


def _words(image: Any, record: dict[str, Any]) -> list[int]:
    packed, size = pack_images(image[None], record)[0].tobytes(), record["bus_bytes"]
    return [int.from_bytes(packed[i : i + size], "little") for i in range(0, len(packed), size)]


async def _whole_images_only(dma: Dma, registers: AxiRegisters, x: Any, record: Any) -> None:
    """TLAST inside an image is reported, zeros fill it, the very next word begins the next one."""
    whole = [(word, False) for word in _words(np.full_like(x[0], x.max()), record)]
    if len(whole) < 2:
        return
    await registers.store(PACKET, 1)
    await dma.sendchannel.send(whole)
    answer = await _drain(dma, record)
    for size in {1, len(whole) - 1}:
        assert not await registers.fetch(STATUS) & EARLY
        zeros = [(0, False)] * (len(whole) - size)
        await dma.sendchannel.send([*whole[:size], *zeros])
        filled = await _drain(dma, record)
        broken = [*whole[: size - 1], (whole[size - 1][0], True)]
        sending = cocotb.start_soon(dma.sendchannel.send([*broken, *whole]))
        assert await _drain(dma, record) == filled
        assert await _drain(dma, record) == answer
        await sending
        assert await registers.fetch(STATUS) == EARLY
        await registers.store(STATUS, REFUSED)  # clears the other bit
        assert await registers.fetch(STATUS) == EARLY
        await registers.store(STATUS, EARLY)


async def _busy_is_refused(dma: Dma, registers: AxiRegisters, x: Any, record: Any) -> None:
    """While an image is inside nothing is accessed and no packet resized; then it is."""
    await registers.store(PACKET, 1)
    await dma.sendchannel.send([(word, False) for word in _words(x[0], record)])
    before = await registers.fetch(DATA)
    for offset, value in ((COMMAND, READ), (PACKET, 7)):
        await registers.store(offset, value)
        assert await registers.fetch(STATUS) & REFUSED
        await registers.store(STATUS, REFUSED)
    for _ in range(-(-record["cfg_bits"] // 32) - 1):
        await registers.fetch(DATA)
    assert await registers.fetch(DATA) == before, "the staging register moved"
    assert await registers.fetch(PACKET) == 1
    await _drain(dma, record)
    await registers.store(PACKET, 7)
    assert await registers.fetch(PACKET) == 7
    assert await registers.fetch(STATUS) == 0


async def _accesses_meet_images(dma: Dma, registers: AxiRegisters, x: Any, record: Any) -> None:
    """An access and an image that come together leave each other alone, whichever is first."""
    await registers.store(PACKET, 1)
    first = record["memories"][0]
    await registers.store(MEMORY, 0)
    await registers.store(ADDRESS, first["words"] - 1)  # never the word that an image begins with
    await registers.store(COMMAND, READ)
    stored = await _staged(registers, record)
    registers.hesitation = 0  # each distance once
    outcomes = set()
    for image in x:
        words = [(word, False) for word in _words(image, record)]
        await dma.sendchannel.send(words)
        answer = await _drain(dma, record)
        for delay in range(MEETINGS):
            await registers.store(DATA, 0)
            access = cocotb.start_soon(registers.store(COMMAND, READ))
            await ClockCycles(dma.clock, delay + 1)
            await dma.sendchannel.send(words)
            assert await _drain(dma, record) == answer, f"the image that came {delay} later"
            await access
            outcomes.add(await registers.fetch(STATUS))
            if not await registers.fetch(STATUS):
                assert await _staged(registers, record) == stored, f"an image came {delay} later"
            await registers.store(STATUS, REFUSED)
    registers.hesitation = 3
    assert outcomes == {0, REFUSED}, "the image always came before, or always after"


async def _staged(registers: AxiRegisters, record: Any) -> int:
    """The staged word of memory 0."""
    parts = [await registers.fetch(DATA) for _ in range(-(-record["cfg_bits"] // 32))]
    whole = sum(part << (32 * place) for place, part in enumerate(parts))
    return whole % (1 << int(record["memories"][0]["bits"]))


async def _unknown_is_refused(registers: AxiRegisters) -> None:
    """Writes that mean nothing set ``refused`` and change nothing."""
    packet = await registers.fetch(PACKET)
    for offset, value, strobes in ((0, 1, 15), (PACKET, 0, 15), (PACKET, 3, 7), (COMMAND, 9, 15)):
        await registers.store(offset, value, strobes=strobes)
        assert await registers.fetch(STATUS) == REFUSED, (offset, value, strobes)
        await registers.store(STATUS, REFUSED)
        assert await registers.fetch(STATUS) == 0
    assert await registers.fetch(PACKET) == packet


async def _drain(dma: Dma, record: Any) -> list[int]:
    """The words of one result, which ends a packet."""
    taken = [await dma.recvchannel.take() for _ in range(record["result_bytes"] // 4)]
    assert [last for _, last in taken] == [False] * (len(taken) - 1) + [True]
    return [word for word, _ in taken]
