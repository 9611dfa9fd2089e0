"""Whether a label withstands flips of the last two layers, in Python integers, for the checker."""

from __future__ import annotations

from heapq import nlargest

from flow.certify.plain_thresholds import levels
from flow.certify.subset import BitSubset
from flow.errors import InputError
from flow.ir import Array, Graph, IntType, Node
from flow.ops import Add, ArgMax, Decode, MatVec, Threshold

Levels = list[list[tuple[int, int]]]  # of each neuron by its flips, the least and the largest
Row = list[tuple[int, list[int]]]  # weights as read, and by how much each bit would move them


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
    rows = _weights(last, subset)
    scales, offsets = _scaling(add, len(rows))
    if not _logits_hold(last, add, clean, reached, rows, flips):
        return False
    op = last.op
    assert isinstance(op, MatVec)
    for rival in range(len(rows)):
        if rival == label:
            continue
        row = [
            (
                scales[rival] * theirs[0] - scales[label] * ours[0],
                [scales[rival] * d for d in theirs[1]] + [-scales[label] * d for d in ours[1]],
            )
            for theirs, ours in zip(rows[rival], rows[label], strict=True)
        ]
        ahead = _most(clean, reached, row, 1, flips)
        apart = offsets[rival] - offsets[label]
        if op.popcount:  # of counts: twice the lead
            apart = 2 * apart + (scales[rival] - scales[label]) * len(row)
        if ahead + apart >= (0 if rival < label else 1):
            return False
    return True


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
    for node in (last, hidden):
        op = None if node is None else node.op
        clamped = isinstance(op, MatVec) and op.decode is Decode.CLAMP
        if node is not None and clamped and node.name in struck:
            raise InputError(f"node {node.name!r}: clamped weights may flip")
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


def _weights(node: Node, subset: BitSubset) -> list[Row]:
    """Each weight as read, and by how much each bit that may flip would move it."""
    op = node.op
    assert isinstance(op, MatVec)
    bits = subset.of(node.name, op).get("weights")
    kind, found = op.weight_type, list[Row]()
    for stored, read in zip(op.weights, op.read, strict=True):
        row: Row = []
        for value, used in zip(stored.tolist(), read.tolist(), strict=True):
            code = int(kind.encode(stored.dtype.type(value)))
            flipped = [] if bits is None else [code ^ 1 << b for b in bits.tolist()]
            steps = [int(kind.decode(stored.dtype.type(c))) - value for c in flipped]
            row.append((used, steps))
        found.append(row)
    return found


def _reached(
    hidden: Node, act: Node, seen: list[int], flips: int, subset: BitSubset
) -> Levels | None:
    """For each neuron and number of flips the ends of its levels; None where a sum may wrap."""
    op, stairs = hidden.op, act.op
    assert isinstance(op, MatVec)
    assert isinstance(stairs, Threshold)
    bits = {name: kept.tolist() for name, kept in subset.of(act.name, stairs).items()}
    found = []
    for neuron, row in enumerate(_weights(hidden, subset)):
        gains = [d * x for (_, steps), x in zip(row, seen, strict=True) for d in steps]
        total = sum(w * x for (w, _), x in zip(row, seen, strict=True))
        ends = []
        for own in range(flips + 1):
            low = total - sum(nlargest(own, (max(0, -g) for g in gains)))
            high = total + sum(nlargest(own, (max(0, g) for g in gains)))
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
    best = [0] * (flips + 1)
    for h, ends, (weight, steps) in zip(clean, reached, row, strict=True):
        gain = [
            max(
                sign * weight * level
                + sum(nlargest(q - own, (max(0, sign * d * level) for d in steps)))
                for own in range(q + 1)
                for level in ends[own]
            )
            - sign * weight * h
            for q in range(flips + 1)
        ]
        if any(gain):
            best = [max(best[s - q] + gain[q] for q in range(s + 1)) for s in range(flips + 1)]
    return best[flips] + sign * sum(w * h for (w, _), h in zip(row, clean, strict=True))


def _holds(kind: IntType, low: int, high: int) -> bool:
    return kind.code_lo <= low and high <= kind.code_hi
