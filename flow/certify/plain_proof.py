"""Proof trees once more, node by node in Python integers, for the checker alone.

A leaf is recomputed from the graph: intervals forward, then the Lagrangian bound of its
multipliers backward through the nodes as they stand. Splits cover by construction: every integer
is at most ``most`` or above it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from flow.certify.plain_bounds import (
    MOVES,
    REGISTERED,
    Ends,
    Interval,
    bounds,
    groups,
    origins,
    register,
    sums,
    taps,
)
from flow.certify.proof import INPUT, SCALE_BITS, Leaf, RivalProof, Split, Step
from flow.errors import InputError
from flow.ir import Array, Edge, Graph, Node
from flow.ops import Add, MatVec, MaxPool, Pad, SumPool, Threshold, Window

Limits = dict[str, dict[int, Interval]]
Part = tuple[Ends, Limits]
Corners = list[tuple[int, int]]  # inputs at which the level may change, and the level there
_ANY = -(2**64), 2**64  # beyond every register


def label_holds(graph: Graph, box: Ends, label: int) -> bool:
    """Whether intervals show that every input of ``box`` has ``label``: those of the logits, or
    of what the last affine ops read.

    Raises:
        InputError: the graph has a layer that this checker does not know.
    """
    replay = Replay(graph, label)
    rivals = [rival for rival in range(replay.classes) if rival != label]
    leaves = Leaf(), replay.nothing()
    return all(any(replay.leaf(rival, leaf, box, {}) for leaf in leaves) for rival in rivals)


def proof_holds(
    graph: Graph,
    box: Ends,
    label: int,
    proof: tuple[RivalProof, ...],
    limits: Limits | None = None,
) -> bool:
    """Whether the trees show that no rival wins anywhere in ``box``, where all that Thresholds read
    lies within ``limits``.

    Raises:
        InputError: the graph has a layer that this checker does not know.
    """
    replay = Replay(graph, label)
    rivals = [tree.rival for tree in proof]
    if sorted([*rivals, label]) != list(range(replay.classes)):
        return False
    known = limits or {}
    return all(replay.tree(tree.rival, iter(tree.steps), box, known) for tree in proof)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The intervals of every edge, and of which elements the register may wrap."""

    ends: dict[str, Ends]
    wraps: dict[str, Any]


class Replay:
    """The nodes of one graph, with what each staircase does at its corners."""

    def __init__(self, graph: Graph, label: int) -> None:
        self.graph, self.label, self.edges = graph, label, graph.edges()
        self.classes = self.edges[graph.logits].shape[0]
        self.nodes: list[Node] = list(graph.nodes[:-1])
        last = graph.producer(graph.logits)
        self.last = last if last is not None and isinstance(last.op, Threshold) else None
        self.corners = {
            node.name: level_corners(node.op)
            for node in self.nodes
            if isinstance(node.op, Threshold)
        }
        self.units = [
            node
            for node in self.nodes
            if isinstance(node.op, (Threshold, MaxPool)) and node is not self.last
        ]
        self.bipolar = graph.input_edge.type.bipolar
        self._start: tuple[Ends, int, _Seen] | None = None

    def nothing(self) -> Leaf:
        """Multipliers of 0: the bound of intervals and the last affine ops."""
        return Leaf(tuple((0,) * self._width(node) for node in self.units))

    def tree(self, rival: int, steps: Iterator[Step], box: Ends, limits: Limits) -> bool:
        """Whether every leaf of the preorder decides its part, and nothing is left over."""
        waiting: list[Part] = [(box, limits)]
        for step in steps:
            if not waiting:
                return False
            inputs, limits = waiting.pop()
            if isinstance(step, Leaf):
                if not self.leaf(rival, step, inputs, limits):
                    return False
                continue
            halves = self._halves(step, inputs, limits)
            if halves is None:
                return False
            waiting.extend(reversed(halves))
        return not waiting

    def leaf(self, rival: int, leaf: Leaf, inputs: Ends, limits: Limits) -> bool:
        """Whether no input of the part lets ``rival`` win, by intervals or by multipliers."""
        if (inputs[0] > inputs[1]).any():
            return True
        seen = self._forward(inputs, limits)
        if seen is None:
            return True
        if leaf.multipliers is None:
            low, high = seen.ends[self.graph.logits]
            return bool(low[0, self.label] - high[0, rival] >= (1 if rival < self.label else 0))
        return self._bound_holds(rival, leaf.multipliers, leaf.weights, seen)

    def _halves(self, split: Split, inputs: Ends, limits: Limits) -> list[Part] | None:
        if split.place == INPUT:
            if not 0 <= split.index < inputs[0].size:
                return None
            above = split.most + 1
            if self.bipolar and above <= 1:
                above = -1 if above <= -1 else 1  # no input lies between the two
            low, high = inputs[0].copy(), inputs[1].copy()
            high.flat[split.index] = min(int(high.flat[split.index]), split.most)
            low.flat[split.index] = max(int(low.flat[split.index]), above)
            return [((inputs[0], high), limits), ((low, inputs[1]), limits)]
        if split.place not in self.corners:
            return None
        size = self._width(self.graph.node(split.place))
        if not 0 <= split.index < size:
            return None
        own = limits.get(split.place, {})
        least, most = own.get(split.index, _ANY)
        parts = [(least, min(most, split.most)), (max(least, split.most + 1), most)]
        return [(inputs, {**limits, split.place: {**own, split.index: part}}) for part in parts]

    def _width(self, node: Node) -> int:
        """How many multipliers the unit has: one for every element that it sees."""
        edge = self.edges[node.inputs[0]]
        if isinstance(node.op, MaxPool):
            return int(taps(node.op, np.zeros((1, *edge.shape), dtype=np.int64)).size)
        return edge.elements

    def _forward(self, inputs: Ends, limits: Limits) -> _Seen | None:
        """The intervals of every edge; None where no input is left."""
        if self._start is None or self._start[0] is not inputs:
            seen = _Seen({self.graph.input: inputs}, {})
            stop = next(
                (k for k, node in enumerate(self.nodes) if isinstance(node.op, Threshold)),
                len(self.nodes),
            )
            self._through(self.nodes[:stop], seen, {})
            self._start = (inputs, stop, seen)
        _, stop, start = self._start
        seen = _Seen(dict(start.ends), dict(start.wraps))
        return seen if self._through(self.nodes[stop:], seen, limits) else None

    def _through(self, nodes: Sequence[Node], seen: _Seen, limits: Limits) -> bool:
        for node in nodes:
            if isinstance(node.op, Threshold) and node.name in limits:
                low, high = (end.copy() for end in seen.ends[node.inputs[0]])
                for index, (least, most) in limits[node.name].items():
                    low.flat[index] = max(int(low.flat[index]), least)
                    high.flat[index] = min(int(high.flat[index]), most)
                if (low > high).any():
                    return False
                seen.ends[node.inputs[0]] = (low, high)
            sources = [seen.ends[name] for name in node.inputs]
            try:
                if isinstance(node.op, REGISTERED):
                    kind, (low, high) = node.op.accumulator, sums(node.op, sources)
                    seen.wraps[node.name] = (low < kind.code_lo) | (high > kind.code_hi)
                    seen.ends[node.output] = register(kind, low, high)
                else:
                    seen.ends[node.output] = bounds(node.op, sources)
            except InputError as error:
                raise InputError(f"node {node.name!r}: {error}") from None
        return True

    def _bound_holds(
        self,
        rival: int,
        multipliers: tuple[tuple[int, ...], ...],
        weights: tuple[int, int],
        seen: _Seen,
    ) -> bool:
        """Whether the largest lead in the last sums stays below what the rival needs."""
        if [len(m) for m in multipliers] != [self._width(node) for node in self.units]:
            return False
        if any(v % 2 for m in multipliers for v in m):
            return False
        costs = dict(zip((node.name for node in self.units), multipliers, strict=True))
        scale, end = 2**SCALE_BITS, self.graph.logits
        need = 1 if rival > self.label else 0
        if min(weights) < 0 or (self.last is None and weights != (1, 1)):
            return False
        if self.last is not None:
            end = self.last.inputs[0]
            least = self.least_lead(rival, seen.ends[end], weights)
            if least is None:
                return True
            need = least
        lead = np.zeros(self.edges[end].shape, dtype=object)
        lead[rival], lead[self.label] = weights[0] * scale, -weights[1] * scale
        pulls, total = {end: lead[None]}, 0
        for node in reversed(self.nodes):
            pull = pulls.pop(node.output, None)
            if pull is None or node is self.last:
                continue
            parts, more = self._back(node, pull, costs, seen)
            total += more
            for name, part in zip(node.inputs, parts, strict=True):
                pulls[name] = pulls[name] + part if name in pulls else part
        pull = pulls.get(self.graph.input, np.zeros(1, dtype=object))
        low, high = seen.ends[self.graph.input]
        total += np.maximum(pull * low, pull * high).sum()
        return bool(total < need * scale)

    def _back(
        self, node: Node, pull: Array, costs: dict[str, tuple[int, ...]], seen: _Seen
    ) -> tuple[list[Array], int]:
        """The coefficients of the node's inputs, and what its own part adds at most."""
        edges = [self.edges[name] for name in node.inputs]
        if isinstance(node.op, Threshold):
            return _staircase(self.corners[node.name], pull, costs[node.name], seen, node)
        if isinstance(node.op, MaxPool):
            return of_maximum(node.op, pull, costs[node.name], seen.ends[node.inputs[0]], edges[0])
        total, wraps = 0, seen.wraps.get(node.name)
        if wraps is not None and wraps.any():
            low, high = seen.ends[node.output]
            total = int(np.where(wraps, np.maximum(pull * low, pull * high), 0).sum())
            pull = np.where(wraps, 0, pull)
        parts, more = backward(node.op, pull, edges)
        return parts, total + more

    def need(self, rival: int, ends: Ends) -> int | None:
        """The least lead in the last sums with which the rival wins; None if it never does."""
        if self.last is None:
            return 1 if rival > self.label else 0
        return self.least_lead(rival, ends, (1, 1))

    def least_lead(self, rival: int, ends: Ends, weights: tuple[int, int]) -> int | None:
        """The least lead in weighted sums with which the rival's level beats the label's, of all
        pairs of corners; None if there is none."""
        assert self.last is not None
        corners = self.corners[self.last.name]
        own, other = (
            corners_within(corners[c], (int(ends[0][0, c]), int(ends[1][0, c])))
            for c in (self.label, rival)
        )
        ahead = 1 if rival > self.label else 0
        more, less = weights
        leads = [
            more * b - less * a
            for (a, low), (b, high) in product(own, other)
            if high - low >= ahead
        ]
        return min(leads, default=None)


def level_corners(op: Threshold) -> list[Corners]:
    """Per channel every threshold and the integer before it, in order, with their levels."""
    found: list[dict[int, int]] = [{} for _ in op.thresholds]
    for step in range(op.thresholds.shape[1]):
        for before in (0, 1):
            at = op.thresholds[:, step] - before
            levels = op.evaluate(at[None])[0]
            for own, x, level in zip(found, at.tolist(), levels.tolist(), strict=True):
                own[x] = level
    return [sorted(own.items()) for own in found]


def corners_within(corners: Corners, ends: Interval) -> Corners:
    """The corners within ``ends``, and ``ends`` themselves: where a maximum can be."""
    low, high = ends
    start, stop = bisect_left(corners, (low,)), bisect_left(corners, (high + 1,))
    found = corners[start:stop]
    for end, later in ((low, start), (high, bisect_left(corners, (high,)))):
        found.append((end, corners[min(later, len(corners) - 1)][1]))
    return found


def _staircase(
    corners: list[Corners], pull: Array, cost: tuple[int, ...], seen: _Seen, node: Node
) -> tuple[list[Array], int]:
    low, high = (end.ravel().tolist() for end in seen.ends[node.inputs[0]])
    gains, total = pull.ravel().tolist(), 0
    for k, (gain, rent, least, most) in enumerate(zip(gains, cost, low, high, strict=True)):
        own = corners_within(corners[k % len(corners)], (least, most))
        total += max(gain * level - rent * x for x, level in own)
    return [np.array(cost, dtype=object).reshape(pull.shape)], total


def of_maximum(
    op: MaxPool, pull: Array, cost: tuple[int, ...], ends: Ends, edge: Edge
) -> tuple[list[Array], int]:
    """A MaxPool's costs as coefficients of its input, and the largest of its own part."""
    low, high = taps(op, ends[0]), taps(op, ends[1])
    rents = np.array(cost, dtype=object).reshape(low.shape)
    total = 0
    for place in np.ndindex(*pull.shape):
        own = (*place[:3], slice(None), place[3])
        triples = list(zip(rents[own], low[own].tolist(), high[own].tolist(), strict=True))
        total += _of_window(int(pull[place]), triples)
    window = Window(op.kernel, op.stride, op.dilation)
    return _moved_back(window, rents.reshape(1, *low.shape[1:3], -1), [edge])[0], total


def _of_window(gain: int, parts: list[tuple[int, int, int]]) -> int:
    """The largest ``gain * max(v) - rents . v`` over a box of ``v``."""
    free = [max(-rent * low, -rent * high) for rent, low, high in parts]
    if gain >= 0:  # it is the largest over which element counts as the maximum
        return sum(free) + max(
            max((gain - rent) * low, (gain - rent) * high) - own
            for own, (rent, low, high) in zip(free, parts, strict=True)
        )
    floor = max(low for _, low, _ in parts)
    tops = {floor, *(high for _, _, high in parts if high > floor)}
    return max(
        gain * top + sum(max(-rent * low, -rent * min(high, top)) for rent, low, high in parts)
        for top in tops
    )


def backward(op: Any, pull: Array, edges: Sequence[Edge]) -> tuple[list[Array], int]:
    """The coefficients of the op's inputs, and the constant that its offsets add."""
    if isinstance(op, Add):
        factors, offset = op.multipliers.astype(object), op.offset.astype(object)
        return [pull * factor for factor in factors], int((pull * offset).sum())
    if isinstance(op, SumPool):
        shape = taps(op, np.zeros((1, *edges[0].shape), dtype=np.int64)).shape
        spread = np.broadcast_to(pull[:, :, :, None], shape)
        spread = spread.reshape(1, *shape[1:3], -1)
        return _moved_back(Window(op.kernel, op.stride), spread, edges)
    if isinstance(op, MOVES):
        return _moved_back(op, pull, edges)
    if not isinstance(op, MatVec):
        raise InputError(f"the checker pulls nothing back through {type(op).__name__}")
    constant = 0
    if op.popcount:  # pulls are even here, by the multipliers
        pull = pull // 2
        constant = int(pull.sum()) * op.weights.shape[1]
    found = np.zeros((*pull.shape[:-1], op.weights.shape[1] * op.groups), dtype=object)
    for rows, columns, weights in groups(op):
        found[..., columns] = pull[..., rows] @ weights
    return [found], constant


def _moved_back(op: Any, pull: Array, edges: Sequence[Edge]) -> tuple[list[Array], int]:
    """Every element's coefficients, added up over the places it moved to."""
    sizes = [edge.elements for edge in edges]
    found, outside = [0] * sum(sizes), 0
    for source, own in zip(origins(op, edges).ravel().tolist(), pull.ravel().tolist(), strict=True):
        if source < 0:
            outside += own
        else:
            found[source] += own
    parts = np.split(np.array(found, dtype=object), np.cumsum(sizes)[:-1])
    shaped = [part.reshape(1, *edge.shape) for part, edge in zip(parts, edges, strict=True)]
    return shaped, outside * op.value if isinstance(op, Pad) else 0
