"""Networks of the sizes and foldings that the leading flow publishes, with random parameters.

Cycles and area depend on sizes, types and folding alone; accuracy is no matter here. Thresholds lie
in the middle of what sums can be, so that neurons change with the image and with faults.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from flow.ir import Array, Edge, Graph, IntType, Node, Op
from flow.ops import ArgMax, MatVec, MaxPool, Reshape, Threshold, Window
from flow.schedule import Folding

BIPOLAR = IntType.bipolar1()


@dataclass(frozen=True, slots=True)
class Published:
    """A network with the folding of finn-examples, and the cycles per frame that follow."""

    graph: Graph
    folding: dict[str, Folding]
    cycles: int


class _Chain:
    """Nodes one after the other."""

    def __init__(self, shape: tuple[int, ...], kind: IntType, *, weights: IntType, acts: IntType):
        self.rng = np.random.default_rng(0)
        self.edge, self.kind, self.shape = Edge(shape, kind), kind, shape
        self.weights, self.acts = weights, acts
        self.nodes: list[Node] = []
        self.source, self.accumulator, self.middle = "x", kind, 0

    def add(self, name: str, op: Op) -> None:
        self.nodes.append(Node(name, op, (self.source,), f"{name}_o"))
        self.source = f"{name}_o"

    def layer(self, number: int, rows: int, columns: int, *, positions: int = 1) -> None:
        popcount = self.kind.bipolar and self.weights.bipolar
        most = columns * max(abs(self.kind.lo), self.kind.hi) * abs(self.weights.lo)
        holding = IntType.holding(0, columns) if popcount else IntType.holding(-most, most)
        values = self._codes((rows, columns))
        op = MatVec(values, self.weights, holding, popcount=popcount, positions=positions)
        self.add(f"fc{number}", op)
        self.accumulator = holding
        self.middle = (
            columns // 2 if popcount else 0
        )  # not of the type: a neuron that never changes

    def activation(self, number: int, channels: int) -> None:
        lo, hi = self.accumulator.lo, self.accumulator.hi
        steps = self.acts.hi - self.acts.lo if not self.acts.bipolar else 1
        levels = self.middle + np.arange(steps) - steps // 2 + np.zeros((channels, 1), dtype=int)
        kind = IntType.holding(lo, hi + 1)
        signs = np.ones(channels, dtype=int)
        base = 0 if self.acts.bipolar else self.acts.lo
        self.add(f"act{number}", Threshold(levels, kind, signs, base, self.acts))
        self.kind = self.acts

    def done(self, name: str, pairs: list[tuple[int, int]], cycles: int) -> Published:
        self.add("argmax", ArgMax())
        graph = Graph(name, "x", self.edge, tuple(self.nodes), self.source)
        folding = {f"fc{i}": Folding(*pair) for i, pair in enumerate(pairs)}
        return Published(graph, folding, cycles)

    def _codes(self, shape: tuple[int, int]) -> Array:
        if self.weights.bipolar:
            return self.rng.choice([-1, 1], shape)
        return self.rng.integers(self.weights.lo, self.weights.hi + 1, shape)


def fully_connected(
    name: str, sizes: list[int], pairs: list[tuple[int, int]], cycles: int
) -> Published:
    """Binary layers of ``sizes`` on a binary input."""
    chain = _Chain((sizes[0],), BIPOLAR, weights=BIPOLAR, acts=BIPOLAR)
    for number, (columns, rows) in enumerate(pairwise(sizes)):
        if number:
            chain.activation(number - 1, columns)
        chain.layer(number, rows, columns)
    return chain.done(name, pairs, cycles)


def tfc() -> Published:
    """TFC-w1a1."""
    pairs = [(16, 49), (8, 8), (8, 8), (10, 8)]
    return fully_connected("tfc-w1a1", [784, 64, 64, 64, 10], pairs, 64)


def lfc() -> Published:
    """LFC-w1a1."""
    pairs = [(32, 49), (64, 32), (32, 64), (10, 8)]
    return fully_connected("lfc-w1a1", [784, 1024, 1024, 1024, 10], pairs, 512)


def cnv(bits: int) -> Published:
    """CNV-w1a1 or CNV-w2a2: 3x3 convolutions without padding, two pools, three layers."""
    weights, acts = (BIPOLAR, BIPOLAR) if bits == 1 else (IntType.parse("s2"), IntType(2))
    chain = _Chain((32, 32, 3), IntType(8), weights=weights, acts=acts)
    channels = 3
    for number, (rows, pooled) in enumerate(
        [(64, False), (64, True), (128, False), (128, True), (256, False), (256, False)]
    ):
        chain.add(f"window{number}", Window((3, 3)))
        chain.layer(number, rows, 9 * channels, positions=9)
        chain.activation(number, rows)
        channels = rows
        if pooled:
            chain.add(f"pool{number}", MaxPool((2, 2), (2, 2)))
    chain.add("flat", Reshape((256,)))
    for number, (columns, rows) in enumerate([(256, 512), (512, 512), (512, 10)], start=6):
        chain.layer(number, rows, columns)
        if number < 8:
            chain.activation(number, rows)
    if bits == 1:
        pairs = [(16, 3), (32, 32), (16, 32), (16, 32), (4, 32), (1, 32), (1, 4), (1, 8), (5, 1)]
        return chain.done("cnv-w1a1", pairs, 32_768)
    pairs = [(8, 3), (16, 16), (8, 16), (8, 16), (4, 8), (1, 8), (1, 2), (2, 2), (5, 1)]
    return chain.done("cnv-w2a2", pairs, 115_200)
