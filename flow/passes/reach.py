"""The values that an edge can carry, whatever the memories hold."""

from __future__ import annotations

from flow.ir import Graph, Node
from flow.ops import Add, ArgMax, MatVec, Pad, SumPool, Threshold
from flow.passes.accumulators import register_range

Span = tuple[int, int]


def reach(graph: Graph) -> dict[str, Span]:
    """For each edge the least and largest value under any input of the declared range and any
    stored codes: sound under every fault, not always reached."""
    edges = graph.edges()
    spans = {graph.input: (graph.input_edge.type.lo, graph.input_edge.type.hi)}
    for node in graph.nodes:
        kind = edges[node.output].type
        if isinstance(node.op, MatVec):
            spans[node.output] = register_range(node.op, edges[node.inputs[0]].type)
            continue
        if isinstance(node.op, ArgMax):
            spans[node.output] = (kind.lo, kind.hi)
            continue
        low, high = _span(node, [spans[name] for name in node.inputs])
        inside = kind.code_lo <= low and high <= kind.code_hi
        spans[node.output] = (low, high) if inside else (kind.code_lo, kind.code_hi)
    return spans


def _span(node: Node, sources: list[Span]) -> Span:
    op = node.op
    low, high = min(s[0] for s in sources), max(s[1] for s in sources)
    if isinstance(op, Threshold):
        first, last = op.base, op.base + op.thresholds.shape[1]
        return (2 * first - 1, 2 * last - 1) if op.output.bipolar else (first, last)
    if isinstance(op, Pad):
        return min(low, op.value), max(high, op.value)
    if isinstance(op, SumPool):
        taps = op.kernel[0] * op.kernel[1]
        return taps * low, taps * high
    if isinstance(op, Add):
        ends = [
            sorted(m * v for v in span for m in (min(row), max(row)))
            for row, span in zip(op.multipliers.tolist(), sources, strict=True)
        ]  # any channel's multiplier with either end
        offsets = op.offset.tolist()
        return min(offsets) + sum(e[0] for e in ends), max(offsets) + sum(e[-1] for e in ends)
    return low, high  # the others move elements and choose among them
