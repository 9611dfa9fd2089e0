"""The matrix-vector kernel equals the reference on every word."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.ir import IntType
from flow.ops import MatVec
from sim.kernels import run_kernels
from tests.conformance.hls_units import CACHE, any_codes, fold, lanes_of, unit_run
from tests.conformance.test_matvec_rtl import CLAMPED, clamped

B1, U5, U8, S3 = (IntType.parse(text) for text in ("b1", "u5", "u8", "s3"))
S4, U4, S16 = (IntType.parse(text) for text in ("s4", "u4", "s16"))
VECTORS = 6

# rows, columns, folding, input, weights, accumulator, popcount
CASES = [
    (6, 8, fold(2, 4), U5, B1, "s12", False),  # few-bit inputs, binary weights
    (6, 8, fold(1, 1), U5, B1, "s4", False),  # wraps
    (8, 12, fold(8, 12), B1, B1, "u4", True),  # XNOR, everything at once
    (8, 12, fold(1, 1), B1, B1, "u4", True),
    (10, 64, fold(5, 32), B1, B1, "u7", True),
    (4, 16, fold(2, 8), B1, B1, "u3", True),  # the popcount wraps
    (6, 10, fold(3, 2), U4, S4, "s12", False),
    (6, 10, fold(6, 5), U4, S4, "s6", False),  # wraps
    (3, 4, fold(1, 4), S3, S3, "u5", False),  # signed inputs; an unsigned register wraps
    (4, 6, fold(2, 3), B1, S4, "s7", False),  # bipolar inputs, wider weights
    (2, 3, fold(2, 1), S16, S16, "s63", False),
    (16, 98, fold(16, 49), U8, S4, "s20", False),  # memory words of 3,136 bits
    (1, 1, fold(1, 1), U4, S4, "s8", False),
]


def draw(seed):
    """One op with its inputs per case: random codes, and the extremes of both sides."""
    rng = np.random.default_rng(seed)
    for rows, columns, folding, source, kind, accumulator, popcount in CASES:
        weights = any_codes(rng, kind, (rows, columns))
        weights[0], weights[-1] = kind.code_lo, kind.code_hi
        op = MatVec(weights, kind, IntType.parse(accumulator), popcount=popcount)
        x = any_codes(rng, source, (VECTORS, columns))
        x[0], x[-1] = source.code_lo, source.code_hi
        yield op, folding, source, x
    for number in range(len(CLAMPED)):
        yield clamped(number)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_kernel_equals_the_reference_for_any_stored_code(seed):
    units = list(draw(seed))

    written = run_kernels("matvec", [unit_run(*unit) for unit in units], binaries=CACHE)

    for (op, folding, _, x), words in zip(units, written, strict=True):
        expected = op.accumulator.encode(op.evaluate(x))
        sums = lanes_of(words, folding.pe, op.accumulator.bits)
        np.testing.assert_array_equal(sums.reshape(expected.shape), expected)


@pytest.mark.parametrize("case", [i for i, c in enumerate(CASES) if c[5] in ("s4", "u3", "s6")])
def test_the_wrapping_cases_do_wrap(case):
    op, _, _, x = list(draw(0))[case]
    total = x @ op.weights.T
    total = (total + op.weights.shape[1]) // 2 if op.popcount else total

    assert not np.array_equal(op.evaluate(x), total)
