"""Whatever happens to its disk, folder or files, a campaign says so and loses nothing."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flow.campaign import load_faults, run_campaign
from flow.errors import InputError
from flow.graphfile import save_graph
from tests.campaign.campaigns import four_bit_network, labelled, model_recipe, table_of

RECIPE = """
name = "small"
graph = "{folder}/graph.json"
data = "{folder}/images.npz"
images = 12
faults = 100
seed = 3
unit = 8
engines = ["model"]
"""


@pytest.fixture(scope="module")
def network():
    graph = four_bit_network((6, 5, 4), signs=True)
    return graph, labelled(graph, 12)


@pytest.fixture
def folder(tmp_path, network):
    """A recipe file, its graph and its images."""
    graph, (x, y) = network
    save_graph(graph, tmp_path / "graph.json")
    np.savez(tmp_path / "images.npz", x=x, y=y)
    (tmp_path / "small.toml").write_text(RECIPE.format(folder=tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def whole(network, tmp_path_factory):
    """The rows of the campaign when nothing happens to it."""
    graph, data = network
    root = tmp_path_factory.mktemp("whole")
    recipe = model_recipe(graph, root, images=12, faults=100, unit=8)
    run_campaign(recipe, data, out=root / "out", cache=root)
    return table_of(root / "out")


def refused(result, message):
    status, _, err = result
    assert status == 2, err
    last = err.strip().splitlines()[-1]
    assert last.startswith("bitproof: error: ")
    assert message in last


def full_after(monkeypatch, files):
    """From the ``files``th file on the disk is full: the kernel answers ENOSPC to every write."""
    real, written = os.fdopen, []

    def fdopen(handle, mode):
        written.append(handle)
        if len(written) <= files:
            return real(handle, mode)
        os.close(handle)
        return Path("/dev/full").open(mode)

    monkeypatch.setattr("flow.atomic.os.fdopen", fdopen)


@pytest.mark.parametrize(
    ("files", "name"), [(0, "faults.parquet"), (1, "campaign.json"), (6, "000004.parquet")]
)
def test_a_full_disk_stops_a_campaign_that_resumes_when_there_is_room(
    folder, whole, bitproof, monkeypatch, files, name
):
    out = folder / "out"
    with monkeypatch.context() as patch:
        full_after(patch, files)
        refused(bitproof("campaign", "run", folder / "small.toml", "-o", out), name)
    assert not list(out.glob(".*"))
    assert not list(out.glob("shards/.*"))
    status, *_ = bitproof("campaign", "resume", folder / "small.toml", "-o", out)
    assert status == 0
    assert table_of(out) == whole


def test_a_disk_that_fills_before_the_record_loses_no_shard(folder, whole, bitproof, monkeypatch):
    out = folder / "out"
    shards = len(whole[1])
    with monkeypatch.context() as patch:
        full_after(patch, 2 + shards)
        refused(bitproof("campaign", "run", folder / "small.toml", "-o", out), "record.json")
    assert table_of(out) == whole
    _, printed, _ = bitproof("campaign", "resume", folder / "small.toml", "-o", out, "--json")
    assert json.loads(printed)["units_resumed"] == shards


def test_two_processes_do_not_share_a_folder(folder, whole, bitproof):
    out = folder / "out"
    code = (
        "import pathlib, sys, time\n"
        "from flow.campaign.lock import directory_lock\n"
        "with directory_lock(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(out)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        message = f"out: process {other.pid} runs a campaign here; wait for it or stop it"
        for verb in ("run", "resume"):
            refused(bitproof("campaign", verb, folder / "small.toml", "-o", out), message)
        assert {p.name for p in out.iterdir()} == {"lock"}
        other.kill()
    started = time.monotonic()
    assert bitproof("campaign", "run", folder / "small.toml", "-o", out)[0] == 0
    assert time.monotonic() - started < 60
    assert table_of(out) == whole


def test_a_shard_cut_short_is_named_and_its_deletion_is_enough(folder, whole, bitproof):
    out = folder / "out"
    bitproof("campaign", "run", folder / "small.toml", "-o", out)
    shard = out / "shards" / "000002.parquet"
    shard.write_bytes(shard.read_bytes()[:200])
    for command in (
        ("resume", folder / "small.toml", "-o", out),
        ("show", out),
        ("query", out, "SELECT 1"),
    ):
        refused(bitproof("campaign", *command), "000002.parquet: damaged")
    shard.unlink()
    assert bitproof("campaign", "resume", folder / "small.toml", "-o", out)[0] == 0
    assert table_of(out) == whole


def test_what_a_killed_run_was_writing_is_swept_away(folder, whole, bitproof):
    out = folder / "out"
    bitproof("campaign", "run", folder / "small.toml", "-o", out)
    (out / "record.json").unlink()
    (out / "shards" / "000001.parquet").rename(out / "shards" / ".000001.parquet.x7")
    assert bitproof("campaign", "resume", folder / "small.toml", "-o", out)[0] == 0
    assert not list((out / "shards").glob(".*"))
    assert table_of(out) == whole


def test_a_folder_of_another_graph_is_kept_and_refused(folder, whole, bitproof):
    out = folder / "out"
    bitproof("campaign", "run", folder / "small.toml", "-o", out)
    save_graph(four_bit_network((6, 5, 4), seed=1, signs=True), folder / "graph.json")
    refused(
        bitproof("campaign", "resume", folder / "small.toml", "-o", out),
        "out: its campaign has another graph",
    )
    assert table_of(out) == whole


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("node", "fc9", "no parameter fc9.weights"),
        ("bit", 7, "a bit of fc0.weights outside 0..3"),
        ("index", [0, 77], "invalid entry in coordinates array"),
    ],
)
def test_unknown_sites_in_a_list_are_refused(folder, network, bitproof, column, value, said):
    graph, _ = network
    out = folder / "out"
    bitproof("campaign", "run", folder / "small.toml", "-o", out)
    table = pq.read_table(out / "faults.parquet")
    rows = table.to_pylist()
    rows[0][column] = value
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), folder / "list.parquet")
    text = (folder / "small.toml").read_text()
    text = text.replace("faults = 100", f'fault_list = "{folder}/list.parquet"')
    (folder / "listed.toml").write_text(text)
    result = bitproof("campaign", "run", folder / "listed.toml", "-o", folder / "other")
    refused(result, said)
    assert not (folder / "other" / "shards").exists()
    with pytest.raises(InputError, match="draw it again"):
        load_faults(folder / "list.parquet", graph=graph)


def test_a_rate_outside_0_to_1_is_refused_by_name(folder, bitproof):
    text = (folder / "small.toml").read_text().replace("faults = 100", "")
    text += '[faults]\nmodel = "rate"\nrates = [1.5]\nchips = 2\n'
    (folder / "rate.toml").write_text(text)
    refused(bitproof("campaign", "run", folder / "rate.toml", "-o", folder / "out"), "rates.0")
