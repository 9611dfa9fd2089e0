"""noise.sv and vote.sv equal the reference that certificates are made from."""

import numpy as np
import pytest

from sim.unit import run_unit
from sim.vectors import Case
from tests.conformance.smoothing_units import NOISES, VOTES, noise_unit, packed, vote_unit

pytestmark = pytest.mark.rtl


def noise_case(number):
    parameters, words, kind, x, noisy = noise_unit(number, seed=number)
    lanes = parameters["Lanes"]
    return Case(
        name=f"n{number}",
        parameters=parameters,
        in_bits=lanes * kind.bits,
        out_bits=lanes * kind.bits,
        inputs=packed(x, kind, lanes),
        outputs=packed(noisy, kind, lanes),
        vector=x.shape[1] // lanes,
        steps=1,
        stages=2 + parameters["Steps"].bit_length(),
        image=tuple(words),
    )


def vote_case(number):
    parameters, words, outputs, in_bits, out_bits = vote_unit(number, seed=number)
    votes = parameters["Votes"]
    return Case(
        name=f"v{number}",
        parameters=parameters,
        in_bits=in_bits,
        out_bits=out_bits,
        inputs=tuple(words),
        outputs=tuple(outputs),
        vector=votes,
        steps=votes,
        stages=1,
    )


def test_noise_is_that_of_the_reference_for_the_same_seed(simulator, compiled, tmp_path):
    cases = [noise_case(number) for number in range(len(NOISES))]
    for number in range(len(NOISES)):
        _, _, kind, x, noisy = noise_unit(number, seed=number)
        assert (x != noisy).mean() > 0.1
        assert {kind.lo, kind.hi} <= set(np.unique(noisy))

    run_unit("noise", cases, work=tmp_path, cache=compiled, simulator=simulator)


def test_votes_are_counted_and_the_smallest_class_wins_a_tie(simulator, compiled, tmp_path):
    cases = [vote_case(number) for number in range(len(VOTES))]

    run_unit("vote", cases, work=tmp_path, cache=compiled, simulator=simulator)
