"""The generators of the lanes: full period, disjoint parts, and the same words spelled twice."""

import numpy as np
import pytest

from flow.certify.noise_lanes import (
    BITS,
    PERIOD,
    _join,
    _power,
    _times,
    lane_states,
    lane_words,
    seed_state,
    step,
)
from flow.certify.recheck_smoothing import _matrix, _starts
from flow.errors import InputError

# 2**128 - 1 is the product of the first seven Fermat numbers' primes.
PRIMES = (3, 5, 17, 257, 641, 65537, 274177, 6700417, 67280421310721)


def raised(power):
    """Columns of the map of ``power`` steps."""
    found = tuple(1 << bit for bit in range(BITS))
    for place in range(power.bit_length()):
        if power >> place & 1:
            found = tuple(_times(_power(place), column) for column in found)
    return found


def test_the_state_runs_through_all_that_are_not_zero():
    identity = tuple(1 << bit for bit in range(BITS))
    assert int(np.prod([int(p) for p in PRIMES], dtype=object)) == PERIOD
    assert raised(PERIOD) == identity
    assert all(raised(PERIOD // prime) != identity for prime in PRIMES)


def test_lanes_and_streams_start_as_far_apart_as_they_say():
    (first, second), (other, _) = lane_states(5, lanes=2), lane_states(5, lanes=2, stream=1)
    assert first == seed_state(5)
    assert _join(second) == _times(raised(1 << 64), _join(first))
    assert _join(other) == _times(raised(1 << 96), _join(first))
    assert (
        len({state for stream in (0, 1, 2) for state in lane_states(5, lanes=9, stream=stream)})
        == 27
    )


def test_words_of_all_lanes_are_those_of_single_steps():
    starts = lane_states(1, lanes=3)
    words, states = lane_words(np.array(starts, dtype=np.uint32).T, 50)
    later, _ = lane_words(states, 7)
    for lane, state in enumerate(starts):
        for row in [*words, *later]:
            state = step(state)
            assert row[lane] == state[3]


def test_the_checker_spells_the_same_generator_as_a_matrix():
    state = np.random.default_rng(0).integers(0, 2, 128)
    number = int("".join(map(str, state[::-1])), 2)
    words = tuple(number >> 32 * k & 0xFFFFFFFF for k in range(4))
    assert "".join(map(str, (_matrix() @ state % 2)[::-1])) == f"{_join(step(words)):0128b}"
    for stage in (0, 1):
        assert _starts(9, 3, stage).T.tolist() == list(
            map(list, lane_states(9, lanes=3, stream=stage))
        )


def test_no_seed_is_the_state_of_all_zeros_and_bad_ones_are_refused():
    assert len({seed_state(seed) for seed in range(200)}) == 200
    for arguments in ({"lanes": 0}, {"lanes": 1, "stream": -1}, {"lanes": 1 << 17}):
        with pytest.raises(InputError, match="give a seed of at least 0"):
            lane_states(0, **arguments)
    with pytest.raises(InputError, match="seed -1"):
        lane_states(-1, lanes=1)
