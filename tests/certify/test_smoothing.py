"""Smoothing: votes, radii and their checker, against exact probabilities."""

import json
from fractions import Fraction
from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, norm

from flow.certify import Smoothing, Verdict, certify_smoothing, check, save_certificates
from flow.certify import plain_votes as plain
from flow.certify.certificate import content_digest
from flow.certify.noise import NoiseTable
from flow.certify.noise_normal import DOWN, UP, central, decimal, quantile_above
from flow.certify.noise_streams import HostNoise, LaneNoise
from flow.certify.smoothing import _Reach, count_votes, noise_stream
from flow.certify.smoothing_bounds import (
    abstains,
    needed_share,
    shown,
    squared_reach,
    tail_above,
)
from flow.engine import BatchedEngine
from flow.errors import ClaimError, InputError
from flow.evidence.smoothing import curve
from flow.ir import Edge, Graph, IntType, Node
from flow.ops import ArgMax, MatVec
from tests.engine.chains import BIPOLAR, random_chain, random_inputs, random_labels

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


def subject(lanes=None, **terms):
    """A graph of six inputs, images, labels some of which are wrong, and their certificates."""
    rng = np.random.default_rng(5)
    weights = rng.integers(-4, 4, (3, 6))
    op = MatVec(weights, IntType(3, True), IntType(12, True))
    nodes = Node("fc", op, ("x",), "z"), Node("argmax", ArgMax(), ("z",), "class")
    graph = Graph("g", "x", Edge((6,), IntType(4, declared=(0, 12))), nodes, "class")
    x = rng.integers(0, 13, (12, 6))
    y = graph.evaluate(x)
    y[:2] = (y[:2] + 1) % 3
    smoothing = Smoothing(Fraction(3, 2), 400, 40, ALPHA, 7, lanes, **terms)
    return graph, x, y, smoothing


@pytest.mark.parametrize("lanes", [None, 3])
def test_votes_are_those_of_the_reference_row_by_row(lanes):
    graph, x, _, terms = subject(lanes)
    rows = noise_stream(graph, terms, 1).rows(300)
    wanted = [np.bincount(graph.evaluate(np.clip(rows + xi, 0, 12)), minlength=3) for xi in x]
    found = count_votes(BatchedEngine(graph), x, noise_stream(graph, terms, 1), samples=300)
    assert (found == wanted).all()
    small = BatchedEngine(graph, memory=1)  # one row at a time
    assert (
        count_votes(small, x[:2], noise_stream(graph, terms, 1), samples=300) == wanted[:2]
    ).all()


@pytest.fixture(params=[None, 3], ids=["host", "lanes"])
def case(request, tmp_path):
    graph, x, y, terms = subject(request.param)
    found = certify_smoothing(graph, x, y=y, terms=terms)
    save_certificates(found, tmp_path / "c.json")
    return graph, x, y, found, tmp_path / "c.json"


def test_what_is_certified_is_accepted_and_never_proved(case):
    graph, x, y, found, path = case
    counts = found.summary()
    assert counts["proved"] == counts["refuted"] == 0
    assert counts["statistical"] > 3
    assert counts["misclassified"] >= 2
    assert counts["unknown"] + counts["statistical"] == counts["correct"]
    done = check(path, graph, x, y)
    assert (done.enumerated, done.unchecked) == (12, 0)
    chosen = check(path, graph, x, y, images=[0, 5])
    assert chosen.enumerated == 2
    assert chosen.unchecked >= counts["statistical"] - 2
    with pytest.raises(InputError, match=r"images \[12\]: choose from 0 to 11"):
        check(path, graph, x, y, images=[12])


def first(record, verdict="STATISTICAL"):
    return next(e for e in record["certificates"] if e["verdict"] == verdict)


def farther(name):
    def change(record):
        first(record)["detail"][name] += 1

    return change


def more_votes(record):
    entry = next(e for e in record["certificates"] if len(set(e["detail"]["votes"])) > 2)
    votes = entry["detail"]["votes"]
    votes[int(np.argmax(votes))] += 1
    votes[int(np.argmin(votes))] -= 1


def wrong_class_certified(record):
    entry = next(e for e in record["certificates"] if not e["correct"])
    entry.update(verdict="STATISTICAL", correct=True)


def proved(record):
    first(record)["verdict"] = "PROVED"


def perfect_noise(record):
    record["terms"]["error"] = "0"


def other_seed(record):
    record["terms"]["seed"] += 1


def fewer_samples(record):
    record["terms"]["samples"] -= 1


def milder_alpha(record):
    record["terms"]["alpha"] = "2"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (farther("squared"), ClaimError, "its votes do not certify squared"),
        (farther("ideal"), ClaimError, "its votes do not certify ideal"),
        (more_votes, ClaimError, "counted again, are others"),
        (wrong_class_certified, ClaimError, "votes, label"),
        (proved, ClaimError, "PROVED, but its votes say otherwise"),
        (perfect_noise, ClaimError, "is less than that of its noise"),
        (other_seed, ClaimError, "counted again, are others"),
        (fewer_samples, ClaimError, "of 400 votes"),
        (milder_alpha, InputError, "describe no smoothing"),
    ],
)
def test_a_forged_claim_is_rejected(case, change, error, message):
    graph, x, y, _, path = case
    record = json.loads(path.read_text())
    change(record)
    entries = [e for e in record["certificates"] if e["correct"]]
    counts = {v.lower(): sum(e["verdict"] == v for e in entries) for v in Verdict}
    wrong = len(x) - len(entries)
    record["summary"] = {"total": len(x), "correct": len(entries), "misclassified": wrong, **counts}
    del record["content"]
    record["content"] = content_digest(record)
    path.write_text(json.dumps(record))
    with pytest.raises(error, match=message):
        check(path, graph, x, y)


def test_the_curve_counts_images_whose_distance_reaches_the_radius(case):
    found = case[3]
    rows = curve(found, Fraction(3, 2))
    squares = [c.detail["squared"] for c in found.certificates if c.verdict is Verdict.STATISTICAL]
    assert rows[0] == {"radius": 0.0, "certified": len(squares), "certified_ideal": len(squares)}
    assert rows[-1]["certified"] == 0
    for row in rows:
        near = int(row["radius"] ** 2)  # quarters of 3/2 are exact
        assert row["certified"] == sum(s >= near for s in squares)


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"sigma": Fraction(0)}, "sigma 0: give a number of pixel codes above 0"),
        ({"alpha": Fraction(1)}, "alpha 1: give a chance between 0 and 1"),
        ({"alpha": Fraction(0)}, "alpha 0: give a chance between 0 and 1"),
        ({"samples": 0}, "0 samples, 100 to select: give at least 1 of each"),
        ({"selection": 0}, "10000 samples, 0 to select: give at least 1 of each"),
        ({"seed": -1}, "seed -1: give 0 or more"),
    ],
)
def test_terms_that_mean_nothing_are_refused(terms, message):
    with pytest.raises(InputError, match=message):
        Smoothing(**{"sigma": Fraction(1), **terms})


def test_inputs_that_cannot_carry_noise_are_refused():
    graph, x, y, terms = subject(lanes=4)
    with pytest.raises(InputError, match="4 lanes do not divide the 6 elements of an input"):
        certify_smoothing(graph, x, y=y, terms=terms)
    with pytest.raises(InputError, match="are no 6:u4"):
        certify_smoothing(graph, x + 9, y=y, terms=Smoothing(Fraction(1)))
    for seed in range(100):
        graph = random_chain(seed)
        if graph.input_edge.type == BIPOLAR:
            break
    x = random_inputs(graph, 3)
    with pytest.raises(InputError, match="smoothing adds noise to integers; a bipolar"):
        certify_smoothing(graph, x, y=random_labels(graph, x), terms=Smoothing(Fraction(1)))
