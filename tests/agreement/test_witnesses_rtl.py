"""What refutes a claim in the graph refutes it in the RTL of its accelerator."""

import numpy as np
import pytest

from flow.attack import pgd
from flow.build import build, site_table
from flow.certify import (
    Budget,
    Verdict,
    certify_bits,
    certify_complete,
    certify_k_flips,
    certify_pixel,
    single_flips,
)
from flow.schedule import Folding, make_plan
from sim.accelerator import simulate_faults, simulate_rtl
from tests.schedule.networks import binary_network, random_images

pytestmark = pytest.mark.rtl


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The graph, its build, images and their labels."""
    graph = binary_network([8, 12, 6, 4], 0, signs=True)
    folding = {"fc0": Folding(2, 4), "fc1": Folding(6, 6), "fc2": Folding(4, 2)}
    plan = make_plan(graph, folding=folding)
    directory = tmp_path_factory.mktemp("witness") / "build"
    build(graph, plan, directory)
    x = random_images(graph, 30)
    return graph, directory, site_table(graph, plan), x, graph.evaluate(x)


def refuted(found):
    return [k for k, c in enumerate(found.certificates) if c.verdict is Verdict.REFUTED]


@pytest.mark.parametrize("claim", ["input", "pixel"])
def test_an_input_that_breaks_the_label_breaks_it_in_rtl(claim, made, simulator, compiled):
    graph, directory, _, x, y = made
    if claim == "input":
        found = certify_complete(graph, x, y=y, radius=16, budget=Budget(1), attack=pgd)
    else:
        found = certify_pixel(graph, x, y=y, radius=16)
    broken = refuted(found)
    assert len(broken) >= 5
    points = np.array([found.certificates[k].witness for k in broken]).reshape(-1, *x.shape[1:])

    response = simulate_rtl(directory, points, cache=compiled, simulator=simulator)

    np.testing.assert_array_equal(response.classes, graph.evaluate(points))
    assert (response.classes != y[broken]).all()


@pytest.mark.parametrize("flips", [1, 2])
def test_flips_that_break_the_label_break_it_in_rtl(flips, made, simulator, compiled):
    graph, directory, sites, x, y = made
    if flips == 1:
        found = certify_bits(single_flips(graph, x, y=y), x, y=y)
    else:
        found = certify_k_flips(graph, x, y=y, flips=flips)
    broken = refuted(found)
    assert len(broken) >= 5
    where = {site.fault: site for site in sites if site.fault is not None}
    groups = []
    for k in broken:
        one = found.certificates[k]
        groups.append([where[f] for f in (*one.faults, *([one.fault] if one.fault else []))])

    response = simulate_faults(directory, x, groups, cache=compiled, simulator=simulator)

    assert not response.hung.any()
    assert (response.classes[np.arange(len(broken)), broken] != y[broken]).all()
