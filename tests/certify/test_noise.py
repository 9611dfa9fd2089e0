"""Tables and streams of noise, and what their error costs."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from scipy.stats import norm

from flow.certify.noise import NoiseTable
from flow.certify.noise_streams import HostNoise, LaneNoise
from flow.certify.smoothing_bounds import needed_share


@pytest.mark.parametrize("sigma", [Fraction(1, 3), Fraction(2), Fraction(9)])
def test_a_table_gives_exactly_the_shares_it_states(sigma):
    table = NoiseTable.of(sigma, bits=9, span=6)
    drawn = table.draw(np.arange(1 << 9, dtype=np.uint64))
    for noise in range(-7, 8):
        assert Fraction(int((drawn == noise).sum()), 1 << 9) == table.probability(noise)


@pytest.mark.parametrize(
    ("sigma", "bits", "span"),
    [("1/3", 6, 6), ("2", 7, 6), ("9", 9, 6), ("5", 5, 40), ("3/2", 32, 16)],
)
def test_the_stated_distance_is_that_to_the_rounded_gaussian(sigma, bits, span):
    table = NoiseTable.of(Fraction(sigma), bits=bits, span=span)
    ends = np.arange(-400, 401)
    ideal = np.diff(norm.cdf((np.append(ends, 401) - 0.5) / float(Fraction(sigma))))
    own = np.array([float(table.probability(int(k))) for k in ends])
    clipped = np.clip(ends, -span, span)
    apart = sum(
        abs(ideal[clipped == k].sum() - own[clipped == k].sum()) for k in range(-span, span + 1)
    )
    assert float(table.distance()) == pytest.approx(apart / 2, abs=1e-12)
    assert plain_distance(table) == pytest.approx(float(table.distance()), abs=1e-14)


def plain_distance(table):
    from flow.certify.recheck_smoothing import _distance, _levels

    levels = _levels(table.sigma, table.bits, table.span)
    assert levels == list(table.levels)
    return float(_distance(table.sigma, levels, table.span, 1 << (table.bits - 1)))


def moves(table, size):
    """How many of all words take each of ``size`` levels to each other, (from, to)."""
    found = np.zeros((size, size), dtype=np.int64)
    for x in range(size):
        for noise in range(-table.most, table.most + 1):
            chance = table.probability(noise) * (1 << table.bits)
            assert chance.denominator == 1
            found[x, min(max(x + noise, 0), size - 1)] += int(chance)
    return found


def ideal_moves(sigma, size):
    edges = np.concatenate([[-np.inf], np.arange(size - 1) + 0.5, [np.inf]])
    return np.diff(norm.cdf((edges - np.arange(size)[:, None]) / float(sigma)), axis=1)


@pytest.mark.parametrize("bits", [6, 8, 10])
@pytest.mark.parametrize("sigma", [Fraction(4, 5), Fraction(3, 2)])
def test_charged_distances_hold_for_the_source_whatever_is_smoothed(sigma, bits):
    """Exact probabilities in place of votes: every claim of the theorem is then a certainty."""
    size, rng, certified = 7, np.random.default_rng(bits), 0
    table = NoiseTable.of(sigma, bits=bits, span=size - 1)
    move, ideal, unit = moves(table, size), ideal_moves(sigma, size), 1 << 2 * bits
    points = np.stack(np.meshgrid(*[np.arange(size)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    squares = ((points[:, None] - points) ** 2).sum(axis=2)
    needed = {
        (squared, own): needed_share(int(squared), sigma=sigma, error=2 * table.distance(), own=own)
        for squared in np.unique(squares)
        for own in (True, False)
    }
    sums = points.sum(axis=1).reshape(size, size)
    for wins in [sums >= k for k in range(2, 11)] + [rng.random((size, size)) < 0.8 for _ in "abc"]:
        own = (move @ wins @ move.T).ravel()
        true = (ideal @ wins @ ideal.T).ravel()
        for (squared, of_source), share in needed.items():
            if share is None:
                continue
            claimed = (own > int(Fraction(share) * unit))[:, None] & (squares == squared)
            reached = claimed.any(axis=0)
            certified += int(squared > 0 and reached.any())
            kept = 2 * own > unit if of_source else true > 0.5 - 1e-12
            assert kept[reached].all()
    assert certified


def test_noise_whose_distance_is_not_charged_is_certified_wrongly():
    """That the last test can fail: two levels, and a table that favours one side of a half."""
    size, sigma = 7, Fraction(4, 5)
    table = NoiseTable.of(sigma, bits=4, span=size - 1)
    move, wrong = moves(table, size), 0
    for start, end in product(range(size), repeat=2):
        needed = needed_share((start - end) ** 2, sigma=sigma, error=Fraction(0), own=True)
        for edge in range(1, size):
            own = Fraction(int(move[start, edge:].sum()), 1 << 4)
            wrong += own > Fraction(needed) and 2 * move[end, edge:].sum() <= 1 << 4
    assert wrong


def test_rows_of_noise_do_not_depend_on_how_many_are_asked_for():
    host = NoiseTable.of(Fraction(2), bits=64, span=16)
    lane = NoiseTable.of(Fraction(2), bits=32, span=16)
    for make in (
        lambda: HostNoise(host, 6, seed=3, stream=1),
        lambda: LaneNoise(lane, 6, lanes=2, seed=3, stream=1),
    ):
        whole, parts = make().rows(9), make()
        assert whole.shape == (9, 6)
        assert (np.concatenate([parts.rows(n) for n in (1, 4, 0, 2, 2)]) == whole).all()


def test_seeds_and_streams_give_other_noise_of_the_right_spread():
    table = NoiseTable.of(Fraction(3), bits=64, span=60)
    drawn = [
        HostNoise(table, 5, seed=seed, stream=stream).rows(4000)
        for seed, stream in [(0, 0), (1, 0), (0, 1)]
    ]
    for k, rows in enumerate(drawn):
        assert rows.std() == pytest.approx((9 + 1 / 12) ** 0.5, rel=0.02)  # rounding adds 1/12
        assert all((rows != other).mean() > 0.8 for other in drawn[k + 1 :])
