"""Images certified against k flips keep their class in RTL under the worst flips there are.

For each image and each number of flips it is certified for: the sets that the bound itself names in
the last two layers, the flips that matter most one by one, and random ones. Beyond the certificate,
the sets that an attack found break the image in RTL as they do in the graph.
"""

from pathlib import Path

import numpy as np
import pytest

from flow.build import build, site_table
from flow.certify import BitSubset, fewest_flips, largest_k, single_flips, worst_sets
from flow.graphfile import load_graph
from flow.schedule import make_plan
from flow.stages import fitting, load_images
from sim.accelerator import simulate_faults
from tests.attack.networks import W1A1, network, split

pytestmark = pytest.mark.rtl

ZOO = Path(__file__).parents[2] / "models" / "zoo"
MOST = 4


def digits():
    """A trained network whose registers are narrow enough to wrap."""
    graph = load_graph(ZOO / "wrap-digits" / "graph.json")
    data = load_images("digits", root=ZOO, limit=100)
    last = BitSubset.choose(graph, layers=[graph.producer(graph.logits).name])
    return graph, fitting(graph, data), data.y, last


def binary():
    """A random network, its last two layers of weights and the thresholds between them struck."""
    graph = network(*W1A1)
    _, (x, y) = split(graph)
    return graph, x, y, BitSubset.choose(graph, layers=["fc1", "act1", "fc2"])


CASES = {"digits": digits, "binary": binary}


def sets_to_try(graph, image, label, k, subset, rng):
    """Sets of at most ``k`` flips against one image: named by the bound, ranked, random."""
    values = graph.evaluate_all(image[None])
    found = list(worst_sets(graph, values, label=label, flips=k, subset=subset))
    alone = single_flips(graph, image[None], y=np.array([label]), score=rival_lead)
    allowed = np.flatnonzero(subset.positions(alone.bits))
    order = allowed[np.argsort(-alone.rises[allowed], kind="stable")]
    found.append(tuple(alone.bits.fault(int(b)) for b in order[:k]))
    for _ in range(3):
        chosen = rng.choice(allowed, k, replace=False)
        found.append(tuple(alone.bits.fault(int(b)) for b in chosen))
    return [flips for flips in found if flips]


def rival_lead(logits, labels):
    """How far the best rival is ahead of the label."""
    rows = np.arange(len(labels))
    rivals = logits.astype(np.float64)
    own = rivals[rows, labels].copy()
    rivals[rows, labels] = -np.inf
    return rivals.max(axis=1) - own


@pytest.mark.parametrize("case", CASES)
def test_the_worst_flips_of_every_certified_image_change_no_class_in_rtl(
    case, tmp_path, simulator, compiled
):
    graph, x, y, subset = CASES[case]()
    certified = largest_k(graph, x, y=y, most=MOST, subset=subset)
    right = np.flatnonzero(graph.evaluate(x) == y)
    best = right[np.argsort(-certified[right], kind="stable")[:24]]
    x, y, certified = x[best], y[best], certified[best]
    rng, groups, about, kept = np.random.default_rng(0), [], [], []
    for image, (sure, label) in enumerate(zip(certified, y, strict=True)):
        for k in range(1, sure + 1):
            sets = sets_to_try(graph, x[image], int(label), k, subset, rng)
            groups, about = groups + sets, about + [image] * len(sets)
            kept += [True] * len(sets)
        broken = fewest_flips(graph, x[image], label=int(label), most=2 * MOST, subset=subset)
        if broken:
            assert len(broken) > sure
            groups, about, kept = [*groups, broken], [*about, image], [*kept, False]
    assert sum(kept) > 10
    assert not all(kept)
    plan = make_plan(graph)
    build(graph, plan, tmp_path / "build")
    table = site_table(graph, plan)
    sites = [[table.site(flip) for flip in flips] for flips in groups]

    found = simulate_faults(tmp_path / "build", x, sites, cache=compiled, simulator=simulator)

    for flips, logits in zip(groups, found.logits, strict=True):
        np.testing.assert_array_equal(logits, graph.evaluate_all(x, flips)[graph.logits])
    same = found.classes[np.arange(len(groups)), about] == y[about]
    np.testing.assert_array_equal(same, kept)
