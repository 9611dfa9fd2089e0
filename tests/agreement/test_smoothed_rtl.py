"""Smoothed inference in RTL counts the votes that certificates are made from."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from flow.build import build, load_build, netlist
from flow.build.smoothing import Smoother
from flow.certify import Smoothing
from flow.certify.smoothing import ESTIMATION, count_votes, noise_stream
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.evidence.smoothing import smoother
from flow.graphfile import load_graph
from flow.schedule import make_plan
from models.data import load_dataset
from sim.smoothed import simulate_smoothed
from tests.schedule.networks import four_bit_network, random_images

pytestmark = pytest.mark.rtl
VOTES = 60
ZOO = Path(__file__).resolve().parents[2] / "models" / "zoo"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A four-bit network with two input words per image, and its build."""
    graph = four_bit_network([6, 4, 6, 3], signs=True)
    directory = tmp_path_factory.mktemp("smoothed") / "build"
    build(graph, make_plan(graph), directory)
    return graph, directory


def lanes_of(directory):
    loaded = load_build(directory)
    return netlist(loaded.graph(), loaded.plan()).input.lanes


@pytest.mark.parametrize(("offer", "accept"), [(256, 256), (40, 20)])
def test_votes_in_rtl_are_those_of_the_model_for_the_same_seed(
    made, offer, accept, simulator, compiled
):
    graph, directory = made
    lanes = lanes_of(directory)
    terms = Smoothing(Fraction(5, 2), samples=VOTES, seed=3, lanes=lanes)
    x = random_images(graph, 8)
    found, winners = simulate_smoothed(
        directory,
        x,
        smoother(directory, sigma="2.5", votes=VOTES, seed=3),
        cache=compiled,
        simulator=simulator,
        offer=offer,
        accept=accept,
    )
    stream, engine = noise_stream(graph, terms, ESTIMATION), BatchedEngine(graph)
    expected = np.vstack(
        [count_votes(engine, x[k : k + 1], stream, samples=VOTES) for k in range(len(x))]
    )
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(winners, expected.argmax(axis=1))
    assert (expected.max(axis=1) < VOTES).sum() > 3  # the noise matters


@pytest.mark.slow
def test_a_digits_network_votes_as_its_model(simulator, compiled, tmp_path):
    graph = load_graph(ZOO / "wrap-digits" / "graph.json")
    build(graph, make_plan(graph), tmp_path / "build")
    terms = Smoothing(Fraction(4), samples=VOTES, lanes=lanes_of(tmp_path / "build"))
    data = load_dataset("digits", root=tmp_path)
    x = data.test_x[:12].reshape(12, -1).astype(np.int64)
    found, _ = simulate_smoothed(
        tmp_path / "build",
        x,
        smoother(tmp_path / "build", sigma="4", votes=VOTES),
        cache=compiled,
        simulator=simulator,
    )
    stream, engine = noise_stream(graph, terms, ESTIMATION), BatchedEngine(graph)
    expected = [count_votes(engine, x[k : k + 1], stream, samples=VOTES) for k in range(len(x))]
    np.testing.assert_array_equal(found, np.vstack(expected))


def test_what_does_not_fit_is_refused(made, compiled):
    graph, directory = made
    x = random_images(graph, 2)
    with pytest.raises(
        InputError, match="5 votes, 3 seed words: give at least 1 vote, and 4 words"
    ):
        simulate_smoothed(directory, x, Smoother([1 << 20], [1, 2, 3], 5, {}), cache=compiled)
    with pytest.raises(InputError, match="takes integers"):
        simulate_smoothed(directory, x[:0], Smoother([1], [1] * 4, 5, {}), cache=compiled)
