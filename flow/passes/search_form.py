"""Thresholds are found by binary search instead of being counted."""

from __future__ import annotations

from dataclasses import replace

from flow.ir import Graph, Node
from flow.ops import Compare, Threshold


def search_form(graph: Graph) -> Graph:
    """Every Threshold of two steps or more compares by search.

    The same levels while thresholds ascend; under faults the meaning is that of the probes
    (``Threshold.reached``). With one step both forms are one comparison, and it stays.
    """

    def searched(node: Node) -> Node:
        op = node.op
        if not isinstance(op, Threshold) or op.thresholds.shape[1] < 2:
            return node
        return replace(node, op=replace(op, compare=Compare.SEARCH))

    return graph.map(searched)
