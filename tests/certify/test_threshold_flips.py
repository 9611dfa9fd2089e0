"""Threshold banks and knapsacks under flips, against every choice of them."""

from itertools import combinations, product

import numpy as np
import pytest

from flow.certify.box import Box
from flow.certify.stored_bits import StoredBits
from flow.certify.subset import BitSubset
from flow.certify.threshold_flips import level_range
from flow.certify.weight_flips import Moves, Rows, _knapsack
from flow.ir import Edge, Graph, IntType, Node
from flow.ops import Threshold


@pytest.mark.parametrize("form", ["count", "search"])
@pytest.mark.parametrize("seed", range(8))
def test_both_ends_are_those_of_every_set_of_flips_of_the_bank(seed, form):
    rng = np.random.default_rng(seed)
    steps = int(rng.integers(1, 4))
    bank = rng.integers(-4, 4, (1, steps))
    sign = rng.choice([-1, 1], 1)
    op = Threshold(bank, IntType(3, True), sign, 1, IntType(3), form, signs_stored=True)
    x = np.arange(-4, 5)[:, None]
    node = Node("act", op, ("x",), "y")
    graph = Graph("bank", "x", Edge((1,), IntType(5, True)), (node,), "y")
    bits = list(StoredBits.of(graph))
    for k in range(4):
        sets = [flips for n in range(k + 1) for flips in combinations(bits, n)]
        seen = np.array([graph.evaluate(x, flips) for flips in sets])
        found = level_range(op, Box(x, x), flips=k, bits=BitSubset().of("act", op))
        np.testing.assert_array_equal(found.lo, seen.min(axis=0))
        np.testing.assert_array_equal(found.hi, seen.max(axis=0))


@pytest.mark.parametrize("seed", range(6))
def test_the_knapsack_is_the_best_division_of_the_flips(seed):
    rng = np.random.default_rng(seed)
    rows, most = rng.integers(-3, 4, (2, 3)), 3
    lows, highs = np.cumsum(rng.integers(0, 4, (2, most + 1, 3)), axis=1)
    boxes = [Box(-low[None], high[None]) for low, high in zip(lows, highs, strict=True)]
    struck = Rows(rows, Moves.of(np.zeros((2, 3, 0), int), flips=0), 1000)
    reach = np.array([np.maximum(rows * box.lo, rows * box.hi) for box in boxes])
    for s, found in enumerate(_knapsack(struck, boxes, np.arange(3))):
        wanted = [
            max(
                sum(reach[own, row, column] for column, own in enumerate(split))
                for split in product(range(s + 1), repeat=3)
                if sum(split) <= s
            )
            - reach[0, row].sum()
            for row in range(2)
        ]
        assert found[0].tolist() == wanted
