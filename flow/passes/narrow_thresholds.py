"""Keep thresholds only as wide as the values they are compared with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flow.ir import Graph, IntType, Node
from flow.ops import MatVec, Threshold
from flow.passes.accumulators import register_range


def narrow_thresholds(graph: Graph) -> Graph:
    """Clip every threshold to what its register can hold, low .. high + 1, in the narrowest type.

    The function is unchanged for every value the register can hold, faulty ones included.
    """
    edges = graph.edges()
    sources = {node.output: node for node in graph.nodes}

    def narrow(node: Node) -> Node:
        source = sources.get(node.inputs[0])
        if not isinstance(node.op, Threshold) or source is None:
            return node
        if not isinstance(source.op, MatVec):
            return node
        span = register_range(source.op, edges[source.inputs[0]].type)
        return replace(node, op=fit_thresholds(node.op, *span))

    return graph.map(narrow)


def fit_thresholds(op: Threshold, low: int, high: int) -> Threshold:
    """``op`` with thresholds in ``low .. high + 1``: the same level for every value in range."""
    return replace(
        op,
        thresholds=np.clip(op.thresholds, low, high + 1),
        threshold_type=IntType.holding(low, high + 1),
    )
