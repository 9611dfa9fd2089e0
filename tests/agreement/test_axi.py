"""The Vivado build, simulated at its AXI pins under the board's driver, against the graph."""

import numpy as np
import pytest

from flow.build import build, site_table
from flow.errors import InputError
from flow.graphfile import load_graph
from flow.schedule import make_plan
from models.data import load_dataset
from sim.axi import simulate_axi
from sim.runner import ROOT
from tests.schedule.networks import binary_network, four_bit_network, random_images

IMAGES = 5
NETWORKS = {
    "binary": (lambda: binary_network([12, 8, 4], seed=3, signs=True), 24),  # unsigned logits
    "four bits": (
        lambda: four_bit_network([16, 6, 3], seed=3, signs=True),
        12,
    ),  # signed; wide beat
}


def faults_that_show(graph, plan, x):
    """For each memory a site whose flip moves a logit of ``x``."""
    sites = site_table(graph, plan)
    clean = graph.evaluate_all(x)[graph.logits]
    for layout in sites.layouts:
        places = ((w, b) for w in range(layout.words) for b in reversed(range(layout.bits)))
        for word, bit in places:
            fault = sites.at(layout.name, word, bit).fault
            if fault and (graph.evaluate_all(x, [fault])[graph.logits] != clean).any():
                yield (layout.name, word, bit), fault
                break


def rows(graph, x, faults=()):
    values = graph.evaluate_all(x, faults)
    return np.column_stack([values[graph.output].ravel(), values[graph.logits]])


@pytest.fixture(scope="module", params=NETWORKS)
def case(request, tmp_path_factory):
    make, cycles = NETWORKS[request.param]
    graph = make()
    plan = make_plan(graph, cycles=cycles, parity=request.param == "four bits")
    place = tmp_path_factory.mktemp("axi") / "net"
    return graph, plan, build(graph, plan, place, target="vivado").directory


@pytest.mark.rtl
@pytest.mark.parametrize(("offer", "accept"), [("always", "always"), ("bursty", "rare")])
def test_driver_streams_and_registers_agree_with_the_graph(
    case, offer, accept, simulator, compiled
):
    graph, plan, directory = case
    x = random_images(graph, IMAGES)
    sites, faults = zip(*faults_that_show(graph, plan, x), strict=True)

    response = simulate_axi(
        directory,
        x,
        cache=compiled,
        simulator=simulator,
        batches=(1, 3, 1),
        flips=sites,
        offer=offer,
        accept=accept,
    )

    assert len(sites) == len(site_table(graph, plan).layouts)
    clean = rows(graph, x)
    for found in (response.rows, *response.again):
        np.testing.assert_array_equal(found, clean)
    for fault, found in zip(faults, response.flipped, strict=True):
        np.testing.assert_array_equal(found, rows(graph, x, [fault]))
    for (_, _, bit), (before, during, after) in zip(sites, response.words, strict=True):
        assert (before ^ during, after) == (1 << bit, before)
    runs = IMAGES * (1 + len(sites))
    assert (response.counters["images"], response.counters["results"]) == (runs, runs)
    assert response.counters["cycles"] > runs


@pytest.mark.slow
@pytest.mark.rtl
def test_digits_through_the_driver_agree_with_the_graph(simulator, compiled, tmp_path):
    graph = load_graph(ROOT / "models" / "zoo" / "wrap-digits" / "graph.json")
    plan = make_plan(graph, cycles=64)
    directory = build(graph, plan, tmp_path / "net", target="vivado").directory
    x = load_dataset("digits", root=tmp_path).test_x[:40].reshape(40, *graph.input_edge.shape)
    sites, faults = zip(*faults_that_show(graph, plan, x), strict=True)

    response = simulate_axi(
        directory,
        x,
        cache=compiled,
        simulator=simulator,
        batches=(1, 39),
        flips=sites,
        offer="bursty",
        accept="bursty",
    )

    np.testing.assert_array_equal(response.rows, rows(graph, x))
    for fault, found in zip(faults, response.flipped, strict=True):
        np.testing.assert_array_equal(found, rows(graph, x, [fault]))


def test_a_build_for_another_target_has_no_axi(tmp_path):
    graph = binary_network([12, 4])
    directory = build(graph, make_plan(graph), tmp_path / "net").directory

    with pytest.raises(InputError, match=r"net: no folder vivado; build with --target vivado$"):
        simulate_axi(directory, random_images(graph, 1), cache=tmp_path)


def test_batches_must_be_all_images(case, tmp_path):
    graph, _, directory = case

    with pytest.raises(InputError, match=r"^batches of 2 images where there are 3$"):
        simulate_axi(directory, random_images(graph, 3), cache=tmp_path, batches=(1, 1))
