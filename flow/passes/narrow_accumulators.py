"""Give every accumulator the width its policy asks for."""

from __future__ import annotations

from dataclasses import replace

from flow.ir import Graph, Node
from flow.ops import MatVec, Threshold
from flow.passes.accumulators import Policy, accumulator_type, never_wraps, register_range
from flow.passes.narrow_thresholds import fit_thresholds


def narrow_accumulators(graph: Graph, *, policy: Policy = Policy.EXACT) -> Graph:
    """Narrow every MatVec to the width of ``policy``, and fit the thresholds that read it.

    Outputs of the fault-free graph are unchanged. Under ``exact`` a weight changed later may leave
    the range, and the sum then wraps, in the reference as in the hardware. An accumulator that
    wraps without any fault means what it says and stays.
    """
    edges = graph.edges()
    spans: dict[str, tuple[int, int]] = {}

    def narrow(node: Node) -> Node:
        if isinstance(node.op, MatVec):
            x = edges[node.inputs[0]].type
            op = node.op
            if never_wraps(op, x):
                op = replace(op, accumulator=accumulator_type(op, x, policy))
            spans[node.output] = register_range(op, x)
            return replace(node, op=op)
        if isinstance(node.op, Threshold) and node.inputs[0] in spans:
            return replace(node, op=fit_thresholds(node.op, *spans[node.inputs[0]]))
        return node

    return graph.map(narrow)
