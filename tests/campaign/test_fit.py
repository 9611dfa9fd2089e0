"""Estimates of failures in time equal what every bit's own rate and outcome add up to."""

import json
from dataclasses import replace

import numpy as np
import pytest

from flow.build import build
from flow.build.images import graph_layouts
from flow.campaign import Recipe, run_campaign, summary
from flow.campaign.fit import Fit, Rates, Storage
from flow.campaign.fit_estimate import Cell, fit_estimate, total
from flow.campaign.sample import allocate
from flow.campaign.statistics import Estimate, stratified, stratified_total
from flow.campaign.upsets.fit import rate_of, upset_fit
from flow.certify.stored_bits import StoredBits
from flow.errors import InputError
from flow.schedule import Folding, make_plan
from flow.schedule.cells import ECP5, MemoryKind, MemoryStyle, memory_kind
from tests.campaign.campaigns import four_bit_network, generator, labelled

FOLDING = {"fc0": Folding(2, 3), "fc1": Folding(3, 4)}  # a memory of one word, registers
RATES = {"source": "made up", "configuration": 90.0, "block": 70.0, "distributed": 30.0,
         "flip_flop": 11.0}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    graph = four_bit_network((6, 4, 3), signs=True)
    data = labelled(graph, 9)
    directory = tmp_path_factory.mktemp("fit") / "build"
    return graph, data, build(graph, make_plan(graph, folding=FOLDING), directory)


def recipe(made, **settings):
    chosen = {"images": 9, "seed": 3, "engines": ["model"], "unit": 64, "fit": RATES} | settings
    return Recipe(name="fit", build=made.directory, data="random", **chosen)


def by_hand(graph, made, x, y, rates):
    """By kind of memory: bits, upsets, and FIT of other logits and of another class."""
    clean = graph.evaluate_all(x)
    bits = {}
    for layout in graph_layouts(graph, made.plan().folding):
        kind = memory_kind(layout.words, layout.bits, ECP5)
        for word in range(layout.words):
            for bit in range(layout.bits):
                which = int(layout.parameter[word, bit])
                if which >= 0:
                    place = np.unravel_index(layout.element[word, bit], layout.shapes[which])
                    key = (layout.node, layout.parameters[which], tuple(map(int, place)))
                    bits[*key, int(layout.bit[word, bit])] = kind
    totals = {}
    for fault in StoredBits.of(graph):
        kind = bits[fault.node, fault.parameter, fault.index, fault.bit]
        found = graph.evaluate_all(x, [fault])
        rate = rates[kind.value] / 1e6
        sdc = (found[graph.logits] != clean[graph.logits]).any(axis=1).mean()
        critical = (found[graph.output] != clean[graph.output]).mean()
        row = totals.setdefault(kind.value, np.zeros(4))
        row += [1, rate, rate * sdc, rate * critical]
    return totals


def test_an_exhaustive_campaign_gives_the_sum_over_all_bits(made, tmp_path):
    graph, data, built = made
    settings = recipe(built, faults={"count": "all"})
    run_campaign(settings, data, out=tmp_path / "out", cache=tmp_path)
    rows = {row.storage: row for row in fit_estimate(tmp_path / "out", rng=generator())}
    totals = by_hand(graph, built, *data, RATES)
    assert len(totals) > 1  # memories of several kinds
    totals["all"] = sum(totals.values())
    assert set(rows) == set(totals)
    for kind, (bits, upsets, sdc, critical) in totals.items():
        row = rows[kind]
        assert row.bits == bits
        assert row.upsets == pytest.approx(upsets, rel=1e-12)
        for found, wanted in ((row.sdc, sdc), (row.critical, critical)):
            # nothing was left to chance
            assert found.value == pytest.approx(wanted, rel=1e-9)
            assert found.lo == pytest.approx(wanted, rel=1e-9)
            assert found.hi == pytest.approx(wanted, rel=1e-9)
        assert row.detected.hi == 0
    record = summary(tmp_path / "out")
    hours = 1e9 / totals["all"][3]
    assert record["hours_to_critical"] == {
        "at_least": pytest.approx(hours, rel=1e-9),
        "at_most": pytest.approx(hours, rel=1e-9),
    }
    assert record["fit_source"] == "made up"
    assert record["fit"][-1]["sdc_hi"] == rows["all"].sdc.hi
    assert "detected" not in record["fit"][-1]  # nothing here could
    assert [row["storage"] for row in record["fit"]] == [*rows]


@pytest.mark.parametrize("allocate", ["size", "fit"])
def test_intervals_of_samples_hold_the_exhaustive_figure(made, tmp_path, allocate):
    graph, data, built = made
    rates = RATES | {"block": 7000.0}
    wanted = sum(by_hand(graph, built, *data, rates).values())[3]
    inside = 0
    for seed in range(7):
        faults = {"count": 90, "allocate": allocate}
        settings = recipe(built, faults=faults, seed=seed, fit=rates)
        out = tmp_path / f"{seed}"
        run_campaign(settings, data, out=out, cache=tmp_path)
        total = fit_estimate(out, rng=generator(seed))[-1].critical
        inside += total.lo <= wanted <= total.hi
    assert inside >= 5


def test_draws_by_fit_go_where_upsets_are(made, tmp_path):
    _, data, built = made
    kinds = Storage.of(built, Rates(**RATES)).kind
    often = np.unique(kinds)[0]
    rates = dict.fromkeys(RATES, 0.0) | {"source": "one kind alone"}
    rates[list(MemoryKind)[often].value] = 5.0
    settings = recipe(built, faults={"count": 120, "allocate": "fit", "per_stratum": 2}, fit=rates)
    run_campaign(settings, data, out=tmp_path / "out", cache=tmp_path)
    rows = {row.storage: row for row in fit_estimate(tmp_path / "out", rng=generator())}
    assert rows["all"].critical.value == rows[list(MemoryKind)[often].value].critical.value > 0
    others = [row for name, row in rows.items() if name not in ("all", list(MemoryKind)[often])]
    assert others
    assert all(row.upsets == row.sdc.hi == 0 for row in others)


def test_weights_decide_how_many_each_stratum_gives():
    drawn = allocate([100, 100, 3, 50], count=60, minimum=2, weights=np.array([3.0, 1, 9, 0]))
    assert drawn.sum() == 60
    assert drawn[2] == 3  # all it has
    assert drawn[3] == 2  # nothing upsets it
    assert abs(drawn[0] - 2 - 3 * (drawn[1] - 2)) <= 3
    every = allocate([4, 5, 6], count=15, minimum=1, weights=np.array([1.0, 0, 0]))
    assert every.tolist() == [4, 5, 6]
    few = allocate([9, 9, 9], count=7, minimum=2, weights=np.array([1.0, 2, 1]))
    assert few.tolist() == [2, 3, 2]


def test_a_campaign_without_an_event_gives_an_upper_bound(made, tmp_path):
    _, data, built = made
    settings = recipe(built, faults={"count": 80}, images=1)
    for seed in (21, 25, 31):  # an image on which no fault that is drawn changes the class
        out = tmp_path / str(seed)
        run_campaign(settings.model_copy(update={"seed": seed}), data, out=out, cache=tmp_path)
        total = fit_estimate(out, rng=generator())[-1]
        if total.critical.value == 0:
            break
    assert total.critical.value == total.critical.lo == 0
    assert 0 < total.critical.hi < total.upsets
    record = summary(out)
    assert record["hours_to_critical"]["at_most"] is None
    assert record["hours_to_critical"]["at_least"] == pytest.approx(1e9 / total.critical.hi)


def test_a_rom_is_configuration_and_the_style_decides_the_rest(made, tmp_path):
    graph, _, built = made
    for style, kinds in (
        (MemoryStyle.ROM, {"configuration"}),
        (MemoryStyle.BLOCK, {"block", "flip_flop"}),  # one word needs no memory
    ):
        plan = replace(make_plan(graph, folding=FOLDING), memory_style=style)
        storage = Storage.of(build(graph, plan, tmp_path / style), Rates(**RATES))
        assert set(storage.describe()) == kinds
        parts = {p.memory: 0 for p in storage.populations()}
        for part in storage.populations():
            parts[part.memory] += part.bits
        assert sum(parts.values()) == len(storage.bits)
        total = sum(bits * RATES[kind] / 1e6 for kind, bits in parts.items())
        assert storage.of_strata().sum() == pytest.approx(total)
    kind = next(iter(Storage.of(built, Rates(**RATES)).describe()))
    with pytest.raises(InputError, match=f"fit: no rate for '{kind}', which holds .*; add it"):
        Storage.of(built, Rates(**(RATES | {kind: None})))


def test_flip_flops_fail_as_often_as_their_upsets_do():
    rate = rate_of(Fit(source="made up", flip_flop=11.0))
    record = {"flip_flops": 5000} | rate
    failing, persistent = Estimate(0.2, 0.1, 0.3), Estimate(0.0, 0.0, 0.01)
    (row,) = upset_fit(record, failing=failing, persistent=persistent)["fit"]
    assert row["bits"] == 5000
    assert row["upsets"] == pytest.approx(0.055)
    assert row["failing"] == pytest.approx(0.011)
    assert (row["failing_lo"], row["failing_hi"]) == pytest.approx((0.0055, 0.0165))
    assert (row["persistent"], row["persistent_hi"]) == pytest.approx((0.0, 0.00055))
    assert upset_fit({"flip_flops": 5000}, failing=failing, persistent=persistent) == {}
    assert rate_of(None) == {}
    with pytest.raises(InputError, match="no rate for 'flip_flop', which holds every register"):
        rate_of(Fit(source="a", block=1.0))


def test_rates_are_read_from_tables(tmp_path):
    (tmp_path / "r.toml").write_text('source = "UG"\nblock = 12.5\nflip_flop = 3\n')
    (tmp_path / "r.csv").write_text("storage,fit_per_mbit,source\nblock,12.5,UG\nflip_flop,3,UG\n")
    for name in ("r.toml", "r.csv"):
        rates = Fit(table=tmp_path / name).rates()
        assert rates == Rates(source="UG", block=12.5, flip_flop=3.0)
        assert rates.of(MemoryKind.BLOCK, holder="a") == 12.5e-6


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.toml", "block = 1\n", "'source': Field required"),
        ("a.toml", 'source = "a"\nuram = 1\n', "'uram': Extra inputs"),
        ("a.toml", 'source = "a"\nblock = -1\n', "'block': Input should be greater"),
        ("a.toml", "block = \n", "not a table of rates"),
        ("a.csv", "kind,fit\nblock,1\n", "its columns are storage,fit_per_mbit,source"),
        ("a.csv", "storage,fit_per_mbit,source\nblock,x,s\n", "not a table of rates"),
        ("a.csv", "storage,fit_per_mbit,source\nblock,1,s\nblock,2,s\n", "listed twice"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said):
        Fit(table=tmp_path / name).rates()
    with pytest.raises(InputError, match="no such file"):
        Fit(table=tmp_path / "none.toml").rates()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"fit": {"block": 1}}, "needs 'source'"),
        ({"fit": {"table": "a.csv", "block": 1}}, "'table' or 'block' in"),
        ({"build": None, "graph": "g.json", "fit": RATES}, "give 'build', a build directory"),
        ({"faults": {"model": "multiple", "flips": [2], "count": 3}, "fit": RATES}, "'single'"),
        ({"faults": {"count": 3, "allocate": "fit"}}, "without rates; give them in"),
        ({"faults": {"margin": 0.1, "sequential": True}, "fit": RATES}, "the whole list"),
    ],
)
def test_a_campaign_that_has_no_such_estimate_is_refused(settings, said):
    given = {"build": "b", "faults": 10} | settings
    with pytest.raises(ValueError, match=said):
        Recipe(name="a", data="d", images=1, seed=1, engines=["model"], **given)


def test_damaged_files_of_an_estimate_are_refused(made, tmp_path):
    _, data, built = made
    settings = recipe(built, faults={"count": 60})
    out = tmp_path / "out"
    run_campaign(settings, data, out=out, cache=tmp_path)
    record = json.loads((out / "fit.json").read_text())
    kept = (out / "storage.parquet").read_bytes()
    (out / "storage.parquet").write_bytes(kept[:-9])
    with pytest.raises(InputError, match=r"storage.parquet: damaged .*; resume the campaign"):
        fit_estimate(out, rng=generator())
    (out / "storage.parquet").write_bytes(kept)
    record["populations"][0]["memory"] = "configuration"
    record["fit_of_a_bit"]["configuration"] = 1.0
    (out / "fit.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="needs two of each: raise per_stratum"):
        fit_estimate(out, rng=generator())
    (out / "fit.json").write_text("{")
    with pytest.raises(InputError, match=r"fit.json: damaged"):
        fit_estimate(out, rng=generator())
    run_campaign(settings, data, out=out, cache=tmp_path, resume=True)  # mends both
    assert len(fit_estimate(out, rng=generator())) > 1


def test_a_total_is_the_share_times_its_bits():
    shares = [generator(k).random(30) for k in range(3)]
    sizes = [40, 500, 30]
    share = stratified(sizes, shares, rng=generator())
    total = stratified_total(sizes, shares, [2.0] * 3, rng=generator())
    assert total.value == pytest.approx(share.value * 2 * sum(sizes))
    assert total.hi == pytest.approx(share.hi * 2 * sum(sizes))


def test_the_bootstrap_of_a_mean_has_its_spread():
    share = np.repeat([0.0, 0.25, 1.0], [600, 300, 100])
    found = stratified([10**9], [share], rng=generator(), resamples=20000)
    error = share.std(ddof=1) / np.sqrt(len(share))
    assert found.hi - share.mean() == pytest.approx(1.96 * error, rel=0.05)
    assert share.mean() - found.lo == pytest.approx(1.96 * error, rel=0.05)


def test_without_events_the_bound_is_the_largest_rate_that_still_shows_none():
    drawn, rare = (50, 1000, 2.0), (5, 10, 1.0)  # draws, bits, FIT of a bit
    cells = [Cell("block", n, rate, {"sdc": np.zeros(draws)}) for draws, n, rate in (drawn, rare)]
    found = total(cells, "sdc", np.random.default_rng(0), 0.95)
    first = np.linspace(0, 1 - 0.05 ** (1 / 50), 100_001)
    second = 1 - (0.05 / (1 - first) ** 50) ** (1 / 5)  # what the first leaves for the other
    largest = (1000 * 2.0 * first + 10 * 1.0 * np.maximum(second, 0)).max()
    assert (found.value, found.lo) == (0, 0)
    assert found.hi == pytest.approx(largest, rel=1e-6)
