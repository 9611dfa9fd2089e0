"""Model against RTL under the same faults: every pair of three networks under both policies.

make campaign-agreement     tfc-digits-w1a1, tfc-digits-w4a4 (made by `make demo`), wrap-digits,
                            with accumulators `exact` and `fault-safe`, 2,000 faults on 20 images
                            each; stops with a reproducer at the first pair that differs.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from flow.build import build
from flow.campaign import Recipe, run_campaign
from flow.campaign.faultfile import load_faults
from flow.campaign.faultlist import Strike
from flow.fitting import fit
from flow.graphfile import load_graph
from flow.ir import Array, Graph, IntType, apply_faults
from flow.ops import MatVec
from flow.passes import run_passes
from flow.passes.accumulators import Policy
from flow.passes.narrow_accumulators import narrow_accumulators
from flow.schedule import make_plan
from models.data import load_dataset

CACHE = Path("build/cache")
NETWORKS = {
    "tfc-digits-w1a1": Path("build/tfc-digits-w1a1/graph.json"),
    "tfc-digits-w4a4": Path("build/tfc-digits-w4a4/graph.json"),
    "wrap-digits": Path("models/zoo/wrap-digits/graph.json"),
}
WIDE = IntType(62, signed=True)
HEAD = "| network | accumulators | faults | pairs, all equal | changed | wrapping flips | s |"


def main() -> None:
    """One line per network and policy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=2000)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("build/agreement"))
    given = parser.parse_args()
    print(HEAD, flush=True)
    total = 0
    for name, path in NETWORKS.items():
        for policy in Policy:
            total += compare(name, load_graph(path), policy, given)
    print(f"{total:,} faults, no pair differs")


def compare(name: str, graph: Graph, policy: Policy, given: argparse.Namespace) -> int:
    """Run one campaign and print its line; the number of faults."""
    graph = run_passes(graph, (lambda g: narrow_accumulators(g, policy=policy),))
    data = load_dataset("digits", root=Path("data"))
    labels = np.asarray(data.test_y)
    x = fit(graph, data.test_x, name="digits")
    out = given.out / f"{name}-{policy}"
    directory = given.out / f"{name}-{policy}-build"  # kept: a reproducer names it
    if not directory.exists():
        build(graph, make_plan(graph), directory)
    recipe = Recipe(
        name=f"{name}-{policy}",
        build=directory,
        data="digits",
        images=given.images,
        faults={"count": given.faults, "per_stratum": 4},
        seed=1,
        unit=500,
        workers=2,
    )
    started = time.perf_counter()
    record = run_campaign(recipe, (x, labels), out=out, cache=CACHE, resume=True)
    taken = time.perf_counter() - started
    rng = np.random.default_rng(recipe.seed).spawn(2)[1]  # what the campaign draws images with
    drawn = np.sort(rng.choice(len(x), given.images, replace=False))
    share = wrapping(graph, x[drawn], out / "faults.parquet")
    cells = [name, str(policy), f"{record.faults:,}", f"{record.pairs:,}"]
    cells += [f"{record.changed_pairs:,}", f"{share:.1%}", f"{taken:.0f}"]
    print(f"| {' | '.join(cells)} |", flush=True)
    return record.faults


def wrapping(graph: Graph, x: Array, path: Path) -> float:
    """The share of faults under which some sum leaves its register on some image.

    Sums of the clean network never do; a popcount cannot.
    """
    values = graph.evaluate_all(x)
    faults = load_faults(path, graph=graph)
    wrapped = sum(_wraps(graph, values, faults[number]) for number in range(len(faults)))
    return wrapped / len(faults)


def _wraps(graph: Graph, values: dict[str, Array], strike: Strike) -> bool:
    """Follow the strike through the nodes behind it, which are a chain."""
    first = graph.nodes.index(graph.node(strike[0].node))
    value = values[graph.nodes[first].inputs[0]]
    for place, node in enumerate(graph.nodes[first:]):
        op = apply_faults(node.op, strike) if place == 0 else node.op
        found = op.evaluate(value)
        counted = not isinstance(op, MatVec) or op.popcount
        if not counted and (replace(op, accumulator=WIDE).evaluate(value) != found).any():
            return True
        value = found
    return False


if __name__ == "__main__":
    main()
