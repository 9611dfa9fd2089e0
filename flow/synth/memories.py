"""Whether synthesis kept every memory image, and what it made of each memory."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from flow.build.images import read_image
from flow.build.netlist import TOP, Netlist, image_path, memory_instance
from flow.errors import ClaimError

RAM = ("DP16KD", "TRELLIS_DPR16X4")  # block and distributed memory of ECP5
REGISTERS = "registers"


def check_memories(net: Netlist, inferred: Path, mapped: Path) -> dict[str, dict[str, int]]:
    """Cells that hold each memory of ``net``, by memory and cell type, after two checks.

    The initial value of each inferred memory (Yosys JSON ``inferred``, before mapping) equals its
    image bit for bit; the initial values of the cells made of it (``mapped``) hold as many ones.
    A memory that became flip-flops has the first check only, one of a single word neither.

    Raises:
        ClaimError: an image was lost or changed on the way.
    """
    stores = {cell["parameters"]["MEMID"].lstrip("\\"): cell for cell in _cells(inferred).values()}
    placed = [(name, cell) for name, cell in _cells(mapped).items() if cell["type"] in RAM]
    root = inferred.parent
    found: dict[str, dict[str, int]] = {}
    for memory in net.memories:
        name = f"u_{TOP}.{memory_instance(memory.name)}.words"
        words = read_image((root / image_path(memory.name)).read_text())
        if name in stores:
            _compare(memory.name, words, stores[name]["parameters"])
        elif memory.words > 1:
            raise ClaimError(f"memory {memory.name}: gone after synthesis; nothing reads it")
        mine = [cell for cell_name, cell in placed if cell_name.startswith(f"{name}.")]
        found[memory.name] = dict(Counter(cell["type"] for cell in mine))
        if not mine:
            found[memory.name] = {REGISTERS: memory.words * memory.bits}
            continue
        ones, wanted = sum(map(_ones, mine)), sum(word.bit_count() for word in words)
        if ones != wanted:
            raise ClaimError(
                f"memory {memory.name}: {ones} ones in its {len(mine)} cells where its image has "
                f"{wanted}; the mapping lost initial values"
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


def _cells(path: Path) -> dict[str, Any]:
    modules = json.loads(path.read_text())["modules"]
    return {name: cell for module in modules.values() for name, cell in module["cells"].items()}


def _ones(cell: dict[str, Any]) -> int:
    values = cell["parameters"].items()
    return sum(value.count("1") for key, value in values if key.startswith("INITVAL"))
