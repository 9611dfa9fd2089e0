"""The facts of each node as rows, for `bitproof show` and the report."""

from __future__ import annotations

from math import prod

from flow.ir import Edge, Graph, Op
from flow.ir.text import stored_bits
from flow.ops import MatVec

Row = dict[str, str | int]


def macs(op: Op, *inputs: Edge) -> int:
    """Multiply-accumulates per sample; only matrix products have any."""
    if not isinstance(op, MatVec):
        return 0
    return int(op.weights.size) * prod(inputs[0].shape[:-1])


def node_rows(graph: Graph) -> list[Row]:
    """One row per node: name, op, inputs, output edge, stored parameter bits, MACs per sample."""
    edges = graph.edges()
    return [
        {
            "node": node.name,
            "op": type(node.op).__name__,
            "inputs": ", ".join(node.inputs),
            "output": str(edges[node.output]),
            "stored bits": stored_bits(node.op),
            "MACs": macs(node.op, *(edges[name] for name in node.inputs)),
        }
        for node in graph.nodes
    ]
