"""An exact rescaling of one stream moves into the thresholds, or the sum, that reads it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flow.ir import Array, Graph, IntType, Node
from flow.ops import Add, Compare, Threshold
from flow.passes.reach import Span, reach
from flow.passes.rewire import without_unread

_LARGEST = 1 << 62


def merge_adds(graph: Graph) -> Graph:
    """Let the readers of an Add of one input, that never wraps, read its input instead.

    ``m * x + o >= T`` is ``x >= ceil((T - o) / m)`` for m > 0; for m < 0 it is
    ``not x >= floor((T - o) / m) + 1``, so that channel's bank is reversed and its sign turns. An
    Add that reads it takes ``m`` and ``o`` into its own constants. Thresholds keep their number and
    take the type that their new input asks for; signs become stored where one descends.
    """
    edges, spans = graph.edges(), reach(graph)
    adds: dict[str, Node] = {}
    nodes = []
    for node in graph.nodes:
        op = node.op
        if isinstance(op, Threshold) and node.inputs[0] in adds:
            inner = adds[node.inputs[0]]
            source = inner.inputs[0]
            if not edges[source].type.bipolar:
                node = _into_threshold(inner, node, op, spans[source])
        elif isinstance(op, Add):
            for number, name in enumerate(node.inputs):
                if name in adds:
                    node = _into_add(adds[name], node, number)
        if isinstance(node.op, Add) and len(node.inputs) == 1:
            low, high = _extremes(node.op, spans[node.inputs[0]])
            kind = node.op.accumulator
            if kind.code_lo <= low and high <= kind.code_hi:
                adds[node.output] = node
        nodes.append(node)
    if all(new is old for new, old in zip(nodes, graph.nodes, strict=True)):
        return graph
    return without_unread(replace(graph, nodes=tuple(nodes)))


def _extremes(op: Add, span: Span) -> Span:
    """The least and largest sum of an Add of one input, in Python integers."""
    scales, offsets = op.multipliers[0].tolist(), op.offset.tolist()
    channels = max(len(scales), len(offsets))
    scales, offsets = (v * channels if len(v) == 1 else v for v in (scales, offsets))
    ends = [m * v + o for m, o in zip(scales, offsets, strict=True) for v in span]
    return min(ends), max(ends)


def _into_threshold(inner: Node, node: Node, op: Threshold, span: Span) -> Node:
    add = inner.op
    assert isinstance(add, Add)
    channels, steps = op.thresholds.shape
    scale = np.broadcast_to(add.multipliers[0], (channels,)).tolist()
    offset = np.broadcast_to(add.offset, (channels,)).tolist()
    ascends = bool((np.diff(op.thresholds, axis=1) >= 0).all())
    unsorted_search = op.compare is Compare.SEARCH and not ascends
    if 0 in scale or (unsorted_search and min(scale) < 0):
        return node
    low, high = span
    table = [
        [min(max(t, low), high + 1) for t in _moved(row, m, o)]
        for row, m, o in zip(op.thresholds.tolist(), scale, offset, strict=True)
    ]
    turned: Array = np.where(np.array(scale) < 0, -op.sign, op.sign)
    moved = replace(
        op,
        thresholds=np.array(table).reshape(channels, steps),
        threshold_type=IntType.holding(low, high + 1),
        sign=turned,
        signs_stored=op.signs_stored or bool((turned < 0).any()),
    )
    return replace(node, op=moved, inputs=inner.inputs)


def _moved(row: list[int], scale: int, offset: int) -> list[int]:
    if scale > 0:
        return [-((offset - t) // scale) for t in row]
    return [(t - offset) // scale + 1 for t in reversed(row)]


def _into_add(inner: Node, node: Node, number: int) -> Node:
    first, second = inner.op, node.op
    assert isinstance(first, Add)
    assert isinstance(second, Add)
    outer = second.multipliers[number].astype(object)
    scale = outer * first.multipliers[0].astype(object)
    offset = second.offset.astype(object) + outer * first.offset.astype(object)
    rows = [row.astype(object) for row in second.multipliers]
    rows[number] = scale
    width = max(row.size for row in rows)
    table = np.array([np.broadcast_to(row, (width,)) for row in rows])
    if max(abs(v) for v in [*table.ravel(), *offset]) >= _LARGEST:
        return node
    op = replace(second, multipliers=table.astype(np.int64), offset=offset.astype(np.int64))
    inputs = (*node.inputs[:number], *inner.inputs, *node.inputs[number + 1 :])
    return replace(node, op=op, inputs=inputs)
