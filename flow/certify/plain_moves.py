"""Multipliers of moved weights once more, in Python integers and fractions, for the checker alone.

All coefficients are whole multiples of one unit that every layer's halves and every epsilon
divide, so nothing is rounded anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from flow.certify.plain_bounds import groups, taps
from flow.certify.plain_proof import backward, of_maximum
from flow.certify.proof import SCALE_BITS, Leaf
from flow.ir import Edge, Graph, Node
from flow.ops import MatVec, MaxPool, Threshold

Ends = tuple[Any, Any]  # object arrays, (1, *shape)


@dataclass(frozen=True, slots=True, eq=False)
class MovedPart:
    """One image's claim: the ends of every edge, the elements of registers that may wrap, what
    every edge is without moves, and by how much the weights of ``layers`` may move."""

    graph: Graph
    ends: dict[str, Ends]
    wraps: dict[str, Any]
    clean: dict[str, Any]
    layers: set[str]
    epsilon: Fraction

    @property
    def units(self) -> list[Node]:
        """What is no affine map."""
        return [n for n in self.graph.nodes if isinstance(n.op, (Threshold, MaxPool))]


def leaf_holds(part: MovedPart, label: int, rival: int, leaf: Leaf) -> bool:
    """Whether ``rival`` stays behind ``label`` by the multipliers of ``leaf``."""
    graph, edges = part.graph, part.graph.edges()
    last = graph.producer(graph.logits)
    if leaf.multipliers is None or (last is not None and isinstance(last.op, Threshold)):
        return False
    if leaf.weights != (1, 1) or [len(m) for m in leaf.multipliers] != list(_widths(part)):
        return False
    products = sum(isinstance(node.op, MatVec) for node in graph.nodes)
    finer = (2 * part.epsilon.denominator) ** products
    costs = {
        node.name: np.array([v * finer for v in m], dtype=object)
        for node, m in zip(part.units, leaf.multipliers, strict=True)
    }
    lead = np.zeros(edges[graph.logits].shape, dtype=object)
    lead[rival], lead[label] = (finer << SCALE_BITS), -(finer << SCALE_BITS)
    pulls: dict[str, Any] = {graph.logits: lead[None]}
    total: Any = 0
    for node in reversed(graph.nodes[:-1]):
        pull = pulls.pop(node.output, None)
        if pull is None:
            continue
        parts, more = _back(part, node, pull, costs.get(node.name), edges)
        total += more
        for name, own in zip(node.inputs, parts, strict=True):
            pulls[name] = pulls[name] + own if name in pulls else own
    if graph.input in pulls:
        low, high = part.ends[graph.input]
        total += np.maximum(pulls[graph.input] * low, pulls[graph.input] * high).sum()
    return bool(total < 0 or (total == 0 and rival > label))


def _widths(part: MovedPart) -> Sequence[int]:
    found = []
    for node in part.units:
        ends = part.ends[node.inputs[0]][0]
        found.append((taps(node.op, ends) if isinstance(node.op, MaxPool) else ends).size)
    return found


def _back(
    part: MovedPart, node: Node, pull: Any, cost: Any, edges: dict[str, Edge]
) -> tuple[list[Any], Any]:
    """The coefficients of the node's inputs, and what its own part adds at most."""
    if isinstance(node.op, Threshold):
        return [cost.reshape(pull.shape)], _staircase(
            node.op, pull, cost, part.ends[node.inputs[0]]
        )
    if isinstance(node.op, MaxPool):
        edge = edges[node.inputs[0]]
        return of_maximum(node.op, pull, tuple(cost), part.ends[node.inputs[0]], edge)
    total: Any = 0
    wraps = part.wraps[node.name] if node.name in part.wraps else np.zeros(1, dtype=bool)
    if wraps.any():
        low, high = part.ends[node.output]
        total = np.where(wraps, np.maximum(pull * low, pull * high), 0).sum()
        pull = np.where(wraps, 0, pull)
    parts, more = backward(node.op, pull, [edges[name] for name in node.inputs])
    total += more
    if node.name in part.layers:
        slope, more = _charge(part, node, pull)
        parts, total = [parts[0] + slope], total + more
    return parts, total


def _charge(part: MovedPart, node: Node, pull: Any) -> tuple[Any, Any]:
    """What moves of the layer add at most: coefficients of its input, and a constant."""
    op, epsilon = node.op, part.epsilon
    assert isinstance(op, MatVec)
    if op.popcount:
        pull = pull // 2
    (low, high), middle = part.ends[node.inputs[0]], part.clean[node.inputs[0]]
    single = pull.ndim == 2
    slope, constant = np.zeros(low.shape, dtype=object), Fraction(0)
    for rows, columns, _ in groups(op):
        weight = abs(pull[..., rows]).sum(axis=-1) * epsilon.numerator // epsilon.denominator
        for at in np.ndindex(weight.shape):
            for column in columns.tolist():
                spot = (*at, column)
                z = 0 if single else int(middle[spot])
                turn, rest = _upper_line(low[spot], high[spot], z)
                slope[spot] += turn * weight[at]
                constant += weight[at] * rest
        if not single:
            seen = middle[..., columns].reshape(-1, len(columns)).astype(object)
            met = pull[..., rows].reshape(-1, len(rows)).T @ seen
            constant += abs(met).sum() * epsilon
    return slope, constant


def _upper_line(low: Any, high: Any, z: int) -> tuple[int, Any]:
    """Slope and constant of a line above ``|v - z|`` for v from ``low`` to ``high``."""
    if low == high:
        return 0, abs(low - z)
    if low >= z:
        return 1, -z
    if high <= z:
        return -1, z
    return 0, max(high - z, z - low)


def _staircase(op: Threshold, pull: Any, cost: Any, ends: Ends) -> Any:
    """The largest ``pull . level - cost . x`` over real x, level by level at both its ends."""
    channels, total = len(op.thresholds), 0
    lows, highs = (end.ravel().tolist() for end in ends)
    wanted: list[list[int]] = []
    for k, (low, high) in enumerate(zip(lows, highs, strict=True)):
        own = op.thresholds[k % channels].tolist()
        starts = {t for t in own if low < t <= high}
        wanted.append([low // 1, high // 1, *(t for s in starts for t in (s - 1, s))])
    values = _levels(op, wanted)
    for k, (gain, rent) in enumerate(zip(pull.ravel().tolist(), cost.tolist(), strict=True)):
        low, high, at = lows[k], highs[k], dict(zip(wanted[k], values[k], strict=True))
        found = [gain * at[low // 1] - rent * low, gain * at[high // 1] - rent * high]
        for t in wanted[k][3::2]:  # a level starts at t, the one before it ends there
            found += [gain * at[t] - rent * t, gain * at[t - 1] - rent * t]
        total += max(found)
    return total


def _levels(op: Threshold, wanted: list[list[int]]) -> list[list[int]]:
    """The op at integers of every element; elements repeat its channels."""
    channels = len(op.thresholds)
    most = max(map(len, wanted))
    table = np.zeros((most, len(wanted)), dtype=np.int64)
    for k, points in enumerate(wanted):
        table[: len(points), k] = points
    found = op.evaluate(table.reshape(-1, channels)).reshape(table.shape).tolist()
    return [[row[k] for row in found[: len(points)]] for k, points in enumerate(wanted)]
