"""Certified and attacked numbers of flips for the networks of models/zoo.

python -m tests.bench.flips_zoo [--images 5] [--most 4] [NAME ...]

Most weights of the zoo are random, so labels are the networks' own classes on random images. Per
network: per k the images certified, and those broken by an attack of at most k flips; then the
mean k certified with all flips in one layer alone, and how many layers withstand none.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np

from flow.certify import BitSubset, k_flips, largest_k, one_layer_each
from flow.ingest import lower
from flow.ir import Graph
from models.frozen import entries


def main() -> None:
    """One block of lines per network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--images", type=int, default=5)
    parser.add_argument("--most", type=int, default=4)
    given = parser.parse_args()
    print(f"one thread, load average {os.getloadavg()[0]:.1f}", flush=True)
    for entry in entries():
        if not given.names or entry.name in given.names:
            report(entry.name, lower(entry.path).graph, given.images, given.most)


def report(name: str, graph: Graph, images: int, most: int) -> None:
    """Certify, attack and print."""
    rng, edge = np.random.default_rng(0), graph.input_edge
    x = rng.integers(edge.type.lo, edge.type.hi + 1, (images, *edge.shape))
    y = graph.evaluate(x)
    started = time.perf_counter()
    found = k_flips(graph, x, y=y, flips=most)
    seconds = time.perf_counter() - started
    attacked = [len(witness) for witness in found.witness if witness is not None]
    print(f"{name}: {BitSubset().count(graph)} bits, {images} images, {seconds:.1f} s", flush=True)
    for k in range(1, most + 1):
        certified = int((found.certified >= k).sum())
        print(f"  k {k}: certified {certified}, broken {sum(n <= k for n in attacked)}")
    started = time.perf_counter()
    alone = {
        layer: largest_k(graph, x, y=y, most=min(most, subset.count(graph)), subset=subset)
        for layer, subset in one_layer_each(graph).items()
    }
    seconds = time.perf_counter() - started
    order = sorted(alone, key=lambda layer: -alone[layer].mean())
    some = [f"{layer} {alone[layer].mean():.1f}" for layer in order if alone[layer].any()]
    none = sum(not held.any() for held in alone.values())
    print(f"  alone, mean k: {', '.join(some) or 'nothing'}; {none} layers 0; {seconds:.1f} s")


if __name__ == "__main__":
    main()
