"""Proof trees once more, node by node in Python integers, for the checker alone.

A leaf is recomputed from the graph: intervals forward, then the Lagrangian bound of its
multipliers backward through the nodes as they stand. Splits cover by construction: every integer
is at most ``most`` or above it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import product
from typing import Any

from flow.certify.plain_bounds import Interval, bounds
from flow.certify.proof import INPUT, SCALE_BITS, Leaf, RivalProof, Split, Step
from flow.ir import Graph, Node
from flow.ops import Add, Threshold

Limits = dict[str, dict[int, Interval]]
Part = tuple[list[Interval], Limits]
_ANY = -(2**64), 2**64  # beyond every register


def proof_holds(
    graph: Graph, image: list[int], label: int, radius: int, proof: tuple[RivalProof, ...]
) -> bool:
    """Whether the trees show that no rival wins within ``radius`` of ``image``.

    Raises:
        InputError: the graph has a layer that this checker does not know.
    """
    kind = graph.input_edge.type
    if kind.bipolar:
        box = [(-1, 1) if radius >= 2 else (v, v) for v in image]
    else:
        box = [(max(kind.lo, v - radius), min(kind.hi, v + radius)) for v in image]
    replay = _Replay(graph, label)
    rivals = [tree.rival for tree in proof]
    if sorted([*rivals, label]) != list(range(graph.edge(graph.logits).shape[0])):
        return False
    return all(replay.tree(tree.rival, iter(tree.steps), box) for tree in proof)


class _Replay:
    """The nodes of one graph, with what each staircase does at its corners."""

    def __init__(self, graph: Graph, label: int) -> None:
        self.label = label
        self.nodes: list[Node] = list(graph.nodes[:-1])
        self.ends_in_levels = bool(self.nodes) and isinstance(self.nodes[-1].op, Threshold)
        self.corners = {
            node.name: _corners(node.op) for node in self.nodes if isinstance(node.op, Threshold)
        }
        self.bipolar = graph.input_edge.type.bipolar
        self._seen: tuple[list[Interval], int, list[list[Interval]], bool] | None = None

    def tree(self, rival: int, steps: Iterator[Step], box: list[Interval]) -> bool:
        """Whether every leaf of the preorder decides its part, and nothing is left over."""
        waiting: list[Part] = [(box, {})]
        for step in steps:
            if not waiting:
                return False
            inputs, limits = waiting.pop()
            if isinstance(step, Leaf):
                if not self._leaf(rival, step, inputs, limits):
                    return False
                continue
            halves = self._halves(step, inputs, limits)
            if halves is None:
                return False
            waiting.extend(reversed(halves))
        return not waiting

    def _halves(self, split: Split, inputs: list[Interval], limits: Limits) -> list[Part] | None:
        if split.place == INPUT:
            if not 0 <= split.index < len(inputs):
                return None
            low, high = inputs[split.index]
            above = split.most + 1
            if self.bipolar and above <= 1:
                above = -1 if above <= -1 else 1  # no input lies between the two
            parts = [(low, min(high, split.most)), (max(low, above), high)]
            return [
                ([*inputs[: split.index], part, *inputs[split.index + 1 :]], limits)
                for part in parts
            ]
        if split.place not in self.corners or not 0 <= split.index < len(self.corners[split.place]):
            return None
        own = limits.get(split.place, {})
        low, high = own.get(split.index, _ANY)
        parts = [(low, min(high, split.most)), (max(low, split.most + 1), high)]
        return [(inputs, {**limits, split.place: {**own, split.index: part}}) for part in parts]

    def _leaf(self, rival: int, leaf: Leaf, inputs: list[Interval], limits: Limits) -> bool:
        if any(low > high for low, high in inputs):
            return True
        found = self._forward(inputs, limits)
        if found is None:
            return True
        seen, fits = found
        strict = 1 if rival < self.label else 0
        if leaf.multipliers is None:
            return seen[-1][self.label][0] - seen[-1][rival][1] >= strict
        return fits and self._bound_holds(rival, leaf.multipliers, seen)

    def _forward(
        self, inputs: list[Interval], limits: Limits
    ) -> tuple[list[list[Interval]], bool] | None:
        """The intervals of every edge and whether no register wraps; None if a part is empty."""
        if self._seen is None or self._seen[0] is not inputs:
            self._seen = (inputs, *self._sums(inputs))
        _, start, before, fits = self._seen
        seen = [list(edge) for edge in before]
        for node in self.nodes[start:]:
            if isinstance(node.op, Threshold):
                for index, (low, high) in limits.get(node.name, {}).items():
                    own = seen[-1][index]
                    seen[-1][index] = (max(own[0], low), min(own[1], high))
                    if seen[-1][index][0] > seen[-1][index][1]:
                        return None
            else:
                fits = fits and _fits(node.op, seen[-1])
            seen.append(bounds(node.op, seen[-1]))
        return seen, fits

    def _sums(self, inputs: list[Interval]) -> tuple[int, list[list[Interval]], bool]:
        """Edges up to the first staircase: the same for all parts with these inputs."""
        seen, fits = [inputs], True
        for place, node in enumerate(self.nodes):
            if isinstance(node.op, Threshold):
                return place, seen, fits
            fits = fits and _fits(node.op, seen[-1])
            seen.append(bounds(node.op, seen[-1]))
        return len(self.nodes), seen, fits

    def _bound_holds(
        self, rival: int, multipliers: tuple[tuple[int, ...], ...], seen: list[list[Interval]]
    ) -> bool:
        """Whether the largest lead in the last sums stays below what the rival needs."""
        nodes = self.nodes[:-1] if self.ends_in_levels else self.nodes
        thresholds = [node for node in nodes if isinstance(node.op, Threshold)]
        widths = [len(self.corners[node.name]) for node in thresholds]
        if [len(m) for m in multipliers] != widths or any(v % 2 for m in multipliers for v in m):
            return False
        scale = 2**SCALE_BITS
        need = 1 if rival > self.label else 0
        if self.ends_in_levels:
            least = self._least_lead(rival, seen[-2])
            if least is None:
                return True
            need = least
        pull = [0] * len(seen[len(nodes)])
        pull[rival], pull[self.label] = scale, -scale
        left, total = list(multipliers), 0
        for place in reversed(range(len(nodes))):
            op = nodes[place].op
            if isinstance(op, Threshold):
                cost = left.pop()
                corners = self.corners[nodes[place].name]
                for own, gain, rent, ends in zip(corners, pull, cost, seen[place], strict=True):
                    total += _highest(own, gain, rent, ends)
                pull = list(cost)
            else:
                pull, shift = _pulled(op, pull)
                total += shift
        total += sum(max(p * low, p * high) for p, (low, high) in zip(pull, seen[0], strict=True))
        holds: bool = total < need * scale
        return holds

    def _least_lead(self, rival: int, sums: list[Interval]) -> int | None:
        """The least lead in sums with which the rival's level beats the label's; None if none."""
        corners = self.corners[self.nodes[-1].name]
        own, other = (_inside(corners[c], sums[c]) for c in (self.label, rival))
        ahead = 1 if rival > self.label else 0
        leads = [b - a for (a, low), (b, high) in product(own, other) if high - low >= ahead]
        return min(leads, default=None)


Corners = list[tuple[int, int]]  # inputs at which the level may change, and the level there


def _corners(op: Threshold) -> list[Corners]:
    """Per channel every threshold and the integer before it, in order, with their levels."""
    found: list[dict[int, int]] = [{} for _ in op.thresholds]
    for step in range(op.thresholds.shape[1]):
        for before in (0, 1):
            at = [int(t) - before for t in op.thresholds[:, step]]
            for own, x, (level, _) in zip(found, at, bounds(op, [(x, x) for x in at]), strict=True):
                own[x] = level
    return [sorted(own.items()) for own in found]


def _inside(corners: Corners, ends: Interval) -> Corners:
    """The corners within ``ends``, and ``ends`` themselves: where a maximum can be."""
    low, high = ends
    start, stop = bisect_left(corners, (low,)), bisect_left(corners, (high + 1,))
    found = corners[start:stop]
    for end, later in ((low, start), (high, bisect_left(corners, (high,)))):
        found.append((end, corners[min(later, len(corners) - 1)][1]))
    return found


def _highest(corners: Corners, gain: int, rent: int, ends: Interval) -> int:
    return max(gain * level - rent * x for x, level in _inside(corners, ends))


def _pulled(op: Any, pull: list[int]) -> tuple[list[int], int]:
    """The coefficients of the op's input, and the constant that its offsets add."""
    if isinstance(op, Add):
        lines = _lines(op, len(pull))
        shift = sum(p * offset for p, (_, offset) in zip(pull, lines, strict=True))
        return [p * scale for p, (scale, _) in zip(pull, lines, strict=True)], shift
    rows = op.read.tolist()
    used = [(p, row) for p, row in zip(pull, rows, strict=True) if p]
    found = [0] * len(rows[0])
    for p, row in used:
        found = [have + p * weight for have, weight in zip(found, row, strict=True)]
    if not op.popcount:
        return found, 0
    columns = len(rows[0])
    return [f // 2 for f in found], sum(p // 2 for p in pull) * columns


def _fits(op: Any, inputs: list[Interval]) -> bool:
    """Whether no sum can leave the register of a product or an Add."""
    for low, high in _sums(op, inputs):
        if low < op.accumulator.code_lo or high > op.accumulator.code_hi:
            return False
    return True


def _sums(op: Any, inputs: list[Interval]) -> Iterator[Interval]:
    if isinstance(op, Add):
        for (low, high), (scale, offset) in zip(inputs, _lines(op, len(inputs)), strict=True):
            yield min(scale * low, scale * high) + offset, max(scale * low, scale * high) + offset
        return
    for row in op.read.tolist():
        ends = [(w * low, w * high) for w, (low, high) in zip(row, inputs, strict=True)]
        low, high = sum(map(min, ends)), sum(map(max, ends))
        yield ((low + len(row)) // 2, (high + len(row)) // 2) if op.popcount else (low, high)


def _lines(op: Add, channels: int) -> list[tuple[int, int]]:
    scales, offsets = op.multipliers[0].tolist(), op.offset.tolist()
    return [(scales[c % len(scales)], offsets[c % len(offsets)]) for c in range(channels)]
