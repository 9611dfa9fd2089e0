"""Lines of small whole numbers against every pair of integers there is."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.ir import IntType
from flow.passes.order import Side, _peak, least_lead, line_range, smallest_lines, ties


def compared(lines, low, high):
    """The sign of every difference of two lines, each at every integer."""
    scale, offset = (np.array(part, dtype=object) for part in zip(*lines, strict=True))
    values = (scale * np.arange(low, high + 1)[:, None] + offset).ravel()
    return np.sign(values[:, None] - values)


def line_sets():
    """Few and many classes, alike or not, falling or level, with common divisors and ties."""
    size = st.sampled_from([2, 5, 40, 10**6, 10**20])
    return size.flatmap(
        lambda most: st.lists(
            st.tuples(st.integers(-most // 4, most), st.integers(-2 * most, 2 * most)),
            min_size=1,
            max_size=4,
        )
    )


@settings(max_examples=300)
@given(line_sets(), st.integers(-6, 3), st.integers(0, 8))
def test_every_order_and_tie_of_every_two_values_stays(lines, low, reach):
    found = smallest_lines(lines, low, low + reach)
    np.testing.assert_array_equal(
        compared(found, low, low + reach), compared(lines, low, low + reach)
    )
    assert max(abs(scale) for scale, _ in found) <= max(1, *(abs(scale) for scale, _ in lines))


@settings(max_examples=100)
@given(st.lists(st.integers(-30, 30), min_size=1, max_size=5), st.integers(1, 12))
def test_equal_scales_become_the_number_of_different_fractions_of_offset(offsets, scale):
    found = smallest_lines([(scale, offset) for offset in offsets], -9, 9)
    fractions = {offset % scale for offset in offsets}
    assert {one for one, _ in found} == {len(fractions)}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(-9, 9)), min_size=2, max_size=2),
    st.integers(-3, 0),
    st.integers(1, 4),
)
def test_no_smaller_scales_of_the_same_shape_would_do(lines, low, reach):
    """Exhaustive: for every smaller largest scale, all offsets that could matter."""
    high = low + reach
    found = smallest_lines(lines, low, high)
    wanted = compared(lines, low, high)
    largest = max(scale for scale, _ in lines)
    for size in range(1, max(scale for scale, _ in found)):
        steps = [max(1, (2 * scale * size + largest) // (2 * largest)) for scale, _ in lines]
        for gap in range(-2 * size * (reach + 6), 2 * size * (reach + 6)):
            trial = list(zip(steps, (0, gap), strict=True))
            assert (compared(trial, low, high) != wanted).any()


@settings(max_examples=300)
@given(
    st.integers(1, 12), st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 30),
    st.integers(-30, 30), st.integers(1, 20),
)  # fmt: skip
def test_the_peak_of_a_linear_form_and_a_floor_is_the_largest_of_all(count, a, b, c, d, m):
    assert _peak(count, a, b, c, d, m) == max(a * x + b * ((c * x + d) // m) for x in range(count))


@settings(max_examples=300)
@given(
    *(st.tuples(st.integers(-9, 9), st.integers(0, 3), st.integers(-5, 2), st.integers(0, 6)),) * 2,
    st.integers(-40, 40),
)
def test_leads_and_ties_of_two_lines_are_those_of_all_points(first, second, gap):
    """Over boxes of different sides, and with a step of 0 too."""
    sides = []
    for scale, step, low, reach in (first, second):
        sides.append(Side.of(scale, step if scale >= 0 else -step, low, low + reach))
    one, other = sides
    points = list(product(range(one.low, one.high + 1), range(other.low, other.high + 1)))
    lead = [
        one.step * a - other.step * b for a, b in points if one.scale * a + gap > other.scale * b
    ]
    assert least_lead(one, other, gap) == min(lead, default=None)
    tied = [(a, b) for a, b in points if one.scale * a + gap == other.scale * b]
    assert ties(one, other, gap) == ((tied[0], tied[-1]) if tied else ())


def test_a_range_of_a_million_is_decided_without_walking_it():
    lines = [(3_000_001, 5), (2_999_999, 77_777), (1_234_567, -1)]
    found = smallest_lines(lines, -(10**6), 10**6)
    rng = np.random.default_rng(0)
    exact = np.array(lines, dtype=object)
    small = np.array(found, dtype=object)
    for _ in range(300):
        a, first, second = rng.integers(-(10**6), 10**6), *rng.choice(3, 2, replace=False)
        target = exact[first][0] * int(a) + exact[first][1] - exact[second][1]
        for b in range(target // exact[second][0] - 1, target // exact[second][0] + 3):
            before = (exact[first] * [int(a), 1]).sum() - (exact[second] * [b, 1]).sum()
            after = (small[first] * [int(a), 1]).sum() - (small[second] * [b, 1]).sum()
            if abs(b) <= 10**6:
                assert (after > 0) - (after < 0) == (before > 0) - (before < 0)


def test_more_than_63_bits_are_refused():
    rng = np.random.default_rng(1)
    lines = [(int(s), int(o)) for s, o in rng.integers(2**60, 2**62, (12, 2))]
    with pytest.raises(ValueError, match=r"^its logits need more than 63 bits to keep their order"):
        smallest_lines(lines, -(2**21), 2**21)


@pytest.mark.parametrize("high", [3_000_000, 7_611_479, 10_000_000])
def test_what_is_not_refused_fits_63_bits_whichever_way_the_lines_run(high):
    """Scales of both signs reach twice as far as one of them alone."""
    rng = np.random.default_rng(0)
    parts = zip((1, -1, 1, -1), rng.integers(2**60, 2**62, (4, 2)).tolist(), strict=True)
    lines = [(sign * scale, offset) for sign, (scale, offset) in parts]
    if high > 3_000_000:
        with pytest.raises(ValueError, match="more than 63 bits"):
            smallest_lines(lines, 0, high)
        return
    assert IntType.holding(*line_range(smallest_lines(lines, 0, high), 0, high)).bits <= 63


def test_values_take_the_bits_of_their_span():
    lines = [(4, 1000), (4, 1001), (4, 1003)]
    assert line_range(smallest_lines(lines, 0, 7), 0, 7) == (0, 23)  # fractions 0, 1, 3 of 4
    signed = line_range(smallest_lines(lines, -4, 3), -4, 3)
    assert -16 <= signed[0] <= signed[1] <= 15
    apart = smallest_lines([(1, 0), (1, 100)], -4, 3)
    assert line_range(apart, -4, 3) == (-8, 7)  # eight values, then eight more
