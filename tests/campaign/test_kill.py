"""SIGKILL at any moment loses nothing and doubles nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaign import killing_rtl
from tests.campaign.campaigns import table_of
from tests.campaign.killing import KILLS, campaign

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder with killed and resumed campaigns and one left alone, and the kills of each."""
    root = tmp_path_factory.mktemp("kill")
    command = [sys.executable, "-m", "tests.campaign.killing", str(root)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    for name in ("whole", "watched-whole"):
        campaign(root / name, resume=False)()
    return root, json.loads(done.stdout)


def files(directory):
    return {path.name for path in directory.rglob("*")}


def test_campaigns_killed_again_and_again_end_as_if_they_had_not_been(folders):
    root, kills = folders
    assert sum(kills.values()) >= kills["step"] + kills["watched"] + KILLS
    own = {"seconds": {}, "units_resumed": 0, "bytes_written": 0}
    for name in kills:
        killed = root / name / "out"
        whole = root / ("watched-whole" if name == "watched" else "whole") / "out"
        assert table_of(killed) == table_of(whole)
        assert files(killed) == files(whole)
        records = [json.loads((out / "record.json").read_text()) | own for out in (killed, whole)]
        assert records[0] == records[1]


def test_a_run_was_killed_before_and_after_each_of_its_files_was_in_place(folders):
    root, kills = folders
    in_place = files(root / "whole" / "out") - {"lock", "shards"}
    assert kills["step"] == 2 * len(in_place)


def test_the_campaign_that_was_killed_stopped_early(folders):
    root, kills = folders
    record = json.loads((root / "watched" / "out" / "record.json").read_text())
    assert record["stopping"]["reached"]
    assert record["faults"] < record["stopping"]["listed"]
    assert kills["watched"] >= 2 * record["units"]


@pytest.mark.rtl
def test_a_campaign_in_rtl_that_is_killed_ends_as_if_it_had_not_been(tmp_path, compiled):
    whole = killing_rtl.campaign(tmp_path, "whole", compiled)
    command = [sys.executable, "-m", "tests.campaign.killing_rtl", str(tmp_path), str(compiled)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    kills = json.loads(done.stdout.splitlines()[-1])
    assert kills == sorted(kills)
    assert all(
        at <= shards < whole.units for at, shards in zip(killing_rtl.KILLED_AT, kills, strict=True)
    )
    assert table_of(tmp_path / "killed") == table_of(tmp_path / "whole")
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
    own = {"seconds": {}, "units_resumed": 0, "bytes_written": 0}
    records = [
        json.loads((tmp_path / out / "record.json").read_text()) | own
        for out in ("killed", "whole")
    ]
    assert records[0] == records[1]
    assert records[0]["engines"] == ["model", "rtl"]
