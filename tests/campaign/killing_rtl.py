"""Forks a campaign in model and RTL, kills it, resumes, until it ends; prints the kills as JSON.

Run as a process of its own (``python -m tests.campaign.killing_rtl FOLDER CACHE``): imports are
paid for once. A killed campaign's simulator ends by itself; the next one has a folder of its own.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pyarrow.dataset  # noqa: F401  what pyarrow would import anew in every fork

from flow.build import build
from flow.campaign import Recipe, run_campaign
from flow.schedule import make_plan
from tests.campaign.campaigns import four_bit_network, labelled

KILLED_AT = (1, 2, 4)  # shards in place when a run is killed


def campaign(folder, out, cache, **settings):
    """Run or resume it in ``folder / out``; its build is made once."""
    graph = four_bit_network((6, 4, 3), signs=True)
    if not (folder / "build").exists():
        build(graph, make_plan(graph), folder / "build")
    recipe = Recipe(
        name="rtl", build=folder / "build", data="random", images=6, faults=70, seed=1, unit=12
    )
    data = labelled(graph, 12)
    return run_campaign(recipe, data, out=folder / out, cache=cache, resume=True, **settings)


def main(folder, cache):
    shards, kills = folder / "killed" / "shards", []
    for wanted in KILLED_AT:
        child = os.fork()
        if not child:
            campaign(folder, "killed", cache)
            os._exit(0)
        while len(list(shards.glob("0*"))) < wanted:
            assert os.waitpid(child, os.WNOHANG) == (0, 0), "it ended before it was killed"
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kills.append(len(list(shards.glob("0*"))))
    campaign(folder, "killed", cache)
    print(json.dumps(kills))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
