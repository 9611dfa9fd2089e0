"""What every unit with a memory owes on the configuration bus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from sim.bench.stream_unit import expect_answers, for_each_case
from sim.stream import Pins, reset
from sim.vectors import Case, Store


async def access(
    pins: Pins, memory: int, address: int, *, write: int | None = None, chain: int = 0
) -> int:
    """One access; returns what the chain carries two cycles later."""
    pins.cfg_valid_i.value, pins.cfg_write_i.value = 1, int(write is not None)
    pins.cfg_memory_i.value, pins.cfg_address_i.value = memory, address
    pins.cfg_data_i.value, pins.cfg_chain_i.value = write or 0, chain
    await RisingEdge(pins.clk_i)
    pins.cfg_valid_i.value = 0
    await RisingEdge(pins.clk_i)
    await ReadOnly()
    bits = str(pins.cfg_chain_o.value).replace("X", "0")  # nothing was read yet
    await RisingEdge(pins.clk_i)
    return int(bits, 2)


def store_of(case: Case) -> Store:
    """The only memory of a case."""
    (store,) = case.stores
    return store


async def expect_images(pins: Pins, case: Case) -> None:
    """Every word of every memory reads back as built."""
    for store in case.stores:
        await expect_image(pins, store)


async def expect_image(pins: Pins, store: Store) -> None:
    """Every word reads back as built, whatever comes along the chain."""
    noise = (1 << store.cfg_bits) - 1
    for address, word in enumerate(store.image):
        found = await access(pins, store.index, address, chain=noise)
        wanted = store.carried(word, noise)
        assert found == wanted, f"word {address} reads {found:x}, not {wanted:x}"


def expect_detected(pins: Pins, case: Case, damaged: Sequence[Store]) -> None:
    """With parity ``damaged`` and no other memory has reported, without it none."""
    wanted = sum(1 << case.stores.index(store) for store in damaged)
    wanted = wanted if case.parameters.get("Parity") else 0
    found = int(pins.detected_o.value)
    assert found == wanted, f"detected_o is {found:b}, not {wanted:b}"


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def every_word_reads_back(dut: Any) -> None:
    """The memory holds its image, also after a reset, and reading leaves the answers alone."""

    async def check(pins: Pins, case: Case) -> None:
        await expect_images(pins, case)
        await expect_answers(pins, case)
        await reset(pins)
        await expect_images(pins, case)
        await expect_answers(pins, case)

    await for_each_case(dut, check)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def a_written_word_shows_until_it_is_restored(dut: Any) -> None:
    """Written, read back, seen in the answers as the reference says, restored and gone."""

    async def check(pins: Pins, case: Case) -> None:
        await expect_answers(pins, case)
        for store in case.stores:
            await access(pins, store.index, store.address, write=store.word)
            found = await access(pins, store.index, store.address)
            assert found == store.word, f"reads {found:x} after {store.word:x} was written"
            await expect_answers(pins, case, outputs=store.outputs)
            odd = (store.word ^ store.image[store.address]).bit_count() & 1
            expect_detected(pins, case, [store] if odd else [])
            await access(pins, store.index, store.address, write=store.image[store.address])
            expect_detected(pins, case, [])
        await expect_images(pins, case)
        await expect_answers(pins, case)
        expect_detected(pins, case, [])

    await for_each_case(dut, check)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def accesses_to_other_memories_pass_by(dut: Any) -> None:
    """A write to another memory changes no word here, and its read data passes along the chain."""

    async def check(pins: Pins, case: Case) -> None:
        store, mine = case.stores[-1], {store.index for store in case.stores}
        noise = (1 << store.cfg_bits) - 1
        beside = {min(mine) - 1, max(mine) + 1, *(index ^ 128 for index in mine)}
        for other in beside & set(range(256)) - mine:
            await access(pins, other, store.address, write=store.word)
            found = await access(pins, other, store.address, chain=noise)
            assert found == noise, f"the chain carries {found:x}, not {noise:x}"
        await access(pins, store.index, store.address, write=store.image[store.address])
        pins.cfg_chain_i.value = noise
        await ReadOnly()
        assert int(pins.cfg_chain_o.value) == noise, "a write answers like a read"
        await RisingEdge(pins.clk_i)
        await expect_images(pins, case)

    await for_each_case(dut, check)
