"""The interval argument once more, one Python integer at a time, for the checker alone."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from flow.errors import InputError
from flow.ir import Graph, IntType
from flow.ops import Add, Compare, Decode, MatVec, Threshold

Interval = tuple[int, int]


def label_holds(graph: Graph, image: list[int], label: int, radius: int) -> bool:
    """Whether intervals show that every input within ``radius`` of ``image`` has ``label``.

    Raises:
        InputError: the graph has a layer that this checker does not know.
    """
    kind = graph.input_edge.type
    intervals = [_near(kind, value, radius) for value in image]
    source = graph.input
    seen = [intervals]
    for node in graph.nodes[:-1]:
        if node.inputs != (source,) or len(graph.edge(source).shape) != 1:
            raise InputError(f"node {node.name!r}: the checker knows chains of vectors only")
        try:
            intervals = bounds(node.op, intervals)
        except InputError as error:
            raise InputError(f"node {node.name!r}: {error}") from None
        seen.append(intervals)
        source = node.output
    rivals = [j for j in range(len(intervals)) if j != label]
    if all(intervals[label][0] - intervals[j][1] >= (1 if j < label else 0) for j in rivals):
        return True
    ops = [node.op for node in graph.nodes[:-1]]
    lines = [(1, 0)] * len(intervals)
    if ops and isinstance(scaling := ops[-1], Add):
        lines = _lines(scaling, len(intervals))
        if any(
            not scaling.accumulator.code_lo <= scale * end + offset <= scaling.accumulator.code_hi
            for (scale, offset), ends in zip(lines, seen[-2], strict=True)
            for end in ends
        ):
            return False
        ops.pop()
    last = ops[-1] if ops else None
    return isinstance(last, MatVec) and _difference_holds(last, seen[len(ops) - 1], label, lines)


@singledispatch
def bounds(op: Any, inputs: list[Interval]) -> list[Interval]:
    """The interval of every output element."""
    raise InputError(f"the checker knows no bounds for {type(op).__name__}")


@bounds.register
def _(op: MatVec, inputs: list[Interval]) -> list[Interval]:
    return [_register(op.accumulator, *_sum(op, row, inputs)) for row in _rows(op)]


@bounds.register
def _(op: Threshold, inputs: list[Interval]) -> list[Interval]:
    return [_levels(op, channel, *interval) for channel, interval in enumerate(inputs)]


@bounds.register
def _(op: Add, inputs: list[Interval]) -> list[Interval]:
    found = []
    for (scale, offset), ends in zip(_lines(op, len(inputs)), inputs, strict=True):
        first, last = (scale * end + offset for end in ends)
        found.append(_register(op.accumulator, min(first, last), max(first, last)))
    return found


def _lines(op: Add, channels: int) -> list[tuple[int, int]]:
    """Multiplier and offset of every channel of an Add of one input."""
    if len(op.multipliers) != 1:
        raise InputError("the checker knows an Add of one input only")
    scales, offsets = op.multipliers[0].tolist(), op.offset.tolist()
    return [(scales[c % len(scales)], offsets[c % len(offsets)]) for c in range(channels)]


def _near(kind: IntType, value: int, radius: int) -> Interval:
    if kind.bipolar:
        return (-1, 1) if radius >= 2 else (value, value)
    return max(kind.lo, value - radius), min(kind.hi, value + radius)


def _rows(op: MatVec) -> list[list[int]]:
    if op.groups != 1:
        raise InputError("the checker knows no bounds for grouped products")
    rows: list[list[int]] = op.weights.tolist()
    if op.decode is Decode.CLAMP:
        low, high = op.weight_type.lo, op.weight_type.hi
        rows = [[min(max(weight, low), high) for weight in row] for row in rows]
    return rows


def _sum(op: MatVec, row: list[int], inputs: list[Interval]) -> Interval:
    least = largest = 0
    for weight, (low, high) in zip(row, inputs, strict=True):
        ends = (weight * low, weight * high)
        least, largest = least + min(ends), largest + max(ends)
    if op.popcount:
        return (least + len(row)) // 2, (largest + len(row)) // 2
    return least, largest


def _register(kind: IntType, low: int, high: int) -> Interval:
    turns = 2**kind.bits
    first, least = divmod(low - kind.code_lo, turns)
    last, largest = divmod(high - kind.code_lo, turns)
    if first != last:
        return kind.code_lo, kind.code_hi
    return least + kind.code_lo, largest + kind.code_lo


def _levels(op: Threshold, channel: int, low: int, high: int) -> Interval:
    thresholds: list[int] = op.thresholds[channel].tolist()
    steps = len(thresholds)
    reached = _searched if op.compare is Compare.SEARCH else _counted
    counts = [reached(thresholds, end) for end in (low, high)]
    if op.sign[channel] < 0:
        counts = [steps - count for count in reversed(counts)]
    least, largest = (op.base + count for count in counts)
    return (2 * least - 1, 2 * largest - 1) if op.output.bipolar else (least, largest)


def _counted(thresholds: list[int], value: int) -> int:
    return sum(value >= threshold for threshold in thresholds)


def _searched(thresholds: list[int], value: int) -> int:
    """Add powers of two, largest first, while the threshold they lead to is reached."""
    found, jump = 0, 1
    while jump * 2 <= len(thresholds):
        jump *= 2
    while jump:
        if found + jump <= len(thresholds) and value >= thresholds[found + jump - 1]:
            found += jump
        jump //= 2
    return found


def _difference_holds(
    op: MatVec, inputs: list[Interval], label: int, lines: list[tuple[int, int]]
) -> bool:
    """The last product, its ``lines`` and the comparison together; only where no logit can wrap."""
    rows = _rows(op)
    kind = op.accumulator
    for row in rows:
        low, high = _sum(op, row, inputs)
        if low < kind.code_lo or high > kind.code_hi:
            return False
    (scale, offset), columns = lines[label], len(rows[label])
    for rival, row in enumerate(rows):
        if rival == label:
            continue
        factor, constant = lines[rival]
        lead = offset - constant
        if op.popcount:  # of counts: twice the lead is scale * (product + columns) and the rest
            lead = 2 * lead + (scale - factor) * columns
        for own, other, (low, high) in zip(rows[label], row, inputs, strict=True):
            weight = scale * own - factor * other
            lead += min(weight * low, weight * high)
        if lead < (1 if rival < label else 0):
            return False
    return True
