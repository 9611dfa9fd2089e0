"""Bipolar products become XNOR and population count."""

from __future__ import annotations

from dataclasses import replace

from flow.ir import Affine, Graph, IntType, Node, Op
from flow.ops import Add, ArgMax, MatVec, Threshold
from flow.passes.narrow_thresholds import narrow_thresholds


def popcount_form(graph: Graph) -> Graph:
    """Count agreeing positions where weights and inputs are bipolar: ``dot = 2 * count - columns``.

    ``dot >= T`` is ``count >= ceil((T + columns) / 2)``, exactly, for odd and even sums. An Add of
    one input gives what it gave. Argmax
    over counts of equally many columns decides as over the products. A product that anything else
    reads, that is the graph's output, or whose register is too narrow for every product, stays.
    """
    edges = graph.edges()
    readers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    columns: dict[str, int] = {}
    nodes = []
    for node in graph.nodes:
        op = node.op
        if isinstance(op, MatVec) and _can_count(op, edges[node.inputs[0]].type):
            users = [reader.op for reader in readers.get(node.output, [])]
            inside = node.output != graph.output
            if inside and all(_can_read_counts(user) for user in users):
                columns[node.output] = op.weights.shape[1]
                count = IntType.holding(0, op.weights.shape[1])
                node = replace(node, op=replace(op, popcount=True, accumulator=count))
        elif isinstance(op, Threshold) and node.inputs[0] in columns:
            counted = -(-(op.thresholds + columns[node.inputs[0]]) // 2)
            wide = IntType.holding(min(int(counted.min()), 0), max(int(counted.max()), 1))
            node = replace(node, op=replace(op, thresholds=counted, threshold_type=wide))
        elif isinstance(op, Add) and node.inputs[0] in columns:
            rest = op.offset - op.multipliers[0] * columns[node.inputs[0]]
            node = replace(node, op=replace(op, multipliers=2 * op.multipliers, offset=rest))
        nodes.append(node)
    affine = graph.logit_affine
    if affine is not None and graph.logits in columns:
        size = columns[graph.logits]
        affine = tuple(Affine(2 * a.scale, a.offset - a.scale * size) for a in affine)
    return narrow_thresholds(replace(graph, nodes=tuple(nodes), logit_affine=affine))


def _can_read_counts(op: Op) -> bool:
    return isinstance(op, Threshold | ArgMax) or (isinstance(op, Add) and len(op.multipliers) == 1)


def _can_count(op: MatVec, x: IntType) -> bool:
    columns = op.weights.shape[1]
    whole = op.accumulator.code_lo <= -columns and columns <= op.accumulator.code_hi
    return op.weight_type.bipolar and x.bipolar and not op.popcount and whole and op.groups == 1
