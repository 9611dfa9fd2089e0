"""Moves of elements that follow each other become one; those that move nothing go."""

from __future__ import annotations

from dataclasses import replace

from flow.ir import Edge, Graph, Node
from flow.ops import MaxPool, Pad, Reshape, Transpose, Window
from flow.passes.rewire import reading, without_unread


def merge_layout(graph: Graph) -> Graph:
    """Join Reshape, Transpose and Pad (of one value) with the same op before them; drop what keeps
    shape, type and elements: among them windows and max pools of one element with stride 1.

    No stored bit, no value and no type of a remaining edge changes, under any fault.
    """
    edges = graph.edges()
    made: dict[str, Node] = {}
    same: dict[str, str] = {}
    for old in graph.nodes:
        node = reading(old, same)
        if len(node.inputs) == 1 and node.inputs[0] in made:
            node = _joined(made[node.inputs[0]], node)
        if node.output != graph.output and _moves_nothing(node, edges[node.inputs[0]]):
            same[node.output] = node.inputs[0]
        else:
            made[node.output] = node
    if tuple(made.values()) == graph.nodes:
        return graph
    return without_unread(replace(graph, nodes=tuple(made.values())))


def _joined(before: Node, node: Node) -> Node:
    """``node`` reading what ``before`` reads, where one op does both; else ``node``."""
    first, second = before.op, node.op
    if isinstance(first, Reshape) and isinstance(second, Reshape):
        return replace(node, inputs=before.inputs)
    if isinstance(first, Transpose) and isinstance(second, Transpose):
        order = tuple(first.order[axis] for axis in second.order)
        return replace(node, op=Transpose(order), inputs=before.inputs)
    if isinstance(first, Pad) and isinstance(second, Pad) and first.value == second.value:
        top, bottom, left, right = (
            a + b for a, b in zip(first.margins, second.margins, strict=True)
        )
        op = Pad((top, bottom, left, right), second.value)
        return replace(node, op=op, inputs=before.inputs)
    return node


def _moves_nothing(node: Node, source: Edge) -> bool:
    op = node.op
    if not isinstance(op, Reshape | Transpose | Pad | Window | MaxPool):
        return False
    if op.out_type(source) != source:
        return False
    if isinstance(op, Transpose):
        return op.order == tuple(range(len(op.order)))
    if isinstance(op, Window | MaxPool):
        return op.kernel == (1, 1)  # its stride skips nothing, or the shape would differ
    return True
