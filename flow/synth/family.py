"""The record of a family of devices: what its open tools are, and how they are told what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flow.synth.tools import Program

Parameters = Mapping[str, str]  # of a cell, as Yosys writes them: binary digits, the highest first
Contents = Callable[[Parameters], tuple[int, str]]
"""Width and initial bits of a memory cell, bit ``address * width + column`` at that place."""


@dataclass(frozen=True, slots=True)
class Family:
    """Devices that share an architecture and its tools.

    Arguments are templates: ``{top}``, ``{constraints}`` and ``{bitstream}`` are files of the work
    folder, the board's own arguments go in front of them.
    """

    name: str
    synth: str  # Yosys' command
    tables: str  # its option that keeps products in look-up tables
    blocks: str  # its option that allows DSP blocks
    map_luts: str  # one command in the place of Yosys' own mapping to tables, or ""
    memories: Mapping[str, Contents]  # by cell
    nextpnr: Program
    place: tuple[str, ...]
    layout: str  # what place and route writes and packing reads
    packer: Program
    pack: tuple[str, ...]
    suffix: str  # of the bitstream
    takes: Mapping[str, tuple[str, ...]]  # netlist cells, by their first letters, of a resource


def text(bits: str) -> str:
    """Binary digits of a parameter with the lowest first; an undefined bit counts as 0."""
    return bits[::-1].replace("x", "0").replace("z", "0")
