"""Channels that carry one constant, or that nothing reads, go with the rows that make them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flow.ir import Array, Graph, IntType, Node
from flow.ops import MatVec, Threshold
from flow.passes.accumulators import Policy, accumulator_type, never_wraps, register_range
from flow.passes.reach import Span, reach
from flow.passes.rewire import readers


def remove_channels(graph: Graph) -> Graph:
    """Remove channels of product, thresholds, product where nothing else reads between them.

    A channel goes that gives one level for every value its input can have under any stored codes of
    the nodes before it, or that the second product multiplies by 0 alone. What the constant adds to
    each sum moves into the thresholds behind; where there are none it must be 0. The class and all
    edges but the narrower ones and that sum keep their values. The stored bits of the channel go: a
    fault in them cannot be asked about any more. One channel always stays.
    """
    for node in graph.nodes:
        if isinstance(node.op, Threshold):
            found = _around(graph, node.name)
            graph = graph if found is None else found.shortened(graph)
    return graph


@dataclass(frozen=True, slots=True)
class _Place:
    """A product, its thresholds, the product that reads them, and thresholds of that if any."""

    before: Node
    first: MatVec
    node: Node
    levels: Threshold
    after: Node
    last: MatVec
    behind: Node | None
    span: Span  # of what the levels read

    def shortened(self, graph: Graph) -> Graph:
        gone, shift = self._constant()
        if not gone.any():
            return graph
        x = self.levels.output
        kept = ~gone
        last = replace(self.last, weights=self.last.weights[:, kept])
        if not never_wraps(last, x):
            last = replace(last, accumulator=accumulator_type(last, x, Policy.EXACT))
        ops: dict[str, MatVec | Threshold] = {
            self.before.name: replace(self.first, weights=self.first.weights[kept]),
            self.node.name: replace(
                self.levels, thresholds=self.levels.thresholds[kept], sign=self.levels.sign[kept]
            ),
            self.after.name: last,
        }
        if self.behind is not None and isinstance(self.behind.op, Threshold):
            low, high = register_range(last, x)
            table = np.clip(self.behind.op.thresholds - shift[:, None], low, high + 1)
            kind = IntType.holding(low, high + 1)
            ops[self.behind.name] = replace(self.behind.op, thresholds=table, threshold_type=kind)
        return graph.map(lambda n: replace(n, op=ops[n.name]) if n.name in ops else n)

    def _constant(self) -> tuple[NDArray[np.bool_], Array]:
        """Which channels go, and what they add to each sum of the second product."""
        channels = self.levels.sign.size
        low, high = (self.levels.evaluate(np.full((1, channels), end))[0] for end in self.span)
        weights = self.last.read
        # Both compare forms are monotone, sorted or not: equal at both ends is equal everywhere.
        adds = weights * low
        if self.last.popcount:
            adds = (adds + 1) // 2  # 1 where weight and level agree
        gone: NDArray[np.bool_] = low == high
        if self.behind is None:
            gone &= (adds == 0).all(axis=0)
        gone |= (weights == 0).all(axis=0)
        if gone.all():
            gone[0] = False
        return gone, np.where(gone, adds, 0).sum(axis=1)


def _around(graph: Graph, name: str) -> _Place | None:
    """The place of Threshold ``name``, if it lies between two products that it can shorten."""
    users = readers(graph)
    node = graph.node(name)
    before = next((n for n in graph.nodes if n.output == node.inputs[0]), None)
    if before is None or len(users[before.output]) != 1 or len(users[node.output]) != 1:
        return None
    after = users[node.output][0]
    first, levels, last = before.op, node.op, after.op
    if not (isinstance(first, MatVec) and isinstance(levels, Threshold)):
        return None
    if not isinstance(last, MatVec) or first.groups != 1 or last.groups != 1:
        return None
    if not never_wraps(last, levels.output):
        return None
    behind = users[after.output]
    moves = len(behind) == 1 and isinstance(behind[0].op, Threshold)
    span = reach(graph)[before.output]
    return _Place(before, first, node, levels, after, last, behind[0] if moves else None, span)
