"""Statistics of smoothing: enclosures of the normal distribution, tails, certified distances."""

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, norm

from flow.certify import Smoothing
from flow.certify import plain_votes as plain
from flow.certify.noise_normal import DOWN, UP, central, decimal, quantile_above
from flow.certify.smoothing import _Reach
from flow.certify.smoothing_bounds import abstains, shown, squared_reach, tail_above

ALPHA = Fraction(1, 100)


@pytest.mark.parametrize("z", ["0", "0.001", "0.7", "1.9", "3.8", "7.5", "11"])
def test_two_series_enclose_the_normal_distribution_and_each_other(z):
    low, high = (Fraction(central(decimal(Fraction(z), way), way)) for way in (DOWN, UP))
    least, most = plain.central(Fraction(z))
    assert low <= least + Fraction(1, 2**199)  # the fixed point is far finer than the decimals
    assert most - Fraction(1, 2**199) <= high
    assert 0 <= high - low < Fraction(1, 10**50)
    assert 0 <= most - least < Fraction(1, 10**50)
    assert float(low) == pytest.approx(norm.cdf(float(z)) - 0.5, abs=1e-15)  # which function it is


@pytest.mark.parametrize("excess", ["0", "1/1000000000", "1/1000", "1/50", "1/6", "1/5"])
def test_the_quantile_is_not_below_the_true_one(excess):
    z = quantile_above(Fraction(excess))
    assert Fraction(central(z, DOWN)) >= Fraction(excess)
    assert float(z) <= norm.ppf(0.5 + float(Fraction(excess))) * 1.07 + 1e-12


def exact_tail(samples, votes, share):
    return sum(
        comb(samples, k) * share**k * (1 - share) ** (samples - k)
        for k in range(votes, samples + 1)
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), st.data())
def test_tails_lie_just_above_the_exact_one(counts, data):
    share = Fraction(data.draw(st.integers(0, 256)), 256)
    exact = exact_tail(*counts, share)
    for found in (
        Fraction(tail_above(*counts, decimal(share, UP))),
        plain._tail(*counts, Fraction(share)),
    ):
        assert exact <= found <= exact * (1 + Fraction(1, 10**35))


def test_no_probability_is_certified_wrongly_more_often_than_alpha():
    samples = 40
    for step in range(50, 100, 7):
        share = Fraction(step, 100)
        chance = sum(
            comb(samples, k) * share**k * (1 - share) ** (samples - k)
            for k in range(samples + 1)
            if shown(k, samples, alpha=ALPHA, share=decimal(share, UP))
        )
        assert chance <= ALPHA


@pytest.mark.parametrize(("votes", "samples"), [(1000, 1000), (870, 1000), (9999, 10000)])
def test_the_distance_is_the_one_of_clopper_and_pearson_and_cohen(votes, samples):
    sigma = Fraction(63, 2)
    low = beta.ppf(0.01, votes, samples - votes + 1)
    found = squared_reach(votes, samples, alpha=ALPHA, sigma=sigma, error=Fraction(0), own=False)
    assert found == int((31.5 * norm.ppf(low)) ** 2)
    for squared, wanted in ((found, True), (found + 1, False)):
        arguments = {"squared": squared, "alpha": ALPHA, "sigma": sigma, "error": Fraction(0)}
        assert plain.holds(votes, samples, **arguments, own=False) is wanted


def test_an_error_of_the_noise_costs_distance_and_more_for_the_source_itself():
    def reach(error, own):
        return squared_reach(
            9990, 10000, alpha=ALPHA, sigma=Fraction(40), error=Fraction(error), own=own
        )

    free, ideal, own = reach(0, False), reach("1/1000", False), reach("1/1000", True)
    assert own < ideal < free
    assert reach(0, True) == free
    for squared, name in ((own, True), (ideal, False)):
        for more in (0, 1):
            assert plain.holds(
                9990, 10000, squared=squared + more, alpha=ALPHA, sigma=Fraction(40),
                error=Fraction("1/1000"), own=name,
            ) is (more == 0)  # fmt: skip
    assert reach("1/3", True) is None
    assert quantile_above(Fraction(1, 3)) is None


def test_of_the_two_distances_that_of_the_source_itself_is_the_shorter():
    terms = Smoothing(Fraction(40), samples=10_000)
    found = _Reach(terms, Fraction(1, 1000))(9990)
    assert found["squared"] < found["ideal"]
    assert _Reach(terms, Fraction(1, 1000)).charge == {"error": "1/1000"}


def test_half_the_votes_certify_nothing_and_two_close_classes_are_left_open():
    for votes in (0, 400, 500, 510):
        assert (
            squared_reach(votes, 1000, alpha=ALPHA, sigma=Fraction(1), error=Fraction(0), own=False)
            is None
        )
    assert not plain.holds(
        500, 1000, squared=0, alpha=ALPHA, sigma=Fraction(1), error=Fraction(0), own=False
    )
    assert abstains(7, 0, alpha=ALPHA)  # 2 / 2**7
    assert not abstains(8, 0, alpha=ALPHA)
    assert abstains(500, 500, alpha=ALPHA)
    assert not abstains(10, 500, alpha=ALPHA)
