"""SIGKILL at any moment loses nothing and doubles nothing."""

import json
import subprocess
import sys

import pytest

from flow.campaign import run_campaign
from tests.campaign.campaigns import four_bit_network, labelled, model_recipe, table_of

# Forks a campaign, kills it, resumes, until one ends by itself; imports are paid for once.
# "step": each run dies just before, or just after, the first file it renames into place, so that
# every such moment of the whole campaign is visited. "time": the parent kills it at random times.
DRIVER = """
import json, os, signal, sys, time
from pathlib import Path
import numpy as np
import pyarrow.dataset  # what pyarrow would import anew in every fork
from flow.campaign import run_campaign
from tests.campaign.campaigns import four_bit_network, labelled, model_recipe

graph = four_bit_network((6, 5, 4), signs=True)
data = labelled(graph, 12)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def arm(after):
    rename = Path.replace
    Path.replace = lambda self, target: (after and rename(self, target), die())


def attempt(folder, *, after=None, wait=None):
    child = os.fork()
    if not child:
        if after is not None:
            arm(after)
        recipe = model_recipe(graph, folder) if after is None else saved
        run_campaign(recipe, data, out=folder / "out", cache=folder, resume=True)
        os._exit(0)
    if wait is not None:
        time.sleep(wait)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


root = Path(sys.argv[1])
kills = {"step": 0, "time": 0}
saved = model_recipe(graph, root / "step")
for folder in kills:
    rng = np.random.default_rng(1)
    while True:
        if folder == "step":
            code = attempt(root / folder, after=bool(kills[folder] % 2))
            finished = (root / folder / "out" / "record.json").exists()
        else:
            wait = float(rng.uniform(0.0, 0.4)) if kills[folder] < 15 else None
            code = attempt(root / folder, wait=wait)
            finished = code == 0
        assert code in (0, -signal.SIGKILL), code
        kills[folder] += code != 0
        if finished:
            break
print(json.dumps(kills))
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("kill")
    driver = [sys.executable, "-c", DRIVER, str(root)]
    done = subprocess.run(driver, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    graph = four_bit_network((6, 5, 4), signs=True)
    recipe = model_recipe(graph, root / "whole")
    run_campaign(recipe, labelled(graph, 12), out=root / "whole" / "out", cache=root)
    return root, json.loads(done.stdout)


def files(directory):
    return {path.name for path in directory.rglob("*")}


@pytest.mark.parametrize("mode", ["step", "time"])
def test_a_campaign_killed_again_and_again_ends_as_if_it_had_not_been(folders, mode):
    root, kills = folders
    killed, whole = root / mode / "out", root / "whole" / "out"
    assert kills[mode] >= 5
    assert table_of(killed) == table_of(whole)
    assert files(killed / "shards") == files(whole / "shards")
    assert files(killed) >= files(whole)
    own = {"seconds": {}, "units_resumed": 0, "bytes_written": 0}
    records = [json.loads((out / "record.json").read_text()) | own for out in (killed, whole)]
    assert records[0] == records[1]


def test_a_run_was_killed_before_and_after_each_of_its_files_was_in_place(folders):
    root, kills = folders
    in_place = files(root / "whole" / "out") - {"lock", "shards"}
    assert kills["step"] == 2 * len(in_place)
