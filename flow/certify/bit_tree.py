"""What shows that no few flips take an image's label: a tree of bits, an argument at every end.

Every split asks of one bit whether it is flipped; where it is, a flip less is left to spend.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from flow.ir import Fault


class End(StrEnum):
    """How a part is decided: by the bounds of budgets, by those of every channel struck first, or
    by running every single flip that is left (of one flip at most)."""

    BUDGET = "b"
    CASES = "c"
    EVERY = "e"


BitStep = Fault | End


@dataclass(frozen=True, slots=True)
class BitTree:
    """``steps`` in preorder, of at most ``flips`` flips: a bit to split at, the part in which it is
    flipped, the part in which it is not; or the end of a part."""

    flips: int
    steps: tuple[BitStep, ...]

    def record(self) -> dict[str, Any]:
        """As JSON: a line per step, ``b``, ``c``, ``e`` or ``s BIT INDEX NODE.PARAMETER``."""
        return {"flips": self.flips, "steps": list(map(_line, self.steps))}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> BitTree:
        """The inverse of ``record``.

        Raises:
            ValueError: it is no such record.
        """
        flips, steps = record.get("flips"), record.get("steps")
        if type(flips) is not int or not isinstance(steps, list):
            raise ValueError("a tree of bits has `flips` and `steps`")
        return cls(flips, tuple(map(_step, steps)))


def branches(steps: Iterable[BitStep]) -> int:
    """How many splits there are."""
    return sum(isinstance(step, Fault) for step in steps)


def _line(step: BitStep) -> str:
    if isinstance(step, End):
        return str(step)
    index = ",".join(map(str, step.index))
    return f"s {step.bit} {index} {step.node}.{step.parameter}"


def _step(line: str) -> BitStep:
    if not line.startswith("s "):
        return End(line)
    _, bit, index, place = line.split(" ", 3)
    node, _, parameter = place.rpartition(".")
    return Fault(node, parameter, tuple(int(i) for i in index.split(",")), int(bit))
