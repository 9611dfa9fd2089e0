"""The Add in front of ArgMax becomes as small as the order of the classes allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from flow.ir import Graph, IntType, Node
from flow.ops import Add, MatVec
from flow.passes.accumulators import register_range
from flow.passes.order import Line, line_range, smallest_lines


def common_scale(graph: Graph) -> Graph:
    """Replace the constants of an Add that scales single logits by the smallest found that keep
    every order and tie of theirs, and drop it where they do nothing.

    The class is the same for every value that the register in front can hold, faulty ones included;
    all other edges but the logits are untouched. An Add that wraps, or that reads or feeds more
    than one edge, stays, and so does one that would not take fewer bits.
    """
    scaled = [node for node in graph.nodes if node.output == graph.logits]
    if graph.logits == graph.output or not scaled or not _scales(graph, scaled[0]):
        return graph
    node, source = scaled[0], scaled[0].inputs[0]
    low, high = edge_range(graph, source)
    lines = _lines(node.op, graph.edge(source).shape[-1])  # type: ignore[arg-type]
    if len(set(lines)) == 1 and lines[0][0] > 0:
        return _without(graph, node)
    add = common_scale_add(lines, low, high)
    if add.accumulator.bits >= graph.type_of(node.output).bits:
        return graph
    return graph.map(lambda one: replace(one, op=add) if one is node else one)


def common_scale_add(lines: Sequence[Line], low: int, high: int) -> Add:
    """An Add of one input from ``low .. high`` whose results compare as ``lines`` do, unwrapped.

    Raises:
        ValueError: they need more than 63 bits.
    """
    found = smallest_lines(lines, low, high)
    kind = IntType.holding(*line_range(found, low, high))
    scales, offsets = np.array(found, dtype=np.int64).T
    return Add(scales[None], offsets, kind)


def edge_range(graph: Graph, edge: str) -> tuple[int, int]:
    """Every value an edge can carry under any stored codes."""
    node = next((node for node in graph.nodes if node.output == edge), None)
    if node is not None and isinstance(node.op, MatVec):
        return register_range(node.op, graph.edge(node.inputs[0]).type)
    kind = graph.type_of(edge)
    return kind.code_lo, kind.code_hi


def _scales(graph: Graph, node: Node) -> bool:
    """Whether the node that ArgMax reads is an Add of one vector that nothing else reads, and
    that never wraps."""
    readers = [one.op for one in graph.nodes if node.output in one.inputs]
    if not isinstance(node.op, Add) or len(node.inputs) != 1 or len(readers) != 1:
        return False
    edge = graph.edge(node.inputs[0])
    if len(edge.shape) != 1:
        return False
    least, most = line_range(_lines(node.op, edge.shape[0]), *edge_range(graph, node.inputs[0]))
    return node.op.accumulator.code_lo <= least and most <= node.op.accumulator.code_hi


def _lines(op: Add, channels: int) -> list[Line]:
    scales, offsets = op.multipliers[0].tolist(), op.offset.tolist()
    wide = channels if len(scales) == 1 else 1, channels if len(offsets) == 1 else 1
    return list(zip(scales * wide[0], offsets * wide[1], strict=True))


def _without(graph: Graph, node: Node) -> Graph:
    """The graph whose readers of ``node`` read its input."""
    rest = [
        replace(one, inputs=tuple(node.inputs[0] if i == node.output else i for i in one.inputs))
        for one in graph.nodes
        if one is not node
    ]
    return replace(graph, nodes=tuple(rest))
