"""The search kernel equals the reference, probe by probe, for thresholds in any order."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.ir import IntType
from flow.ops import Compare, Threshold
from sim.kernels import run_kernels
from tests.conformance.hls_units import CACHE, any_codes, fold, lanes_of, unit_run

# channels, lanes, accumulator, thresholds, steps, base, output, signs stored
CASES = [
    (6, 2, "s9", "s10", 1, 0, "b1", True),
    (6, 1, "s9", "s10", 1, 0, "b1", False),
    (4, 4, "u7", "u8", 1, 0, "b1", True),  # on a popcount
    (4, 2, "s12", "s12", 15, 0, "u4", False),
    (4, 2, "s5", "s12", 16, 0, "u5", True),  # places behind the last threshold
    (6, 3, "u6", "s8", 3, -2, "s3", True),  # a negative base
    (6, 3, "s6", "u7", 3, -2, "s2", False),
    (5, 5, "s40", "s41", 7, 1, "u4", True),
    (2, 1, "u63", "u63", 2, 0, "u2", True),
    (3, 1, "u1", "u2", 4, 0, "u3", True),
    (1, 1, "s8", "s9", 255, 0, "u8", True),
]
RANDOM = 8


def draw(seed):
    """One op with its inputs per case: random, extreme, and each threshold met and just missed."""
    rng = np.random.default_rng(seed)
    for channels, lanes, accumulator, kind, steps, base, output, signs in CASES:
        source, kind = IntType.parse(accumulator), IntType.parse(kind)
        thresholds = any_codes(rng, kind, (channels, steps))
        thresholds = np.where(rng.random((channels, 1)) < 0.5, thresholds, np.sort(thresholds))
        sign = rng.choice([-1, 1], channels) if signs else np.ones(channels, dtype=int)
        output = IntType.parse(output)
        op = Threshold(
            thresholds, kind, sign, base, output, compare=Compare.SEARCH, signs_stored=signs
        )
        met = np.clip(thresholds.T, source.lo, source.hi)
        x = [any_codes(rng, source, (RANDOM, channels)), met, np.maximum(met - 1, source.lo)]
        yield op, fold(lanes), source, np.concatenate(x)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_kernel_equals_the_reference_for_any_stored_code(seed):
    units = list(draw(seed))

    written = run_kernels("threshold_search", [unit_run(*unit) for unit in units], binaries=CACHE)

    for (op, folding, _, x), words in zip(units, written, strict=True):
        expected = op.output.encode(op.evaluate(x))
        levels = lanes_of(words, folding.pe, op.output.bits)
        np.testing.assert_array_equal(levels.reshape(expected.shape), expected)
