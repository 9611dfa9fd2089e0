"""memory.sv: one port for the datapath and for configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from sim.bench.stored_unit import access, store_of
from sim.stream import Pins, start_clock, together
from sim.vectors import Case, Store, load_cases

CONSTANTS = 3  # memory.sv's Style


async def read(pins: Pins, address: int) -> int:
    """The datapath's read of one word."""
    pins.enable_i.value, pins.address_i.value = 1, address
    await RisingEdge(pins.clk_i)
    pins.enable_i.value = 0
    await RisingEdge(pins.clk_i)
    await ReadOnly()
    word = int(pins.data_o.value)
    await RisingEdge(pins.clk_i)
    return word


async def for_each_memory(
    dut: Any, check: Any, *, first: bool = False, parity: bool = False, constant: bool = False
) -> None:
    """Start the clock, reset and run ``check`` on every instance that begins a chain or not, has
    parity or not, and holds constants or words that can be written."""
    start_clock(dut)

    async def run(case: Case) -> None:
        if bool(case.parameters.get("CfgFirst")) is not first:
            return
        if bool(case.parameters.get("Parity")) is not parity:
            return
        if (case.parameters.get("Style") == CONSTANTS) is not constant:
            return
        pins = Pins(dut, case.name)
        pins.enable_i.value = pins.cfg_valid_i.value = pins.rst_ni.value = 0
        pins.cfg_chain_i.value, pins.advance_i.value = 0, 1
        await RisingEdge(pins.clk_i)  # the clock starts with one, before these values arrive
        await RisingEdge(pins.clk_i)
        pins.rst_ni.value = 1
        await check(pins, store_of(case))

    await together([(case.name, run(case)) for case in load_cases(Path("cases.json"))])


async def expect_words(pins: Pins, words: tuple[int, ...]) -> None:
    """Fail unless the datapath reads ``words``, each two cycles after its address."""
    pins.enable_i.value = 1
    for address, word in enumerate(words):
        pins.address_i.value = address
        await RisingEdge(pins.clk_i)
        await RisingEdge(pins.clk_i)
        await ReadOnly()
        found = int(pins.data_o.value)
        assert found == word, f"word {address} is {found:x}, not {word:x}"
        await RisingEdge(pins.clk_i)
    pins.enable_i.value = 0


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def the_datapath_reads_the_image(dut: Any) -> None:
    """Each word comes two cycles after its address, also after a reset."""

    async def check(pins: Pins, store: Store) -> None:
        await expect_words(pins, store.image)
        pins.rst_ni.value = 0
        await RisingEdge(pins.clk_i)
        pins.rst_ni.value = 1
        await expect_words(pins, store.image)

    await for_each_memory(dut, check)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def the_output_holds_without_enable(dut: Any) -> None:
    """A disabled read keeps the word that was read last, whatever the address does."""

    async def check(pins: Pins, store: Store) -> None:
        last = len(store.image) - 1
        assert await read(pins, last) == store.image[last]
        for address in range(len(store.image)):
            pins.address_i.value = address
            await RisingEdge(pins.clk_i)
            await ReadOnly()
            assert int(pins.data_o.value) == store.image[last], "data_o changed while disabled"
            await RisingEdge(pins.clk_i)

    await for_each_memory(dut, check)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def words_follow_each_other_and_wait_for_advance(dut: Any) -> None:
    """With enable and advance a word comes each cycle; without advance it stays, and the next with
    it."""

    async def check(pins: Pins, store: Store) -> None:
        pins.enable_i.value = 1
        for address in range(len(store.image) + 1):
            pins.address_i.value = min(address, len(store.image) - 1)
            await RisingEdge(pins.clk_i)
            if not address:
                continue
            pins.advance_i.value = pins.enable_i.value = 0
            for _ in range(2):
                await ReadOnly()
                found, word = int(pins.data_o.value), store.image[address - 1]
                assert found == word, f"word {address - 1} is {found:x}, not {word:x}"
                await RisingEdge(pins.clk_i)
            pins.advance_i.value = pins.enable_i.value = 1
        pins.enable_i.value = 0

    await for_each_memory(dut, check)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def configuration_writes_and_reads_each_word(dut: Any) -> None:
    """A write changes its word alone, even against a read of the datapath in the same cycle."""

    async def check(pins: Pins, store: Store) -> None:
        mask = (1 << store.bits) - 1
        pins.address_i.value, pins.enable_i.value = 0, 1
        for address, word in enumerate(store.image):
            await access(pins, store.index, address, write=word ^ mask)
            changed = [w ^ mask if a <= address else w for a, w in enumerate(store.image)]
            for place, wanted in enumerate(changed):
                found = await access(pins, store.index, place, chain=0)
                assert found == wanted, f"word {place} is {found:x}, not {wanted:x}"
        await expect_words(pins, tuple(word ^ mask for word in store.image))
        for address, word in enumerate(store.image):
            await access(pins, store.index, address, write=word)
        await expect_words(pins, store.image)

    await for_each_memory(dut, check)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_read_shows_on_the_chain_for_one_cycle(dut: Any) -> None:
    """Its word replaces the chain's low bits two cycles after the access, and only then."""

    async def check(pins: Pins, store: Store) -> None:
        noise = (1 << store.cfg_bits) - 1
        read = store.carried(store.image[0], noise)
        for memory, wanted in ((store.index, read), (store.index ^ 1, noise)):
            found = await access(pins, memory, 0, chain=noise)
            assert found == wanted, f"memory {memory} answers {found:x}, not {wanted:x}"
            await ReadOnly()
            assert int(pins.cfg_chain_o.value) == noise, "the word stays on the chain"
            await RisingEdge(pins.clk_i)
        pins.cfg_valid_i.value, pins.cfg_memory_i.value = 1, store.index
        await RisingEdge(pins.clk_i)
        pins.cfg_valid_i.value = 0
        await ReadOnly()
        assert int(pins.cfg_chain_o.value) == noise, "the word comes a cycle early"
        await RisingEdge(pins.clk_i)
        await RisingEdge(pins.clk_i)

    await for_each_memory(dut, check)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_write_answers_nothing_and_reaches_its_memory_only(dut: Any) -> None:
    """The chain passes after a write, and writes to other memories change no word."""

    async def check(pins: Pins, store: Store) -> None:
        noise = (1 << store.cfg_bits) - 1
        for other in (store.index ^ 1, store.index ^ 128):
            await access(pins, other, 0, write=store.image[0] ^ 1)
        await expect_words(pins, store.image)
        await access(pins, store.index, 0)  # a word that is not all ones
        pins.enable_i.value = 0
        found = await access(pins, store.index, 0, write=store.image[0], chain=noise)
        assert found == noise, f"a write answers {found:x}"

    await for_each_memory(dut, check)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def the_first_memory_answers_whatever_comes_along_the_chain(dut: Any) -> None:
    """It carries the word it read last, zeros above it, and works as any memory otherwise."""

    async def check(pins: Pins, store: Store) -> None:
        noise = (1 << store.cfg_bits) - 1
        await access(pins, store.index ^ 1, 0, write=noise)
        await expect_words(pins, store.image)
        for address, word in enumerate(store.image):
            for memory in (store.index, store.index ^ 1):
                found = await access(pins, memory, address, chain=noise)
                assert found == word, f"memory {memory} word {address} is {found:x}, not {word:x}"

    await for_each_memory(dut, check, first=True)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def constants_are_read_and_outlive_writes(dut: Any) -> None:
    """Both sides read the image before and after every word was written over; the chain passes a
    write, and the datapath's read in the cycle of a write is lost as in any memory."""

    async def check(pins: Pins, store: Store) -> None:
        noise, mask = (1 << store.cfg_bits) - 1, (1 << store.bits) - 1
        await expect_words(pins, store.image)
        for address, word in enumerate(store.image):
            answer = await access(pins, store.index, address, write=word ^ mask, chain=noise)
            assert answer == noise, f"a write answers {answer:x}"
            found = await access(pins, store.index, address, chain=noise)
            wanted = store.carried(word, noise)
            assert found == wanted, f"word {address} reads {found:x}, not {wanted:x}"
        await expect_words(pins, store.image)
        last = len(store.image) - 1
        await read(pins, last)
        pins.enable_i.value, pins.address_i.value = 1, 0
        await access(pins, store.index, 0, write=0)
        pins.enable_i.value = 0
        assert int(pins.detected_o.value) == 0

    await for_each_memory(dut, check, constant=True)


async def detected_after(pins: Pins, address: int, word: int) -> int:
    """The datapath reads ``word`` without its parity; ``detected_o`` a cycle after it came, and not
    sooner."""
    before = int(pins.detected_o.value)
    payload = word & ((1 << len(pins.data_o)) - 1)
    assert await read(pins, address) == payload, "parity changes the word"
    await ReadOnly()
    found = int(pins.detected_o.value)
    await RisingEdge(pins.clk_i)
    assert found >= before, "detected_o fell without a reason"
    return found


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_flip_of_any_one_bit_is_detected_until_the_word_is_written(dut: Any) -> None:
    """Parity bits too; two flips in one word cancel, as parity cannot do otherwise."""

    async def check(pins: Pins, store: Store) -> None:
        for address, word in enumerate(store.image):
            assert await detected_after(pins, address, word) == 0, "a whole word is reported"
        for address, word in enumerate(store.image):
            for bit in range(store.bits):
                await access(pins, store.index, address, write=word ^ 1 << bit)
                assert pins.detected_o.value == 0, "reported before it was read"
                flipped = word ^ 1 << bit
                assert await detected_after(pins, address, flipped) == 1, f"{address}:{bit} missed"
                other = (address + 1) % len(store.image)
                await read(pins, other)
                assert pins.detected_o.value == 1, "forgotten"
                await access(pins, store.index, address, write=word)
                assert pins.detected_o.value == 0, "it outlives the repair"
                assert await detected_after(pins, address, word) == 0
            both = word ^ 3
            await access(pins, store.index, address, write=both)
            assert await detected_after(pins, address, both) == 0
            await access(pins, store.index, address, write=word)

    await for_each_memory(dut, check, parity=True)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def configuration_reads_are_checked_and_reset_forgets(dut: Any) -> None:
    """A damaged word is reported when configuration reads it, after a reset when read again."""

    async def check(pins: Pins, store: Store) -> None:
        damaged = store.image[0] ^ 1
        await access(pins, store.index, 0, write=damaged)
        assert await access(pins, store.index, 0, chain=0) == damaged
        await ReadOnly()
        assert pins.detected_o.value == 1
        await RisingEdge(pins.clk_i)
        pins.rst_ni.value = 0
        await RisingEdge(pins.clk_i)
        pins.rst_ni.value = 1
        for _ in range(4):
            await ReadOnly()
            assert pins.detected_o.value == 0, "reported without a read"
            await RisingEdge(pins.clk_i)
        assert await detected_after(pins, 0, damaged) == 1
        await access(pins, store.index, 0, write=store.image[0])

    await for_each_memory(dut, check, parity=True)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_word_is_checked_once_it_is_offered(dut: Any) -> None:
    """A damaged word that waits for ``advance_i`` is reported after it has moved."""

    async def check(pins: Pins, store: Store) -> None:
        await access(pins, store.index, 0, write=store.image[0] ^ 1)
        pins.enable_i.value, pins.advance_i.value, pins.address_i.value = 1, 0, 0
        await RisingEdge(pins.clk_i)
        pins.enable_i.value = 0
        for _ in range(3):
            await RisingEdge(pins.clk_i)
            assert pins.detected_o.value == 0, "reported before it was offered"
        pins.advance_i.value = 1
        await RisingEdge(pins.clk_i)
        await RisingEdge(pins.clk_i)
        await ReadOnly()
        assert pins.detected_o.value == 1
        await RisingEdge(pins.clk_i)
        await access(pins, store.index, 0, write=store.image[0])
        for _ in range(4):
            await RisingEdge(pins.clk_i)
        assert pins.detected_o.value == 0

    await for_each_memory(dut, check, parity=True)
