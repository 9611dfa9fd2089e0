"""Image networks in RTL are their graphs: clean, stalled, and under stored bits' flips."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from flow.build import SiteTable, build, site_table
from flow.ir import Graph
from flow.ops import OPS
from flow.schedule import Plan, make_plan
from sim.accelerator import simulate_faults, simulate_rtl
from tests.engine.chains import random_inputs
from tests.engine.images import random_image_graph
from tests.schedule.test_images import buildable, least_folding

pytestmark = pytest.mark.rtl

FEW = [57, 22, 16]  # seeds whose graphs have every op the hardware takes
MANY = [seed for seed in range(40) if seed not in FEW]


@dataclass(frozen=True)
class Made:
    graph: Graph
    plan: Plan
    directory: Path
    sites: SiteTable


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    made = {}

    def make_build(seed):
        if seed not in made:
            graph = buildable(random_image_graph(seed))
            target = int(np.random.default_rng(seed).integers(1, 400))
            plan = make_plan(graph, folding=least_folding(graph, target))
            directory = tmp_path_factory.mktemp(f"image{seed}") / "build"
            build(graph, plan, directory)
            made[seed] = Made(graph, plan, directory, site_table(graph, plan))
        return made[seed]

    return make_build


def check_answers(made, seed, simulator, compiled, **stalls):
    """Logits and classes of the graph; unstalled, ``simulate_rtl`` checks every cycle too."""
    x = random_inputs(made.graph, 20, seed)
    expected = made.graph.evaluate_all(x)
    response = simulate_rtl(made.directory, x, cache=compiled, simulator=simulator, **stalls)
    np.testing.assert_array_equal(response.logits, expected[made.graph.logits])
    np.testing.assert_array_equal(response.classes, expected[made.graph.output])


def test_the_few_have_every_op_of_the_hardware(make):
    ops = {type(node.op).__name__ for seed in FEW for node in make(seed).graph.nodes}
    assert ops == set(OPS) - {"Transpose"}


@pytest.mark.parametrize("seed", FEW)
def test_logits_classes_and_cycles_are_those_of_graph_and_plan(make, seed, simulator, compiled):
    made = make(seed)
    check_answers(made, seed, simulator, compiled)
    check_answers(made, seed, simulator, compiled, offer=90, accept=120)


@pytest.mark.slow
@pytest.mark.parametrize("seed", MANY)
def test_many_more_networks_are_their_graphs(make, seed, simulator, compiled):
    made = make(seed)
    check_answers(made, seed, simulator, compiled)
    check_answers(made, seed, simulator, compiled, offer=40, accept=40)


@pytest.mark.parametrize("seed", FEW)
def test_a_flip_of_a_stored_bit_in_rtl_is_the_fault_in_the_graph(make, seed, simulator, compiled):
    made = make(seed)
    x = random_inputs(made.graph, 5, seed)
    every = list(made.sites)
    sites = every[:: max(1, len(every) // 150)]
    found = simulate_faults(
        made.directory, x, [[site] for site in sites], cache=compiled, simulator=simulator
    )
    logits = [made.graph.evaluate_all(x, [s.fault])[made.graph.logits] for s in sites]
    np.testing.assert_array_equal(found.logits, np.array(logits))
    clean = made.graph.evaluate_all(x)[made.graph.logits]
    assert (np.array(logits) != clean).any(axis=(1, 2)).sum() > 3
    assert not found.hung.any()
