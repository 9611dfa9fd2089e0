"""A small campaign on disk: its network, images and recipe."""

from __future__ import annotations

import numpy as np

from flow.campaign import Recipe
from flow.graphfile import save_graph
from tests.engine.chains import random_labels
from tests.schedule.networks import binary_network, four_bit_network, random_images

__all__ = ["binary_network", "four_bit_network", "labelled", "model_recipe"]


def labelled(graph, count, seed=0):
    """Images and labels, most of them the graph's own classes."""
    x = random_images(graph, count, seed)
    return x, random_labels(graph, x, seed)


def model_recipe(graph, folder, **settings):
    """A campaign in the model alone, with ``graph`` saved in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    save_graph(graph, folder / "graph.json")
    chosen = {"images": 5, "faults": 60, "seed": 3, "unit": 16, "engines": ["model"]} | settings
    return Recipe(name="small", graph=folder / "graph.json", data="random", **chosen)


def table_of(directory):
    """Every row of every shard, in order, with the logits digests."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = [pq.read_table(path) for path in sorted((directory / "shards").iterdir())]
    logits = [table.schema.metadata[b"logits"] for table in tables]
    return pa.concat_tables([t.replace_schema_metadata(None) for t in tables]).to_pydict(), logits


def generator(seed=0):
    return np.random.default_rng(seed)
