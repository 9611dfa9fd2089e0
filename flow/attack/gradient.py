"""Gradients through the integer graph: exact values forward, ramps in place of steps backward."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from flow.certify.affine import fold, pulled
from flow.ir import Array, Edge, Graph
from flow.ops import MaxPool, Threshold
from flow.ops.window import slide

Reals = NDArray[np.float64]


def gradients(
    graph: Graph, edges: Mapping[str, Array], at_logits: Reals, spread: Mapping[str, Reals]
) -> dict[str, Reals]:
    """The gradient at every edge, from that at the logits, where the edges carry these values.

    A staircase counts as ramps of its ``spread`` (by node), a largest element as the mean of all
    that are. Edges that the logits do not depend on have no entry.

    Raises:
        InputError: an op has no gradient.
    """
    kinds, pulls = graph.edges(), {graph.logits: at_logits}
    for node in reversed(graph.nodes[:-1]):
        pull = pulls.get(node.output)
        if pull is None:
            continue
        if isinstance(node.op, Threshold):
            parts = [ramps(node.op, edges[node.inputs[0]], pull, spread=spread[node.name])]
        elif isinstance(node.op, MaxPool):
            parts = [_largest(node.op, edges[node.inputs[0]], pull, kinds[node.inputs[0]])]
        else:
            parts, _ = pulled(node.op, pull, [kinds[name] for name in node.inputs])
        for name, part in zip(node.inputs, parts, strict=True):
            pulls[name] = pulls[name] + part if name in pulls else part
    return pulls


def ramps(op: Threshold, x: Array, gradient: Reals, *, spread: Reals) -> Reals:
    """The gradient at the input of a staircase whose steps are ramps of width ``2 * spread``."""
    height = 2 if op.output.bipolar else 1
    slope = np.zeros(x.shape)
    for step in range(op.thresholds.shape[1]):
        # Between T - 1 and T lies the step; half-way makes the ramp symmetric.
        slope += np.abs(x - op.thresholds[:, step] + 0.5) <= spread
    found: Reals = gradient * op.sign * height * slope / (2 * spread)
    return found


def _largest(op: MaxPool, x: Array, pull: Reals, edge: Edge) -> Reals:
    taps = slide(x, op.kernel, op.stride, op.dilation)
    taps = taps.reshape(*pull.shape[:3], -1, pull.shape[3])
    highest = taps == taps.max(axis=3, keepdims=True)
    share = pull[:, :, :, None] * highest / highest.sum(axis=3, keepdims=True)
    return fold(share, edge, op.kernel, op.stride, op.dilation)
