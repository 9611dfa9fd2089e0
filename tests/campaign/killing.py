"""Forks campaigns, kills them, resumes, until they end; prints the kills of each folder as JSON.

Run as a process of its own (``python -m tests.campaign.killing FOLDER``): imports are paid for once
and nothing but the campaign runs in a fork.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.dataset  # noqa: F401  what pyarrow would import anew in every fork

from flow.campaign import run_campaign
from tests.campaign.campaigns import four_bit_network, labelled, model_recipe

KILLS = 8  # at random times, at least
WATCHED = {
    "faults": {"margin": 0.15, "sequential": True, "per_stratum": 2},
    "unit": 32,
}  # a campaign that stops early


def campaign(folder, *, resume):
    graph = four_bit_network((6, 5, 4), signs=True)
    watched = folder.name.startswith("watched")
    recipe = model_recipe(graph, folder, **(WATCHED if watched else {}))
    return lambda: run_campaign(
        recipe, labelled(graph, 12), out=folder / "out", cache=folder, resume=resume
    )


def attempt(folder, *, after=None, wait=None):
    """One run; whether it was killed, which is all that may stop it."""
    child = os.fork()
    if not child:
        run = campaign(folder, resume=True)
        if after is not None:
            die_at_the_first_rename(after=after)
        run()
        os._exit(0)
    if wait is not None:
        time.sleep(wait)
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), code
    return code != 0


def die_at_the_first_rename(*, after):
    rename = Path.replace

    def replace(self, target):
        if after:
            rename(self, target)
        os.kill(os.getpid(), signal.SIGKILL)

    Path.replace = replace


def main(root):
    # Before and after each file is in place: every such moment of a campaign is visited.
    kills = {"step": 0, "watched": 0}
    for name in kills:
        while not (root / name / "out" / "record.json").exists():
            kills[name] += attempt(root / name, after=bool(kills[name] % 2))
    rng, span = np.random.default_rng(1), 0.5
    while sum(kills.values()) - kills["step"] - kills["watched"] < KILLS:
        name = f"time{len(kills)}"
        kills[name] = 0
        while attempt(root / name, wait=rng.uniform(0, span) if kills[name] < KILLS else None):
            kills[name] += 1
        span /= 1 if kills[name] else 2  # a machine too fast to be caught is given less time
    print(json.dumps(kills))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
