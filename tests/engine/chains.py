"""Small random chains: wrapping accumulators, clamped codes, unsorted thresholds, scaled sums, both
signs."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from flow.ir import Edge, Graph, IntType, Node
from flow.ops import Add, ArgMax, MatVec, Threshold

BIPOLAR = IntType.bipolar1()


def random_weights(rng, kind, shape):
    if kind.bipolar:
        return rng.choice([-1, 1], shape)
    return rng.integers(kind.code_lo, kind.code_hi + 1, shape)


def random_matvec(rng, rows, source):
    """A product that may wrap, may clamp and may count agreeing positions."""
    columns = source.shape[0]
    if source.type.bipolar and rng.random() < 0.7:
        bits = columns.bit_length() - int(rng.random() < 0.3)
        return MatVec(
            random_weights(rng, BIPOLAR, (rows, columns)),
            BIPOLAR,
            IntType(max(1, bits)),
            popcount=True,
        )
    kinds = [BIPOLAR, IntType(2, True), IntType(3, True), IntType(3, True, declared=(-3, 3))]
    kind = kinds[rng.integers(4)]
    low, high = source.type.code_lo, source.type.code_hi
    reach = columns * max(abs(kind.code_lo), kind.code_hi) * max(abs(low), high)
    bits = IntType.holding(-reach, reach).bits - int(rng.integers(0, 3))
    decode = "clamp" if kind.declared and rng.random() < 0.5 else "plain"
    weights = random_weights(rng, kind, (rows, columns))
    return MatVec(weights, kind, IntType(max(2, bits), True), decode)


def random_threshold(rng, channels, accumulator, *, ordered=False):
    bipolar = rng.random() < 0.5
    steps = 1 if bipolar else int(rng.integers(1, 5))
    base = 0 if bipolar else int(rng.integers(0, 2))
    output = BIPOLAR if bipolar else IntType((base + steps).bit_length())
    kind = IntType.holding(accumulator.lo, accumulator.hi + 1)
    thresholds = rng.integers(accumulator.lo, accumulator.hi + 2, (channels, steps))
    if ordered or rng.random() < 0.7:
        thresholds = np.sort(thresholds, axis=1)
    signed = bool(rng.random() < 0.5)
    sign = rng.choice([-1, 1], channels) if signed else np.ones(channels, dtype=int)
    form = "search" if rng.random() < 0.4 else "count"
    return Threshold(thresholds, kind, sign, base, output, form, signs_stored=signed)


def random_add(rng, channels, source):
    """A scale and an offset of each channel, or of all, that may wrap."""
    own = [channels if rng.random() < 0.8 else 1 for _ in range(2)]
    multipliers, offset = rng.integers(-3, 4, (1, own[0])), rng.integers(-6, 7, own[1])
    reach = 3 * max(abs(source.code_lo), source.code_hi) + 6
    bits = IntType.holding(-reach, reach).bits - int(rng.integers(0, 3))
    return Add(multipliers, offset, IntType(max(2, bits), True))


def random_chain(seed, *, classify=True):
    """A legal chain of at most three products, with inputs small enough to enumerate."""
    rng = np.random.default_rng(seed)
    (scaling,) = rng.spawn(1)
    inputs = [IntType(2), IntType(3, declared=(0, 5)), IntType(2, True), BIPOLAR]
    edge = Edge((int(rng.integers(2, 5)),), inputs[rng.integers(4)])
    first, nodes, name = edge, [], "x"

    def append(op, kind):
        nonlocal edge, name
        count = sum(node.name.startswith(kind) for node in nodes)
        nodes.append(Node(f"{kind}{count}", op, (name,), f"{kind}{count}_out"))
        edge, name = op.out_type(edge), nodes[-1].output

    if not edge.type.bipolar and rng.random() < 0.1:
        append(random_threshold(rng, edge.shape[0], edge.type), "act")
    layers = int(rng.integers(1, 4))
    for layer in range(layers):
        append(random_matvec(rng, int(rng.integers(2, 5)), edge), "fc")
        if classify and scaling.random() < 0.4:
            append(random_add(scaling, edge.shape[0], edge.type), "add")
        if rng.random() < (0.15 if layer == layers - 1 else 0.9):
            append(random_threshold(rng, edge.shape[0], edge.type), "act")
    if classify:
        nodes.append(Node("argmax", ArgMax(), (name,), "class"))
        name = "class"
    graph = Graph(f"chain{seed}", "x", first, tuple(nodes), name)
    graph.edges()
    return graph


def random_inputs(graph, count, seed=0):
    rng = np.random.default_rng(seed)
    kind, shape = graph.input_edge.type, (count, *graph.input_edge.shape)
    if kind.bipolar:
        return rng.choice([-1, 1], shape)
    return rng.integers(kind.lo, kind.hi + 1, shape)


def random_labels(graph, x, seed=0):
    """The graph's own classes, some of them changed, so that both kinds of image occur."""
    rng = np.random.default_rng(seed)
    classes = graph.edge(graph.logits).shape[-1]
    labels = graph.evaluate(x)
    return np.where(rng.random(len(x)) < 0.3, rng.integers(0, classes, len(x)), labels)


def chains():
    """Hypothesis: whole small chains."""
    return st.integers(0, 2**32 - 1).map(random_chain)
