"""Levels at either end that no channel can ever give are not compared for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flow.ir import Array, Graph, Node
from flow.ops import Compare, Threshold
from flow.passes.reach import Span, reach


def trim_levels(graph: Graph) -> Graph:
    """Drop one threshold of every channel, as often as all of them allow it.

    A threshold at or below every value of the input is always reached, one above all of them never:
    without it an ascending channel has one level less at the bottom, or at the top; a descending
    channel the other way round. Where every channel can spare its lowest level, ``base`` rises.
    Values stay; in ``count`` form under any fault in the bits that remain too, while a ``search``
    probes other places. A level that is skipped in the middle (equal thresholds in every channel)
    stays: levels are ``base`` to ``base + steps`` without gaps.
    """
    spans = reach(graph)

    def trim(node: Node) -> Node:
        if not isinstance(node.op, Threshold):
            return node
        op = node.op
        ascends = (np.diff(op.thresholds, axis=1) >= 0).all()
        if op.output.bipolar or (op.compare is Compare.SEARCH and not ascends):
            return node
        trimmed = _trimmed(op, spans[node.inputs[0]])
        return node if trimmed is op else replace(node, op=trimmed)

    nodes = tuple(map(trim, graph.nodes))
    changed = any(new is not old for new, old in zip(nodes, graph.nodes, strict=True))
    return replace(graph, nodes=nodes) if changed else graph


def _trimmed(op: Threshold, span: Span) -> Threshold:
    for bottom in (True, False):
        while op.thresholds.shape[1] > 1:
            always = np.array([(s > 0) == bottom for s in op.sign])  # which kind each must spare
            lowest, highest = op.thresholds.min(axis=1), op.thresholds.max(axis=1)
            spare = np.where(always, lowest <= span[0], highest > span[1])
            if not spare.all():
                break
            ends = np.where(always, op.thresholds.argmin(axis=1), op.thresholds.argmax(axis=1))
            op = replace(op, thresholds=_without(op.thresholds, ends), base=op.base + bottom)
    return op


def _without(table: Array, column: Array) -> Array:
    """``table`` (channels, steps) without one element of each row."""
    kept = np.arange(table.shape[1]) != column[:, None]
    shorter: Array = table[kept].reshape(len(table), -1)
    return shorter
