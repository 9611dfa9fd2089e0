"""What is certified of every network of this project, as the tables of docs/certify.md.

make zoo-table [IMAGES=10]
python -m tests.bench.zoo_table [--images 10] [--no-zoo] GRAPH.json=DATA ..

First the trained networks, each with the data set whose test images are asked about, then those of
models/zoo whose weights are random, so labels are the networks' own classes of random images, and
a third of the images are asked about. Seconds are CPU time of this process, all images together.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from flow.attack import pgd
from flow.certify import (
    BitSubset,
    Budget,
    CertificateSet,
    certify_bits,
    certify_complete,
    certify_input,
    certify_k_flips,
    certify_linear,
    single_flips,
)
from flow.certify.suffix import Suffix
from flow.cli.common import images_of
from flow.errors import InputError
from flow.graphfile import load_graph
from flow.ingest import lower
from flow.ir import Array, Graph
from flow.stages import fitting
from models.frozen import entries

MOST = 4  # flips
SECONDS = 2.0  # of branch and bound, for an image
Certify = Callable[..., CertificateSet]


def main() -> None:
    """Two Markdown tables: verdicts by method, and certified beside attacked numbers of flips."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trained", nargs="*", help="GRAPH.json=DATA")
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--zoo", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args()
    rows, flips = [], []
    for name, graph, x, y in subjects(given.trained, given.images, zoo=given.zoo):
        for what, method, certify in questions(graph):
            row, found = ask(name, what, method, partial(certify, graph, x, y=y))
            rows.append(row)
            print(row, file=sys.stderr, flush=True)
            if method == "budget":
                flips.append(f"| {name} | {beside(found)} |")
    print(f"one thread, load average {os.getloadavg()[0]:.1f}\n")
    print("| network (images) | asked | method | certified | refuted | unknown | seconds |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(rows))
    print("\n| network (images) | certified k: of each image | attacked k: of each image |")
    print("|---|---|---|")
    print("\n".join(flips))


def subjects(
    trained: list[str], images: int, *, zoo: bool
) -> Iterator[tuple[str, Graph, Array, Array]]:
    """Name, graph, images and labels; of random weights the labels are the graph's classes."""
    for text in trained:
        path, _, source = text.partition("=")
        graph, data = load_graph(Path(path)), images_of(source, images)
        yield f"{graph.name} ({len(data.y)})", graph, fitting(graph, data), data.y
    for entry in entries() if zoo else ():
        if entry.weights == "random":
            graph, few = lower(entry.path).graph, max(1, images // 3)
            edge, rng = graph.input_edge, np.random.default_rng(0)
            x = rng.integers(edge.type.lo, edge.type.hi + 1, (few, *edge.shape))
            yield f"{entry.name} ({few})", graph, x, graph.evaluate(x)


def questions(graph: Graph) -> Iterator[tuple[str, str, Certify]]:
    """What is asked, by which method, and who answers it."""
    dense = len(graph.input_edge.shape) == 1
    yield "radius 1", "ibp", partial(certify_input, radius=1)
    if dense:
        own = {"radius": 1, "attack": pgd}
        yield "radius 1", "linear", partial(certify_linear, **own)
        yield "radius 1", "complete", partial(certify_complete, budget=Budget(SECONDS), **own)
    yield "1 flip", "enumeration", every_flip
    most = min(MOST, BitSubset().count(graph))
    yield f"{most} flips", "budget", partial(certify_k_flips, flips=most)
    last = last_layers(graph)
    if last is not None:
        exactly = partial(certify_k_flips, flips=most, subset=last, method="exact")
        yield f"{most} flips, last two layers", "exact", exactly


def every_flip(graph: Graph, x: Array, *, y: Array) -> CertificateSet:
    """Every single flip, by enumeration."""
    return certify_bits(single_flips(graph, x, y=y), x, y=y)


def last_layers(graph: Graph) -> BitSubset | None:
    """The bits of the last three nodes that store any, where the exact method takes them."""
    names = [node.name for node in graph.nodes if node.op.stored][-3:]
    for layers in (names, names[-1:]):
        subset = BitSubset.choose(graph, layers=layers)
        try:
            Suffix.of(graph, subset)
        except InputError:
            continue
        return subset
    return None


def ask(
    name: str, what: str, method: str, certify: Callable[[], CertificateSet]
) -> tuple[str, CertificateSet]:
    """One row of the first table."""
    started = time.process_time()
    found = certify()
    seconds, counts = time.process_time() - started, found.summary()
    verdicts = f"{counts['proved']} | {counts['refuted']} | {counts['unknown']}"
    return f"| {name} | {what} | {method} | {verdicts} | {seconds:.1f} |", found


def beside(found: CertificateSet) -> str:
    """Of the correct images the flips certified, and the size of the smallest set found."""
    known = [c.detail for c in found.certificates if c.correct]
    certified = sorted(own["certified"] for own in known)
    attacked = sorted(own["attacked"] or MOST + 1 for own in known)
    shown = [str(k) if k <= MOST else f">{MOST}" for k in attacked]
    return f"{' '.join(map(str, certified))} | {' '.join(shown)}"


if __name__ == "__main__":
    main()
