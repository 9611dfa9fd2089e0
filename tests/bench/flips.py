"""Every single stored bit flip on every image: how long exact enumeration takes, beside re-running.

make bench-flips GRAPH=graph.json DATA=mnist [IMAGES=10000]

The reference runs the whole network once more for each flip, batched, for as many flips as it
manages in ten seconds.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np

from flow.certify import Effect, single_flips
from flow.cli.common import images_of, processors
from flow.engine import BatchedEngine
from flow.graphfile import load_graph
from flow.stages import fitting

SECONDS = 10.0


def main() -> None:
    """Two rates and their ratio, and what the flips do."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graph", type=Path)
    parser.add_argument("data")
    parser.add_argument("--images", type=int)
    parser.add_argument("--jobs", type=int, default=processors())
    given = parser.parse_args()
    graph, data = load_graph(given.graph), images_of(given.data, given.images)
    x = fitting(graph, data)
    started = time.perf_counter()
    found = single_flips(graph, x, y=data.y, jobs=given.jobs)
    seconds = time.perf_counter() - started
    pairs = len(found.bits) * len(x)
    engine, tried, again = BatchedEngine(graph), 0, time.perf_counter()
    order = np.random.default_rng(0).permutation(len(found.bits))
    for k in order:
        critical = engine.run(x, [found.bits.fault(int(k))]) != engine.run(x)
        unpacked = np.unpackbits(found.critical[k], count=len(x)).astype(bool)
        assert (critical == unpacked).all(), found.bits.fault(int(k))
        tried += 1
        if time.perf_counter() - again > SECONDS:
            break
    naive = 2 * tried * len(x) / (time.perf_counter() - again)  # two runs for each flip
    print(f"{graph.name}: {len(found.bits):,} bits x {len(x):,} images, {given.jobs} threads")
    print(f"load average {os.getloadavg()[0]:.1f}")
    print(f"{seconds:.1f} s, {pairs / seconds:.3g} pairs/s")
    print(f"re-run: {naive:.3g} pairs/s, ratio {pairs / seconds / naive:,.0f}")
    print(f"correct {found.correct.sum():,}, certified {found.certified.sum():,}")
    for kind in Effect:
        print(f"{kind.name.lower():15} {found.counts[:, kind].sum():,}")


if __name__ == "__main__":
    main()
