"""Whether synthesis kept every memory image, and what it made of each memory."""

from __future__ import annotations

import json
from collections import Counter
from itertools import zip_longest
from pathlib import Path
from typing import Any

from flow.build.images import MemoryLayout, read_image
from flow.build.netlist import TOP, Netlist, image_path, memory_instance
from flow.errors import ClaimError
from flow.synth.family import Family

REGISTERS, CONSTANTS = "registers", "constants"


def check_memories(
    net: Netlist, inferred: Path, mapped: Path, family: Family
) -> dict[str, dict[str, int]]:
    """Cells that hold each memory of ``net``, by memory and cell type, after two checks.

    The initial value of each inferred memory (Yosys JSON ``inferred``, before mapping) equals its
    image bit for bit. So do the cells made of it (``mapped``): their columns, cell after cell, are
    those of the image (one bit of all words). Where the memory is deeper than a cell, each column
    of as many words as a cell has addresses is one of theirs, wherever Yosys put it.
    A memory that became flip-flops or constants has the first check only, one of a single word
    neither. Of constants, Yosys leaves out the columns in which all words agree.

    Raises:
        ClaimError: an image was lost or changed on the way.
    """
    stores = {cell["parameters"]["MEMID"].lstrip("\\"): cell for cell in _cells(inferred).values()}
    kinds = family.memories
    placed = [(name, cell) for name, cell in _cells(mapped).items() if cell["type"] in kinds]
    root = inferred.parent
    found: dict[str, dict[str, int]] = {}
    for memory in net.memories:
        name = f"u_{TOP}.{memory_instance(memory.name)}.words"
        words = read_image((root / image_path(memory.name)).read_text())
        inferred_as = stores[name]["parameters"] if name in stores else None
        if not net.writable:
            _compare_constants(memory, words, inferred_as)
        elif inferred_as is not None:
            _compare(memory.name, words, inferred_as)
        elif memory.words > 1:
            raise ClaimError(f"memory {memory.name}: gone after synthesis; nothing reads it")
        own = [(n, cell) for n, cell in placed if n.startswith(f"{name}.")]
        mine = [cell for _, cell in sorted(own, key=lambda pair: cell_number(pair[0]))]
        found[memory.name] = dict(Counter(cell["type"] for cell in mine))
        if not mine:
            kind = REGISTERS if net.writable else CONSTANTS
            found[memory.name] = {kind: memory.words * memory.bits}
            continue
        contents = [kinds[cell["type"]](cell["parameters"]) for cell in mine]
        lost = lost_columns(words, memory.bits, contents)
        if lost:
            raise ClaimError(
                f"memory {memory.name}: {lost} of its columns are not in its {len(mine)} cells; "
                "the mapping lost or changed initial values"
            )
    return found


def _compare(memory: str, words: list[int], parameters: dict[str, str]) -> None:
    bits, initial = int(parameters["WIDTH"], 2), parameters["INIT"]
    if len(initial) != len(words) * bits:
        raise ClaimError(
            f"memory {memory}: {len(initial)} initial bits after synthesis where its image has "
            f"{len(words) * bits}"
        )
    for address, word in enumerate(words):
        end = len(initial) - address * bits  # word 0 is at the end of the text
        if initial[end - bits : end] != f"{word:0{bits}b}":
            raise ClaimError(
                f"memory {memory} word {address}: {initial[end - bits : end]} after synthesis "
                f"where its image has {word:0{bits}b}"
            )


def _compare_constants(
    memory: MemoryLayout, words: list[int], parameters: dict[str, str] | None
) -> None:
    """The columns that are left, against those of the image that do not hold one value alone."""
    image = ["".join(str(word >> bit & 1) for word in words) for bit in range(memory.bits)]
    left = []
    if parameters is not None:
        bits, initial = int(parameters["WIDTH"], 2), parameters["INIT"][::-1]
        left = [initial[bit::bits] for bit in range(bits)]
    wanted = [column for column in image if len(set(column)) > 1]
    for place, (have, want) in enumerate(zip_longest(left, wanted, fillvalue="")):
        if have != want:
            raise ClaimError(
                f"memory {memory.name}: column {place} of its constants is {have or 'missing'} "
                f"after synthesis where its image has {want or 'none'}"
            )


def _cells(path: Path) -> dict[str, Any]:
    modules = json.loads(path.read_text())["modules"]
    return {name: cell for module in modules.values() for name, cell in module["cells"].items()}


def cell_number(name: str) -> int:
    """Of the cells of one memory, which Yosys calls ``<memory>.<port>.<number>``."""
    return int(name.rsplit(".", 1)[1])


def lost_columns(words: list[int], bits: int, cells: list[tuple[int, str]]) -> int:
    """How many columns of the image are not those of the cells, which come by their numbers."""
    depth = len(cells[0][1]) // cells[0][0]  # the same in all: Yosys chooses one form per memory
    there = [held[column::width] for width, held in cells for column in range(width)]
    image = "".join(f"{word:0{bits}b}"[::-1] for word in words)
    parts = [image[at : at + depth * bits] for at in range(0, len(image), depth * bits)]
    wanted = [part[bit::bits].ljust(depth, "0") for part in parts for bit in range(bits)]
    if len(parts) == 1:
        return sum(a != b for a, b in zip_longest(wanted, there[:bits]))
    return (Counter(wanted) - Counter(there)).total()
