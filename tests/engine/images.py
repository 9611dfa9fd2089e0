"""Small random image graphs: windows, padding, pools, groups, branches, wrapping everywhere."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from flow.ir import Edge, Graph, IntType, Node
from flow.ops import (
    Add,
    ArgMax,
    Concat,
    MatVec,
    MaxPool,
    Pad,
    Reshape,
    SumPool,
    Transpose,
    Window,
)
from tests.engine.chains import BIPOLAR, random_threshold, random_weights


class Builder:
    """Appends nodes and knows every edge."""

    def __init__(self, rng, edge):
        self.rng, self.edges, self.nodes = rng, {"x": edge}, []

    def add(self, op, *inputs):
        kind = type(op).__name__.lower()
        name = f"{kind}{sum(node.name.startswith(kind) for node in self.nodes)}"
        self.nodes.append(Node(name, op, inputs, f"{name}_out"))
        self.edges[f"{name}_out"] = op.out_type(*(self.edges[i] for i in inputs))
        return f"{name}_out"

    def window(self, name):
        """Kernel, stride and dilation that fit the image of an edge."""
        chosen = []
        for size in self.edges[name].shape[:2]:
            dilation = int(self.rng.integers(1, 3))
            kernel = int(self.rng.integers(1, 1 + min(3, (size - 1) // dilation + 1)))
            chosen.append((kernel, int(self.rng.integers(1, 3)), dilation))
        return tuple(zip(*chosen, strict=True))

    def pad(self, name):
        kind = self.edges[name].type
        value = int(self.rng.choice([-1, 1] if kind.bipolar else [kind.code_lo, 0, kind.hi]))
        return self.add(Pad(tuple(int(n) for n in self.rng.integers(0, 3, 4)), value), name)

    def convolution(self, name):
        """A window and a product, in groups where the channels allow it, then a threshold."""
        rng = self.rng
        if rng.random() < 0.6:
            name = self.pad(name)
        window = self.window(name)
        positions, channels = window[0][0] * window[0][1], self.edges[name].shape[-1]
        name = self.add(Window(*window), name)
        divisors = [g for g in range(1, channels + 1) if channels % g == 0]
        groups = int(rng.choice(divisors))
        rows, columns = groups * int(rng.integers(1, 3)), positions * channels // groups
        kind = [BIPOLAR, IntType(2, True), IntType(3, True, declared=(-3, 3))][rng.integers(3)]
        source = self.edges[name].type
        reach = columns * max(abs(kind.code_lo), 1) * max(abs(source.code_lo), source.code_hi)
        bits = max(2, IntType.holding(-reach, reach).bits - int(rng.integers(0, 3)))
        decode = "clamp" if kind.declared else "plain"
        weights = random_weights(rng, kind, (rows, columns))
        op = MatVec(weights, kind, IntType(bits, True), decode, groups=groups, positions=positions)
        return self.threshold(self.add(op, name))

    def threshold(self, name):
        edge = self.edges[name]
        return self.add(random_threshold(self.rng, edge.shape[-1], edge.type), name)

    def branches(self, name):
        """Two ways from one edge that meet again in an Add or a Concat."""
        rng = self.rng
        edge = self.edges[name]
        if rng.random() < 0.5:
            channels = int(rng.choice([1, edge.shape[-1]]))
            multipliers = rng.integers(-3, 4, (2, channels))
            kind = IntType(int(rng.integers(3, 8)), True)
            other = self.add(Add([[3]], [1], edge_type(edge)), name)
            return self.add(Add(multipliers, rng.integers(-2, 3, channels), kind), name, other)
        return self.add(Concat(edge.type), name, name)

    def pool(self, name):
        kernel, stride, dilation = self.window(name)
        if self.edges[name].type.bipolar or self.rng.random() < 0.5:
            return self.add(MaxPool(kernel, stride, dilation), name)
        kind = IntType(int(self.rng.integers(2, 6)), bool(self.rng.random() < 0.5))
        kernel = tuple(min(k, 2) for k in kernel)
        return self.add(SumPool(kernel, stride, kind), name)


def edge_type(edge):
    return IntType(4, True) if edge.type.bipolar else IntType(edge.type.bits + 1, True)


def random_image_graph(seed):
    """A legal graph on an image, with inputs and a flat classifier at the end."""
    rng = np.random.default_rng(seed)
    kind = [IntType(2), IntType(3, declared=(0, 5)), IntType(2, True), BIPOLAR][rng.integers(4)]
    shape = (int(rng.integers(2, 6)), int(rng.integers(2, 6)), int(rng.integers(1, 4)))
    b, name = Builder(rng, Edge(shape, kind)), "x"
    for _ in range(int(rng.integers(1, 4))):
        steps = [b.convolution, b.pool, b.branches, b.pad]
        name = steps[rng.choice(4, p=[0.5, 0.2, 0.2, 0.1])](name)
    if rng.random() < 0.3:
        name = b.add(Transpose(tuple(int(a) for a in rng.permutation(3))), name)
    name = b.add(Reshape((b.edges[name].elements,)), name)
    columns = b.edges[name].elements
    weights = random_weights(rng, IntType(3, True), (3, columns))
    name = b.add(MatVec(weights, IntType(3, True), IntType(8, True)), name)
    name = b.add(ArgMax(), name)
    return Graph(f"image{seed}", "x", b.edges["x"], tuple(b.nodes), name)


def image_graphs():
    """Hypothesis: whole small image graphs."""
    return st.integers(0, 2**32 - 1).map(random_image_graph)
