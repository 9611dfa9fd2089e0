"""Coefficients pulled back through an op add up to what they were on its output."""

import numpy as np
import pytest

from flow.certify.affine import pulled, values
from flow.errors import InputError
from flow.ir import Edge, IntType
from flow.ops import (
    OPS,
    Add,
    Concat,
    MatVec,
    MaxPool,
    Pad,
    Reshape,
    SumPool,
    Threshold,
    Transpose,
    Window,
)
from tests.engine.chains import BIPOLAR

WIDE, S3 = IntType(40, True), IntType(3, True)
RNG = np.random.default_rng(7)
IMAGE = Edge((5, 4, 4), S3)


def grouped(groups):
    weights = RNG.integers(-4, 4, (4, 3 * 4 // groups))
    return MatVec(weights, S3, WIDE, groups=groups, positions=3)


CASES = {
    "product": (MatVec(RNG.integers(-4, 4, (3, 4)), S3, WIDE), [IMAGE]),
    "clamped": (
        MatVec([[-4, 3, 1, -4]], IntType(3, True, declared=(-3, 3)), WIDE, "clamp"),
        [IMAGE],
    ),
    "two groups": (grouped(2), [Edge((2, 12), S3)]),
    "four groups": (grouped(4), [Edge((12,), S3)]),
    "popcount": (
        MatVec(RNG.choice([-1, 1], (3, 5)), BIPOLAR, IntType(3), popcount=True),
        [Edge((2, 5), BIPOLAR)],
    ),
    "sum of two": (Add(RNG.integers(-3, 4, (2, 4)), RNG.integers(-9, 9, 4), WIDE), [IMAGE] * 2),
    "one scale": (Add([[-3]], [5], WIDE), [IMAGE]),
    "sum pool": (SumPool((2, 3), (2, 1), WIDE), [IMAGE]),
    "window": (Window((2, 2), (2, 1), (2, 1)), [IMAGE]),
    "pad": (Pad((1, 0, 2, 1), 3), [IMAGE]),
    "join": (Concat(S3), [IMAGE, Edge((5, 4, 2), S3), IMAGE]),
    "reshape": (Reshape((10, 8)), [IMAGE]),
    "transpose": (Transpose((2, 0, 1)), [IMAGE]),
}


@pytest.mark.parametrize("case", CASES)
def test_pulls_are_worth_the_same_on_both_sides_of_an_op(case):
    op, edges = CASES[case]
    inputs = [
        RNG.choice([-1, 1], (3, *e.shape)) if e.type.bipolar else RNG.integers(-4, 4, (3, *e.shape))
        for e in edges
    ]
    out = op.evaluate(*inputs)
    np.testing.assert_array_equal(values(op, [x.astype(float) for x in inputs]), out)
    pull = 2.0 * RNG.integers(-9, 10, out.shape)
    parts, constant = pulled(op, pull, edges)
    assert [part.shape for part in parts] == [x.shape for x in inputs]
    worth = constant + sum(
        (part * x).reshape(3, -1).sum(axis=1) for part, x in zip(parts, inputs, strict=True)
    )
    np.testing.assert_array_equal(worth, (pull * out).reshape(3, -1).sum(axis=1))
    sizes, most = pulled(op, np.abs(pull), edges, size=True)
    assert (most >= np.abs(constant)).all()
    assert all((s >= np.abs(p)).all() for s, p in zip(sizes, parts, strict=True))


@pytest.mark.parametrize("op", [MaxPool((1, 1), (1, 1)), Threshold([[1]], S3, [1], 0, BIPOLAR)])
def test_what_is_no_affine_map_is_refused(op):
    with pytest.raises(InputError, match="linear bounds know no"):
        pulled(op, np.zeros((1, 1, 1, 1)), [Edge((1, 1, 1), S3)])


def test_every_op_is_affine_or_a_unit():
    units = {"Threshold", "MaxPool", "ArgMax"}
    assert set(OPS) - units == {type(op).__name__ for op, _ in CASES.values()}
