"""Any k flips in the last two layers of a fixed input, exactly: how far a rival can get ahead.

Bits of different hidden neurons are different bits, and so are those of different columns of the
last product. So the flips are divided among neurons, and what a neuron adds to the lead of a rival
is convex in its level: only the least and the largest level that its share of the flips can reach
matter, each with the best flips of the two last weights that read it. Both levels are attained.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow.certify.box import Box, product_bound
from flow.certify.code_moves import most_moved, moves_of
from flow.certify.margins import last_product
from flow.certify.subset import BitSubset
from flow.certify.threshold_flips import level_range
from flow.certify.weight_flips import Moves, Rows, top_gains
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.ir import Array, Graph, Node
from flow.ops import Add, Decode, MatVec, Threshold

_NONE = np.zeros(0, dtype=np.int64)
_HELD = 1 << 22  # gains held at once


@dataclass(frozen=True, slots=True)
class Suffix:
    """The last product of a vector, the Add that scales its sums, and the dense product and its
    staircase in front where bits of these may flip (``hidden`` and ``act``, both or neither)."""

    graph: Graph
    last: Node
    add: Node | None
    hidden: Node | None = None
    act: Node | None = None

    @classmethod
    def of(cls, graph: Graph, subset: BitSubset) -> Suffix:
        """The suffix of ``graph``, in which all bits of ``subset`` must lie.

        Raises:
            InputError: they do not, or the graph does not end in a product and ArgMax.
        """
        end = last_product(graph)
        if end is None or len(graph.edge(end[0].inputs[0]).shape) != 1:
            raise InputError(
                f"edge {graph.logits!r}: no sums of one dense layer; certify without --exact"
            )
        last, add = end
        hidden, act = _in_front(graph, last)
        own = [node.name for node in (hidden, act, last) if node is not None]
        struck = [n for n in graph.nodes if n.op.stored and subset.of(n.name, n.op)]
        for node in struck:
            if node.name not in own:
                raise InputError(
                    f"node {node.name!r}: --exact is about bits of {', '.join(own)}; "
                    "choose them with --layer"
                )
        if all(node is last for node in struck):
            hidden = act = None
        return cls(graph, last, add, hidden, act)

    def bits(self, node: Node, subset: BitSubset, parameter: str) -> Array:
        """The positions of the bits of a code of ``parameter`` that may flip."""
        return subset.of(node.name, node.op).get(parameter, _NONE)

    @property
    def scale(self) -> Array:
        """What each class's sum is multiplied by."""
        classes = self.graph.edge(self.graph.logits).shape[0]
        ones: Array = np.ones(classes, dtype=np.int64)
        if self.add is not None and isinstance(self.add.op, Add):
            ones = np.broadcast_to(self.add.op.multipliers[0], classes)
        return ones

    @property
    def offset(self) -> Array:
        """What is added to each class's scaled sum; to twice of it for a popcount."""
        op, classes = self.last.op, self.graph.edge(self.graph.logits).shape[0]
        assert isinstance(op, MatVec)
        found: Array = np.zeros(classes, dtype=np.int64)
        if self.add is not None and isinstance(self.add.op, Add):
            found = np.broadcast_to(self.add.op.offset, classes)
        return 2 * found + self.scale * op.weights.shape[1] if op.popcount else found


def _in_front(graph: Graph, last: Node) -> tuple[Node | None, Node | None]:
    """A dense product and its staircase that ``last`` alone reads, or nothing."""
    act = graph.producer(last.inputs[0])
    hidden = None if act is None else graph.producer(act.inputs[0])
    if act is None or hidden is None or not isinstance(act.op, Threshold):
        return None, None
    if not isinstance(hidden.op, MatVec) or hidden.op.groups != 1:
        return None, None
    flat = len(graph.edge(hidden.inputs[0]).shape) == 1
    readers = [name for node in graph.nodes for name in node.inputs]
    alone = readers.count(act.output) == 1 and readers.count(hidden.output) == 1
    return (hidden, act) if flat and alone else (None, None)


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """``low[m]`` and ``high[m]`` (flips + 1, images, neurons) are the levels that m flips of a
    neuron's own bits can make of what ``last`` reads, ``clean``; both are attained where
    ``fits[m]`` (flips + 1, images): no register in front can wrap."""

    clean: Array
    low: Array
    high: Array
    fits: NDArray[np.bool_]
    sums: Array  # (images, neurons), and how far m flips move them
    up: Array
    down: Array


def reach(suffix: Suffix, x: Array, *, flips: int, subset: BitSubset) -> Reach:
    """The levels of every neuron under up to ``flips`` flips, for every image.

    Raises:
        InputError: sums are too large for exact bounds.
    """
    graph, hidden, act = suffix.graph, suffix.hidden, suffix.act
    names = (suffix.last.inputs[0], *(hidden.inputs if hidden is not None else ()))
    values = BatchedEngine(graph).run_edges(x, tuple(dict.fromkeys(names)))
    clean = values[suffix.last.inputs[0]].astype(np.int64)
    fits = np.ones((flips + 1, len(x)), dtype=np.bool_)
    still = np.broadcast_to(clean, (flips + 1, *clean.shape))
    if hidden is None or act is None:
        return Reach(clean, still, still, fits, clean, 0 * still, 0 * still)
    op, stairs = hidden.op, act.op
    assert isinstance(op, MatVec)
    assert isinstance(stairs, Threshold)
    seen = values[hidden.inputs[0]].astype(np.int64)
    sums, up, down = _sums(suffix, hidden, seen, flips, subset)
    kind, bits = op.accumulator, subset.of(act.name, stairs)
    inside: NDArray[np.bool_] = (sums - down >= kind.code_lo) & (sums + up <= kind.code_hi)
    fits = np.logical_and.reduce(inside, axis=2)
    low, high = [], []
    for m in range(flips + 1):
        parts = [
            level_range(stairs, Box(sums - down[s], sums + up[s]), flips=m - s, bits=bits)
            for s in range(m + 1)
        ]
        low.append(np.minimum.reduce([part.lo for part in parts]))
        high.append(np.maximum.reduce([part.hi for part in parts]))
    return Reach(clean, np.array(low), np.array(high), fits, sums, up, down)


def _sums(
    suffix: Suffix, hidden: Node, seen: Array, flips: int, subset: BitSubset
) -> tuple[Array, Array, Array]:
    """The sums over ``seen`` (images, neurons), and how far up to ``flips`` flips move them."""
    op = hidden.op
    assert isinstance(op, MatVec)
    bound = product_bound(op, suffix.graph.edge(hidden.inputs[0]))
    if bound >= 1 << 56:
        raise InputError(f"node {hidden.name!r}: exact below 2**56; narrow weights or inputs")
    moves = moves_of(op, suffix.bits(hidden, subset, "weights"), flips=flips)
    rows, point = Rows(op.read, moves, bound), Box(seen, seen)
    sums = rows.highest(point)
    if op.decode is Decode.PLAIN:  # the flips of a row add up: the largest gains count
        up, down = (np.array(_gains(part, point, flips)) for part in (rows, rows.negated()))
    else:
        up, down = most_moved(moves, seen, flips=flips)
    if op.popcount:
        sums, up, down = (sums + op.weights.shape[1]) // 2, up // 2, down // 2
    return sums, up, down


def _gains(rows: Rows, point: Box, flips: int) -> list[Array]:
    if not rows.moves.flips:
        return [np.zeros((len(point), len(rows.weights)), dtype=np.int64)] * (flips + 1)
    return top_gains(rows, point, flips, together=True)


def most_added(found: Reach, worth: Array, moves: Moves) -> Array:
    """(flips + 1, images, rows): the most that so many flips add to each row's sum.

    Args:
        worth: (rows, neurons) weights as read; moves: what flips of their own bits make of them.
    """
    flips, images = len(found.low) - 1, len(found.clean)
    best = np.zeros((flips + 1, images, len(worth)), dtype=np.int64)
    at_once = max(1, _HELD // max(1, (flips + 1) * images * len(worth)))
    for first in range(0, worth.shape[1], at_once):
        gains = added(found, worth, moves, slice(first, first + at_once))
        for gain in np.moveaxis(gains, -1, 0):
            for q in range(flips, 0, -1):
                best[q] = (best[q::-1] + gain[: q + 1]).max(axis=0)
    return best


def added(found: Reach, worth: Array, moves: Moves, neurons: slice) -> Array:
    """(flips + 1, images, rows, neurons): the most that so many flips of one neuron's bits and of
    the weights that read it add to a row's sum."""
    flips = len(found.low) - 1
    best: Array = np.zeros((flips + 1, len(found.clean), *worth[:, neurons].shape), dtype=np.int64)
    for own, t, gain in _shares(found, worth, moves, neurons, flips):
        best[own + t] = np.maximum(best[own + t], gain)
    return np.maximum.accumulate(best, axis=0)


def _shares(
    found: Reach, worth: Array, moves: Moves, neurons: slice, flips: int
) -> Iterator[tuple[int, int, Array]]:
    """(own flips, flips of the weights, what they add) at each end of the levels."""
    for own in range(flips + 1):
        for ends in (found.low, found.high):
            level = ends[own][:, None, neurons]
            rise = worth[:, neurons] * (level - found.clean[:, None, neurons])
            for t in range(flips + 1 - own):
                yield own, t, rise + weight_gain(moves, level, t, neurons)


def weight_gain(moves: Moves, level: Array, flips: int, neurons: slice) -> Array | int:
    """What ``flips`` flips of the weights that read a level add to its products."""
    kept = min(flips, moves.flips)
    if kept == 0:
        return 0
    up, down = moves.up[kept - 1][:, neurons], moves.down[kept - 1][:, neurons]
    gain: Array = np.where(level >= 0, up * level, -down * level)
    return gain
