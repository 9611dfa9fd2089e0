"""Random graphs with something in them for every pass to find."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from flow.ir import Edge, Graph, IntType, Node
from flow.ops import (
    Add,
    ArgMax,
    MatVec,
    MaxPool,
    Pad,
    Reshape,
    Threshold,
    Transpose,
    Window,
)
from tests.engine.chains import BIPOLAR, random_threshold, random_weights
from tests.engine.images import Builder


class Redundant(Builder):
    """Adds steps that say the same thing twice, or nothing."""

    def turn(self, name):
        """Two transposes, or one that turns nothing."""
        orders = [tuple(int(a) for a in self.rng.permutation(3)) for _ in range(2)]
        for order in orders[: self.rng.integers(1, 3)]:
            name = self.add(Transpose(order), name)
        return name

    def fold(self, name):
        """Reshapes that end where they began, or as a column of places."""
        shape = self.edges[name].shape
        name = self.add(Reshape((self.edges[name].elements,)), name)
        return self.add(Reshape(shape), name)

    def surround(self, name):
        """Two paddings, of one value or of two."""
        kind = self.edges[name].type
        values = [-1, 1] if kind.bipolar else [kind.code_lo, kind.code_hi]
        for _ in range(2):
            margins = tuple(int(n) for n in self.rng.integers(0, 2, 4))
            name = self.add(Pad(margins, int(self.rng.choice(values))), name)
        return name

    def look(self, name):
        """A window of one element."""
        op = [Window((1, 1)), MaxPool((1, 1), (1, 1)), Window((1, 1), (2, 1))]
        return self.add(op[self.rng.integers(3)], name)

    def rescale(self, name):
        """One or two exact rescalings, narrow enough to wrap now and then, and their readers."""
        rng = self.rng
        for _ in range(rng.integers(1, 3)):
            edge = self.edges[name]
            channels = int(rng.choice([1, edge.shape[-1]]))
            reach = 4 * max(abs(edge.type.code_lo), edge.type.code_hi) + 5
            bits = IntType.holding(-reach, reach).bits - int(rng.random() < 0.2)
            scale = rng.choice([-4, -3, -1, 1, 2, 3, 0], (1, channels), p=[0.16] * 6 + [0.04])
            offset = rng.integers(-5, 6, int(rng.choice([1, edge.shape[-1]])))
            name = self.add(Add(scale, offset, IntType(bits, True)), name)
        if rng.random() < 0.3:
            scales = rng.integers(-3, 4, (2, int(rng.choice([1, edge.shape[-1]]))))
            name = self.add(Add(scales, [1], IntType(12, True)), name, name)
        return self.threshold(name)

    def twice(self, name):
        """The same two nodes on the same edge, and their difference or sum."""
        op = random_threshold(self.rng, self.edges[name].shape[-1], self.edges[name].type)
        first, second = self.add(op, name), self.add(replace(op), name)
        scales = self.rng.integers(-2, 3, (2, 1))
        kind = IntType(8, True)
        return self.threshold(self.add(Add(scales, [0], kind), first, second))


def redundant_image(seed):
    """An image graph of such steps, classified at the end."""
    rng = np.random.default_rng(seed)
    kind = [IntType(2), IntType(3, declared=(0, 5)), IntType(2, True)][rng.integers(3)]
    shape = (int(rng.integers(2, 4)), int(rng.integers(2, 4)), int(rng.integers(1, 4)))
    b, name = Redundant(rng, Edge(shape, kind)), "x"
    for _ in range(int(rng.integers(2, 6))):
        steps = [b.turn, b.fold, b.surround, b.look]
        if not b.edges[name].type.bipolar:
            steps += [b.rescale, b.twice]
        name = steps[rng.integers(len(steps))](name)
    name = b.add(Reshape((b.edges[name].elements,)), name)
    weights = random_weights(rng, IntType(3, True), (3, b.edges[name].elements))
    name = b.add(MatVec(weights, IntType(3, True), IntType(10, True)), name)
    name = b.add(ArgMax(), name)
    return Graph(f"image{seed}", "x", b.edges["x"], tuple(b.nodes), name)


def idle_chain(seed):
    """A chain with thresholds out of reach, constant channels and columns of zeros."""
    rng = np.random.default_rng(seed)
    edge = Edge((int(rng.integers(1, 4)),), [IntType(2), BIPOLAR][rng.integers(2)])
    first, name, nodes, count = edge, "x", [], int(rng.integers(2, 4))
    for layer in range(count):
        rows = int(rng.integers(1, 5))
        kind = [BIPOLAR, IntType(3, True)][rng.integers(2)]
        counts = bool(kind.bipolar and edge.type.bipolar and rng.random() < 0.6)
        weights = random_weights(rng, kind, (rows, edge.shape[0]))
        if not kind.bipolar:
            weights[:, rng.random(edge.shape[0]) < 0.3] = 0
        wide = IntType(3) if counts else IntType(7, True)
        op = MatVec(weights, kind, wide, popcount=counts)
        nodes.append(Node(f"fc{layer}", op, (name,), f"fc{layer}_out"))
        edge, name = op.out_type(edge), f"fc{layer}_out"
        if layer == count - 1 and rng.random() < 0.7:
            break
        act = random_threshold(rng, rows, edge.type, ordered=rng.random() < 0.7)
        table = np.array(act.thresholds)
        table[rng.random(rows) < 0.3] = rng.choice([edge.type.lo, edge.type.hi + 1])
        if rng.random() < 0.5:
            table = np.concatenate([table, np.full((rows, 1), edge.type.hi + 1)], axis=1)
            act = replace(act, output=IntType(4))
        act = replace(act, thresholds=table)
        nodes.append(Node(f"act{layer}", act, (name,), f"act{layer}_out"))
        edge, name = act.out_type(edge), f"act{layer}_out"
        if edge.type.bipolar and layer == count - 1:
            break
    nodes.append(Node("argmax", ArgMax(), (name,), "class"))
    return Graph(f"idle{seed}", "x", first, tuple(nodes), "class")


def threshold_nodes(graph):
    return [node for node in graph.nodes if isinstance(node.op, Threshold)]


def redundant_images():
    """Hypothesis: whole redundant image graphs."""
    return st.integers(0, 2**32 - 1).map(redundant_image)


def idle_chains():
    """Hypothesis: whole chains with idle parts."""
    return st.integers(0, 2**32 - 1).map(idle_chain)
