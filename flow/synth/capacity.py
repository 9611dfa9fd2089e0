"""What a device lacks when a design does not fit: how much of what, and for which unit."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from flow.build.netlist import TOP, Netlist
from flow.synth.family import Family

UTILISATION = re.compile(r"^Info:\s+(\w+):\s*(\d+)/\s*(\d+)\s+\d+%\s*$", re.MULTILINE)


def shortage(log: str) -> tuple[str, int, int] | None:
    """The scarcest resource of nextpnr's log, how many are wanted and there; None if all fit."""
    found = [(name, int(used), int(there)) for name, used, there in UTILISATION.findall(log)]
    short = [row for row in found if row[1] > row[2]]
    return max(short, key=lambda row: row[1] / max(row[2], 1)) if short else None


def too_small(log: str, net: Netlist, mapped: Path, family: Family, device: str) -> str | None:
    """The line to say when ``device`` cannot hold ``mapped``; None if nextpnr names no shortage.

    The unit that takes most is counted in the netlist's cells, which carry its name.
    """
    short = shortage(log)
    if short is None:
        return None
    resource, wanted, there = short
    line = (
        f"{device} is too small: {wanted:,} {resource} wanted, {there:,} there, "
        f"{wanted - there:,} too many"
    )
    kinds = family.takes.get(resource, ())
    counts = cells_by_unit(mapped, net, kinds)
    if counts:
        unit, count = counts.most_common(1)[0]
        line += f"; most is in {unit} ({count:,} of {counts.total():,} cells)"
    stores = bool(kinds) and all(any(m.startswith(k) for m in family.memories) for k in kinds)
    less = "fold more (ask for more cycles)" + (", store fewer bits" if stores else "")
    return f"{line}; {less} or take a larger board"


def cells_by_unit(mapped: Path, net: Netlist, kinds: tuple[str, ...]) -> Counter[str]:
    """Cells of a mapped netlist whose type begins with one of ``kinds``, by unit.

    A cell belongs to the unit that its name, or that of the stream it makes, begins with; all
    others, the serial port and the configuration bus among them, count as the board's.
    """
    names = sorted((unit.name.removeprefix("u_") for unit in net.units), key=len, reverse=True)
    unit = re.compile(rf"u_{TOP}\.(?:u_)?({'|'.join(map(re.escape, names))})(?:\.|_|$)")
    counts: Counter[str] = Counter()
    for module in json.loads(mapped.read_text())["modules"].values():
        for name, cell in module["cells"].items():
            if kinds and cell["type"].startswith(kinds):
                found = unit.match(name)
                counts[found[1] if found else "the board's serial port"] += 1
    return counts
