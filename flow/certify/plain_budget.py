"""The budget argument once more, one Python integer at a time, for the checker alone.

``held[r][s]`` are the intervals of all elements while at most r flips lie in earlier layers and at
most s among the bits of each element's own row, thresholds and sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nlargest
from typing import Any

from flow.certify.plain_bounds import Interval
from flow.errors import InputError
from flow.ir import Graph, IntType
from flow.ops import Add, ArgMax, Compare, Decode, MatVec, Threshold

Table = list[list[list[Interval]]]
Rows = list[list[int]]


def label_withstands(graph: Graph, image: list[int], label: int, flips: int) -> bool:
    """Whether budgets show that no ``flips`` flipped stored bits take ``label`` from ``image``.

    Raises:
        InputError: the graph has a layer that this checker does not know.
    """
    point = [(value, value) for value in image]
    held: Table = [[point] * (flips + 1 - r) for r in range(flips + 1)]
    tables, source = [held], graph.input
    for node in graph.nodes[:-1]:
        if node.inputs != (source,) or len(graph.edge(source).shape) != 1:
            raise InputError(f"node {node.name!r}: the checker knows chains of vectors only")
        held = _through(node.op, held, flips)
        tables.append(held)
        source = node.output
    if not isinstance(graph.nodes[-1].op, ArgMax):
        raise InputError(f"node {graph.nodes[-1].name!r}: the checker wants ArgMax last")
    return _logits_apart(held, label, flips) or _fused(graph, tables, label, flips)


def _through(op: Any, held: Table, flips: int) -> Table:
    if isinstance(op, MatVec):
        return _each(_sums(op, held, flips), op.accumulator)
    if isinstance(op, Threshold):
        return [[_levels(op, row, own) for own in range(len(row))] for row in held]
    if isinstance(op, Add):
        return _each(_scaled(op, held), op.accumulator)
    raise InputError(f"the checker knows no budgets for {type(op).__name__}")


def _each(table: Table, kind: IntType) -> Table:
    """What a register keeps: the same turn shifted home, or every value."""
    turns = 2**kind.bits

    def kept(low: int, high: int) -> Interval:
        turn = (low - kind.code_lo) // turns
        if turn != (high - kind.code_lo) // turns:
            return kind.code_lo, kind.code_hi
        return low - turn * turns, high - turn * turns

    return [[[kept(*ends) for ends in cell] for cell in row] for row in table]


def _scaled(op: Add, table: Table) -> Table:
    if len(op.multipliers) != 1:
        raise InputError("the checker knows an Add of one input only")
    scales, offsets = op.multipliers[0].tolist(), op.offset.tolist()

    def line(channel: int, value: int) -> int:
        factor: int = scales[channel % len(scales)]
        constant: int = offsets[channel % len(offsets)]
        return factor * value + constant

    def cell(ends: list[Interval]) -> list[Interval]:
        values = [[line(c, v) for v in pair] for c, pair in enumerate(ends)]
        return [(min(pair), max(pair)) for pair in values]

    return [[cell(entry) for entry in row] for row in table]


def _read(op: MatVec) -> Rows:
    if op.groups != 1:
        raise InputError("the checker knows no budgets for grouped products")
    rows: Rows = op.weights.tolist()
    if op.decode is Decode.CLAMP:
        kind = op.weight_type
        rows = [[max(kind.lo, min(kind.hi, weight)) for weight in row] for row in rows]
    return rows


def _moves(op: MatVec) -> list[list[list[int]]]:
    """For every stored weight, by how much each of its bits would move it if flipped."""
    kind = op.weight_type

    def of(value: int) -> list[int]:
        if kind.bipolar:
            return [-2 * value]
        found = []
        for bit in range(kind.bits):
            worth = -(1 << bit) if kind.signed and bit == kind.bits - 1 else 1 << bit
            found.append(-worth if value >> bit & 1 else worth)
        return found

    return [[of(value) for value in row] for row in op.weights.tolist()]


def _sums(op: MatVec, held: Table, flips: int) -> Table:
    found = [[[] for _ in range(flips + 1 - q)] for q in range(flips + 1)]  # type: Table
    for row, moves in zip(_read(op), _moves(op), strict=True):
        high = _largest(row, moves, held, flips)
        low = _largest([-w for w in row], [[-d for d in m] for m in moves], held, flips)
        for q in range(flips + 1):
            for own in range(flips + 1 - q):
                least, most = -low[q][own], high[q][own]
                if op.popcount:
                    least, most = (least + len(row)) // 2, (most + len(row)) // 2
                found[q][own].append((least, most))
    return found


def _largest(row: list[int], moves: list[list[int]], held: Table, flips: int) -> list[list[int]]:
    """The largest sum of one row with q flips before it and others in its own weights."""
    arriving: list[int | None] = [None] * (flips + 1)
    for r in range(flips + 1):
        reach = [
            [
                max(weight * low, weight * high)
                for weight, (low, high) in zip(row, cell, strict=True)
            ]
            for cell in held[r]
        ]
        best = [sum(reach[0])] * len(reach)
        for column in range(len(row)):
            extra = [line[column] - reach[0][column] for line in reach]
            if any(extra):
                best = [
                    max(best[s - own] + extra[own] for own in range(s + 1))
                    for s in range(len(best))
                ]
        for s, value in enumerate(best):
            before = arriving[r + s]
            arriving[r + s] = value if before is None else max(before, value)
    found = []
    for q, start in enumerate(arriving):
        cells = [held[r][q - r] for r in range(q + 1)]
        gains = []
        for column, steps in enumerate(moves):
            low, high = min(c[column][0] for c in cells), max(c[column][1] for c in cells)
            gains += [max(step * low, step * high) for step in steps]
        top = [gain for gain in nlargest(flips - q, gains) if gain > 0]
        assert start is not None
        found.append([start + sum(top[:own]) for own in range(flips + 1 - q)])
    return found


def _levels(op: Threshold, row: list[list[Interval]], own: int) -> list[Interval]:
    """Every channel's levels, the own flips shared between what lies before and this bank."""
    found = []
    for channel, thresholds in enumerate(op.thresholds.tolist()):
        ends: list[int] = []
        for spent in range(own + 1):
            low, high = row[own - spent][channel]
            ends += _bank(op, thresholds, int(op.sign[channel]), (low, high), spent)
        found.append((min(ends), max(ends)))
    return found


def _bank(op: Threshold, thresholds: list[int], sign: int, ends: Interval, flips: int) -> list[int]:
    """The extreme outputs of one bank; a flipped sign leaves one flip less for the thresholds."""
    steps, found = len(thresholds), []
    for turned in (False, True) if op.signs_stored and flips else (False,):
        left = flips - turned
        counts = _reachable(op, thresholds, ends, left)
        ascending = (sign > 0) != turned
        for count in counts:
            level = op.base + (count if ascending else steps - count)
            found.append(2 * level - 1 if op.output.bipolar else level)
    return found


def _reachable(op: Threshold, thresholds: list[int], ends: Interval, flips: int) -> list[int]:
    """The smallest count at the low end and the largest at the high end."""
    low, high = ends
    kind = op.threshold_type
    over = [_price(kind, value, low, above=True) for value in thresholds]
    under = [_price(kind, value, high, above=False) for value in thresholds]
    if op.compare is Compare.COUNT:
        return [len(over) - _affordable(over, flips), _affordable(under, flips)]
    hit_low = [_price(kind, value, low, above=False) for value in thresholds]
    miss_high = [_price(kind, value, high, above=True) for value in thresholds]
    return [
        min(_searched(hit_low, over, flips)),
        max(_searched(under, miss_high, flips)),
    ]


def _affordable(prices: Sequence[int], flips: int) -> int:
    count = 0
    for price in sorted(prices):
        flips -= price
        if flips < 0:
            break
        count += 1
    return count


def _price(kind: IntType, value: int, limit: int, *, above: bool) -> int:
    """The fewest flips that move a threshold above ``limit``, or to at most ``limit``.

    The dearest bit first is the best choice whatever the number of flips; a price above any
    budget where no code will do.
    """
    position, goal = value - kind.code_lo, limit - kind.code_lo
    for price in range(kind.bits + 1):
        if (position > goal) if above else (position <= goal):
            return price
        wrong = [b for b in range(kind.bits) if (position >> b & 1) != above]
        if not wrong:
            break
        position ^= 1 << wrong[-1]
    return 1 << 30


def _searched(hit: list[int], miss: list[int], flips: int) -> list[int]:
    """Every result of the binary search whose probes can be bent with ``flips`` flips."""
    open_ = [(0, 0)]
    jump = 1
    while jump * 2 <= len(hit):
        jump *= 2
    while jump:
        following = []
        for found, spent in open_:
            probe = found + jump - 1
            if probe >= len(hit):
                following.append((found, spent))
                continue
            following.append((found + jump, spent + hit[probe]))
            following.append((found, spent + miss[probe]))
        open_ = [(found, spent) for found, spent in following if spent <= flips]
        jump //= 2
    return [found for found, _ in open_]


def _logits_apart(held: Table, label: int, flips: int) -> bool:
    for q in range(flips + 1):
        for own in range(flips + 1 - q):
            low = held[q][own][label][0]
            for rival, (_, high) in enumerate(held[q][flips - q - own]):
                if rival != label and low - high < (1 if rival < label else 0):
                    return False
    return True


def _fused(graph: Graph, tables: list[Table], label: int, flips: int) -> bool:
    """The last product and the comparison together; only where no logit can wrap."""
    ops = [node.op for node in graph.nodes[:-1]]
    scaling = ops.pop() if ops and isinstance(ops[-1], Add) else None
    if not ops or not isinstance(last := ops[-1], MatVec):
        return False
    held = tables[len(ops) - 1]
    sums = _sums(last, held, flips)
    if not _inside(sums, last.accumulator, flips):
        return False
    scales, offsets = [1] * len(last.weights), [0] * len(last.weights)
    if isinstance(scaling, Add):
        if not _inside(_scaled(scaling, sums), scaling.accumulator, flips):
            return False
        scales = [int(v) for v in _spread(scaling.multipliers[0].tolist(), len(scales))]
        offsets = [int(v) for v in _spread(scaling.offset.tolist(), len(offsets))]
    rows, moves = _read(last), _moves(last)
    for rival in range(len(rows)):
        if rival == label:
            continue
        row, both = [], []
        for column in range(len(rows[label])):
            row.append(scales[rival] * rows[rival][column] - scales[label] * rows[label][column])
            theirs = [scales[rival] * step for step in moves[rival][column]]
            both.append(theirs + [-scales[label] * step for step in moves[label][column]])
        behind = _largest(row, both, held, flips)
        lead = offsets[label] - offsets[rival]
        if last.popcount:  # of counts: twice the lead
            lead = 2 * lead + (scales[label] - scales[rival]) * len(row)
        lead -= max(behind[q][flips - q] for q in range(flips + 1))
        if lead < (1 if rival < label else 0):
            return False
    return True


def _inside(sums: Table, kind: IntType, flips: int) -> bool:
    return all(
        kind.code_lo <= low and high <= kind.code_hi
        for q in range(flips + 1)
        for low, high in sums[q][flips - q]
    )


def _spread(values: list[int], count: int) -> list[int]:
    return values * count if len(values) == 1 else values
