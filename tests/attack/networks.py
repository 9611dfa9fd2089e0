"""Small classifiers to attack, and a loss that is linear in one layer."""

from __future__ import annotations

import numpy as np

from flow.ir import Edge, Graph, IntType, Node
from flow.ops import ArgMax, MatVec, Threshold
from tests.engine.chains import BIPOLAR, random_inputs, random_weights


def linear_lead(logits, y):
    """How far the labels' logits fall behind, summed: linear in the weights of one layer."""
    return -logits.gather(1, y[:, None]).sum() * 2 + logits.sum()


def one_layer(kind, seed=0, columns=6, popcount=False):
    rng = np.random.default_rng(seed)
    accumulator = IntType(columns.bit_length()) if popcount else IntType(20, True)
    op = MatVec(random_weights(rng, kind, (4, columns)), kind, accumulator, popcount=popcount)
    source = BIPOLAR if popcount else IntType(3)
    nodes = (Node("fc0", op, ("x",), "logits"), Node("argmax", ArgMax(), ("logits",), "class"))
    return Graph("linear", "x", Edge((columns,), source), nodes, "class")


def network(weight, activation, seed=0, inputs=12, hidden=16):
    """A random classifier of two hidden layers; its labels are its own clean classes."""
    rng = np.random.default_rng(seed)
    edge, name, nodes = Edge((inputs,), IntType(5, declared=(0, 16))), "x", []
    first = edge
    for layer, rows in enumerate((hidden, hidden, 4)):
        reach = edge.shape[0] * max(abs(edge.type.code_lo), edge.type.code_hi)
        reach *= max(abs(weight.code_lo), weight.code_hi)
        accumulator = IntType.holding(-reach, reach)
        weights = random_weights(rng, weight, (rows, edge.shape[0]))
        nodes.append(Node(f"fc{layer}", MatVec(weights, weight, accumulator), (name,), f"a{layer}"))
        if layer < 2:
            x = random_inputs(Graph("g", "x", first, tuple(nodes), f"a{layer}"), 300)
            seen = Graph("g", "x", first, tuple(nodes), f"a{layer}").evaluate(x)
            steps = 1 if activation.bipolar else activation.hi
            ranks = (np.arange(steps) + 1) / (steps + 1)
            thresholds = np.quantile(seen, ranks, axis=0, method="lower").T.astype(int)
            sign = rng.choice([-1, 1], rows)
            kind = IntType.holding(accumulator.lo, accumulator.hi + 1)
            op = Threshold(thresholds, kind, sign, 0, activation, signs_stored=True)
            nodes.append(Node(f"act{layer}", op, (f"a{layer}",), f"y{layer}"))
            edge, name = Edge((rows,), activation), f"y{layer}"
    nodes.append(Node("argmax", ArgMax(), (f"a{layer}",), "class"))
    return Graph("net", "x", first, tuple(nodes), "class")


W1A1 = (BIPOLAR, BIPOLAR)
W4A4 = (IntType(4, True), IntType(4))


def split(graph, count=300):
    x = np.unique(random_inputs(graph, count), axis=0)
    x = np.random.default_rng(5).permutation(x)
    y = graph.evaluate(x)
    half = len(x) // 2
    return (x[:half], y[:half]), (x[half:], y[half:])


def detector(weight, activation, block=3, classes=4):
    """A classifier robust by construction, and images whose brightest block is their class."""
    rng = np.random.default_rng(9)
    inputs = Edge((block * classes,), IntType(5, declared=(0, 16)))
    high, low = (1, -1) if weight.bipolar else (3, -1)
    own = np.kron(np.eye(classes, dtype=int), np.ones((1, block), dtype=int))
    first = MatVec(np.where(own, high, low), weight, IntType(12, True))
    steps = 1 if activation.bipolar else activation.hi
    ramp = np.tile(np.arange(steps) * 8 - 4 * (steps - 1), (classes, 1))
    levels = Threshold(ramp, IntType(13, True), np.ones(classes, dtype=int), 0, activation)
    last = MatVec(np.where(np.eye(classes), high, low), weight, IntType(12, True))
    nodes = (
        Node("fc0", first, ("x",), "a0"),
        Node("act0", levels, ("a0",), "y0"),
        Node("fc1", last, ("y0",), "logits"),
        Node("argmax", ArgMax(), ("logits",), "class"),
    )
    y = rng.integers(0, classes, 60)
    bright = own[y].astype(bool)
    x = np.where(bright, rng.integers(9, 17, bright.shape), rng.integers(0, 4, bright.shape))
    return Graph("detector", "x", inputs, nodes, "class"), x, y
