"""The AAAI 2021 verification benchmark (arXiv 2012.08185) on its own MNIST network and images.

make bench-certify NETWORK=mnist_mlp.h5 [SECONDS=60]

Radius r has test images 100 (r - 1) to 100 r - 1. ``published`` are the verdicts of the benchmark's
authors by a bit-vector solver: robust, vulnerable, timeout, misclassified.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

from flow.attack import pgd
from flow.certify import (
    Budget,
    CertificateSet,
    certify_complete,
    certify_input,
    certify_linear,
    certify_zonotope,
    check,
    save_certificates,
)
from flow.ingest import lower
from models.data import load_dataset

PUBLISHED = {1: (99, 0, 0, 1), 2: (91, 3, 5, 1), 3: (70, 1, 25, 4), 4: (53, 1, 43, 3)}
HEAD = "radius  method    robust  vulnerable  undecided  misclassified  seconds: all  slowest"


def main() -> None:
    """One line per radius and method; the proofs of the last are replayed by the checker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0, help="the most for each image")
    parser.add_argument("--radii", type=int, nargs="+", default=[1, 2, 3, 4], choices=PUBLISHED)
    given = parser.parse_args()
    graph = lower(given.network).graph
    data = load_dataset("mnist", root=Path(os.environ.get("BITPROOF_DATA", "data")))
    methods: dict[str, Callable[..., CertificateSet]] = {
        "ibp": certify_input,
        "linear": partial(certify_linear, attack=pgd),
        "zonotope": partial(certify_zonotope, attack=pgd),
        "complete": partial(certify_complete, attack=pgd, budget=Budget(given.seconds)),
    }
    print(f"{given.seconds} s per image, one thread, load average {os.getloadavg()[0]:.1f}")
    print(HEAD, flush=True)
    for radius in given.radii:
        images = slice(100 * (radius - 1), 100 * radius)
        x = data.test_x[images].reshape(100, -1).astype("int64")
        y = data.test_y[images].astype("int64")
        robust, vulnerable, timeout, wrong = PUBLISHED[radius]
        print(f"{radius:6}  published {robust:6}  {vulnerable:10}  {timeout:9}  {wrong:13}")
        for name, certify in methods.items():
            ends = [time.perf_counter()]
            found = certify(graph, x, y=y, radius=radius, progress=partial(_tick, ends))
            total = time.perf_counter() - ends[0]
            slowest = max(b - a for a, b in pairwise(ends))
            s = found.summary()
            print(
                f"{radius:6}  {name:9} {s['proved']:6}  {s['refuted']:10}  {s['unknown']:9}  "
                f"{s['misclassified']:13}  {total:12.1f}  {slowest:7.1f}",
                flush=True,
            )
            assert s["misclassified"] == wrong
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "certificates.json"
            save_certificates(found, path)
            started = time.perf_counter()
            checked = check(path, graph, x, y)
            print(
                f"{radius:6}  checked: {checked.boxes} proofs and {checked.witnesses} witnesses "
                f"in {time.perf_counter() - started:.1f} s, {path.stat().st_size:,} bytes",
                flush=True,
            )


def _tick(ends: list[float], done: int, total: int) -> None:
    ends.append(time.perf_counter())


if __name__ == "__main__":
    main()
