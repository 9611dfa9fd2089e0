"""The budget argument once more through every op, one Python integer at a time, for the checker.

``table[r][s]`` are the intervals of all elements of an edge, flat, while at most r flips lie in
earlier layers and at most s among the bits that decide the elements of one unit alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from math import prod
from typing import Any

import numpy as np

from flow.certify.plain_rows import Cells, Interval, Seen, Table, Weight, largest
from flow.certify.plain_thresholds import Barred, Bits, levels
from flow.errors import InputError
from flow.ir import Array, IntType, Node
from flow.ops import (
    Add,
    Concat,
    MatVec,
    MaxPool,
    Pad,
    Reshape,
    SumPool,
    Threshold,
    Transpose,
    Window,
)


@dataclass(frozen=True, slots=True)
class Held:
    """One edge: its intervals, the unit of each element, and whose bits ``owners`` and ``past``
    are: those that decide one unit each, and all that come before."""

    table: Table
    unit: tuple[int, ...]
    channels: int
    owners: frozenset[str] = frozenset()
    past: frozenset[str] = frozenset()

    @property
    def by_channel(self) -> bool:
        """Whether equal channels are equal units."""
        return all(u == self.unit[k % self.channels] for k, u in enumerate(self.unit))

    @property
    def apart(self) -> bool:
        """Whether channels and units are the same."""
        return self.by_channel and len(set(self.unit)) == self.channels


@dataclass(frozen=True, slots=True)
class Step:
    """A node, the shapes of its inputs and output, and its bits that may flip, but for those
    barred."""

    node: Node
    shapes: tuple[tuple[int, ...], ...]
    output: tuple[int, ...]
    flips: int
    bits: Bits
    barred: Barred = frozenset()

    @property
    def numbers(self) -> tuple[int, ...]:
        """The channel of every output element."""
        return tuple(k % self.output[-1] for k in range(prod(self.output)))

    def after(self, *inputs: Held) -> frozenset[str]:
        """The nodes behind the output whose bits may flip."""
        own = frozenset([self.node.name] if self.bits else [])
        return own.union(*(held.past for held in inputs))


@singledispatch
def through(op: Any, step: Step, *inputs: Held) -> Held:
    """What flips make of the output of ``op``."""
    raise InputError(f"the checker knows no budgets for {type(op).__name__}")


@through.register
def _(op: MatVec, step: Step, *inputs: Held) -> Held:
    return _kept(row_sums(op, step, inputs[0]), op.accumulator)


@through.register
def _(op: Threshold, step: Step, *inputs: Held) -> Held:
    source = inputs[0]
    if step.bits and not source.apart:
        source = replace(disowned(source), unit=step.numbers)
    known: dict[tuple[int, Interval, int], Interval] = {}

    def level(channel: int, ends: Interval, spent: int) -> Interval:
        """Worked out once for each channel, interval and number of flips."""
        key = channel, ends, spent
        if key not in known:
            known[key] = levels(op, channel, ends, spent, step.bits, step.barred)
        return known[key]

    def cell(line: list[Cells], own: int) -> Cells:
        """The levels while ``own`` flips lie among each unit's weights and thresholds."""
        found = []
        for k in range(len(line[0])):
            choices = range(own + 1) if step.bits else (0,)
            parts = [level(k % step.output[-1], line[own - n][k], n) for n in choices]
            found.append((min(low for low, _ in parts), max(high for _, high in parts)))
        return found

    table = [[cell(line, own) for own in range(len(line))] for line in source.table]
    owners = source.owners | ({step.node.name} if step.bits else set())
    return Held(table, source.unit, step.output[-1], owners, step.after(source))


@through.register
def _(op: Add, step: Step, *inputs: Held) -> Held:
    return _kept(scaled_sums(op, step, *inputs), op.accumulator)


@through.register
def _(op: Concat, step: Step, *inputs: Held) -> Held:
    parts = _alone(inputs)
    first, places = 0, []
    for shape in step.shapes:
        places.append(np.arange(first, first + prod(shape)).reshape(1, *shape))
        first += prod(shape)
    order = op.evaluate(*places).ravel().tolist()
    size = 1 + max(max(part.unit) for part in parts)
    units = [number + size * k for k, part in enumerate(parts) for number in part.unit]
    table = [
        [
            [cell for part in parts for cell in part.table[r][s]]
            for s in range(len(parts[0].table[r]))
        ]
        for r in range(step.flips + 1)
    ]
    owners = frozenset[str]().union(*(part.owners for part in parts))
    joined = Held(table, tuple(units), step.output[-1], owners, step.after(*inputs))
    return _gathered(joined, order, step)


@through.register(Window)
@through.register(Reshape)
@through.register(Transpose)
def _(op: Window | Reshape | Transpose, step: Step, *inputs: Held) -> Held:
    return _gathered(inputs[0], op.evaluate(_places(step)).ravel().tolist(), step)


@through.register
def _(op: Pad, step: Step, *inputs: Held) -> Held:
    source = inputs[0] if inputs[0].by_channel else disowned(inputs[0])
    order = replace(op, value=-1).evaluate(_places(step)).ravel().tolist()
    fill = (op.value, op.value)
    table = [
        [[fill if k < 0 else cells[k] for k in order] for cells in line] for line in source.table
    ]
    return replace(source, table=table, unit=_by_channel(source, step), channels=step.output[-1])


@through.register
def _(op: MaxPool, step: Step, *inputs: Held) -> Held:
    window = Window(op.kernel, op.stride, op.dilation)
    return _pooled(window, max, step, inputs[0])


@through.register
def _(op: SumPool, step: Step, *inputs: Held) -> Held:
    return _kept(_pooled(Window(op.kernel, op.stride), sum, step, inputs[0]), op.accumulator)


def _pooled(window: Window, merge: Callable[[list[int]], int], step: Step, source: Held) -> Held:
    if not source.by_channel:
        source = disowned(source)
    taps = window.evaluate(_places(step)).reshape(*step.output[:2], -1, step.output[2])
    groups = np.moveaxis(taps, 2, 3).reshape(prod(step.output), -1).tolist()

    def pool(cells: Cells) -> Cells:
        """What each window makes of the intervals."""
        return [
            (merge([cells[k][0] for k in group]), merge([cells[k][1] for k in group]))
            for group in groups
        ]

    table = [[pool(cells) for cells in line] for line in source.table]
    return replace(source, table=table, unit=_by_channel(source, step), channels=step.output[-1])


def row_sums(op: MatVec, step: Step, source: Held) -> Held:
    """Every row's exact sum at every position."""
    if not source.by_channel:
        source = replace(disowned(source), unit=(0,) * len(source.unit))
    rows = weights_of(op, step)
    channels, share = step.shapes[0][-1], len(rows) // op.groups
    width = op.weights.shape[1] // op.positions
    table: Table = [[[] for _ in line] for line in source.table]
    opposite = _negated(rows)
    for position in range(prod(step.shapes[0][:-1])):
        for number, (row, other) in enumerate(zip(rows, opposite, strict=True)):
            if number % share == 0:
                first = number // share * width
                columns = [
                    position * channels + place * op.groups * width + first + k
                    for place in range(op.positions)
                    for k in range(width)
                ]
                unit = [source.unit[c - position * channels] for c in columns]
                seen = Seen.of(_shared_cells(source.table, columns), unit)
            high, low = largest(row, seen, step.flips), largest(other, seen, step.flips)
            for q, line in enumerate(table):
                for own, cells in enumerate(line):
                    ends = -low[q][own], high[q][own]
                    if op.popcount:
                        ends = (ends[0] + len(row)) // 2, (ends[1] + len(row)) // 2
                    cells.append(ends)
    owners = frozenset([step.node.name] if step.bits else [])
    return Held(table, step.numbers, step.output[-1], owners, step.after(source))


def weights_of(op: MatVec, step: Step) -> list[list[Weight]]:
    """Every weight as read, with the steps of its bits that may flip."""
    kind, free = op.weight_type, step.bits.get("weights", ())
    known: dict[tuple[int, int, tuple[int, ...]], Weight] = {}

    def weight(place: tuple[int, int], read: int, stored: int) -> Weight:
        """One for all places that hold the same and may flip alike."""
        bits = tuple(free)
        if step.barred:
            bits = tuple(bit for bit in free if ("weights", place, bit) not in step.barred)
        if (read, stored, bits) not in known:
            moves = tuple(_move(kind, stored, bit) for bit in bits)
            known[read, stored, bits] = Weight(read, moves)
        return known[read, stored, bits]

    return [
        [weight((r, c), *codes) for c, codes in enumerate(zip(*pair, strict=True))]
        for r, pair in enumerate(zip(op.read.tolist(), op.weights.tolist(), strict=True))
    ]


def _move(kind: IntType, value: int, bit: int) -> int:
    """By how much a flipped bit moves a stored value."""
    if kind.bipolar:
        return -2 * value
    worth = -(1 << bit) if kind.signed and bit == kind.bits - 1 else 1 << bit
    return -worth if value >> bit & 1 else worth


def _negated(rows: list[list[Weight]]) -> list[list[Weight]]:
    """The rows whose sums have the other sign; of weights that are one, one."""
    different = {id(weight): weight for row in rows for weight in row}
    known = {key: weight.negated() for key, weight in different.items()}
    return [[known[id(weight)] for weight in row] for row in rows]


def scaled_sums(op: Add, step: Step, *inputs: Held) -> Held:
    """The exact sums of an Add of any number of inputs."""
    kept: list[Held] = []
    for part in _alone(inputs):
        rivals = [other for other in kept if other.owners]
        together = not rivals or (part.apart and rivals[0].apart)
        kept.append(part if together else disowned(part))
    channels = step.output[-1]
    table = _offset(kept[0].table, spread(op.offset.tolist(), channels), channels)
    for k, part in enumerate(kept):
        scales = spread(op.multipliers[k].tolist(), channels)
        scaled = _times(part.table, scales, channels)
        table = [
            [
                _hull([_plus(line[own - s], scaled[r][s]) for s in range(own + 1)])
                for own in range(len(line))
            ]
            for r, line in enumerate(table)
        ]
    unit = next((part.unit for part in kept if part.owners), step.numbers)
    owners = frozenset[str]().union(*(part.owners for part in kept))
    return Held(table, unit, channels, owners, step.after(*inputs))


def _times(table: Table, scales: Sequence[int], channels: int) -> Table:
    def cell(cells: Cells) -> Cells:
        """Every interval scaled."""
        ends = [
            (scales[k % channels] * a, scales[k % channels] * b) for k, (a, b) in enumerate(cells)
        ]
        return [(min(pair), max(pair)) for pair in ends]

    return [[cell(cells) for cells in line] for line in table]


def _offset(like: Table, offsets: Sequence[int], channels: int) -> Table:
    start = [(offsets[k % channels], offsets[k % channels]) for k in range(len(like[0][0]))]
    return [[start for _ in line] for line in like]


def _plus(a: Cells, b: Cells) -> Cells:
    return [(p[0] + q[0], p[1] + q[1]) for p, q in zip(a, b, strict=True)]


def spread(values: list[int], count: int) -> list[int]:
    return values * count if len(values) == 1 else values


def _kept(held: Held, kind: IntType) -> Held:
    """What a register keeps: the same turn shifted home, or every value."""
    size = 2**kind.bits

    def home(ends: Interval) -> Interval:
        """One interval as the register keeps it."""
        turn = (ends[0] - kind.code_lo) // size
        if turn != (ends[1] - kind.code_lo) // size:
            return kind.code_lo, kind.code_hi
        return ends[0] - turn * size, ends[1] - turn * size

    table = [[[home(ends) for ends in cells] for cells in line] for line in held.table]
    return replace(held, table=table)


def disowned(held: Held) -> Held:
    """All flips counted as earlier ones."""
    if not held.owners:
        return held
    flips = len(held.table) - 1
    total = [_hull([held.table[r][q - r] for r in range(q + 1)]) for q in range(flips + 1)]
    table = [[total[r]] * len(line) for r, line in enumerate(held.table)]
    return replace(held, table=table, owners=frozenset())


def _alone(inputs: tuple[Held, ...]) -> list[Held]:
    """Inputs, their own flips counted as earlier ones where these reach another input too."""
    found = []
    for k, held in enumerate(inputs):
        elsewhere = any(held.owners & other.past for j, other in enumerate(inputs) if j != k)
        found.append(disowned(held) if elsewhere else held)
    return found


def _hull(parts: list[Cells]) -> Cells:
    if all(part is parts[0] for part in parts):
        return parts[0]
    return [
        (min(low for low, _ in cells), max(high for _, high in cells))
        for cells in zip(*parts, strict=True)
    ]


def _places(step: Step) -> Array:
    """The number of every input element, in its shape."""
    return np.arange(prod(step.shapes[0])).reshape(1, *step.shapes[0])


def _gathered(held: Held, order: list[int], step: Step) -> Held:
    unit = tuple(held.unit[k] for k in order)
    return replace(
        held, table=_shared_cells(held.table, order), unit=unit, channels=step.output[-1]
    )


def _shared_cells(table: Table, order: list[int]) -> Table:
    """The elements ``order`` of every interval list, one list where budgets share it."""
    known: dict[int, Cells] = {}
    for line in table:
        for cells in line:
            if id(cells) not in known:
                known[id(cells)] = [cells[k] for k in order]
    return [[known[id(cells)] for cells in line] for line in table]


def _by_channel(source: Held, step: Step) -> tuple[int, ...]:
    if not source.by_channel:
        return step.numbers
    return tuple(source.unit[number] for number in step.numbers)
