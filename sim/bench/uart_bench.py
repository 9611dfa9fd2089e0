"""Receiver, transmitter and bridge, driven at the pins by the host's own driver."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.task import bridge
from cocotb.triggers import FallingEdge, RisingEdge, Timer

from sim.bench.pins import BITS, SerialPins
from sim.host import Board, Command, Identification, RefusedError, Status, checksum, request

PERIOD = 40_000  # ps, the 25 MHz of the board
SILENCE = 1 << 10  # cycles, SilenceBits of uart_echo
WORDS = 4  # per memory of uart_echo
RESET = 8  # cycles, of the power_on_reset in uart_harness
DIGEST = "0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Size:
    """What ``uart_harness.sv`` makes of one bridge."""

    name: str
    divider: int
    elements: int
    input_bits: int
    classes: int
    logit_bits: int
    signed: bool
    cfg_bits: int
    memories: int
    parity: bool

    def answer(self, image: list[int]) -> tuple[int, tuple[int, ...]]:
        """Class and logits, as ``uart_echo.sv`` computes them."""
        total = 0
        for element in image:
            total = (3 * total + element) % (1 << self.logit_bits)
        codes = [(total + 5 * c) % (1 << self.logit_bits) for c in range(self.classes)]
        half = 1 << (self.logit_bits - 1)
        fold = 1 << self.logit_bits
        logits = tuple(code - fold if self.signed and code >= half else code for code in codes)
        return total % self.classes, logits

    def images(self, count: int) -> list[list[int]]:
        """Both extremes, then random codes."""
        rng = random.Random(0)
        top = (1 << self.input_bits) - 1
        drawn = [[rng.randint(0, top) for _ in range(self.elements)] for _ in range(count - 2)]
        return [[0] * self.elements, [top] * self.elements, *drawn]


SMALL = Size("small", 8, 6, 5, 3, 9, True, 20, 2, False)
LARGE = Size("large", 25, 5, 1, 10, 17, False, 200, 258, True)
SIZES = {"small": SMALL, "large": LARGE}


@dataclass(frozen=True, slots=True)
class Bench:
    """One bridge in the harness, its pins and the board behind them."""

    dut: Any
    size: Size
    pins: SerialPins
    board: Board

    def read_back(self, port: str) -> int:
        return int(getattr(self.dut, f"{self.size.name}_{port}_o").value)

    async def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """A blocking method of the host's driver."""
        return await bridge(function)(*arguments)

    async def refusal(self, function: Callable[..., Any], *arguments: Any) -> Status | None:
        """Why the board refused the call; None if it did not."""
        try:
            await self.call(function, *arguments)
        except RefusedError as error:
            return error.status
        return None

    async def raw(self, data: bytes) -> Status:
        """Send ``data`` as it is; the status of the one-byte refusal that must answer it."""
        await self.pins.send(data)
        reply = await self.pins.take(3)
        assert len(reply) == 3, f"{len(reply)} bytes in answer to {data.hex()}"
        assert checksum(reply[:1]) == reply[1:]
        return Status(reply[0])

    async def finish(self) -> None:
        """No breach, no byte too many, and the board still answers."""
        await Timer(20 * self.size.divider * PERIOD, "ps")
        assert await self.pins.take(1) == b"", "a byte after the last reply"
        image = self.size.images(3)[2]
        result = await self.call(self.board.run, image)
        assert (result.label, result.logits) == self.size.answer(image)
        assert self.read_back("breach") == 0


async def start(dut: Any, size: Size) -> Bench:
    """Clock, reset, identification."""
    Clock(dut.clk_i, PERIOD, unit="ps").start()
    bit = size.divider * PERIOD
    limit = 2 * SILENCE * PERIOD + 30 * bit
    lines = {
        s: [getattr(dut, f"{name}_{pin}") for pin in ("rx_i", "tx_o")] for name, s in SIZES.items()
    }
    for out, _ in lines.values():
        out.value = 1
    pins = SerialPins(*lines[size], bit=bit, limit=limit)
    await reset(dut)
    pins.listen()
    return Bench(dut, size, pins, await bridge(Board)(pins))


async def reset(dut: Any) -> None:
    dut.rst_ni.value = 0
    for _ in range(4):
        await RisingEdge(dut.clk_i)
    dut.rst_ni.value = 1
    for _ in range(4):
        await RisingEdge(dut.clk_i)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_is_held_after_power_up_and_while_the_button_is_pressed(dut: Any) -> None:
    """The first test of this file: the flip-flops still have what the bitstream gave them."""
    dut.button_i.value = 0
    Clock(dut.clk_i, PERIOD, unit="ps").start()
    assert await cycles_to_release(dut) == RESET
    for pressed in (1, 5, 50):
        dut.button_i.value = 1
        for _ in range(pressed):
            await FallingEdge(dut.clk_i)
        dut.button_i.value = 0
        await FallingEdge(dut.clk_i)
        await FallingEdge(dut.clk_i)  # the synchroniser
        assert dut.released_o.value == 0
        assert await cycles_to_release(dut) == RESET


async def cycles_to_release(dut: Any) -> int:
    """Cycles until ``rst_no`` rises; it must then stay."""
    cycles = 0
    while dut.released_o.value == 0:
        await FallingEdge(dut.clk_i)
        cycles += 1
    for _ in range(3 * RESET):
        await FallingEdge(dut.clk_i)
        assert dut.released_o.value == 1
    return cycles


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(name=list(SIZES))
async def it_identifies_itself(dut: Any, name: str) -> None:
    """Every field is the parameter that the harness gave."""
    bench = await start(dut, SIZES[name])
    size = bench.size
    assert bench.board.identification == Identification(
        version=2,
        input_bits=size.input_bits,
        elements=size.elements,
        classes=size.classes,
        logit_bytes=2 if size.logit_bits <= 16 else 4,
        logits_signed=size.signed,
        word_bytes=-(-size.cfg_bits // 8),
        memories=size.memories,
        parity=size.parity,
        writable=True,
        voting=False,
        digest=DIGEST,
    )
    await bench.finish()


@cocotb.test(timeout_time=50, timeout_unit="ms")
@cocotb.parametrize(name=list(SIZES))
async def images_come_back_as_class_logits_and_cycles(dut: Any, name: str) -> None:
    """Order of elements, lanes and logits, sign, and the latency the accelerator saw."""
    bench = await start(dut, SIZES[name])
    size = bench.size
    for image in size.images(12):
        result = await bench.call(bench.board.run, image)
        assert (result.label, result.logits) == size.answer(image)
        assert result.cycles == bench.read_back("cycles")
        assert bench.read_back("led") & 0x7F == result.label
    await bench.finish()


@cocotb.test(timeout_time=80, timeout_unit="ms")
@cocotb.parametrize(name=list(SIZES))
async def words_read_back_as_written(dut: Any, name: str) -> None:
    """Each word of each memory keeps its own value, and each request is one access."""
    bench = await start(dut, SIZES[name])
    size = bench.size
    rng = random.Random(1)
    memories = {0, 1, size.memories - 1}  # in the large one 1 and 257 differ in the high byte
    places = [(m, a) for m in sorted(memories) for a in range(WORDS)]
    words = {place: rng.getrandbits(size.cfg_bits) for place in places}
    for (memory, address), word in words.items():
        await bench.call(bench.board.write, memory, address, word)
    for memory, address in rng.sample(2 * places, 2 * len(places)):  # a read must not write
        assert await bench.call(bench.board.read, memory, address) == words[memory, address]
    assert bench.read_back("accesses") == 3 * len(places)
    assert bench.read_back("beats") == 0
    await bench.finish()


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def every_bit_of_an_address_reaches_the_bus(dut: Any) -> None:
    """The widest bus has all 32 bits of the request, a narrower one the low bits."""
    large = await start(dut, LARGE)
    for address in (1, 0x12345678, 0x87654321, 0xFFFFFFFF):
        await large.call(large.board.read, 0, address)
        assert large.read_back("address") == address
    await large.finish()


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def memories_that_report_are_told_by_number(dut: Any) -> None:
    """None at first; each of the flags has its own place; a flag that falls is gone."""
    large = await start(dut, LARGE)
    assert await large.call(large.board.detected) == ()
    for memory in (0, 7, 8, 257):
        await large.call(large.board.write, memory, 2, 1)
        await large.call(large.board.read, memory, 2)
    assert await large.call(large.board.detected) == (0, 7, 8, 257)
    await large.call(large.board.write, 8, 2, 1)
    assert await large.call(large.board.detected) == (0, 7, 257)
    await large.finish()


@cocotb.test(timeout_time=50, timeout_unit="ms")
@cocotb.parametrize(percent=[-2, 2])
async def a_baud_error_of_two_percent_is_tolerated(dut: Any, percent: int) -> None:
    """Whole requests of every byte value, without a pause between bytes."""
    bench = await start(dut, LARGE)
    bench.pins.stretch = 1 + percent / 100
    size = -(-LARGE.cfg_bits // 8)
    for first in range(0, 256, size):
        word = int.from_bytes(bytes((first + i) % 256 for i in range(size)), "little")
        await bench.call(bench.board.write, 0, 1, word)
        assert await bench.call(bench.board.read, 0, 1) == word
    await bench.finish()


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def any_damaged_bit_is_found(dut: Any) -> None:
    """A run and a write with one bit inverted are refused and leave no trace."""
    bench = await start(dut, SMALL)
    await bench.call(bench.board.write, 0, 0, 0x12345)
    accesses = bench.read_back("accesses")
    word = bytes([1, 2, 3, 0, 0, 0, 0, 0, 0])
    for frame in (request(Command.RUN, bytes(range(6))), request(Command.WRITE, word)):
        for bit in range(8, 8 * len(frame)):  # another command is a request of another length
            damaged = bytearray(frame)
            damaged[bit // 8] ^= 1 << (bit % 8)
            assert await bench.raw(bytes(damaged)) is Status.CHECKSUM
    assert bench.read_back("beats") == 0
    assert bench.read_back("accesses") == accesses
    assert bench.read_back("led") & 0x40
    assert await bench.call(bench.board.read, 0, 0) == 0x12345
    assert not bench.read_back("led") & 0x40
    await bench.finish()


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def refusals_say_why(dut: Any) -> None:
    """Each status is provoked; a request that ends early does not block the next one."""
    bench = await start(dut, SMALL)
    for command in (0, 5, 6, 0x80, 0xFF):
        assert await bench.raw(bytes([command]) + bytes(range(40))) is Status.UNKNOWN_COMMAND
    whole = request(Command.RUN, bytes(range(6)))
    for sent in range(1, len(whole)):
        assert await bench.raw(whole[:sent]) is Status.TIMEOUT
    for memory in (SMALL.memories, 255, 256, 65535):
        assert await bench.refusal(bench.board.read, memory, 0) is Status.NO_MEMORY
        assert await bench.refusal(bench.board.write, memory, 0, 1) is Status.NO_MEMORY
    assert bench.read_back("beats") == 0
    assert bench.read_back("accesses") == 0
    await bench.finish()


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def a_missing_stop_bit_is_a_framing_error(dut: Any) -> None:
    """First, inside a request, and as a break: the byte is dropped and the refusal says so."""
    bench = await start(dut, SMALL)
    whole = request(Command.RUN, bytes(range(6)))
    for good in range(len(whole)):
        await bench.pins.send(whole[:good])
        await bench.pins.send(whole[good : good + 1], stop=0)
        assert await bench.raw(whole[good + 1 :]) is Status.FRAMING
    bench.dut.small_rx_i.value = 0
    await Timer(3 * BITS * SMALL.divider * PERIOD, "ps")
    bench.dut.small_rx_i.value = 1
    assert await bench.raw(b"") is Status.FRAMING
    assert bench.read_back("beats") == 0
    await bench.finish()


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def a_glitch_is_no_start_bit(dut: Any) -> None:
    """Pulses shorter than half a bit, inside and outside of a request, change nothing."""
    bench = await start(dut, LARGE)
    image = LARGE.images(3)[2]
    for byte in request(Command.RUN, bytes(image)):
        bench.dut.large_rx_i.value = 0
        await Timer(LARGE.divider * PERIOD * 2 // 5, "ps")
        bench.dut.large_rx_i.value = 1
        await Timer(LARGE.divider * PERIOD, "ps")
        await bench.pins.send(bytes([byte]))
    reply = await bench.pins.take(1 + 5 + 4 * LARGE.classes + 2)
    assert (reply[0], reply[1]) == (Status.DONE, LARGE.answer(image)[0])
    await bench.finish()


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(name=list(SIZES))
async def bytes_leave_without_gaps(dut: Any, name: str) -> None:
    """Every start bit of a reply comes exactly ten bit times after the one before."""
    bench = await start(dut, SIZES[name])
    size = bench.size
    bench.pins.starts.clear()
    await bench.call(bench.board.run, size.images(3)[2])
    gaps = {b - a for a, b in zip(bench.pins.starts, bench.pins.starts[1:], strict=False)}
    assert gaps == {BITS * size.divider * PERIOD}
    await bench.finish()


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def reset_inside_a_request_starts_over(dut: Any) -> None:
    """Half an image before the reset is forgotten, its lane position too."""
    bench = await start(dut, SMALL)
    for sent in range(1, 9):
        await bench.pins.send(request(Command.RUN, bytes(range(6)))[:sent])
        await reset(dut)
        image = SMALL.images(3)[2]
        result = await bench.call(bench.board.run, image)
        assert (result.label, result.logits) == SMALL.answer(image)
    await bench.finish()
