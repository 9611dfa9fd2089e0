"""matvec.sv equals the reference on every word, in exactly the cycles of its datasheet."""

from dataclasses import replace

import numpy as np
import pytest

from flow.ir import IntType
from flow.ops import Decode, MatVec
from sim.unit import run_unit
from tests.conformance.hls_units import any_codes, fold
from tests.conformance.rtl_units import stored_case

B1, U5, U8, S3 = (IntType.parse(text) for text in ("b1", "u5", "u8", "s3"))
S4, U4, S16 = (IntType.parse(text) for text in ("s4", "u4", "s16"))
STAGES = 5  # memories, registers, partial sums, sum, accumulator

# rows, columns, folding, input, weights, accumulator, popcount
CASES = [
    (6, 8, fold(2, 4), U5, B1, "s12", False),  # few-bit inputs, binary weights
    (6, 8, fold(1, 1), U5, B1, "s4", False),  # wraps
    (8, 12, fold(8, 12), B1, B1, "u4", True),  # XNOR, everything at once
    (4, 6, fold(1, 1), B1, B1, "u3", True),
    (10, 64, fold(5, 32), B1, B1, "u7", True),
    (4, 16, fold(2, 8), B1, B1, "u3", True),  # the popcount wraps
    (6, 10, fold(3, 2), U4, S4, "s12", False),
    (6, 10, fold(6, 5), U4, S4, "s6", False),  # wraps
    (3, 4, fold(3, 2), S3, S3, "u5", False),  # signed inputs; an unsigned register wraps
    (4, 6, fold(2, 3), B1, S4, "s7", False),  # bipolar inputs, wider weights
    (4, 6, fold(2, 6), S3, B1, "s9", False),  # signed inputs, binary weights
    (4, 6, fold(1, 3), B1, B1, "s5", False),  # both bipolar, as products
    (2, 3, fold(2, 1), S16, S16, "s63", False),
    (4, 98, fold(4, 49), U8, S4, "s20", False),  # memory words of 784 bits
    (1, 1, fold(1, 1), U4, S4, "s8", False),
]
# of a narrow range, of which codes outside are limited: rows .. accumulator
CLAMPED = [
    (6, 10, fold(3, 2), U4, IntType.parse("s4[-7..7]"), "s12"),
    (4, 8, fold(2, 8), S3, IntType.parse("s2[-1..1]"), "s7"),
    (4, 9, fold(4, 3), B1, IntType.parse("s5[-3..9]"), "s6"),  # both ends, and wraps
    (4, 4, fold(1, 2), U4, IntType.parse("s4[-8..5]"), "s12"),  # the upper end only
]


def case(number, *, vectors=4, parity=False):
    """One row of the table on random codes and on all four pairs of extremes."""
    rows, columns, folding, source, kind, accumulator, popcount = CASES[number]
    rng = np.random.default_rng(number)
    weights = any_codes(rng, kind, (rows, columns))
    weights[0], weights[-1] = kind.code_lo, kind.code_hi
    op = MatVec(weights, kind, IntType.parse(accumulator), popcount=popcount)
    x = any_codes(rng, source, (vectors, columns))
    x[0], x[-1] = source.code_lo, source.code_hi
    steps = columns // folding.simd
    name = f"p{number}" if parity else f"m{number}"
    sizes = {"steps": steps, "stages": STAGES, "parity": parity}
    return stored_case(name, op, folding, source, x, **sizes)


def clamped(number, *, vectors=4):
    """The op of one row of the second table on any stored codes, its folding, input type and x."""
    rows, columns, folding, source, kind, accumulator = CLAMPED[number]
    rng = np.random.default_rng(number)
    weights = any_codes(rng, kind, (rows, columns))
    weights[0], weights[-1] = kind.code_lo, kind.code_hi
    op = MatVec(weights, kind, IntType.parse(accumulator), decode=Decode.CLAMP)
    x = any_codes(rng, source, (vectors, columns))
    assert (op.evaluate(x) != replace(op, decode=Decode.PLAIN).evaluate(x)).any()
    return op, folding, source, x


def clamped_case(number):
    """One row of the second table as it is written to memory."""
    op, folding, source, x = clamped(number)
    steps = op.weights.shape[1] // folding.simd
    return stored_case(f"c{number}", op, folding, source, x, steps=steps, stages=STAGES)


@pytest.mark.rtl
def test_the_unit_equals_the_reference(simulator, compiled, tmp_path):
    cases = [case(number) for number in range(len(CASES))]
    cases += [clamped_case(number) for number in range(len(CLAMPED))]
    cases += [case(number, parity=True) for number in (0, 4, 6)]

    run_unit("matvec", cases, work=tmp_path, cache=compiled, simulator=simulator)
