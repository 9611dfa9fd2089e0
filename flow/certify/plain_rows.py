"""One row of a product under flips, in Python integers, for the checker alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest

Interval = tuple[int, int]
Cells = list[Interval]
Table = list[list[Cells]]  # [earlier flips][own flips]: the interval of every element


@dataclass(frozen=True, slots=True)
class Weight:
    """A weight as read, and by how much each of its bits that may flip would move it."""

    value: int
    steps: tuple[int, ...]

    def negated(self) -> Weight:
        """The weight of the other sign."""
        return Weight(-self.value, tuple(-step for step in self.steps))

    def gain(self, x: int, flips: int) -> int:
        """The most that so many flips add to the product with ``x``."""
        return sum(nlargest(flips, (max(0, step * x) for step in self.steps)))


def largest(row: list[Weight], seen: Table, unit: Sequence[int], flips: int) -> list[list[int]]:
    """[q][own]: the largest sum with q flips before the row and ``own`` among its weights.

    Args:
        seen: what the row sees; elements of one ``unit`` are struck by the same own flips.
    """
    arriving = _arriving(row, seen, unit, flips)
    struck = any(weight.steps for weight in row)
    found = []
    for q in range(flips + 1):
        most = flips - q
        gains = [0] * (most + 1)
        if not struck or most == 0:
            found.append([arriving[q]] * (most + 1))
            continue
        box = _hull([seen[r][q - r] for r in range(q + 1)])
        gains = _divided([_anywhere(w, ends, most) for w, ends in zip(row, box, strict=True)], most)
        ends_ = [arriving[q] + gain for gain in gains]
        if any(low != high for low, high in box):
            base = sum(_top(w.value, ends) for w, ends in zip(row, box, strict=True))
            joint = [_at_an_end(w, ends, most) for w, ends in zip(row, box, strict=True)]
            ends_ = [
                min(end, base + gain)
                for end, gain in zip(ends_, _divided(joint, most), strict=True)
            ]
        found.append(ends_)
    return found


def _arriving(row: list[Weight], seen: Table, unit: Sequence[int], flips: int) -> list[int]:
    """The largest sums with 0 .. ``flips`` flips before the row, divided among the units."""
    clean = seen[0][0]
    if all(cells is clean for line in seen for cells in line):
        total = sum(_top(w.value, ends) for w, ends in zip(row, clean, strict=True))
        return [total] * (flips + 1)
    best: list[int | None] = [None] * (flips + 1)
    for r in range(flips + 1):
        reach = [
            [_top(w.value, ends) for w, ends in zip(row, cells, strict=True)] for cells in seen[r]
        ]
        extra: dict[int, list[int]] = {}
        for column, number in enumerate(unit):
            rises = [line[column] - reach[0][column] for line in reach]
            if any(rises):
                before = extra.get(number, [0] * len(reach))
                extra[number] = [a + b for a, b in zip(before, rises, strict=True)]
        shared = _divided(list(extra.values()), flips - r)
        for s, gain in enumerate(shared):
            value, old = sum(reach[0]) + gain, best[r + s]
            best[r + s] = value if old is None else max(old, value)
    return [value for value in best if value is not None]


def _divided(gains: list[list[int]], most: int) -> list[int]:
    """The largest sums of gains when 0 .. ``most`` flips are divided; each list starts with 0."""
    if most == 1:
        return [0, max((line[1] for line in gains if len(line) > 1), default=0)]
    best = [0] * (most + 1)
    for line in gains:
        if any(line):
            best = [
                max(best[s - own] + line[min(own, len(line) - 1)] for own in range(s + 1))
                for s in range(most + 1)
            ]
    return best


def _anywhere(weight: Weight, ends: Interval, most: int) -> list[int]:
    """What 0 .. ``most`` flips can add to the product with any input between ``ends``."""
    reach = range(min(most, len(weight.steps)) + 1)
    return [max(weight.gain(end, own) for end in ends) for own in reach]


def _at_an_end(weight: Weight, ends: Interval, most: int) -> list[int]:
    """What 0 .. ``most`` flips can add to the largest product over all inputs between ``ends``."""
    top = _top(weight.value, ends)
    reach = range(min(most, len(weight.steps)) + 1)
    return [max(weight.value * end + weight.gain(end, own) for end in ends) - top for own in reach]


def _top(value: int, ends: Interval) -> int:
    return max(value * ends[0], value * ends[1])


def _hull(parts: list[Cells]) -> Cells:
    if all(part is parts[0] for part in parts):
        return parts[0]
    return [
        (min(low for low, _ in column), max(high for _, high in column))
        for column in zip(*parts, strict=True)
    ]
