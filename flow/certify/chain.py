"""Chains of one-dimensional layers: what the bounds of several flips and bit search know."""

from __future__ import annotations

from flow.errors import InputError
from flow.ir import Array, Graph
from flow.ops import Add, ArgMax, MatVec, Threshold


def check_chain(graph: Graph, x: Array, y: Array) -> None:
    """Raise ``InputError`` unless ``graph`` is such a chain and ``y`` labels ``x``."""
    source = graph.input
    for node in graph.nodes:
        known = isinstance(node.op, MatVec | Threshold | Add | ArgMax)
        grouped = isinstance(node.op, MatVec) and node.op.groups != 1
        ends = isinstance(node.op, ArgMax) == (node is graph.nodes[-1])
        flat = len(graph.edge(source).shape) == 1
        if not (known and ends and flat) or grouped or node.inputs != (source,):
            raise InputError(
                f"node {node.name!r}: single flips are followed along a chain of one-dimensional "
                "MatVec, Threshold and Add that ends in ArgMax; use a campaign for this graph"
            )
        source = node.output
    classes = graph.edge(graph.logits).shape[0]
    if y.shape != (len(x),) or (y.size and not (y.min() >= 0 and y.max() < classes)):
        raise InputError(f"labels must be {len(x)} integers from 0 to {classes - 1}, one per image")
