"""Cells of a device family, and what memories become of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from math import ceil

from flow.errors import InputError

RAM_TABLES = 6  # of a distributed RAM cell of 16 x 4 bits: four, and two for writing
BLOCK_COSTS = 22  # distributed RAM cells that Yosys prefers to one block
CHOOSE_TABLE = 2 / 3  # tables that choose between two tables of constants
REGISTERS = (2, 14, 5)  # fitted: it keeps a memory of 2 * bits <= 14 * cells + 5 in registers


class MemoryStyle(StrEnum):
    """What parameter memories become: ``auto`` leaves it to synthesis; the words of a ``rom`` are
    constants in look-up tables, bits of the device's configuration that nothing writes."""

    AUTO = "auto"
    BLOCK = "block"
    DISTRIBUTED = "distributed"
    ROM = "rom"


@dataclass(frozen=True, slots=True)
class Family:
    """What synthesis has to choose from."""

    name: str
    blocks: tuple[tuple[int, int], ...]  # shapes of one block RAM, words x bits
    distributed: bool = True  # whether look-up tables serve as RAM
    dsp: bool = True  # whether products take DSP blocks
    style: MemoryStyle = MemoryStyle.AUTO  # of weights and thresholds


_EIGHTEEN = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
ECP5 = Family("ecp5", _EIGHTEEN)
GOWIN = Family("gowin", _EIGHTEEN, distributed=False, dsp=False)  # see flow/synth/gowin.py
ICE40 = Family("ice40", ((256, 16), (512, 8), (1024, 4), (2048, 2)), distributed=False, dsp=False)
FAMILIES = {family.name: family for family in (ECP5, GOWIN, ICE40)}


@dataclass(frozen=True, slots=True)
class Resources:
    """Cells; a table is a LUT4, of which a carry cell of the ECP5 has two."""

    lut: int = 0
    ff: int = 0
    bram: int = 0
    dsp: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def check_style(style: MemoryStyle, family: Family) -> None:
    """Whether ``family`` has such memories.

    Raises:
        InputError: it has not.
    """
    if style is MemoryStyle.DISTRIBUTED and not family.distributed:
        raise InputError(
            f"memory style {style}: {family.name} has none that holds its first contents; choose "
            "one of auto, block, rom"
        )


def memory(
    words: int, bits: int, family: Family, style: MemoryStyle = MemoryStyle.AUTO
) -> Resources:
    """``words`` of ``bits`` bits: block RAM, distributed RAM or registers."""
    modes = [(ceil(words / deep) * ceil(bits / wide), -deep) for deep, wide in family.blocks]
    blocks, deep = min(modes)  # between equals the deepest, which needs no multiplexer
    cells = ceil(words / 16) * ceil(bits / 4)
    if style is MemoryStyle.ROM:
        return _constants(words, bits)
    if words == 1:
        return Resources(ff=2 * bits)
    block = Resources(bram=blocks, lut=bits * (ceil(words / -deep) - 1))
    if style is MemoryStyle.BLOCK:
        return block
    each, per_cell, more = REGISTERS
    if each * words * bits <= per_cell * cells + more:
        return Resources(ff=words * bits, lut=bits)
    wins = style is MemoryStyle.AUTO and cells >= BLOCK_COSTS * blocks
    if wins or not family.distributed:
        return block
    return Resources(lut=cells * RAM_TABLES + bits * (ceil(words / 16) - 1), ff=bits)


class MemoryKind(StrEnum):
    """In what a stored bit is held, as radiation sees it."""

    CONFIGURATION = "configuration"  # a constant in look-up tables
    BLOCK = "block"
    DISTRIBUTED = "distributed"
    FLIP_FLOP = "flip_flop"


def memory_kind(
    words: int, bits: int, family: Family, style: MemoryStyle = MemoryStyle.AUTO
) -> MemoryKind:
    """What :func:`memory` makes of ``words`` of ``bits`` bits."""
    if style is MemoryStyle.ROM:
        return MemoryKind.CONFIGURATION
    cells = memory(words, bits, family, style)
    if cells.bram:
        return MemoryKind.BLOCK
    # Distributed RAM has a register for the word that is read, and no other.
    return MemoryKind.FLIP_FLOP if cells.ff > bits else MemoryKind.DISTRIBUTED


def _constants(words: int, bits: int) -> Resources:
    """Words in tables of sixteen, and what chooses between the tables."""
    tables = ceil(words / 16)
    each = (tables + CHOOSE_TABLE * (tables - 1)) * bits
    return Resources() if words == 1 else Resources(lut=round(each), ff=bits)


def index_bits(number: int) -> int:
    """Of an index below ``number``, at least one."""
    return max(1, (number - 1).bit_length())


def carry(bits: int) -> int:
    """Tables of a carry chain."""
    return 2 * ceil(bits / 2)
