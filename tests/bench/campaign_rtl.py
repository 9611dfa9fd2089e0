"""A campaign in model and RTL at full size, and what it would cost beat by beat from Python.

make bench-campaign-rtl     10,000 faults on 100 images of TFC-w1a1 (784-64-64-64-10, 64 cycles per
                            image), two workers; some two minutes.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from flow.build import build, load_build
from flow.campaign import Recipe, run_campaign
from flow.schedule import make_plan
from sim._session import Session
from sim.accelerator import simulate_rtl
from sim.runner import compile_design, simulate
from tests.bench.finn_networks import tfc

CACHE = Path("build/cache")
IMAGES, DRIVEN = 100, 200
Row = tuple[str, str]


def campaign(faults: int, workers: int, unit: int) -> Iterator[Row]:
    """The whole campaign: drawing, model, injection, comparison, restoring, shards."""
    net = tfc()
    kind = net.graph.input_edge.type
    rng = np.random.default_rng(0)
    x = rng.choice([kind.lo, kind.hi], (IMAGES, *net.graph.input_edge.shape))
    labels = net.graph.evaluate(x)
    with tempfile.TemporaryDirectory() as name:
        directory, out = Path(name) / "accelerator", Path(name) / "campaign"
        build(net.graph, make_plan(net.graph, folding=net.folding), directory)
        found = simulate_rtl(directory, x, cache=CACHE)  # compiles
        recipe = Recipe(
            name="tfc-w1a1",
            build=directory,
            data="random",
            images=IMAGES,
            faults={"count": faults},
            seed=0,
            unit=unit,
            workers=workers,
            certify=False,
        )
        started, before = time.perf_counter(), used()
        record = run_campaign(recipe, (x, labels), out=out, cache=CACHE)
        taken = time.perf_counter() - started
        for child in multiprocessing.active_children():
            child.join()  # only then their time is known
        processor = used() - before
        per_fault = int(found.taken[-1]) + 1
        cycles = per_fault * (record.faults + record.units)
        yield "TFC-w1a1, faults x images", f"{record.faults:,} x {record.images}"
        yield "  pairs compared, all equal", f"{record.pairs:,}"
        yield "  ... with changed logits", f"{record.changed_pairs:,}"
        yield "  workers, faults per shard", f"{workers}, {unit}"
        yield "  whole campaign, s", f"{taken:.1f}"
        yield "  load of the machine meanwhile, processes per core", f"{load():.1f}"
        yield "  clock cycles, at least", f"{cycles:,}"
        yield "  processor seconds, all processes", f"{processor:.1f}"
        yield "  cycles per processor second", f"{cycles / processor:,.0f}"
        rate, driven_cycles = driven(directory, np.concatenate([x] * (DRIVEN // IMAGES)))
        yield f"driven from Python, {driven_cycles:,} cycles, per processor second", f"{rate:,.0f}"
        yield "  the campaign is faster by", f"{cycles / processor / rate:.1f} x"


def load() -> float:
    """Of the last minute, ours among them."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def used() -> float:
    """Processor seconds of this process and its ended children: other users do not count."""
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def driven(directory: Path, x: np.ndarray) -> tuple[float, int]:
    """Cycles per second of a bench that sets and reads every beat in Python, and the cycles.

    Processor seconds; those of a run with one image, mostly the start of Python, are taken off.
    """
    made = load_build(directory)
    net = Session(made, x, CACHE, "verilator").net
    streams = [f"{end}_{way}" for end in ("valid", "ready", "data") for way in "io"]
    public = {"accelerator": ("clk_i", "rst_ni", "cfg_valid_i", *streams)}
    design = compile_design(made.sources(), "accelerator", public=public, cache=CACHE, fast=True)
    bits = made.graph().input_edge.type.encode(x).reshape(-1, net.input.lanes)
    words = [sum(int(b) << i for i, b in enumerate(row)) for row in bits]
    seconds, cycles = [], 0
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "images").symlink_to((directory / "images").resolve())
        beats = len(words) // len(x)
        for images in (1, len(x)):
            job = {"words": words[: images * beats], "images": images}
            (work / "words.json").write_text(json.dumps(job))
            started = used()
            simulate(design, "tests.bench.driven_bench", work=work)
            seconds.append(used() - started)
            taken = json.loads((work / "taken.json").read_text())
            cycles = taken[-1][0] - cycles
    return cycles / (seconds[1] - seconds[0]), cycles


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--unit", type=int, default=625)
    given = parser.parse_args()
    for what, measured in campaign(given.faults, given.workers, given.unit):
        print(f"| {what} | {measured} |", flush=True)
