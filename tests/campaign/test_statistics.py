"""Intervals against published values, other implementations and enumeration."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from flow.campaign.sample import sample_size
from flow.campaign.statistics import (
    stratified,
    stratified_zero_bound,
    wilson,
    zero_event_bound,
)

TRIALS = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("margin", "confidence", "wanted"),
    [(0.01, 0.95, 9604), (0.01, 0.99, 16588), (0.003, 0.99, 184_303), (0.001, 0.99, 1_658_725)],
)
def test_the_sample_size_of_a_large_population_is_the_textbook_one(margin, confidence, wanted):
    assert sample_size(10**18, margin=margin, confidence=confidence) == wanted


def test_the_sample_size_never_exceeds_the_population_and_reaches_it_at_zero_margin():
    assert sample_size(1000, margin=0.01, confidence=0.99) == 944
    assert sample_size(1000, margin=1e-6, confidence=0.99) == 1000
    assert sample_size(1, margin=0.05, confidence=0.95) == 1


def test_wilson_gives_newcombes_published_intervals():
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 81/263, 15/148, 0/20, 1/29.
    found = [wilson(81, 263), wilson(15, 148), wilson(0, 20), wilson(1, 29)]
    rounded = [(round(e.lo, 4), round(e.hi, 4)) for e in found]
    assert rounded == [(0.2553, 0.3662), (0.0624, 0.1605), (0.0, 0.1611), (0.0061, 0.1718)]


@settings(deadline=None)
@given(TRIALS, st.sampled_from([0.8, 0.95, 0.999]))
def test_wilson_equals_scipys_to_its_rounding(case, confidence):
    events, trials = case
    found = wilson(events, trials, confidence=confidence)
    known = binomtest(events, trials).proportion_ci(confidence, "wilson")
    # Two formulas in floating point: equal but for the last places.
    assert math.isclose(found.lo, known.low, abs_tol=1e-12)
    assert math.isclose(found.hi, known.high, abs_tol=1e-12)
    assert 0 <= found.lo <= found.value <= found.hi <= 1


def test_no_event_in_300_draws_bounds_the_share_by_the_rule_of_three():
    assert 2.98 / 300 < zero_event_bound(300) < 3 / 300
    assert zero_event_bound(1, confidence=0.95) == pytest.approx(0.95, abs=1e-15)


STRATA = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 500)), min_size=1, max_size=6)


@settings(deadline=None)
@given(STRATA)
def test_no_event_in_any_stratum_bounds_the_whole_share(strata):
    draws = [drawn for drawn, _ in strata]
    sizes = [drawn + more for drawn, more in strata]
    bound = stratified_zero_bound(sizes, draws)
    # At least what a single stratum could hide, and not less than proportional draws would say.
    alone = [size / sum(sizes) * zero_event_bound(n) for size, n in zip(sizes, draws, strict=True)]
    assert max(alone) - 1e-12 <= bound <= 1
    assert bound >= zero_event_bound(sum(draws)) - 1e-12
    # No other division of shares hides more: try many at the edge of what the draws allow.
    rng = np.random.default_rng(0)
    split = rng.dirichlet(np.ones(len(sizes)), 200)
    hidden = 1 - np.exp(split * math.log(0.05) / draws)
    assert (hidden @ np.array(sizes) / sum(sizes)).max() <= bound + 1e-12


def test_proportional_draws_bound_as_one_sample_does():
    found = stratified_zero_bound([500, 300, 200], [50, 30, 20])
    assert math.isclose(found, zero_event_bound(100), rel_tol=1e-12)


def test_a_census_leaves_no_doubt():
    every = [np.array([0.0, 1.0, 0.5]), np.array([0.25])]
    found = stratified([3, 1], every, rng=np.random.default_rng(0))
    assert (found.value, found.lo, found.hi) == (0.4375, 0.4375, 0.4375)


def test_the_stratified_share_weighs_each_stratum_by_its_size():
    rng = np.random.default_rng(0)
    drawn = [rng.choice([0.0, 1.0], 50, p=[0.9, 0.1]), np.ones(10)]
    found = stratified([900, 100], drawn, rng=rng)
    assert found.value == pytest.approx(0.9 * drawn[0].mean() + 0.1)
    assert found.lo < found.value < found.hi


def test_the_bootstrap_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    populations = [rng.beta(1, 3, 400), rng.beta(3, 1, 100)]
    truth = np.concatenate(populations).mean()
    covered = 0
    for _ in range(400):
        drawn = [
            rng.choice(p, n, replace=False) for p, n in zip(populations, (40, 20), strict=True)
        ]
        found = stratified([400, 100], drawn, rng=rng, resamples=400)
        covered += found.lo <= truth <= found.hi
    assert 0.91 <= covered / 400 <= 0.985


def test_a_stratum_drawn_almost_wholly_adds_almost_no_spread():
    drawn = np.arange(20) / 20
    few, many = (stratified([n], [drawn], rng=np.random.default_rng(0)) for n in (21, 10**9))
    # sqrt(1 - 20/21) = 0.218 of the spread is left.
    assert 0.2 < (few.hi - few.lo) / (many.hi - many.lo) < 0.24


def test_a_single_draw_from_a_larger_stratum_is_refused():
    with pytest.raises(ValueError, match="1 draws from a stratum of 9: draw at least 2, or all"):
        stratified([9], [np.array([0.5])], rng=np.random.default_rng(0))


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="4 events in 3 trials"):
        wilson(4, 3)
