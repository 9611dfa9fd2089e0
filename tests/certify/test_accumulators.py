"""Ranges of accumulators under flips: brute force over inputs and bits reaches the ends."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.certify.accumulators import accumulator_ranges
from flow.certify.stored_bits import StoredBits
from flow.certify.subset import BitSubset
from flow.errors import InputError
from flow.ir import Graph, IntType
from flow.ops import MatVec
from tests.certify.test_budget import flip_sets
from tests.engine.chains import chains, random_chain, random_inputs
from tests.engine.images import image_graphs


def unwrapped(graph, node, x, flips):
    """The sums of ``node`` as a register of 60 bits would hold them."""
    wide = graph.with_faults(flips)
    index = [n.name for n in wide.nodes].index(node)
    op = replace(wide.nodes[index].op, accumulator=IntType(60, True))
    nodes = (*wide.nodes[:index], replace(wide.nodes[index], op=op))
    return Graph("wide", wide.input, wide.input_edge, nodes, nodes[-1].output).evaluate(x)


@settings(max_examples=40)
@given(chains() | image_graphs(), st.integers(0, 2), st.integers(0, 99))
def test_no_struck_sum_leaves_its_range(graph, k, seed):
    x = random_inputs(graph, 12, seed)
    ranges = accumulator_ranges(graph, flips=k)
    assert [r.node for r in ranges] == [n.name for n in graph.nodes if isinstance(n.op, MatVec)]
    for flips in flip_sets(graph, BitSubset(), k, 25, seed):
        for r in ranges:
            seen = unwrapped(graph, r.node, x, flips)
            assert r.low <= seen.min() <= seen.max() <= r.high
            assert r.wraps == (not r.register.code_lo <= r.low <= r.high <= r.register.code_hi)


@settings(max_examples=25)
@given(chains())
def test_the_first_range_is_reached_by_one_flip_and_some_input(graph):
    first = graph.nodes[0]
    kind = graph.input_edge.type
    if not isinstance(first.op, MatVec) or str(first.op.decode) == "clamp":
        return
    values = [-1, 1] if kind.bipolar else [kind.lo, kind.hi]
    x = np.array(list(product(values, repeat=graph.input_edge.shape[0])))
    bits = [fault for fault in StoredBits.of(graph) if fault.node == first.name]
    seen = [unwrapped(graph, first.name, x, [flip]) for flip in bits]
    seen.append(unwrapped(graph, first.name, x, []))
    (found, *_) = accumulator_ranges(graph, flips=1)
    assert found.low == np.min([s.min() for s in seen])
    assert found.high == np.max([s.max() for s in seen])
    assert found.needed == IntType.holding(found.low, found.high)


def test_fewer_than_no_flips_are_refused():
    with pytest.raises(InputError, match="-1 flips: give 0 or more"):
        accumulator_ranges(random_chain(0), flips=-1)
