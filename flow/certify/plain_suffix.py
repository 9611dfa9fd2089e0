"""Whether a label withstands flips of the last two layers, in Python integers, for the checker."""

from __future__ import annotations

from heapq import nlargest
from itertools import combinations

import numpy as np

from flow.certify.plain_rows import divided
from flow.certify.plain_thresholds import levels
from flow.certify.subset import BitSubset
from flow.errors import InputError
from flow.ir import Array, Graph, IntType, Node
from flow.ops import Add, ArgMax, Decode, MatVec, Threshold

Levels = list[list[tuple[int, int]]]  # of each neuron by its flips, the least and the largest
Moves = list[tuple[int, int]]  # the least and the largest change that 0, 1, .. flips make
Row = list[tuple[int, Moves]]  # weights as read, and what flips of their bits make of them


def label_withstands_exactly(
    graph: Graph, image: Array, label: int, flips: int, *, subset: BitSubset, radius: int
) -> bool:
    """Whether no ``flips`` flips of ``subset``, all of whose bits lie in the last product, its
    staircase and the product in front of it, take ``label`` from ``image``.

    Raises:
        InputError: the graph or the subset is none that this argument is about.
    """
    if radius:
        raise InputError("exact flips are about fixed inputs; certify again")
    last, add, front = _ends(graph, subset)
    values = graph.evaluate_all(image[None])
    clean = values[last.inputs[0]][0].tolist()
    reached = [[(h, h)] * (flips + 1) for h in clean]
    if front is not None:
        hidden, act = front
        own = _reached(hidden, act, values[hidden.inputs[0]][0].tolist(), flips, subset)
        if own is None:
            return False
        reached = own
    rows = _weights(last, subset, flips)
    scales, offsets = _scaling(add, len(rows))
    if not _logits_hold(last, add, clean, reached, rows, flips):
        return False
    op = last.op
    assert isinstance(op, MatVec)
    for rival in range(len(rows)):
        if rival == label:
            continue
        row = _lead(rows[rival], rows[label], scales[rival], scales[label])
        ahead = _most(clean, reached, row, 1, flips)
        apart = offsets[rival] - offsets[label]
        if op.popcount:  # of counts: twice the lead
            apart = 2 * apart + (scales[rival] - scales[label]) * len(row)
        if ahead + apart >= (0 if rival < label else 1):
            return False
    return True


def _lead(theirs: Row, ours: Row, their_scale: int, our_scale: int) -> Row:
    """The row whose sum is how far the rival is ahead: no bit is of both."""
    return [
        (
            their_scale * t - our_scale * o,
            _together(_times(gained, their_scale), _times(lost, -our_scale)),
        )
        for (t, gained), (o, lost) in zip(theirs, ours, strict=True)
    ]


def _scaling(add: Node | None, classes: int) -> tuple[list[int], list[int]]:
    if add is None or not isinstance(add.op, Add):
        return [1] * classes, [0] * classes
    multipliers, offset = add.op.multipliers[0].tolist(), add.op.offset.tolist()
    return (
        [multipliers[c % len(multipliers)] for c in range(classes)],
        [offset[c % len(offset)] for c in range(classes)],
    )


def _logits_hold(
    last: Node, add: Node | None, clean: list[int], reached: Levels, rows: list[Row], flips: int
) -> bool:
    """Whether no sum of the last product, nor what an Add makes of it, can leave its register."""
    op = last.op
    assert isinstance(op, MatVec)
    scales, offsets = _scaling(add, len(rows))
    for row, scale, offset in zip(rows, scales, offsets, strict=True):
        low = -_most(clean, reached, row, -1, flips)
        high = _most(clean, reached, row, 1, flips)
        if op.popcount:
            low, high = (low + len(row)) // 2, (high + len(row)) // 2
        if not _holds(op.accumulator, low, high):
            return False
        if add is not None and isinstance(add.op, Add):
            scaled = sorted(scale * end + offset for end in (low, high))
            if not _holds(add.op.accumulator, *scaled):
                return False
    return True


def _ends(graph: Graph, subset: BitSubset) -> tuple[Node, Node | None, tuple[Node, Node] | None]:
    """The last product, the Add behind it, and the product and staircase in front, if any."""
    if not isinstance(graph.nodes[-1].op, ArgMax):
        raise InputError(f"node {graph.nodes[-1].name!r}: the checker wants ArgMax last")
    add, last = None, graph.producer(graph.logits)
    if last is not None and isinstance(last.op, Add) and len(last.inputs) == 1:
        add, last = last, graph.producer(last.inputs[0])
    if last is None or not _dense(graph, last):
        raise InputError(f"edge {graph.logits!r}: not the sums of a dense layer")
    act = graph.producer(last.inputs[0])
    hidden = None if act is None else graph.producer(act.inputs[0])
    struck = {n.name for n in graph.nodes if n.op.stored and subset.of(n.name, n.op)}
    if struck <= {last.name}:
        return last, add, None
    if act is None or hidden is None or not isinstance(act.op, Threshold):
        raise InputError(f"flips outside {last.name!r} are none that this checker knows")
    if not _dense(graph, hidden) or not struck <= {last.name, act.name, hidden.name}:
        raise InputError(f"flips in front of {hidden.name!r} are none that this checker knows")
    readers = [name for node in graph.nodes for name in node.inputs]
    if readers.count(act.output) != 1 or readers.count(hidden.output) != 1:
        raise InputError(f"node {act.name!r}: more than one layer reads it")
    return last, add, (hidden, act)


def _dense(graph: Graph, node: Node) -> bool:
    flat = len(graph.edge(node.inputs[0]).shape) == 1 and len(graph.edge(node.output).shape) == 1
    return isinstance(node.op, MatVec) and node.op.groups == 1 and flat


def _weights(node: Node, subset: BitSubset, flips: int) -> list[Row]:
    """Each weight as read, and what flips of its bits that may flip make of it."""
    op = node.op
    assert isinstance(op, MatVec)
    bits = subset.of(node.name, op).get("weights")
    free, known = [] if bits is None else bits.tolist(), dict[int, tuple[int, Moves]]()
    for value in {value for row in op.weights.tolist() for value in row}:
        known[value] = _as_read(op, value), _moves(op, value, free, flips)
    return [[known[value] for value in row] for row in op.weights.tolist()]


def _moves(op: MatVec, value: int, free: list[int], flips: int) -> Moves:
    """How far each number of flips moves one stored value; limited codes by trying every choice."""
    kind = op.weight_type
    code, was, found = int(kind.encode(np.array(value))), _as_read(op, value), [(0, 0)]
    steps = [int(kind.decode(np.array(code ^ 1 << b))) - value for b in free]
    for most in range(1, flips + 1):
        if op.decode is Decode.PLAIN:
            down = -sum(nlargest(most, (max(0, -step) for step in steps)))
            up = sum(nlargest(most, (max(0, step) for step in steps)))
        else:
            masks = (sum(1 << b for b in some) for some in combinations(free, most))
            reached = [_as_read(op, int(kind.decode(np.array(code ^ m)))) - was for m in masks]
            down, up = min([found[-1][0], *reached]), max([found[-1][1], *reached])
        found.append((down, up))
    return found


def _as_read(op: MatVec, value: int) -> int:
    if op.decode is Decode.PLAIN:
        return value
    return min(max(value, op.weight_type.lo), op.weight_type.hi)


def _times(moves: Moves, factor: int) -> Moves:
    return [
        (min(down * factor, up * factor), max(down * factor, up * factor)) for down, up in moves
    ]


def _together(one: Moves, other: Moves) -> Moves:
    """What flips divided among two weights make of their sum."""
    return [
        (
            min(one[t][0] + other[m - t][0] for t in range(m + 1)),
            max(one[t][1] + other[m - t][1] for t in range(m + 1)),
        )
        for m in range(len(one))
    ]


def _gains(moves: Moves, x: int) -> tuple[int, ...]:
    """The most that 0, 1, .. flips add to the product with ``x``."""
    return tuple(max(down * x, up * x) for down, up in moves)


def _reached(
    hidden: Node, act: Node, seen: list[int], flips: int, subset: BitSubset
) -> Levels | None:
    """For each neuron and number of flips the ends of its levels; None where a sum may wrap."""
    op, stairs = hidden.op, act.op
    assert isinstance(op, MatVec)
    assert isinstance(stairs, Threshold)
    bits = {name: kept.tolist() for name, kept in subset.of(act.name, stairs).items()}
    found = []
    for neuron, row in enumerate(_weights(hidden, subset, flips)):
        total = sum(w * x for (w, _), x in zip(row, seen, strict=True))
        pairs = [(moves, x) for (_, moves), x in zip(row, seen, strict=True)]
        rise = divided([_gains(moves, x) for moves, x in pairs], flips)
        fall = divided([_gains(moves, -x) for moves, x in pairs], flips)
        ends = []
        for own in range(flips + 1):
            low, high = total - fall[own], total + rise[own]
            if op.popcount:
                low, high = (low + len(row)) // 2, (high + len(row)) // 2
            ends.append((low, high))
        if not _holds(op.accumulator, *ends[flips]):
            return None
        levels_of = []
        for m in range(flips + 1):
            parts = [levels(stairs, neuron, ends[s], m - s, bits) for s in range(m + 1)]
            levels_of.append((min(low for low, _ in parts), max(high for _, high in parts)))
        found.append(levels_of)
    return found


def _most(clean: list[int], reached: Levels, row: Row, sign: int, flips: int) -> int:
    """The largest ``sign`` times the row's sum that so many flips of it, and before it, make."""
    gains = []
    for h, ends, (weight, moves) in zip(clean, reached, row, strict=True):
        gain = [
            max(
                sign * weight * (level - h) + _gains(moves, sign * level)[q - own]
                for own in range(q + 1)
                for level in ends[own]
            )
            for q in range(flips + 1)
        ]
        gains.append((0, *gain[1:]))
    best = divided(gains, flips)
    return best[flips] + sign * sum(w * h for (w, _), h in zip(row, clean, strict=True))


def _holds(kind: IntType, low: int, high: int) -> bool:
    return kind.code_lo <= low and high <= kind.code_hi
