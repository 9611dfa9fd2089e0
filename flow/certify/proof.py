"""What shows that one rival never wins: a tree of splits, with an argument at every leaf."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SCALE_BITS = 12  # multipliers of leaves are whole numbers over 2**12
INPUT = ""  # the name of the place where inputs are split


@dataclass(frozen=True, slots=True)
class Split:
    """Everything at ``index`` of ``place`` up to ``most``, then everything above it.

    ``place`` is the Threshold whose input is split, or ``INPUT``.
    """

    place: str
    index: int
    most: int


@dataclass(frozen=True, slots=True)
class Leaf:
    """Intervals alone decide here, or the Lagrangian bound of these multipliers does.

    One tuple per unit that feeds a later sum, in order; whole numbers over 2**12. ``weights``
    multiply the rival's last sum and the label's.
    """

    multipliers: tuple[tuple[int, ...], ...] | None = None
    weights: tuple[int, int] = (1, 1)


Step = Split | Leaf


@dataclass(frozen=True, slots=True)
class RivalProof:
    """The tree against one rival class in preorder: a split, its lower part, its upper part."""

    rival: int
    steps: tuple[Step, ...]


def write_steps(steps: Iterable[Step]) -> list[str]:
    """Each step as a line: ``i``, ``d`` or ``w own other`` and multipliers, or
    ``s index most place``."""
    return [_line(step) for step in steps]


def read_steps(lines: Iterable[str]) -> tuple[Step, ...]:
    """The steps of ``write_steps``.

    Raises:
        ValueError: a line is none.
    """
    return tuple(_step(line) for line in lines)


def _line(step: Step) -> str:
    if isinstance(step, Split):
        return f"s {step.index} {step.most} {step.place}"
    if step.multipliers is None:
        return "i"
    numbers = ";".join(",".join(map(str, layer)) for layer in step.multipliers)
    return f"d {numbers}" if step.weights == (1, 1) else "w {} {} {}".format(*step.weights, numbers)


def _step(line: str) -> Step:
    kind, _, rest = line.partition(" ")
    if kind == "s":
        index, most, place = rest.split(" ", 2)
        return Split(place, int(index), int(most))
    if line == "i":
        return Leaf()
    weights = (1, 1)
    if kind == "w":
        own, other, rest = rest.split(" ", 2)
        weights = (int(own), int(other))
    elif kind != "d":
        raise ValueError(f"{line[:20]!r} is no step of a proof")
    layers = rest.split(";") if rest else []
    return Leaf(tuple(tuple(int(v) for v in layer.split(",")) for layer in layers), weights)
