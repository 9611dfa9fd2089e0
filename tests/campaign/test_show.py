"""Tables equal what counting the rows by hand gives."""

import math

import numpy as np
import pytest

from flow.campaign import (
    By,
    Multiple,
    Rates,
    Stuck,
    critical_share,
    direction_counts,
    load_faults,
    outcome_counts,
    run_campaign,
    shares,
    summary,
)
from flow.campaign.model import evaluate_faults, reference
from flow.campaign.statistics import wilson
from flow.certify.flips import single_flips
from flow.certify.stored_bits import StoredBits
from flow.errors import InputError
from tests.campaign.campaigns import (
    binary_network,
    four_bit_network,
    generator,
    labelled,
    model_recipe,
    table_of,
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("show")
    graph = four_bit_network((6, 5, 4), signs=True)
    data = labelled(graph, 12)
    record = run_campaign(model_recipe(graph, folder), data, out=folder / "out", cache=folder)
    return graph, folder / "out", record


@pytest.fixture(scope="module")
def census(tmp_path_factory):
    """Every stored bit on every image."""
    folder = tmp_path_factory.mktemp("census")
    graph = four_bit_network((4, 3, 2), signs=True)
    data = labelled(graph, 12)
    everything = {"faults": len(StoredBits.of(graph)), "images": 12, "unit": 100}
    recipe = model_recipe(graph, folder, **everything)
    run_campaign(recipe, data, out=folder / "out", cache=folder)
    return graph, folder / "out", data


def test_the_counts_of_every_grouping_add_up_to_the_record(finished):
    _, out, record = finished
    assert outcome_counts(out) == record.outcomes
    assert sum(direction_counts(out).values()) == record.pairs
    assert direction_counts(out)["unchanged"] == record.pairs - record.outcomes["critical"]
    for by in (By.ALL, By.LAYER, By.MEMORY, By.PARAMETER, By.BIT):
        groups = shares(out, by)
        assert sum(group.faults for group in groups) == record.faults
        assert sum(group.pairs for group in groups) == record.pairs
        for outcome, count in record.outcomes.items():
            assert sum(group.outcomes[outcome] for group in groups) == count
    assert all(group.faults == record.faults for group in shares(out, By.IMAGE))
    assert len(shares(out, By.IMAGE)) == record.images


def test_groups_are_named_in_the_order_of_the_network(finished):
    _, out, _ = finished
    names = [group.group for group in shares(out, By.PARAMETER)]
    assert names == ["fc0.weights", "act0.thresholds", "act0.sign", "fc1.weights"]
    assert [group.group for group in shares(out, By.MEMORY)] == [
        "fc0.weights",
        "act0.thresholds",
        "fc1.weights",
    ]
    assert [group.group for group in shares(out, By.BIT)][:4] == [
        f"fc0.weights bit 0{bit}" for bit in range(4)
    ]


def test_a_bit_positions_shares_are_the_plain_fractions_of_its_pairs(finished):
    graph, out, _ = finished
    rows, _ = table_of(out)
    faults = load_faults(out / "faults.parquet", graph=graph)
    for group in shares(out, By.BIT):
        mine = [
            i
            for i, f in enumerate(rows["fault"])
            for (fault,) in [faults[f]]
            if f"{fault.node}.{fault.parameter} bit {fault.bit:02d}" == group.group
        ]
        critical = sum(rows["outcome"][i] == "critical" for i in mine)
        right = sum(rows["class"][i] == rows["label"][i] for i in mine)
        assert (group.pairs, group.outcomes["critical"]) == (len(mine), critical)
        # SQL sums these in another order than Python does.
        assert math.isclose(group.critical.value, critical / len(mine), abs_tol=1e-12)
        assert math.isclose(group.accuracy.value, right / len(mine), abs_tol=1e-12)
        wanted = wilson(group.critical.value * group.faults, group.faults)
        assert math.isclose(group.critical.hi, wanted.hi, abs_tol=1e-9)


def test_a_census_gives_the_true_shares_of_all_stored_bits(census):
    graph, out, (x, y) = census
    faults = [(fault,) for fault in StoredBits.of(graph)]
    answers, clean = evaluate_faults(graph, x, faults), reference(graph, x)
    changed = answers.classes != clean.classes
    (whole,) = shares(out)
    assert (whole.group, whole.faults) == ("all faults", len(faults))
    for found, wanted in (
        (whole.critical, changed.mean()),
        (whole.changed, (answers.logits != clean.logits).any(axis=-1).mean()),
        (whole.breaking, changed.any(axis=1).mean()),
        (whole.accuracy, (answers.classes == y).mean()),
    ):
        assert math.isclose(found.value, wanted, abs_tol=1e-12)
    assert whole.clean_accuracy == (clean.classes == y).mean()
    exact = critical_share(out, rng=generator())
    assert exact.lo == exact.value == exact.hi
    assert math.isclose(exact.value, changed.mean(), abs_tol=1e-12)


def test_the_weighted_share_of_a_sample_is_near_the_census(tmp_path, census):
    graph, out, data = census
    recipe = model_recipe(graph, tmp_path, faults=250, images=12)
    run_campaign(recipe, data, out=tmp_path / "out", cache=tmp_path)
    (truth,), (sampled,) = shares(out), shares(tmp_path / "out")
    assert sampled.critical.lo < truth.critical.value < sampled.critical.hi
    found = critical_share(tmp_path / "out", rng=generator())
    assert found.lo < truth.critical.value < found.hi
    assert math.isclose(found.value, sampled.critical.value, abs_tol=1e-12)
    # The conservative interval is the wider one.
    assert sampled.critical.hi - sampled.critical.lo > found.hi - found.lo


@pytest.mark.parametrize(
    ("faults", "levels"),
    [
        (Multiple(count=40, flips=(1, 6, 30)), ["1.0", "6.0", "30.0"]),
        (Rates(rates=(0.0, 0.02, 0.4), chips=9), ["0.0", "0.02", "0.4"]),
        (Stuck(count=90, value=0), ["1.0"]),
    ],
    ids=lambda model: getattr(model, "model", ""),
)
def test_levels_have_shares_and_independent_draws_an_interval(tmp_path, census, faults, levels):
    graph, _, data = census
    recipe = model_recipe(graph, tmp_path, faults=faults, images=12)
    record = run_campaign(recipe, data, out=tmp_path / "out", cache=tmp_path)
    found = shares(tmp_path / "out", By.LEVEL)
    assert [share.group for share in found] == levels
    assert sum(share.pairs for share in found) == record.pairs
    rows, _ = table_of(tmp_path / "out")
    listed = load_faults(tmp_path / "out" / "faults.parquet", graph=graph)
    for share in found:
        mine = [listed.level[fault] == float(share.group) for fault in rows["fault"]]
        assert share.outcomes["critical"] == sum(
            o == "critical" for o, own in zip(rows["outcome"], mine, strict=True) if own
        )
    whole = summary(tmp_path / "out")["critical_share"]
    assert 0 <= whole["lo"] < whole["value"] < whole["hi"] <= 1
    if listed.model != "stuck":
        seen = sum(outcome == "critical" for outcome in rows["outcome"]) / record.pairs
        assert math.isclose(whole["value"], seen, abs_tol=1e-12)


def test_a_single_independent_draw_says_nothing_of_others(tmp_path, census):
    graph, _, data = census
    recipe = model_recipe(graph, tmp_path, faults=Rates(rates=(0.4,), chips=1), images=12)
    run_campaign(recipe, data, out=tmp_path / "out", cache=tmp_path)
    share = critical_share(tmp_path / "out", rng=generator())
    assert (share.lo, share.hi) == (0, 1)


def test_a_campaign_without_a_critical_pair_reports_an_upper_bound_and_not_zero(tmp_path):
    graph = binary_network((16, 16, 3), seed=1)
    x, y = labelled(graph, 12)
    kept = single_flips(graph, x, y=y).critical_faults == 0
    recipe = model_recipe(graph, tmp_path, images=int(kept.sum()), faults=100)
    run_campaign(recipe, (x[kept], y[kept]), out=tmp_path / "out", cache=tmp_path)
    assert outcome_counts(tmp_path / "out")["critical"] == 0
    found = critical_share(tmp_path / "out", rng=generator())
    assert (found.value, found.lo) == (0, 0)
    assert 0.02 < found.hi < 0.2


def test_an_unfinished_campaign_is_shown_but_not_estimated(tmp_path):
    graph = four_bit_network((6, 5, 4))
    recipe = model_recipe(graph, tmp_path)
    record = run_campaign(recipe, labelled(graph, 12), out=tmp_path / "out", cache=tmp_path)
    (tmp_path / "out" / "shards" / "000001.parquet").unlink()
    assert shares(tmp_path / "out")[0].faults == record.faults - recipe.unit
    with pytest.raises(InputError, match=f"of {record.faults} faults are done; resume"):
        critical_share(tmp_path / "out", rng=np.random.default_rng(0))


def test_shards_of_another_campaign_are_not_counted(tmp_path):
    graph = four_bit_network((6, 5, 4))
    data = labelled(graph, 12)
    for name, seed in (("one", 1), ("two", 2)):
        recipe = model_recipe(graph, tmp_path, seed=seed)
        run_campaign(recipe, data, out=tmp_path / name, cache=tmp_path)
    foreign = tmp_path / "two" / "shards" / "000000.parquet"
    (tmp_path / "one" / "shards" / "000000.parquet").write_bytes(foreign.read_bytes())
    with pytest.raises(InputError, match="a shard of another campaign"):
        shares(tmp_path / "one")


def test_a_folder_without_a_campaign_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file; start with `bitproof campaign run`"):
        shares(tmp_path)
