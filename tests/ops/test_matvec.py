"""Matrix-vector products: groups, wrap and decoding, against plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.ir import IntType
from flow.ops import MatVec

S4, S20 = IntType(4, True), IntType(20, True)


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2))
def test_groups_see_their_own_channels_at_every_place(groups, rows, channels, places):
    rng = np.random.default_rng(0)
    weights = rng.integers(-8, 8, (groups * rows, places * channels))
    x = rng.integers(0, 16, (4, places * groups * channels))
    op = MatVec(weights, S4, S20, groups=groups, positions=places)
    expected = np.zeros((4, groups * rows), dtype=int)
    for row in range(groups * rows):
        for place in range(places):
            for channel in range(channels):
                source = (place * groups + row // rows) * channels + channel
                expected[:, row] += weights[row, place * channels + channel] * x[:, source]
    np.testing.assert_array_equal(op.evaluate(x), expected)


def test_the_accumulator_wraps_the_whole_dot_product():
    assert MatVec([[7, 7]], S4, S4).evaluate(np.array([[1, 1], [1, 2]])).tolist() == [[-2], [5]]


def test_clamp_limits_a_code_that_training_never_uses():
    narrow = IntType(4, True).within(-7, 7)
    plain, clamped = (
        MatVec([[-8]], narrow, S20, decode=form).evaluate(np.array([[1]]))
        for form in ("plain", "clamp")
    )
    assert (plain.item(), clamped.item()) == (-8, -7)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"groups": 3}, "2 rows and 2 columns cannot be 3 groups of 1 positions"),
        ({"positions": 3}, "2 rows and 2 columns cannot be 1 groups of 3 positions"),
        ({"popcount": True}, "popcount form needs bipolar weights, not s4"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        MatVec([[1, 2], [3, 4]], S4, S20, **settings)
