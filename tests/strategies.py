"""Hypothesis: small legal graphs of every form that a chain can have, and inputs for them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from flow.ir import Edge, Graph, IntType, Node
from flow.ops import ArgMax, MatVec, Threshold

BIPOLAR = IntType.bipolar1()
INPUTS = [BIPOLAR, IntType(2), IntType(5, declared=(0, 16)), IntType(3, True)]
WEIGHTS = [BIPOLAR, IntType(2, True), IntType(4, True, declared=(-7, 7)), IntType(3)]
LEVELS = [BIPOLAR, IntType(1), IntType(2), IntType(3, True)]


@st.composite
def chain_graphs(draw, *, wrapping=True):
    """One to three products with thresholds between, then ArgMax.

    Weights are bipolar or of a few bits, thresholds sorted or not and counted or searched, channels
    rise or fall; bipolar products count agreeing positions or sum. With ``wrapping`` an accumulator
    may be too narrow for its sums.
    """
    edge, name, nodes = Edge((draw(st.integers(1, 5)),), draw(st.sampled_from(INPUTS))), "x", []
    first, layers = edge, draw(st.integers(1, 3))
    for layer in range(layers):
        op = draw(matvecs(edge, wrapping=wrapping))
        nodes.append(Node(f"fc{layer}", op, (name,), f"fc{layer}_out"))
        edge, name = op.out_type(edge), f"fc{layer}_out"
        if layer < layers - 1:
            op = draw(thresholds(edge))
            nodes.append(Node(f"act{layer}", op, (name,), f"act{layer}_out"))
            edge, name = op.out_type(edge), f"act{layer}_out"
    nodes.append(Node("argmax", ArgMax(), (name,), "class"))
    return Graph("chain", "x", first, tuple(nodes), "class")


@st.composite
def matvecs(draw, source, *, wrapping=True):
    """A product that takes edge ``source``."""
    kind, rows, columns = draw(st.sampled_from(WEIGHTS)), draw(st.integers(1, 4)), source.shape[0]
    popcount = kind.bipolar and source.type.bipolar and draw(st.booleans())
    reach = columns * max(abs(kind.code_lo), kind.code_hi)
    reach *= max(abs(source.type.lo), source.type.hi)
    exact = IntType.holding(0, columns) if popcount else IntType.holding(-reach, reach)
    spare = draw(st.integers(-2 if wrapping else 0, 2))
    accumulator = IntType(max(1, exact.bits + spare), exact.signed)
    decode = draw(st.sampled_from(["plain", "clamp"]))
    return MatVec(draw(values(kind, (rows, columns))), kind, accumulator, decode, popcount)


@st.composite
def thresholds(draw, source):
    """A threshold op that takes edge ``source``; thresholds reach one past it on either side."""
    output = draw(st.sampled_from(LEVELS))
    steps = 1 if output.bipolar else output.code_hi - output.code_lo
    base = 0 if output.bipolar else output.code_lo
    low, high = source.type.code_lo - 1, source.type.code_hi + 1
    table = draw(arrays(np.int64, (source.shape[0], steps), elements=st.integers(low, high)))
    if draw(st.booleans()):
        table = np.sort(table, axis=1)
    sign = draw(values(BIPOLAR, source.shape))
    form = draw(st.sampled_from(["count", "search"]))
    return Threshold(table, IntType.holding(low, high), sign, base, output, form, signs_stored=True)


def values(kind, shape):
    """Arrays of values that a type can have; declared ranges are kept."""
    elements = st.sampled_from([-1, 1]) if kind.bipolar else st.integers(kind.lo, kind.hi)
    return arrays(np.int64, shape, elements=elements)


def input_batch(graph, count=32, seed=0):
    """``count`` inputs anywhere in the declared range, both extremes among them."""
    rng = np.random.default_rng(seed)
    kind = graph.input_edge.type
    x = rng.integers(kind.lo, kind.hi + 1, (count, *graph.input_edge.shape))
    x[0], x[-1] = kind.lo, kind.hi
    return np.where(x <= 0, -1, 1) if kind.bipolar else x
