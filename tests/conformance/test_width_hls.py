"""The width converter passes every element on, in order, in words of the other width."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.errors import ClaimError
from sim.kernels import KernelRun, run_kernels
from tests.conformance.hls_units import CACHE, beats

# lanes in, lanes out, bits
CASES = [
    (1, 4, 3),
    (4, 1, 3),
    (2, 2, 5),
    (1, 1, 1),
    (3, 12, 7),
    (12, 3, 40),
    (64, 8, 1),
    (1, 49, 8),
]
WIDE_WORDS, VECTORS = 3, 4


def run(case, codes):
    lanes_in, lanes_out, bits = case
    words = WIDE_WORDS * max(lanes_in, lanes_out) // min(lanes_in, lanes_out)
    return KernelRun(
        parameters={"InLanes": lanes_in, "OutLanes": lanes_out, "Bits": bits},
        inputs=beats(codes, lanes_in, bits),
        arguments=(words, VECTORS),
    )


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_elements_keep_their_order(seed):
    rng = np.random.default_rng(seed)
    sizes = [VECTORS * WIDE_WORDS * max(case[:2]) for case in CASES]
    codes = [rng.integers(0, 1 << c[2], n) for c, n in zip(CASES, sizes, strict=True)]

    written = run_kernels("width", list(map(run, CASES, codes)), binaries=CACHE)

    for (_, lanes_out, bits), given_codes, words in zip(CASES, codes, written, strict=True):
        assert words == beats(given_codes, lanes_out, bits)


def test_a_word_too_few_is_a_deadlock_and_a_word_too_many_is_left_over():
    runs = [run(case, np.zeros(VECTORS * WIDE_WORDS * max(case[:2]), int)) for case in CASES]
    short = [KernelRun(r.parameters, r.inputs[:-1], r.arguments) for r in runs]
    long = [KernelRun(r.parameters, [*r.inputs, 0], r.arguments) for r in runs]

    with pytest.raises(ClaimError, match=r"kernel width: .*main waits to read in \(empty\)"):
        run_kernels("width", short, binaries=CACHE)
    with pytest.raises(ClaimError, match="left input words unread"):
        run_kernels("width", long, binaries=CACHE)
