"""A whole network in C simulation equals the graph, threaded and sequential."""

import re

import numpy as np
import pytest

from flow.build import build
from flow.build.kernels import FILES
from flow.errors import ClaimError, InputError
from flow.graphfile import digest
from flow.schedule import Folding, Plan
from sim.csim import simulate_hls
from tests.conformance.hls_units import CACHE
from tests.schedule.networks import (
    binary_network,
    four_bit_network,
    random_images,
    searched_network,
)

IMAGES = 200


def networks():
    """Every layer of another folding; converters widen, narrow and pass; depths of one and more."""
    binary = binary_network([12, 8, 8, 10], seed=1, signs=True)
    yield binary, [(2, 4), (4, 4), (5, 2)], {"act0_fifo": 1, "act1_fifo": 4}
    wide = four_bit_network([8, 6, 10], seed=2, signs=True)
    yield wide, [(3, 8), (10, 3)], {"act0_fifo": 2}
    searched = searched_network([8, 6, 10], seed=3, signs=True)
    yield searched, [(3, 8), (10, 3)], {"act0_fifo": 2}


@pytest.fixture(scope="module")
def builds(tmp_path_factory):
    made = []
    for graph, folds, depths in networks():
        names = [node.name for node in graph.nodes if node.name.startswith("fc")]
        folding = {name: Folding(*pair) for name, pair in zip(names, folds, strict=True)}
        plan = Plan(digest(graph), folding, depths)
        made.append((graph, build(graph, plan, tmp_path_factory.mktemp("hls") / "net").directory))
    return made


@pytest.mark.parametrize("sequential", [False, True], ids=["threads", "sequential"])
@pytest.mark.parametrize("network", [0, 1, 2], ids=["w1a1", "w4a4", "searched"])
def test_every_logit_and_class_equals_the_graph(builds, network, sequential):
    graph, directory = builds[network]
    x = random_images(graph, IMAGES)

    response = simulate_hls(directory, x, sequential=sequential, binaries=CACHE)

    values = graph.evaluate_all(x)
    np.testing.assert_array_equal(response.logits, values[graph.logits])
    np.testing.assert_array_equal(response.classes, values[graph.output])
    assert len(np.unique(response.classes)) > 1
    assert len(response.detected) > 0
    assert not response.detected.any()


def test_progress_counts_the_images(builds):
    graph, directory = builds[0]
    seen = []

    simulate_hls(
        directory,
        random_images(graph, 3),
        binaries=CACHE,
        progress=lambda done, total: seen.append((done, total)),
    )

    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_no_image_is_no_answer(builds):
    graph, directory = builds[0]

    response = simulate_hls(directory, random_images(graph, 3)[:0], binaries=CACHE)

    assert response.logits.shape == (0, 10)
    assert response.classes.shape == (0,)


@pytest.mark.parametrize("spoil", [lambda x: x[:, 1:], lambda x: x + 17, lambda x: x / 2])
def test_images_that_do_not_fit_are_refused(builds, spoil):
    graph, directory = builds[0]

    with pytest.raises(InputError, match=r"^images of shape .*: graph 'net' takes integers 12:u5"):
        simulate_hls(directory, spoil(random_images(graph, 3)), binaries=CACHE)


def test_a_stream_too_shallow_stops_the_run_and_is_named(builds, tmp_path):
    graph, directory = builds[0]
    shallow = tmp_path / "net"
    (shallow / "hls").mkdir(parents=True)
    for name in ("graph.json", "graph.safetensors", *(f"hls/{file}" for file in FILES)):
        (shallow / name).write_bytes((directory / name).read_bytes())
    text = (shallow / "hls" / "simulation.cpp").read_text()
    spoilt = text.replace('("act0_width_out", 1)', '("act0_width_out", 0)')
    assert spoilt != text
    (shallow / "hls" / "simulation.cpp").write_text(spoilt)

    stuck = "u_act0_width waits to write act0_width_out (full at depth 0)"
    with pytest.raises(ClaimError, match=rf"deadlock: .*{re.escape(stuck)}"):
        simulate_hls(shallow, random_images(graph, 3), binaries=CACHE)


def test_a_folder_without_the_generated_text_is_refused(builds, tmp_path):
    graph, directory = builds[0]
    for name in ("graph.json", "graph.safetensors"):
        (tmp_path / name).write_bytes((directory / name).read_bytes())
    with pytest.raises(InputError, match=r": no folder hls; build again$"):
        simulate_hls(tmp_path, random_images(graph, 2), binaries=CACHE)


def test_text_that_g_plus_plus_refuses_is_a_failed_claim(builds, tmp_path):
    graph, directory = builds[0]
    broken = tmp_path / "net"
    (broken / "hls").mkdir(parents=True)
    for name in ("graph.json", "graph.safetensors"):
        (broken / name).write_bytes((directory / name).read_bytes())
    for file in FILES:
        (broken / "hls" / file).write_text("#error broken\n")

    with pytest.raises(ClaimError, match=r"g\+\+ refuses .*#error broken"):
        simulate_hls(broken, random_images(graph, 3), binaries=tmp_path)
