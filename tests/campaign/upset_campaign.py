"""A small campaign of register upsets on disk; run as a process, it is there to be killed."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flow.build import build
from flow.campaign.upsets import UpsetRecipe, run_upsets
from flow.schedule import Folding, make_plan
from tests.campaign.campaigns import four_bit_network, labelled

FOLDING = {"fc0": Folding(2, 3), "fc1": Folding(1, 2)}  # tests/agreement/test_upsets.py's design


def network():
    return four_bit_network([6, 4, 3], signs=True)


def make_build(directory):
    graph = network()
    build(graph, make_plan(graph, folding=FOLDING, parity=True), directory)


def recipe(directory, **settings):
    chosen = {"images": 9, "upsets": 300, "seed": 5, "unit": 64, "per_register": 2}
    chosen |= {"fit": {"source": "made up", "flip_flop": 8.0}} | settings
    return UpsetRecipe(target="registers", name="small", build=directory, data="random", **chosen)


def run(directory, out, cache, *, resume=False, **settings):
    chosen = recipe(directory, **settings)
    return run_upsets(chosen, labelled(network(), 20), out=out, cache=cache, resume=resume)


def rows(out):
    """Every row of every shard, in order."""
    tables = [pq.read_table(path) for path in sorted((out / "shards").iterdir())]
    return pa.concat_tables([t.replace_schema_metadata(None) for t in tables]).to_pylist()


if __name__ == "__main__":
    run(*map(Path, sys.argv[1:]), resume=True, workers=2)
