"""An interval that one may look at any number of times, and campaigns that stop by it."""

import json
from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.campaign import (
    Burst,
    By,
    Multiple,
    Single,
    Stuck,
    critical_share,
    run_campaign,
    shares,
    summary,
)
from flow.campaign.sample import sample_size, shuffled_bits
from flow.campaign.sequence import bounds, log_fortune, too_low
from flow.campaign.shards import units
from flow.campaign.stopping import Stopping, Watch, critical_shares
from flow.certify.flips import single_flips
from flow.certify.stored_bits import StoredBits
from flow.errors import InputError
from tests.campaign.campaigns import four_bit_network, generator, labelled, model_recipe, table_of

RUNS = 200


def looks(most):
    count = 1
    while count < most:
        yield count
        count = max(count + 1, int(count * 1.3))
    yield most


def ever_missed(draws, truth, *, population=None, confidence):
    asked = {"population": population, "confidence": confidence}
    return any(
        too_low(truth, draws[:n], **asked) or too_low(1 - truth, 1 - draws[:n], **asked)
        for n in looks(len(draws))
    )


def rare(rng):
    return (rng.random(300) < 0.03) * 1.0, 0.03


def even(rng):
    return (rng.random(300) < 0.5) * 1.0, 0.5


def graded(rng):
    return (rng.random(300) < 0.2) * rng.integers(0, 6, 300) / 5, 0.1


@pytest.mark.parametrize("draw", [rare, even, graded])
def test_intervals_hold_the_truth_at_all_looks_together_as_often_as_they_say(draw):
    rng = np.random.default_rng(7)
    missed = sum(
        ever_missed(*draw(rng), confidence=0.8) for _ in range(RUNS)
    )  # binomial: 0.2 of 200 is exceeded by 18 with probability 0.001
    assert missed <= 0.2 * RUNS + 18


def test_a_fixed_interval_looked_at_again_and_again_does_not():
    """What the sequence is for: Wilson's interval at the same looks is wrong far too often."""
    from flow.campaign.statistics import wilson

    rng = np.random.default_rng(7)

    def missed(draws, truth):
        found = (wilson(draws[:n].sum(), n, confidence=0.8) for n in looks(len(draws)))
        return any(not interval.lo <= truth <= interval.hi for interval in found)

    assert sum(missed(*even(rng)) for _ in range(RUNS)) > 0.2 * RUNS + 18


def test_draws_without_replacement_hold_the_truth_and_a_census_is_exact():
    rng = np.random.default_rng(3)
    missed = 0
    for _ in range(RUNS):
        population = (rng.random(120) < 0.3) * rng.integers(0, 3, 120) / 2
        draws = rng.permutation(population)
        truth = population.mean()
        missed += ever_missed(draws[:119], truth, population=120, confidence=0.8)
        whole = bounds(draws, population=120)
        assert whole.lo == whole.hi == draws.mean()
    assert missed <= 0.2 * RUNS + 18


def test_knowing_the_population_narrows_the_interval():
    draws = np.tile([0.0, 1.0, 0.0, 0.0], 40)
    known, endless = bounds(draws, population=200), bounds(draws)
    assert endless.lo < known.lo < draws.mean() < known.hi < endless.hi


@given(st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=1, max_size=40), st.integers(0, 9))
def test_the_interval_mirrors_with_its_draws_and_never_excludes_what_is_possible(draws, more):
    draws = np.array(draws)
    population = len(draws) + more
    found, mirrored = bounds(draws, population=population), bounds(1 - draws, population=population)
    assert np.isclose(found.lo, 1 - mirrored.hi)
    assert np.isclose(found.hi, 1 - mirrored.lo)
    assert 0 <= found.lo <= found.value <= found.hi <= 1
    least, most = draws.sum() / population, (draws.sum() + more) / population
    assert found.lo >= least - 1e-6  # the bits seen are known
    assert found.hi <= most + 1e-6


@pytest.mark.parametrize("population", [None, 130])
def test_an_interval_ends_where_means_are_refuted(population):
    draws = (np.random.default_rng(4).random(120) < 0.2) * 1.0
    found = bounds(draws, population=population)
    for end, seen in ((found.lo, draws), (1 - found.hi, 1 - draws)):
        assert too_low(end - 1e-6, seen, population=population)
        assert not too_low(end + 1e-6, seen, population=population)


def test_no_bet_on_the_true_mean_is_better_than_fair():
    """Every sequence of draws without replacement weighed alike: the fortunes average to 1."""
    population = np.array([0.0, 0.25, 1.0, 0.5])
    for n in (1, 2, 3):
        fortunes = [
            np.exp(log_fortune(population.mean(), np.array(order[:n]), population=4))
            for order in permutations(population)
        ]
        assert np.isclose(np.mean(fortunes), 1)


def test_no_draw_says_nothing_and_impossible_draws_are_refused():
    nothing = bounds(np.zeros(0))
    assert (nothing.lo, nothing.hi) == (0, 1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        bounds(np.array([0.5, 1.5]))
    with pytest.raises(ValueError, match="3 draws without replacement from 2"):
        bounds(np.zeros(3), population=2)


@pytest.mark.parametrize("margin", [0.1, 0.05, 0.03])
def test_the_list_is_long_enough_to_reach_its_margin_at_the_worst_share(margin):
    count = Single(margin=margin, sequential=True).size(10**9)
    assert count == 4 * sample_size(10**9, margin=margin, confidence=0.95)
    draws = (np.random.default_rng(1).random(count) < 0.5) * 1.0
    found = bounds(draws)
    assert found.hi - found.lo <= 2 * margin


def test_any_beginning_of_the_list_is_a_sample_of_every_stratum_and_then_of_all():
    bits = StoredBits.of(four_bit_network((6, 5, 4), signs=True))
    drawn = shuffled_bits(bits, 10**6, rng=generator(), minimum=3)
    assert sorted(drawn) == list(range(len(bits)))
    rule = Stopping.of(Single(margin=0.1, sequential=True, per_stratum=3), four_bit_network(
        (6, 5, 4), signs=True
    ))  # fmt: skip
    assert rule.floor + rule.population == len(bits)

    def stratum(k):
        fault = bits.fault(int(k))
        return fault.node, fault.parameter, fault.bit

    floor, every = (Counter(map(stratum, part)) for part in (drawn[: rule.floor], drawn))
    assert floor == {name: min(count, 3) for name, count in every.items()}
    assert (np.diff(drawn[rule.floor :]) < 0).any()  # not in the order of memories


def test_known_faults_are_counted_and_only_the_others_estimated():
    rule = Stopping(margin=0.1, confidence=0.95, floor=4, population=6)
    census = np.array([1, 1, 0, 0, 1, 0, 0, 0, 0, 0.5])
    exact = rule.estimate(census)
    assert exact.lo == exact.hi == exact.value == 0.35
    part = rule.estimate(census[:6])  # of ten, (1 + 1 + 0 + 0) + 1 + 0 are known
    assert (part.lo, part.hi) == (0.3, 0.7)
    early = rule.estimate(census[:2])
    assert (early.lo, early.hi) == (0.2, 1.0)


def test_units_count_in_their_order_whatever_order_they_end_in():
    rule = Stopping(margin=0.2, confidence=0.9, floor=0, population=None)
    draws = (np.random.default_rng(2).random(400) < 0.1) * 1.0
    cut = units(400, size=10)

    def watch():
        return Watch(rule, cut, lambda unit: draws[unit.first : unit.last])

    ordered, backwards = watch(), watch()
    done = set()
    for unit in cut:
        done.add(unit)
        if ordered.look(done) is not None:
            break
    for unit in reversed(cut):
        assert backwards.enough is None
        backwards.look({u for u in cut if u.number >= unit.number})
    assert 1 < ordered.enough == backwards.enough < len(cut)
    assert ordered.interval == backwards.interval


SEQUENTIAL = {"margin": 0.06, "confidence": 0.95, "sequential": True, "per_stratum": 2}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stopped")
    graph = four_bit_network((16, 12, 4), signs=True)
    data = labelled(graph, 12)
    return graph, data, folder, run(folder, "whole", graph, data)


def run(folder, name, graph, data, *, resume=False, progress=None, **settings):
    chosen = {"faults": SEQUENTIAL, "images": 12, "unit": 8} | settings
    recipe = model_recipe(graph, folder, **chosen)
    return run_campaign(
        recipe, data, out=folder / name, cache=folder, resume=resume, progress=progress
    )


def test_a_campaign_stops_early_with_the_margin_it_was_asked_for(stopped):
    graph, (x, y), folder, record = stopped
    said = record.stopping
    assert said["reached"]
    assert record.faults == said["faults"] < said["listed"] < len(StoredBits.of(graph))
    assert len(list((folder / "whole" / "shards").iterdir())) == record.units
    share = said["critical_share"]
    assert share["hi"] - share["lo"] <= 2 * SEQUENTIAL["margin"]
    flips = single_flips(graph, x, y=y)
    assert share["lo"] <= flips.class_changes.sum() / len(flips.bits) / len(x) <= share["hi"]
    found = summary(folder / "whole")
    assert found["critical_share"] == share
    assert found["stopping"] == said
    assert sum(record.outcomes.values()) == record.pairs == record.faults * 12


def test_groups_of_a_stopped_campaign_stand_for_all_their_bits(stopped):
    graph, _, folder, record = stopped
    rows, _ = table_of(folder / "whole")
    by_bit = shares(folder / "whole", By.BIT)
    sizes = Counter(f"{f.node}.{f.parameter} bit {f.bit:02d}" for f in StoredBits.of(graph))
    (whole,) = shares(folder / "whole")
    weighted = sum(sizes[group.group] * group.critical.value for group in by_bit)
    assert np.isclose(whole.critical.value, weighted / sum(sizes.values()))
    assert sum(group.faults for group in by_bit) == record.faults == max(rows["fault"]) + 1


class Killed(Exception):
    pass


@pytest.mark.parametrize("after", [1, 4, 11])
def test_a_campaign_that_was_interrupted_stops_at_the_same_fault(stopped, tmp_path, after):
    graph, data, folder, record = stopped
    steps = []

    def interrupt(done, total):
        steps.append(done)
        if len(steps) == after:
            raise Killed

    with pytest.raises(Killed):
        run(tmp_path, "out", graph, data, progress=interrupt)
    running = critical_share(tmp_path / "out", rng=generator())  # valid at any time
    assert running.hi - running.lo > 2 * SEQUENTIAL["margin"]
    again = run(tmp_path, "out", graph, data, resume=True)
    assert again.stopping == record.stopping
    assert table_of(tmp_path / "out") == table_of(folder / "whole")


def test_workers_that_ran_ahead_change_nothing(stopped, tmp_path):
    graph, data, folder, record = stopped
    again = run(tmp_path, "out", graph, data, workers=2)
    assert again.stopping == record.stopping
    assert table_of(tmp_path / "out") == table_of(folder / "whole")


def test_a_shard_behind_the_stopping_point_is_removed_on_resuming(stopped, tmp_path):
    """As a kill leaves it between the decision and the record."""
    graph, data, folder, record = stopped
    full = dict(SEQUENTIAL, margin=0.001)
    run(tmp_path, "out", graph, data)
    (tmp_path / "out" / "record.json").unlink()
    shards = tmp_path / "out" / "shards"
    from flow.campaign.execute import execute
    from flow.campaign.prepare import prepare
    from flow.campaign.shards import write_shard

    campaign = prepare(model_recipe(graph, tmp_path, faults=SEQUENTIAL, images=12, unit=8), data)
    for ahead in (campaign.units[record.units], campaign.units[record.units + 2]):
        made = execute(campaign, ahead, cache=tmp_path)
        write_shard(tmp_path / "out", made, campaign=campaign.key)
    assert len(list(shards.iterdir())) == record.units + 2
    again = run(tmp_path, "out", graph, data, resume=True)
    assert again.stopping == record.stopping
    assert table_of(tmp_path / "out") == table_of(folder / "whole")
    with pytest.raises(InputError, match=r"its campaign has another (fault list|stopping)"):
        run(tmp_path, "out", graph, data, resume=True, faults=full)


def test_a_margin_out_of_reach_is_said_to_be_so(tmp_path):
    graph = four_bit_network((4, 3, 2), signs=True)
    data = labelled(graph, 12)
    faults = {"model": "multiple", "flips": [3], "margin": 0.4, "sequential": True}
    record = run(tmp_path, "out", graph, data, faults=faults, images=2)
    assert record.stopping["population"] is None
    assert record.stopping["reached"] == (
        record.stopping["critical_share"]["hi"] - record.stopping["critical_share"]["lo"] <= 0.8
    )


@pytest.mark.parametrize(
    ("model", "settings", "said"),
    [
        (Single, {"count": 5, "sequential": True}, "give that instead of 'count'"),
        (Multiple, {"flips": [1, 2], "margin": 0.1, "sequential": True}, "one number of 'flips'"),
    ],
)
def test_what_cannot_be_watched_is_refused(model, settings, said):
    with pytest.raises(ValueError, match=said):
        model.model_validate(settings)


def test_every_model_that_draws_can_be_watched():
    graph = four_bit_network((4, 3, 2))
    for model in (
        Stuck(value=1, margin=0.1, sequential=True),
        Burst(bits=2, margin=0.1, sequential=True),
        Multiple(flips=(3,), margin=0.1, sequential=True),
    ):
        assert Stopping.of(model, graph).margin == 0.1
    assert Stopping.of(Single(margin=0.1), graph) is None
    assert Stopping.of(None, graph) is None


def test_the_identity_of_other_campaigns_is_unchanged(stopped, tmp_path):
    graph, data, folder, _ = stopped
    run(tmp_path, "out", graph, data, faults=20)
    plain = json.loads((tmp_path / "out" / "campaign.json").read_text())["identity"]
    watched = json.loads((folder / "whole" / "campaign.json").read_text())["identity"]
    assert set(watched) - set(plain) == {"stopping"}


def test_shares_of_a_shard_are_by_fault(stopped):
    import pyarrow.parquet as pq

    _, _, folder, _ = stopped
    table = pq.read_table(folder / "whole" / "shards" / "000000.parquet")
    rows = table.to_pylist()
    wanted = [
        np.mean([row["outcome"] == "critical" for row in rows if row["fault"] == fault])
        for fault in range(8)
    ]
    assert critical_shares(table, 12).tolist() == wanted
