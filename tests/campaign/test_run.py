"""A campaign's rows are right, and its directory is its own."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest

from flow import evidence
from flow.campaign import load_faults, run_campaign, save_faults
from flow.campaign.execute import execute
from flow.campaign.lock import directory_lock
from flow.campaign.prepare import prepare
from flow.campaign.shards import units
from flow.certify.flips import single_flips
from flow.errors import ClaimError, InputError
from flow.stages import Images
from tests.campaign.campaigns import (
    binary_network,
    four_bit_network,
    labelled,
    model_recipe,
    table_of,
)


@pytest.fixture(scope="module")
def graph():
    return four_bit_network((6, 5, 4), signs=True)


@pytest.fixture(scope="module")
def data(graph):
    return labelled(graph, 12)


def run(tmp_path, graph, data, *, out="out", resume=False, flips=None, progress=None, **settings):
    recipe = model_recipe(graph, tmp_path, **settings)
    return run_campaign(
        recipe,
        data,
        out=tmp_path / out,
        cache=tmp_path / "cache",
        resume=resume,
        flips=flips,
        progress=progress,
    )


def test_every_row_equals_the_reference_run_with_that_fault(tmp_path, graph, data):
    record = run(tmp_path, graph, data)
    rows, _ = table_of(tmp_path / "out")
    faults = load_faults(tmp_path / "out" / "faults.parquet", graph=graph)
    x, labels = data
    assert record.pairs == len(rows["fault"]) == len(faults) * 5
    clean = graph.evaluate_all(x)
    counts = dict.fromkeys(record.outcomes, 0)
    for fault, image, label, was, now, outcome in zip(
        *(rows[key] for key in ("fault", "image", "label", "clean_class", "class", "outcome")),
        strict=True,
    ):
        struck = graph.evaluate_all(x[image : image + 1], faults[fault])
        assert label == labels[image]
        assert was == clean[graph.output][image]
        assert now == struck[graph.output][0]
        same = (struck[graph.logits] == clean[graph.logits][image]).all()
        assert outcome == ("critical" if was != now else "masked" if same else "tolerable")
        counts[outcome] += 1
    assert counts == record.outcomes
    assert min(counts[o] for o in ("masked", "tolerable", "critical")) > 0
    assert record.changed_pairs == counts["tolerable"] + counts["critical"]


def test_rows_are_each_pair_once_in_order(tmp_path, graph, data):
    record = run(tmp_path, graph, data)
    rows, _ = table_of(tmp_path / "out")
    images = sorted(set(rows["image"]))
    wanted = [(fault, image) for fault in range(record.faults) for image in images]
    assert list(zip(rows["fault"], rows["image"], strict=True)) == wanted
    assert len(images) == 5
    estimate = record.estimate
    assert estimate["rows"] == len(wanted)
    assert estimate["shards"] == record.units
    assert record.bytes_written <= estimate["bytes_at_most"]


def test_two_processes_and_other_units_give_the_same_rows(tmp_path, graph, data):
    run(tmp_path, graph, data, out="one")
    run(tmp_path, graph, data, out="two", workers=2, unit=25)
    assert table_of(tmp_path / "one")[0] == table_of(tmp_path / "two")[0]


def test_progress_ends_with_every_pair_and_resuming_a_finished_campaign_does_nothing(
    tmp_path, graph, data
):
    seen = []
    record = run(tmp_path, graph, data, progress=lambda *step: seen.append(step))
    assert seen[-1] == (record.pairs, record.pairs)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    before = table_of(tmp_path / "out")
    again = run(tmp_path, graph, data, resume=True, progress=lambda *_: pytest.fail("no work"))
    assert again == replace(record, units_resumed=record.units)
    assert table_of(tmp_path / "out") == before


def test_a_list_run_again_gives_the_same_rows(tmp_path, graph, data):
    record = run(tmp_path, graph, data)
    listed = tmp_path / "out" / "faults.parquet"
    again = run(tmp_path, graph, data, out="again", faults=None, fault_list=listed)
    assert again.fault_list_digest == record.fault_list_digest
    assert table_of(tmp_path / "out") == table_of(tmp_path / "again")


def test_a_directory_is_not_written_twice_without_resume(tmp_path, graph, data):
    run(tmp_path, graph, data)
    with pytest.raises(InputError, match="holds a campaign already; resume it"):
        run(tmp_path, graph, data)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"seed": 4}, "fault list"),
        ({"unit": 8}, "unit"),
        ({"images": 4}, "images"),
        ({"certify": False}, "certificate"),
    ],
)
def test_a_directory_of_another_campaign_is_refused(tmp_path, graph, data, change, what):
    run(tmp_path, graph, data)
    with pytest.raises(InputError, match=f"its campaign has another {what}"):
        run(tmp_path, graph, data, resume=True, **change)


def test_a_directory_of_another_graph_is_refused(tmp_path, graph, data):
    run(tmp_path, graph, data)
    other = four_bit_network((6, 5, 4), seed=1, signs=True)
    with pytest.raises(InputError, match="its campaign has another graph"):
        run(tmp_path, other, data, resume=True)


def test_a_directory_with_strange_files_is_refused_and_left_alone(tmp_path, graph, data):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="not empty and no campaign"):
        run(tmp_path, graph, data)
    assert (tmp_path / "out" / "thesis.tex").read_text() == "x"


def shard(tmp_path, number):
    return tmp_path / "out" / "shards" / f"{number:06d}.parquet"


def test_a_damaged_shard_is_refused_and_deleting_it_lets_the_campaign_resume(tmp_path, graph, data):
    run(tmp_path, graph, data)
    before = table_of(tmp_path / "out")
    shard(tmp_path, 1).write_bytes(shard(tmp_path, 1).read_bytes()[:-20])
    with pytest.raises(InputError, match=r"000001\.parquet: damaged .* delete it and resume"):
        run(tmp_path, graph, data, resume=True)
    shard(tmp_path, 1).unlink()
    record = run(tmp_path, graph, data, resume=True)
    assert record.units_resumed == record.units - 1
    assert table_of(tmp_path / "out") == before


def test_a_shard_with_one_changed_value_is_refused(tmp_path, graph, data):
    import pyarrow as pa
    import pyarrow.parquet as pq

    run(tmp_path, graph, data)
    table = pq.read_table(shard(tmp_path, 0))
    classes = table["class"].to_numpy().copy()
    classes[3] ^= 1
    column = table.schema.get_field_index("class")
    changed = table.set_column(column, table.schema.field("class"), pa.array(classes, pa.int32()))
    pq.write_table(changed, shard(tmp_path, 0))
    with pytest.raises(InputError, match="its rows are not those written"):
        run(tmp_path, graph, data, resume=True)


def test_a_shard_of_another_campaign_or_out_of_place_is_refused(tmp_path, graph, data):
    run(tmp_path, graph, data)
    run(tmp_path, graph, data, out="other", seed=9)
    good = shard(tmp_path, 0).read_bytes()
    shard(tmp_path, 0).write_bytes((tmp_path / "other" / "shards" / "000000.parquet").read_bytes())
    with pytest.raises(InputError, match="a shard of another campaign"):
        run(tmp_path, graph, data, resume=True)
    shard(tmp_path, 0).write_bytes(shard(tmp_path, 1).read_bytes())
    with pytest.raises(InputError, match="not the faults of its unit"):
        run(tmp_path, graph, data, resume=True)
    shard(tmp_path, 0).write_bytes(good)
    shard(tmp_path, 999).write_bytes(good)
    with pytest.raises(InputError, match="not part of this campaign"):
        run(tmp_path, graph, data, resume=True)


def test_damage_to_the_description_is_refused(tmp_path, graph, data):
    run(tmp_path, graph, data)
    path = tmp_path / "out" / "campaign.json"
    record = json.loads(path.read_text())
    record["identity"]["unit"] = 17
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match="damaged"):
        run(tmp_path, graph, data, resume=True)


@pytest.mark.parametrize("text", ["{}", "no JSON", '{"format": 1, "identity": {}, "digest": ""}'])
def test_a_damaged_campaign_is_replaced_on_request_only(tmp_path, graph, data, text):
    recipe, images = model_recipe(graph, tmp_path), Images("random", *data)
    where = {"out": tmp_path / "out", "cache": tmp_path / "cache"}
    first = evidence.campaign(recipe, images, **where)
    (tmp_path / "out" / "campaign.json").write_text(text)
    with pytest.raises(InputError, match=r"campaign\.json: .* or resume with --replace"):
        evidence.campaign(recipe, images, **where)
    again = evidence.campaign(recipe, images, **where, replace=True)
    assert (again["digest"], again["outcomes"]) == (first["digest"], first["outcomes"])


def test_a_second_run_on_the_same_directory_is_refused_while_the_first_lives(tmp_path, graph, data):
    with (
        directory_lock(tmp_path / "out"),
        pytest.raises(InputError, match=f"process {os.getpid()} runs a campaign here"),
    ):
        run(tmp_path, graph, data)
    assert run(tmp_path, graph, data).pairs > 0


def test_the_lock_file_of_a_dead_process_is_taken_over(tmp_path, graph, data):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "lock").write_text("4194304\n")
    run(tmp_path, graph, data)
    assert (tmp_path / "out" / "lock").read_text() == f"{os.getpid()}\n"


def test_images_that_do_not_fit_the_network_are_refused(tmp_path, graph, data):
    x, labels = data
    with pytest.raises(InputError, match="images: 13 wanted, but 'random' has 12"):
        run(tmp_path, graph, data, images=13)
    with pytest.raises(InputError, match="do not fit the input"):
        run(tmp_path, graph, (x + 17, labels))
    with pytest.raises(InputError, match="do not fit the input"):
        run(tmp_path, graph, (x[:, :5], labels))


def test_a_certified_image_that_changes_its_class_stops_the_campaign(tmp_path, graph, data):
    campaign = prepare(model_recipe(graph, tmp_path), data)
    flips = single_flips(graph, campaign.x, y=campaign.labels)
    nothing = np.zeros_like(flips.critical_faults)
    claimed = replace(flips, critical=flips.critical * 0, critical_faults=nothing)
    with pytest.raises(
        ClaimError, match=r"a certified image changes its class: flip .*, image \d+: clean"
    ):
        run(tmp_path, graph, data, flips=claimed)
    case = json.loads((tmp_path / "out" / "reproducer.json").read_text())
    assert case["claim"] == "certificate holds"
    assert case["answers"]["clean"]["label"] == case["label"] != case["answers"]["model"]["label"]


def test_a_wrong_prediction_stops_the_campaign_even_for_an_uncertified_image(tmp_path, graph, data):
    campaign = prepare(model_recipe(graph, tmp_path), data)
    flips = single_flips(graph, campaign.x, y=campaign.labels)
    with pytest.raises(ClaimError, match="the single-flip analysis predicts the other outcome"):
        run(tmp_path, graph, data, flips=replace(flips, critical=~flips.critical))


def test_certified_images_of_a_binary_network_keep_their_class(tmp_path):
    graph = binary_network((16, 16, 3))
    data = labelled(graph, 40)
    record = run(tmp_path, graph, data, images=40, faults=90)
    assert record.certified_images > 0
    assert record.outcomes["critical"] > 0


def test_an_analysis_of_another_graph_is_refused(tmp_path, graph, data):
    other = four_bit_network((6, 5, 4), seed=1)
    flips = single_flips(other, data[0], y=data[1])
    with pytest.raises(InputError, match="certificate: made for another graph"):
        run(tmp_path, graph, data, flips=flips)


def test_stuck_bits_run_in_the_model_but_are_not_certified(tmp_path, graph, data):
    run(tmp_path, graph, data)
    path = tmp_path / "out" / "faults.parquet"
    flips = load_faults(path, graph=graph)
    stuck = replace(flips, kind=np.full_like(flips.kind, 2))
    save_faults(stuck, tmp_path / "stuck.parquet")
    settings = {"faults": None, "fault_list": tmp_path / "stuck.parquet"}
    with pytest.raises(InputError, match="only single flips can be certified"):
        run(tmp_path, graph, data, out="stuck", certify=True, **settings)
    record = run(tmp_path, graph, data, out="stuck", **settings)
    assert record.certified_images is None
    assert record.outcomes["masked"] > 0


def test_a_unit_computed_again_has_the_same_digest_of_logits(tmp_path, graph, data):
    campaign = prepare(model_recipe(graph, tmp_path), data)
    unit = units(len(campaign.faults), size=16)[1]
    first, again = (execute(campaign, unit, cache=tmp_path) for _ in range(2))
    assert first.logits == again.logits
    assert first.table.equals(again.table)
