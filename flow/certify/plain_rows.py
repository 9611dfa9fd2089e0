"""One row of a product under flips, in Python integers, for the checker alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import nlargest

Interval = tuple[int, int]
Cells = list[Interval]
Table = list[list[Cells]]  # [earlier flips][own flips]: the interval of every element
Gains = tuple[int, ...]  # what 0, 1, .. flips add


@dataclass(frozen=True, slots=True)
class Weight:
    """A weight as read, and by how much each of its bits that may flip would move it.

    What it worked out before it remembers: a layer has few different weights and many rows.
    """

    value: int
    steps: tuple[int, ...]
    _known: dict[tuple[bool, Interval, int], Gains] = field(
        default_factory=dict, compare=False, repr=False
    )

    def negated(self) -> Weight:
        """The weight of the other sign."""
        return Weight(-self.value, tuple(-step for step in self.steps))

    def gain(self, x: int, flips: int) -> int:
        """The most that so many flips add to the product with ``x``."""
        return sum(nlargest(flips, (max(0, step * x) for step in self.steps)))

    def gains(self, ends: Interval, most: int, *, joint: bool) -> Gains:
        """What 0 .. ``most`` flips can add to the product with any input between ``ends``;
        ``joint``: to the largest of those products."""
        key = joint, ends, most
        if key not in self._known:
            top = max(self.value * end for end in ends)
            self._known[key] = tuple(
                max(self.gain(x, own) + joint * (self.value * x - top) for x in ends)
                for own in range(most + 1)
            )
        return self._known[key]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the rows at one place see: the table, whose bits each element's are (of one ``unit``,
    the same), and of every budget q of earlier flips all that the elements can be: ``box[q]``."""

    table: Table
    unit: Sequence[int]
    box: list[Cells]
    moved: list[list[int]]  # [earlier flips]: the elements that own flips move

    @classmethod
    def of(cls, table: Table, unit: Sequence[int]) -> Seen:
        """With what all rows have in common worked out once."""
        box = [_hull([table[r][q - r] for r in range(q + 1)]) for q in range(len(table))]
        moved = [
            [k for k, ends in enumerate(line[0]) if any(cells[k] != ends for cells in line)]
            for line in table
        ]
        return cls(table, unit, box, moved)


def largest(row: list[Weight], seen: Seen, flips: int) -> list[list[int]]:
    """[q][own]: the largest sum with q flips before the row and ``own`` among its weights."""
    arriving = _arriving([weight.value for weight in row], seen, flips)
    struck, found = any(weight.steps for weight in row), []
    for q, box in enumerate(seen.box[: flips + 1]):
        most = flips - q
        if not struck or most == 0:
            found.append([arriving[q]] * (most + 1))
            continue
        gains = [w.gains(ends, most, joint=False) for w, ends in zip(row, box, strict=True)]
        tops = [arriving[q] + gain for gain in divided(gains, most)]
        if any(low != high for low, high in box):
            base = sum(_tops([weight.value for weight in row], box))
            gains = [w.gains(ends, most, joint=True) for w, ends in zip(row, box, strict=True)]
            joint = divided(gains, most)
            tops = [min(top, base + gain) for top, gain in zip(tops, joint, strict=True)]
        found.append(tops)
    return found


def _arriving(row: list[int], seen: Seen, flips: int) -> list[int]:
    """The largest sums with 0 .. ``flips`` flips before the row, divided among the units."""
    clean = seen.table[0][0]
    if all(cells is clean for line in seen.table for cells in line):
        return [sum(_tops(row, clean))] * (flips + 1)
    best: list[int | None] = [None] * (flips + 1)
    for r in range(flips + 1):
        line, columns = seen.table[r], seen.moved[r]
        few = [row[k] for k in columns]
        reach = [_tops(few, [cells[k] for k in columns]) for cells in line]
        extra: dict[int, Gains] = {}
        for place, column in enumerate(columns):
            number, own = seen.unit[column], [tops[place] - reach[0][place] for tops in reach]
            before = extra.get(number)
            extra[number] = tuple(
                own if before is None else [a + b for a, b in zip(before, own, strict=True)]
            )
        base = sum(_tops(row, line[0]))
        for s, gain in enumerate(divided(list(extra.values()), flips - r)):
            value, old = base + gain, best[r + s]
            best[r + s] = value if old is None else max(old, value)
    return [value for value in best if value is not None]


def divided(gains: list[Gains], most: int) -> list[int]:
    """The largest sums of gains when 0 .. ``most`` flips are divided; each begins with 0."""
    best = [0] * (most + 1)
    for line in _worth_striking(gains, most):
        best = [max(best[s - own] + line[own] for own in range(s + 1)) for s in range(most + 1)]
    return best


def _worth_striking(gains: list[Gains], most: int) -> list[Gains]:
    """Those that gain most by 1, by 2 .. flips, ``most`` of each.

    The others can be left out: flips strike at most ``most`` places, so one spent on another
    could be spent on one of these that is still free, and would gain no less.
    """
    chosen: set[int] = set()
    for own in range(1, most + 1):
        by_gain: Callable[[int], int] = [line[own] for line in gains].__getitem__
        chosen.update(nlargest(most, range(len(gains)), key=by_gain))
    return [gains[k] for k in sorted(chosen)]


def _tops(row: list[int], cells: Cells) -> list[int]:
    """The largest product of each weight."""
    return [value * ends[value > 0] for value, ends in zip(row, cells, strict=True)]


def _hull(parts: list[Cells]) -> Cells:
    if all(part is parts[0] for part in parts):
        return parts[0]
    return [
        (min(low for low, _ in column), max(high for _, high in column))
        for column in zip(*parts, strict=True)
    ]
