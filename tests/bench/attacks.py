"""The progressive bit search beside the exact greedy search: the table of docs/attacks.md.

python -m tests.bench.attacks [-o build/attacks] [--budget 100] GRAPH.json=DATA ..

For every network three seeds with batches of 128 training images and one with 32; accuracy is that
of the whole test set after every flip. A finished run is a file in the folder, so a killed table
goes on where it was. Seconds are CPU time of this process.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flow.atomic import write_json
from flow.attack import AttackResult, bfa, exhaustive_best_flip
from flow.cli.common import images_of
from flow.graphfile import digest, load_graph
from flow.stages import fitting

METHODS: dict[str, Callable[..., AttackResult]] = {"bfa": bfa, "greedy": exhaustive_best_flip}
BATCHES = ((0, 128), (1, 128), (2, 128), (0, 32))  # seed, images
FIRST = 5  # flips whose rise of the loss is compared
Record = dict[str, Any]


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graphs", nargs="+", help="GRAPH.json=DATA")
    parser.add_argument("-o", "--output", type=Path, default=Path("build/attacks"))
    parser.add_argument("--budget", type=int, default=100)
    given = parser.parse_args()
    print(
        "| network | batch | method | flips to guess | Hamming | accuracy | loss per flip, first "
        f"{FIRST} | all | CPU s |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for subject in given.graphs:
        graph, _, data = subject.rpartition("=")
        for size in dict.fromkeys(size for _, size in BATCHES):
            for method in METHODS:
                records = [
                    attacked(Path(graph), data, method, seed, batch, given.budget, given.output)
                    for seed, batch in BATCHES
                    if batch == size
                ]
                print(row(records, size), flush=True)


def attacked(
    path: Path, data: str, method: str, seed: int, batch: int, budget: int, folder: Path
) -> Record:
    """One attack, from its file or run now."""
    graph = load_graph(path)
    file = folder / f"{graph.name}-{digest(graph)[:8]}-{method}-{seed}-{batch}-{budget}.json"
    if file.exists():
        found: Record = json.loads(file.read_text())
        return found
    train, test = images_of(data, None, part="train"), images_of(data, None)
    seen, on = (fitting(graph, train), train.y), (fitting(graph, test), test.y)
    print(f"attacks: {file.name} ...", file=sys.stderr, flush=True)
    started = time.process_time()
    result = METHODS[method](
        graph, *seen, budget=budget, seed=seed, evaluate_on=on, batch=batch, progress=_count
    )
    record = {"seconds": time.process_time() - started, "name": graph.name, **result.record()}
    write_json(file, record)
    return record


def _count(done: int, budget: int) -> None:
    if not done % 10:
        print(f"attacks: {done} of {budget} flips", file=sys.stderr, flush=True)


def row(records: Sequence[Record], batch: int) -> str:
    """The runs of all seeds in one line of Markdown; a range where they differ."""
    flips = [sum(len(step["flips"]) for step in r["steps"]) for r in records]
    guessed = [r["stop"] == "random guess" for r in records]
    reached = [n if done else f"> {n}" for n, done in zip(flips, guessed, strict=True)]
    rises = [rise(r, FIRST) for r in records], [rise(r, None) for r in records]
    cells = [
        records[0]["name"],
        f"{len(records)} x {batch}",
        records[0]["method"],
        ", ".join(map(str, reached)),
        ", ".join(str(r["hamming_distance"]) for r in records),
        f"{_range([100 * r['clean_accuracy'] for r in records], '.1f')} -> "
        f"{_range([100 * r['accuracy'] for r in records], '.1f')} %",
        *(_range(values, ".3f") for values in rises),
        _range([r["seconds"] for r in records], ".1f"),
    ]
    return f"| {' | '.join(cells)} |"


def rise(record: Record, steps: int | None) -> float:
    """By how much a flip raised the loss of the attack batch on average, in its first steps."""
    part = record["steps"][:steps]
    flips = sum(len(step["flips"]) for step in part)
    return 0.0 if not part else (part[-1]["loss"] - record["clean_loss"]) / flips


def _range(values: Sequence[float], form: str) -> str:
    least, most = (format(end(values), form) for end in (min, max))
    return least if least == most else f"{least} to {most}"


if __name__ == "__main__":
    main()
