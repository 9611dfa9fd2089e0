"""Peak memory of a campaign in the model, by the number of its faults.

python -m tests.bench.campaign_memory [--images 10] [--unit 4096] [--faults 10000 100000 1000000]

Each size is a campaign of its own (sets of two flips on TFC-w1a1, drawn, run, written, read again
and summed up) in a process of its own, whose peak resident set the kernel counts. ``idle`` is what
the process holds before the campaign begins: the interpreter and its libraries.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

MIB = 1024  # the kernel counts KiB


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def campaign(faults: int, images: int, unit: int) -> None:
    """One campaign; prints its peaks in KiB and its seconds."""
    from flow.campaign import Recipe, run_campaign, summary
    from flow.graphfile import save_graph
    from tests.bench.finn_networks import tfc

    graph = tfc().graph
    x = np.random.default_rng(1).choice([-1, 1], (images, *graph.input_edge.shape))
    data = x, graph.evaluate(x)
    idle = peak()
    with tempfile.TemporaryDirectory() as name:
        save_graph(graph, Path(name) / "graph.json")
        flips = {"model": "multiple", "flips": [2], "count": faults}
        recipe = Recipe(
            name="memory", graph=Path(name) / "graph.json", data="random", images=images, seed=0,
            engines=["model"], unit=unit, faults=flips,
        )  # fmt: skip
        start = time.perf_counter()
        run_campaign(recipe, data, out=Path(name) / "out", cache=Path(name))
        ran, after = time.perf_counter() - start, peak()
        summary(Path(name) / "out")
        disk = sum(p.stat().st_size for p in (Path(name) / "out").rglob("*") if p.is_file())
    print(json.dumps({"idle": idle, "run": after, "all": peak(), "seconds": ran, "disk": disk}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, nargs="+", default=[10**4, 10**5, 10**6])
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--unit", type=int, default=4096)
    parser.add_argument("--one", type=int)
    options = parser.parse_args()
    if options.one is not None:
        campaign(options.one, options.images, options.unit)
        return
    print("faults, idle MiB, peak of the run MiB, peak with its summary MiB, seconds, MB on disk")
    for faults in options.faults:
        sizes = ["--one", str(faults), "--images", str(options.images), "--unit", str(options.unit)]
        command = [sys.executable, "-m", "tests.bench.campaign_memory", *sizes]
        found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        parts = [f"{found[key] // MIB:,}" for key in ("idle", "run", "all")]
        print(f"{faults:,}, {', '.join(parts)}, {found['seconds']:.0f}, {found['disk'] / 1e6:.0f}")


if __name__ == "__main__":
    main()
