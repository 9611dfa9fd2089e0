"""What is certified of every network of this project, as the tables of docs/certify-bits.md.

make zoo-table [IMAGES=12]
python -m tests.bench.zoo_table [--images 12] [--folder build/zoo-table] [--no-zoo] GRAPH.json=DATA

First the trained networks, each with the data set whose test images are asked about, then those of
models/zoo: trained ones on their own; of random weights the labels are the networks' own classes of
random images, and a quarter of the images are asked about. Seconds are CPU time of this process,
all images together. Every answer is kept in FOLDER, where a run that was killed goes on, with a
page for each trained network: certified images against the radius, and against the flips.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from flow.atomic import write_atomic
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
from flow.certify.certificate import input_digest
from flow.certify.suffix import Suffix
from flow.cli.common import images_of
from flow.errors import InputError
from flow.graphfile import digest, load_graph
from flow.ingest import lower
from flow.ir import Array, Graph
from flow.report.curve import write_curve
from flow.stages import fitting
from models.frozen import FOLDER, entries

MOST = 4  # flips
SECONDS = 2.0  # of branch and bound, for an image
RADII = (1, 2, 4)
HEAD = "| network (images) | asked | method | certified | refuted | unknown | seconds |"
Certify = Callable[..., CertificateSet]


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A network with labelled images; ``data`` is the name of the set, empty for random ones."""

    graph: Graph
    name: str
    data: str
    x: Array
    y: Array

    @property
    def title(self) -> str:
        """The network and how many images are asked about."""
        return f"{self.name} ({len(self.y)})"


def main() -> None:
    """Two Markdown tables: verdicts by method, and certified beside attacked numbers of flips."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trained", nargs="*", help="GRAPH.json=DATA")
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--folder", type=Path, default=Path("build/zoo-table"))
    parser.add_argument("--zoo", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args()
    rows, flips = [], []
    for subject in subjects(given.trained, given.images, zoo=given.zoo):
        answers = []
        for what, method, certify in questions(subject):
            answers.append(answer(subject, what, method, certify, given.folder))
            rows.append(line(subject, answers[-1]))
            print(rows[-1], file=sys.stderr, flush=True)
        flips += [f"| {subject.title} | {beside(a)} |" for a in answers if a["method"] == "budget"]
        if subject.data:
            draw(subject, answers, given.folder)
    print(f"one thread, load average {os.getloadavg()[0]:.1f}\n")
    print(f"{HEAD}\n|---|---|---|---|---|---|---|")
    print("\n".join(rows))
    print("\n| network (images) | certified k: of each image | attacked k: of each image |")
    print("|---|---|---|")
    print("\n".join(flips))


def subjects(trained: list[str], images: int, *, zoo: bool) -> Iterator[Subject]:
    """The networks; of random weights the labels are the graph's classes."""
    known = [(load_graph(Path(path)), data) for path, data in (t.split("=") for t in trained)]
    if zoo:
        trained_ones = [e for e in entries() if e.weights == "trained"]
        known += [(lower(e.path).graph, e.dataset) for e in trained_ones]
        known += [(load_graph(FOLDER / "wrap-digits" / "graph.json"), "digits")]
    for graph, source in known:
        data = images_of(source, images)
        yield Subject(graph, graph.name, source, fitting(graph, data), data.y)
    for entry in entries() if zoo else ():
        if entry.weights == "random":
            graph, few = lower(entry.path).graph, max(1, images // 4)
            edge, rng = graph.input_edge, np.random.default_rng(0)
            x = rng.integers(edge.type.lo, edge.type.hi + 1, (few, *edge.shape))
            yield Subject(graph, entry.name, "", x, graph.evaluate(x))


def questions(subject: Subject) -> Iterator[tuple[str, str, Certify]]:
    """What is asked, by which method, and who answers it."""
    graph = subject.graph
    dense = len(graph.input_edge.shape) == 1
    for radius in RADII if subject.data else RADII[:1]:
        asked = f"radius {radius}"
        yield asked, "ibp", partial(certify_input, radius=radius)
        if dense:
            yield asked, "linear", partial(certify_linear, radius=radius, attack=pgd)
    if dense:
        complete = partial(certify_complete, radius=1, attack=pgd, budget=Budget(SECONDS))
        yield "radius 1", "complete", complete
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


def answer(
    subject: Subject, what: str, method: str, certify: Certify, folder: Path
) -> dict[str, Any]:
    """The counts of one question: those of an earlier run where it asked the same, else new."""
    asked = {
        "graph": digest(subject.graph),
        "images": [input_digest(image) for image in subject.x],
        "labels": subject.y.tolist(),
        "what": what,
        "method": method,
    }
    name = "-".join([subject.name, method, *what.replace(",", "").split()])
    path = folder / f"{name}.json"
    if path.exists():
        kept: dict[str, Any] = json.loads(path.read_text())
        if kept["asked"] == asked:
            return kept
    started = time.process_time()
    found = certify(subject.graph, subject.x, y=subject.y)
    known = [dict(c.detail) for c in found.certificates if c.correct]
    made = {
        "asked": asked, "what": what, "method": method, "summary": found.summary(),
        "detail": known if method == "budget" else [],
        "seconds": round(time.process_time() - started, 1),
    }  # fmt: skip
    write_atomic(path, json.dumps(made) + "\n")
    return made


def line(subject: Subject, found: dict[str, Any]) -> str:
    """One row of the first table."""
    counts = found["summary"]
    verdicts = f"{counts['proved']} | {counts['refuted']} | {counts['unknown']}"
    asked = f"{found['what']} | {found['method']}"
    return f"| {subject.title} | {asked} | {verdicts} | {found['seconds']:.1f} |"


def beside(found: dict[str, Any]) -> str:
    """Of the correct images the flips certified, and the size of the smallest set found."""
    certified = sorted(own["certified"] for own in found["detail"])
    attacked = sorted(own["attacked"] or MOST + 1 for own in found["detail"])
    shown = [str(k) if k <= MOST else f">{MOST}" for k in attacked]
    return f"{' '.join(map(str, certified))} | {' '.join(shown)}"


def draw(subject: Subject, answers: list[dict[str, Any]], folder: Path) -> None:
    """A page of certified images against the radius for each method, and one against flips."""
    about = {"graph": subject.name, "data": subject.data, "images": len(subject.y)}
    for method in ("ibp", "linear"):
        rows = [
            {"radius": int(a["what"].split()[1]), **a["summary"]}
            for a in answers
            if a["method"] == method
        ]
        if rows:
            record = {**about, "property": "input", "method": method, "radii": rows}
            write_curve(record, folder / f"{subject.name}-radius-{method}.html")
    (budget,) = (a for a in answers if a["method"] == "budget")
    rows = [
        {
            "flips": k,
            "certified": sum(own["certified"] >= k for own in budget["detail"]),
            "attacked": sum(0 < (own["attacked"] or 0) <= k for own in budget["detail"]),
        }
        for k in range(1, MOST + 1)
    ]
    wrong = budget["summary"]["misclassified"]
    record = {**about, "property": "bits", "method": "budget", "misclassified": wrong}
    write_curve({**record, "by_flips": rows}, folder / f"{subject.name}-flips.html")


if __name__ == "__main__":
    main()
