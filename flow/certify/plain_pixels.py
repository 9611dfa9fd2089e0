"""The argument about a few moved elements once more, in Python integers, for the checker alone."""

from __future__ import annotations

from heapq import nlargest

import numpy as np

from flow.certify.plain_bounds import Ends, bounds, near, register, rows_times
from flow.errors import InputError
from flow.ir import Array, Graph, IntType
from flow.ops import Add, MatVec, Pad, Reshape, Transpose, Window


def withstands_pixels(graph: Graph, image: Array, label: int, radius: int, pixels: int) -> bool:
    """Whether no ``pixels`` elements of ``image``, each moved by at most ``radius``, take ``label``
    away, by the largest effects on the first products and intervals behind them.

    Raises:
        InputError: the graph has a layer that this checker does not know.
    """
    seen = {graph.input: near(graph, image, radius)}
    still = {graph.input: image[None].astype(np.int64)}
    for node in graph.nodes[:-1]:
        sources = [seen[name] for name in node.inputs]
        values = still.get(node.inputs[0])
        try:
            if isinstance(node.op, MatVec) and values is not None:
                ends = _sums(node.op, values, sources[0], pixels)
                seen[node.output] = register(node.op.accumulator, *ends)
                continue
            seen[node.output] = bounds(node.op, sources)
        except InputError as error:
            raise InputError(f"node {node.name!r}: {error}") from None
        if isinstance(node.op, (Window, Pad, Reshape, Transpose)) and values is not None:
            still[node.output] = node.op.evaluate(values)
    low, high = (end[0].tolist() for end in seen[graph.logits])
    rivals = [j for j in range(len(low)) if j != label]
    if all(low[label] - high[j] >= (1 if j < label else 0) for j in rivals):
        return True
    return _apart_in_differences(graph, seen, label)


def _sums(op: MatVec, x: Array, ends: Ends, pixels: int) -> Ends:
    """Of each row the sum of ``x``, less and more its largest effects of one element each."""
    middle = rows_times(op, x.astype(object))
    low, high = middle.copy(), middle.copy()
    channels = x.shape[-1] // op.positions
    own = channels // op.groups
    for place in np.ndindex(*x.shape[:-1]):
        now, least, most = (v[place].tolist() for v in (x, *ends))
        for row, weights in enumerate(op.read.tolist()):
            first = row // (len(op.weights) // op.groups) * own
            down, up = [], []
            for k, weight in enumerate(weights):
                at = k // own * channels + first + k % own
                moves = weight * (least[at] - now[at]), weight * (most[at] - now[at])
                down.append(-min(moves))
                up.append(max(moves))
            low[(*place, row)] -= sum(nlargest(pixels, down))
            high[(*place, row)] += sum(nlargest(pixels, up))
    if op.popcount:
        columns = op.weights.shape[1]
        return (low + columns) // 2, (high + columns) // 2
    return low, high


def _apart_in_differences(graph: Graph, seen: dict[str, Ends], label: int) -> bool:
    """Whether the label leads every rival in the last product, row less row, where none wraps."""
    made = graph.producer(graph.logits)
    factors, offsets = [1], [0]
    if made is not None and isinstance(made.op, Add) and len(made.op.multipliers) == 1:
        add = made.op
        factors, offsets = add.multipliers[0].tolist(), add.offset.tolist()
        ends = [end * add.multipliers[0] + add.offset for end in seen[made.inputs[0]]]
        if _leaves(add.accumulator, ends[0]) or _leaves(add.accumulator, ends[1]):
            return False
        made = graph.producer(made.inputs[0])
    if made is None or not isinstance(made.op, MatVec) or made.op.groups != 1:
        return False
    op, (low, high) = made.op, (end[0].tolist() for end in seen[made.inputs[0]])
    rows = op.read.tolist()
    scale = [factors[c % len(factors)] for c in range(len(rows))]
    shift = [offsets[c % len(offsets)] for c in range(len(rows))]
    for row in rows:
        ends = [sorted((w * a, w * b)) for w, a, b in zip(row, low, high, strict=True)]
        sums = [sum(e[0] for e in ends), sum(e[1] for e in ends)]
        if op.popcount:
            sums = [(total + len(row)) // 2 for total in sums]
        if _leaves(op.accumulator, np.array(sums, dtype=object)):
            return False
    for rival, row in enumerate(rows):
        twice = 2 if op.popcount else 1
        lead = twice * (shift[label] - shift[rival])
        if op.popcount:
            lead += (scale[label] - scale[rival]) * len(row)
        for mine, other, a, b in zip(rows[label], row, low, high, strict=True):
            weight = scale[label] * mine - scale[rival] * other
            lead += min(weight * a, weight * b)
        if rival != label and lead < (1 if rival < label else 0):
            return False
    return True


def _leaves(kind: IntType, values: Array) -> bool:
    return bool((values < kind.code_lo).any() or (values > kind.code_hi).any())
