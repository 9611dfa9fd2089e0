"""Small networks whose registers hold every sum, so that linear bounds have something to say."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from flow.ir import Edge, Graph, IntType, Node
from flow.ops import Add, ArgMax, MatVec, Threshold
from tests.engine.chains import BIPOLAR, random_inputs, random_weights


def fitting_chain(seed):
    """Up to three products of four inputs, thresholds where values fall, sometimes quantized
    logits, scaled logits, popcounts, falling staircases or thresholds on the input."""
    rng = np.random.default_rng(seed)
    made = _Chain(Edge((4,), [IntType(3), IntType(3, declared=(0, 5)), BIPOLAR][rng.integers(3)]))
    if not made.edge.type.bipolar and rng.random() < 0.1:
        made.staircase(rng)
    hidden = int(rng.integers(1, 3))
    for _ in range(hidden):
        made.product(rng, int(rng.integers(3, 6)))
        if rng.random() < 0.2:
            made.scaled(rng)
        made.staircase(rng)
    made.product(rng, int(rng.integers(2, 4)))
    if rng.random() < 0.3:
        made.scaled(rng)
    if rng.random() < 0.4:
        made.staircase(rng, rising=rng.random() < 0.4)
    made.append(ArgMax(), "argmax")
    return made.graph(f"fitting{seed}")


class _Chain:
    def __init__(self, edge):
        self.first, self.edge, self.nodes = edge, edge, []

    def graph(self, name):
        last = self.nodes[-1].output if self.nodes else "x"
        return Graph(name, "x", self.first, tuple(self.nodes), last)

    def append(self, op, kind):
        name = f"{kind}{len(self.nodes)}"
        source = self.nodes[-1].output if self.nodes else "x"
        self.nodes.append(Node(name, op, (source,), f"{name}_out"))
        self.edge = op.out_type(self.edge)

    def product(self, rng, rows):
        columns, source = self.edge.shape[0], self.edge.type
        if source.bipolar and rng.random() < 0.6:
            weights = random_weights(rng, BIPOLAR, (rows, columns))
            register = IntType(columns.bit_length())
            self.append(MatVec(weights, BIPOLAR, register, popcount=True), "fc")
            return
        kind = IntType(3, True)
        reach = columns * 4 * max(abs(source.code_lo), abs(source.code_hi))
        weights = random_weights(rng, kind, (rows, columns))
        self.append(MatVec(weights, kind, IntType.holding(-reach, reach)), "fc")

    def scaled(self, rng):
        kind, channels = self.edge.type, self.edge.shape[0]
        reach = 3 * max(abs(kind.code_lo), abs(kind.code_hi)) + 6
        scale, offset = rng.integers(-3, 4, (1, channels)), rng.integers(-6, 7, channels)
        self.append(Add(scale, offset, IntType.holding(-reach, reach)), "add")

    def staircase(self, rng, *, rising=False):
        kind, channels = self.edge.type, self.edge.shape[0]
        seen = self.graph("seen")
        x = random_inputs(seen, 100)
        values = seen.evaluate(x) if self.nodes else x
        steps = int(rng.integers(1, 5))
        output = BIPOLAR if steps == 1 and rng.random() < 0.7 else IntType(3)
        ranks = np.sort(rng.random(steps))
        corners = np.quantile(values, ranks, axis=0, method="lower").T.astype(int)
        corners = corners + rng.integers(0, 2, corners.shape)
        if rng.random() < 0.2:
            corners = rng.permuted(corners, axis=1)
        signed = not rising and bool(rng.random() < 0.5)
        sign = rng.choice([-1, 1], channels) if signed else np.ones(channels, dtype=int)
        form = "search" if rng.random() < 0.3 else "count"
        held = IntType.holding(kind.code_lo, kind.code_hi + 1)
        self.append(Threshold(corners, held, sign, 0, output, form, signs_stored=signed), "act")


def fitting_chains():
    """Hypothesis: whole networks whose registers hold every sum."""
    return st.integers(0, 2**32 - 1).map(fitting_chain)
