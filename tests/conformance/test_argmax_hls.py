"""The argmax kernel equals the reference, and passes the logits on unchanged."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.ir import IntType
from flow.ops import ArgMax
from sim.kernels import run_kernels
from tests.conformance.hls_units import CACHE, any_codes, fold, lanes_of, unit_run

# classes, lanes, logits
CASES = [
    (10, 5, "s7"),
    (10, 10, "u7"),
    (10, 1, "s12"),
    (2, 1, "u1"),
    (2, 2, "s1"),
    (37, 37, "s20"),
    (36, 4, "u63"),
    (16, 2, "s63"),
    (1, 1, "s4"),
]
VECTORS = 16


def draw(seed):
    """Logits at random, all equal at either end, and from two values, so that ties abound."""
    rng = np.random.default_rng(seed)
    for classes, lanes, logits in CASES:
        source = IntType.parse(logits)
        x = any_codes(rng, source, (VECTORS, classes))
        x[0], x[1] = source.code_lo, source.code_hi
        x[2:8] = rng.choice(any_codes(rng, source, 2), (6, classes))
        yield ArgMax(), fold(lanes), source, x


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_kernel_equals_the_reference_and_keeps_the_logits(seed):
    units = list(draw(seed))

    written = run_kernels("argmax", [unit_run(*unit) for unit in units], binaries=CACHE)

    for (op, _, source, x), words in zip(units, written, strict=True):
        vectors, classes = x.shape
        bits = classes * source.bits
        logits = lanes_of([word & ((1 << bits) - 1) for word in words], classes, source.bits)
        np.testing.assert_array_equal(logits.reshape(vectors, classes), source.encode(x))
        np.testing.assert_array_equal([word >> bits for word in words], op.evaluate(x))


def test_the_cases_have_ties_that_the_first_class_does_not_win():
    tied = 0
    for _, _, _, x in draw(0):
        best = x == x.max(axis=1, keepdims=True)
        tied += int(((best.sum(axis=1) > 1) & ~best[:, 0]).sum())

    assert tied > 10
