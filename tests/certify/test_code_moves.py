"""Sums of limited weights under flips: bounds and checker against every choice of bits."""

from itertools import product

import numpy as np
import pytest

from flow.certify.code_moves import most_moved, moves_of
from flow.certify.plain_rows import divided
from flow.certify.plain_suffix import _gains, _moves
from flow.ir import IntType
from flow.ops import MatVec

FLIPS = 3


@pytest.mark.parametrize("seed", range(40))
def test_a_row_of_limited_weights_moves_as_far_as_the_best_choice_of_bits(seed):
    rng = np.random.default_rng(seed)
    kind = IntType(3, True, declared=(int(rng.integers(-3, 1)), int(rng.integers(0, 4))))
    op = MatVec(rng.integers(-4, 4, (1, 2)), kind, IntType(12, True), "clamp")
    x, clean = rng.integers(-2, 4, 2), op.read[0]
    up, down = most_moved(moves_of(op, np.arange(3), flips=FLIPS), x[None], flips=FLIPS)
    moves = [_moves(op, value, [0, 1, 2], FLIPS) for value in op.weights[0].tolist()]
    rise = divided([_gains(m, v) for m, v in zip(moves, x.tolist(), strict=True)], FLIPS)
    fall = divided([_gains(m, -v) for m, v in zip(moves, x.tolist(), strict=True)], FLIPS)
    for q in range(FLIPS + 1):
        changes = [
            int(
                (np.clip(kind.decode(kind.encode(op.weights[0]) ^ m), kind.lo, kind.hi) - clean) @ x
            )
            for m in map(np.array, product(range(8), repeat=2))
            if sum(int(mask).bit_count() for mask in m) <= q
        ]
        assert up[q, 0, 0] == rise[q] == max(changes)
        assert down[q, 0, 0] == fall[q] == -min(changes)
