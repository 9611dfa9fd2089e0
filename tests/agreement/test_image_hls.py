"""Image networks in C simulation are their graphs, with streams of the planned depth."""

import numpy as np
import pytest

from flow.build import build
from flow.schedule import make_plan
from sim.csim import simulate_hls
from tests.agreement.test_image_accelerator import FEW, MANY
from tests.conformance.hls_units import CACHE
from tests.engine.chains import random_inputs
from tests.engine.images import random_image_graph
from tests.schedule.test_images import buildable, least_folding


def check(seed, directory):
    """Logits and classes of the graph, with threads and one process after the other."""
    graph = buildable(random_image_graph(seed))
    target = int(np.random.default_rng(seed).integers(1, 400))
    build(graph, make_plan(graph, folding=least_folding(graph, target)), directory)
    x = random_inputs(graph, 12, seed)
    expected = graph.evaluate_all(x)
    for sequential in (False, True):
        response = simulate_hls(directory, x, sequential=sequential, binaries=CACHE, optimise=False)
        np.testing.assert_array_equal(response.logits, expected[graph.logits])
        np.testing.assert_array_equal(response.classes, expected[graph.output])


@pytest.mark.parametrize("seed", FEW)
def test_logits_and_classes_are_those_of_the_graph(seed, tmp_path):
    check(seed, tmp_path / "build")


@pytest.mark.slow
@pytest.mark.parametrize("seed", MANY)
def test_many_more_networks_are_their_graphs(seed, tmp_path):
    check(seed, tmp_path / "build")
