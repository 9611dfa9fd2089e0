"""Maxima of windows in the bound and in the checker, against every value of the window."""

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.certify.box import Box
from flow.certify.plain_proof import _of_window
from flow.certify.units import Pool
from flow.ir import Edge, IntType
from flow.ops import MaxPool


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_largest_of_a_window_has_its_exact_maximum_for_any_coefficients(seed):
    rng = np.random.default_rng(seed)
    op, edge = MaxPool((1, 3), (1, 1)), Edge((1, 4, 1), IntType(4, True))
    low = rng.integers(-3, 3, (1, *edge.shape))
    box = Box(low, low + rng.integers(0, 4, low.shape))
    gain, cost = (rng.integers(-6, 7, (1, 1, 2, n)).astype(float) for n in (1, 3))
    pool = Pool(op, edge)
    best, at, level = pool.highest(gain, cost, box)
    assert (pool.back(cost).sum(), pool.back(cost).shape) == (cost.sum(), low.shape)
    for place in range(2):
        ends = [(int(box.lo[0, 0, k, 0]), int(box.hi[0, 0, k, 0])) for k in range(place, place + 3)]
        points = np.array(list(product(*(range(a, b + 1) for a, b in ends))))
        own_gain, rents = int(gain[0, 0, place, 0]), cost[0, 0, place].astype(int)
        worth = own_gain * points.max(axis=1) - points @ rents
        assert best[0, 0, place, 0] == worth.max()
        parts = [(int(r), a, b) for r, (a, b) in zip(rents, ends, strict=True)]
        assert _of_window(own_gain, parts) == worth.max()
        found = at[0, 0, place]
        assert all(a <= v <= b for v, (a, b) in zip(found, ends, strict=True))
        top = level[0, 0, place, 0]
        assert top >= found.max()
        assert own_gain * top - found @ rents == worth.max()
