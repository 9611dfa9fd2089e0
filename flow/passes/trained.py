"""What holds of a graph as lowered, and of no graph that a fault has struck."""

from __future__ import annotations

import numpy as np

from flow.ir import Graph
from flow.ops import MatVec, Threshold
from flow.passes.accumulators import never_wraps, register_range


def check_trained(graph: Graph) -> Graph:
    """Return ``graph`` if it is as training left it.

    No product wraps for any input of its type; thresholds ascend; a threshold after a product has
    a type that holds every value of the register and one above, so that it may be unreachable.

    Raises:
        ValueError: names the node and the claim that fails.
    """
    edges = graph.edges()
    sources = {node.output: node for node in graph.nodes}
    for node in graph.nodes:
        op, x = node.op, edges[node.inputs[0]].type
        if isinstance(op, MatVec) and not never_wraps(op, x):
            raise ValueError(f"node {node.name!r}: sums of its weights leave {op.accumulator}")
        if not isinstance(op, Threshold):
            continue
        if (np.diff(op.thresholds, axis=1) < 0).any():
            raise ValueError(f"node {node.name!r}: its thresholds do not ascend")
        source = sources.get(node.inputs[0])
        if source is not None and isinstance(source.op, MatVec):
            low, high = register_range(source.op, edges[source.inputs[0]].type)
            kind = op.threshold_type
            if not kind.code_lo <= low <= high + 1 <= kind.code_hi:
                raise ValueError(
                    f"node {node.name!r}: {kind} does not hold {low}..{high + 1}, the register "
                    "and one above"
                )
    return graph


def is_trained(graph: Graph) -> bool:
    """Whether :func:`check_trained` holds."""
    try:
        check_trained(graph)
    except ValueError:
        return False
    return True
