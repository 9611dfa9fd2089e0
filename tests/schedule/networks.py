"""Small networks of the two shapes the hardware is made for, with random constants."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from flow.ir import Edge, Graph, IntType, Node
from flow.ops import ArgMax, MatVec, Threshold
from flow.passes import search_form
from flow.schedule import dataflow
from flow.schedule.area import ECP5_85F, expected, weigh
from flow.schedule.cells import Resources

BIPOLAR = IntType.bipolar1()
DIGITS = IntType(5, declared=(0, 16))


def binary_network(sizes, seed=0, *, signs=False):
    """Bipolar weights: few-bit inputs first, then XNOR and popcount."""
    rng = np.random.default_rng(seed)
    return _network(sizes, rng, lambda *shape: rng.choice([-1, 1], shape), BIPOLAR, 1, signs=signs)


def four_bit_network(sizes, seed=0, *, signs=False):
    """Four-bit weights and activations."""
    rng = np.random.default_rng(seed)
    kind = IntType(4, signed=True)
    return _network(sizes, rng, lambda *shape: rng.integers(-8, 8, shape), kind, 15, signs=signs)


def searched_network(sizes, seed=0, *, signs=False):
    """Four-bit weights, and activations of 200 levels, found by search."""
    rng = np.random.default_rng(seed)
    kind = IntType(4, signed=True)
    made = _network(sizes, rng, lambda *shape: rng.integers(-8, 8, shape), kind, 199, signs=signs)
    return search_form(made)


def area(graph, folding):
    """What the search minimises, from the units of the whole dataflow."""
    return weigh(taken(graph, folding), ECP5_85F.weights)


def taken(graph, folding):
    """What the units of the whole dataflow are expected to take."""
    return sum(expected(dataflow(graph, folding).units, graph.edges()), Resources())


def random_images(graph, count, seed=0):
    """Inputs anywhere in the declared range, both extremes among them."""
    rng = np.random.default_rng(seed)
    kind = graph.input_edge.type
    x = rng.integers(kind.lo, kind.hi + 1, (count, *graph.input_edge.shape))
    x[0], x[-1] = kind.lo, kind.hi
    return x


@st.composite
def networks(draw):
    """Hypothesis: two or three layers of awkward sizes."""
    size = st.sampled_from([1, 2, 3, 4, 6, 8, 10, 12])
    sizes = draw(st.lists(size, min_size=2, max_size=4))
    make = draw(st.sampled_from([binary_network, four_bit_network]))
    return make([*sizes, draw(st.integers(2, 10))], draw(st.integers(0, 99)))


def _network(sizes, rng, draw_weights, kind, steps, *, signs):
    edge, name, nodes = Edge((sizes[0],), DIGITS), "x", []
    for layer, (columns, rows) in enumerate(pairwise(sizes)):
        source = edge.type
        popcount = source.bipolar
        reach = columns * max(-kind.code_lo, kind.code_hi) * max(-source.code_lo, source.code_hi)
        held = IntType.holding(0, columns) if popcount else IntType.holding(-reach, reach)
        weights = draw_weights(rows, columns)
        op = MatVec(weights, kind, held, popcount=popcount)
        nodes.append(Node(f"fc{layer}", op, (name,), f"acc{layer}"))
        edge, name = Edge((rows,), held), f"acc{layer}"
        if layer == len(sizes) - 2:
            break
        spread = max(1, round(abs(held.hi - held.lo) ** 0.5))
        middle = columns // 2 if popcount else 0
        values = np.sort(rng.integers(middle - spread, middle + spread + 1, (rows, steps)), axis=1)
        output = BIPOLAR if kind.bipolar else IntType(steps.bit_length())
        act = Threshold(
            np.clip(values, held.lo, held.hi + 1),
            IntType.holding(held.lo, held.hi + 1),
            rng.choice([-1, 1], rows) if signs else np.ones(rows, dtype=int),
            0,
            output,
            signs_stored=signs,
        )
        nodes.append(Node(f"act{layer}", act, (name,), f"y{layer}"))
        edge, name = Edge((rows,), output), f"y{layer}"
    nodes.append(Node("argmax", ArgMax(), (name,), "class"))
    return Graph("net", "x", Edge((sizes[0],), DIGITS), tuple(nodes), "class")
