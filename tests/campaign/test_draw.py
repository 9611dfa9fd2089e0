"""Every fault model draws what it says, and no strike is lost on disk."""

import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.build import build, site_table
from flow.campaign import (
    Burst,
    FaultList,
    Multiple,
    Rates,
    Single,
    Stuck,
    draw_faults,
    load_faults,
    sample_size,
    save_faults,
)
from flow.campaign.faultfile import holds_faults
from flow.campaign.model import evaluate_faults, reference
from flow.certify.stored_bits import StoredBits
from flow.errors import InputError
from flow.graphfile import digest
from flow.ir import Fault, Kind, as_flips
from flow.schedule import make_plan
from tests.campaign.campaigns import binary_network, four_bit_network, generator
from tests.engine.chains import chains, random_inputs
from tests.engine.images import random_image_graph


@pytest.fixture(scope="module")
def graph():
    return four_bit_network((8, 6, 4), signs=True)


@pytest.fixture(scope="module")
def made(graph, tmp_path_factory):
    return build(graph, make_plan(graph), tmp_path_factory.mktemp("build") / "build")


def bits_of(faults, number):
    return set(faults.position[faults.start[number] : faults.start[number + 1]].tolist())


def test_multiple_draws_as_many_distinct_bits_as_it_says(graph):
    faults = draw_faults(graph, Multiple(count=40, flips=(1, 3, 150)), rng=generator())
    assert [len(strike) for strike in faults] == [1] * 40 + [3] * 40 + [150] * 40
    assert all(len(bits_of(faults, k)) == len(faults[k]) for k in range(len(faults)))
    assert faults.level.tolist() == [1] * 40 + [3] * 40 + [150] * 40
    assert {fault.parameter for strike in faults for fault in strike} == {
        "weights",
        "thresholds",
        "sign",
    }


def test_multiple_hits_every_bit_equally_often(graph):
    total = len(StoredBits.of(graph))
    faults = draw_faults(graph, Multiple(count=4000, flips=(5,)), rng=generator())
    counts = np.bincount(faults.position, minlength=total)
    wanted = 4000 * 5 / total
    assert abs(counts - wanted).max() < 6 * np.sqrt(wanted)


def test_more_flips_than_there_are_bits_are_refused(graph):
    with pytest.raises(InputError, match="flips wanted, but the graph stores"):
        draw_faults(graph, Multiple(count=1, flips=(10**6,)), rng=generator())


@pytest.mark.parametrize("bits", [2, 3, 5])
def test_a_burst_is_adjacent_bits_of_one_word_of_the_build(graph, made, bits):
    table = site_table(graph, made.plan())
    faults = draw_faults(graph, Burst(count=60, bits=bits), rng=generator(), build=made)
    seen = set()
    for strike in faults:
        sites = sorted(table.site(fault) for fault in strike)
        assert len({(site.memory, site.word) for site in sites}) == 1
        assert [site.bit - sites[0].bit for site in sites] == list(range(bits))
        seen.add(sites[0].memory)
    assert seen == {layout.name for layout in table.layouts if layout.bits >= bits}


def test_a_burst_wider_than_every_word_or_without_a_build_is_refused(graph, made):
    with pytest.raises(
        InputError, match=r"no memory word of .* has 99999 neighbouring stored bits"
    ):
        draw_faults(graph, Burst(count=1, bits=99999), rng=generator(), build=made)
    with pytest.raises(InputError, match="give 'build'"):
        draw_faults(graph, Burst(count=1, bits=2), rng=generator())


def test_bursts_leave_parity_bits_alone(graph, tmp_path):
    made = build(graph, make_plan(graph, parity=True), tmp_path / "build")
    faults = draw_faults(graph, Burst(count=300, bits=2), rng=generator(), build=made)
    table = site_table(graph, made.plan())
    for strike in faults:
        first, second = sorted(table.site(fault).bit for fault in strike)
        assert second == first + 1


def test_a_chips_pattern_at_a_rate_is_contained_in_that_at_a_higher_one(graph):
    rates = (0.2, 0.0, 1.0, 0.05)
    faults = draw_faults(graph, Rates(rates=rates, chips=6), rng=generator())
    patterns = {(faults.level[k], faults.chip[k]): bits_of(faults, k) for k in range(len(faults))}
    assert set(patterns) == {(rate, chip) for rate in rates for chip in range(6)}
    for chip in range(6):
        none, few, more, every = (patterns[rate, chip] for rate in sorted(rates))
        assert not none
        assert few < more < every == set(range(len(StoredBits.of(graph))))
    assert patterns[0.2, 0] != patterns[0.2, 1]


def test_a_rate_strikes_its_share_of_the_bits(graph):
    faults = draw_faults(graph, Rates(rates=(0.1,), chips=400), rng=generator())
    trials = 400 * len(StoredBits.of(graph))
    assert abs(len(faults.position) - 0.1 * trials) < 5 * np.sqrt(0.09 * trials)


@settings(max_examples=40, deadline=None)
@given(chains(), st.integers(0, 1), st.integers(0, 99))
def test_a_stuck_bit_reads_its_value_and_equals_the_flips_that_make_it(graph, value, seed):
    faults = draw_faults(graph, Stuck(count=8, value=value, per_stratum=2), rng=generator(seed))
    strike = tuple(fault for one in faults for fault in one)
    assert all(fault.kind is (Kind.STUCK1 if value else Kind.STUCK0) for fault in strike)
    flips = as_flips(graph, strike)
    assert all(flip.kind is Kind.FLIP for flip in flips)
    assert digest(graph.with_faults(strike)) == digest(graph.with_faults(flips))
    assert as_flips(graph.with_faults(strike), strike) == ()


def test_a_margin_draws_what_it_needs(graph):
    total = len(StoredBits.of(graph))
    wanted = sample_size(total, margin=0.1, confidence=0.9)
    faults = draw_faults(graph, Single(margin=0.1, confidence=0.9, per_stratum=2), rng=generator())
    assert len(faults) == wanted
    many = draw_faults(graph, Multiple(margin=0.05, flips=(2,)), rng=generator())
    assert len(many) == 385


@pytest.mark.parametrize(
    "model",
    [
        Single(count=80),
        Stuck(count=80, value=1),
        Multiple(count=30, flips=(1, 4)),
        Burst(count=30, bits=2),
        Rates(rates=(0.0, 0.01, 1.0), chips=3),
    ],
    ids=lambda model: model.model,
)
def test_a_list_of_every_model_read_back_is_the_list_written(graph, made, tmp_path, model):
    faults = draw_faults(graph, model, rng=generator(), build=made)
    save_faults(faults, tmp_path / "faults.parquet")
    again = load_faults(tmp_path / "faults.parquet", graph=graph)
    assert tuple(again) == tuple(faults)
    for name in ("model", "digest"):
        assert getattr(again, name) == getattr(faults, name)
    for name in ("start", "weight", "level", "chip", "kind", "position"):
        np.testing.assert_array_equal(getattr(again, name), getattr(faults, name))
    rows = pq.read_table(tmp_path / "faults.parquet").to_pylist()
    named = [
        Fault(r["node"], r["parameter"], tuple(r["index"]), r["bit"], Kind(r["kind"]))
        for r in rows
        if r["node"] is not None
    ]
    assert named == [fault for strike in faults for fault in strike]
    assert {r["fault"] for r in rows} == set(range(len(faults)))


def test_lists_longer_than_a_row_group_survive(graph, tmp_path, monkeypatch):
    monkeypatch.setattr("flow.campaign.faultfile.GROUP", 7)
    faults = draw_faults(graph, Rates(rates=(0.0, 0.02), chips=9), rng=generator())
    save_faults(faults, tmp_path / "faults.parquet")
    assert load_faults(tmp_path / "faults.parquet", graph=graph).digest == faults.digest


def test_a_list_of_the_first_format_is_read(graph, tmp_path):
    wanted = draw_faults(graph, Single(count=60), rng=generator())
    rows = [(f.node, f.parameter, list(f.index), f.bit, str(f.kind)) for (f,) in wanted]
    text = json.dumps([digest(graph), *map(list, rows)])
    metadata = {
        "format": "1",
        "graph": digest(graph),
        "faults": hashlib.sha256(text.encode()).hexdigest(),
    }
    columns = dict(
        zip(("node", "parameter", "index", "bit", "kind"), zip(*rows, strict=True), strict=True)
    )
    schema = pa.schema(
        {
            "fault": pa.int32(),
            "memory": pa.string(),
            "node": pa.string(),
            "parameter": pa.string(),
            "index": pa.list_(pa.int32()),
            "bit": pa.int32(),
            "kind": pa.string(),
            "weight": pa.float64(),
        },
        metadata,
    )
    names = [f"{r[0]}.{'thresholds' if r[1] == 'sign' else r[1]}" for r in rows]
    more = {"fault": range(len(rows)), "memory": names, "weight": wanted.weight}
    path = tmp_path / "old.parquet"
    pq.write_table(pa.table(more | columns, schema=schema), path)
    assert load_faults(path, graph=graph).digest == wanted.digest
    columns["bit"] = (*columns["bit"][:-1], columns["bit"][-1] ^ 1)
    pq.write_table(pa.table(more | columns, schema=schema), path)
    with pytest.raises(InputError, match=r"old\.parquet: damaged \(digest differs\)"):
        load_faults(path, graph=graph)


def test_a_list_that_names_what_the_graph_does_not_store_is_refused(graph, tmp_path):
    faults = draw_faults(graph, Single(count=60), rng=generator())
    path = tmp_path / "faults.parquet"
    save_faults(faults, path)
    table = pq.read_table(path)
    for name, value, message in (
        ("node", "fc9", "no parameter fc9.weights"),
        ("kind", "gamma", "gamma"),
        ("bit", 99, "a bit of fc0.weights outside 0..3"),
        ("index", [0, 99], "damaged"),
        ("index", [0], "an index of another length"),
        ("fault", 7, "not numbered in order"),
    ):
        values = [value, *table[name].to_pylist()[1:]]
        column = pa.array(values).cast(table.schema.field(name).type)
        at = table.schema.get_field_index(name)
        pq.write_table(table.set_column(at, table.schema.field(name), column), path)
        with pytest.raises(InputError, match=message):
            load_faults(path, graph=graph)


def test_a_strike_that_names_a_bit_twice_is_refused(graph):
    fault = Fault("fc0", "weights", (0, 0), 0)
    with pytest.raises(InputError, match="names a bit twice"):
        FaultList.of(graph, [(fault, fault)])


def assert_strikes_equal_the_reference(graph, seed, *, images):
    x = random_inputs(graph, images)
    total = len(StoredBits.of(graph))
    rng = generator(seed)
    models = (
        Multiple(count=4, flips=(1, min(3, total), min(9, total))),
        Rates(rates=(0.0, 0.1, 0.7), chips=2),
        Stuck(count=min(6, total), value=1, per_stratum=2),
    )
    strikes = [strike for m in models for strike in draw_faults(graph, m, rng=rng)]
    found = evaluate_faults(graph, x, strikes)
    for number, strike in enumerate(strikes):
        wanted = reference(graph, x, strike)
        np.testing.assert_array_equal(found.logits[number], wanted.logits)
        np.testing.assert_array_equal(found.classes[number], wanted.classes)


@settings(max_examples=25, deadline=None)
@given(chains(), st.integers(0, 99))
def test_strikes_of_several_bits_equal_the_reference(graph, seed):
    assert_strikes_equal_the_reference(graph, seed, images=5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_strikes_in_image_networks_equal_the_reference(seed):
    assert_strikes_equal_the_reference(random_image_graph(seed), seed, images=4)


def test_binary_networks_have_strikes_too():
    graph = binary_network((8, 6, 3), signs=True)
    faults = draw_faults(graph, Multiple(count=5, flips=(4,)), rng=generator())
    assert len(faults) == 5


def test_a_list_on_disk_is_compared_part_by_part(graph, tmp_path, monkeypatch):
    monkeypatch.setattr("flow.campaign.faultfile.GROUP", 7)
    path = tmp_path / "faults.parquet"
    lists = [
        draw_faults(graph, Multiple(count=25, flips=(1, 5)), rng=generator()),
        draw_faults(graph, Rates(rates=(0.0, 0.02), chips=20), rng=generator()),  # some are empty
        draw_faults(graph, Stuck(count=40, value=1), rng=generator()),
    ]
    for number, faults in enumerate(lists):
        save_faults(faults, path)
        assert load_faults(path, graph=graph).digest == faults.digest
        assert holds_faults(path, faults, graph=graph)
        assert not holds_faults(path, lists[number - 1], graph=graph)
        whole = pq.read_table(path)
        for table in (whole.slice(1), whole.slice(0, whole.num_rows - 1), longer(whole)):
            pq.write_table(table.replace_schema_metadata(whole.schema.metadata), path)
            with pytest.raises(InputError, match="damaged"):
                holds_faults(path, faults, graph=graph)
        bits = whole["bit"].to_pylist()
        bits[-1] = 0 if bits[-1] else 1
        column = pa.array(bits, pa.int32())
        changed = whole.set_column(whole.schema.get_field_index("bit"), "bit", column)
        pq.write_table(changed.replace_schema_metadata(whole.schema.metadata), path)
        with pytest.raises(InputError, match="damaged"):
            holds_faults(path, faults, graph=graph)


def longer(table):
    """With its last row twice."""
    return pa.concat_tables([table, table.slice(table.num_rows - 1)])
