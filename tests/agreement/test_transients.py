"""Bits inverted as they pass by in RTL are transient faults of the graph, pair by pair."""

from pathlib import Path

import numpy as np
import pytest

from flow.build import build, load_build, netlist
from flow.campaign import FaultList, Recipe, draw_faults, replay, run_campaign
from flow.campaign.elements import Target, element_bits
from flow.campaign.execute import run_rtl
from flow.campaign.faultmodel import Transient
from flow.campaign.model import evaluate_faults
from flow.campaign.reproducer import load_reproducer
from flow.errors import ClaimError, InputError
from flow.graphfile import load_graph
from flow.ir import Fault, Kind
from flow.schedule import Folding, make_plan
from flow.stages import load_images
from sim.transients import HOLDS, simulate_transients
from tests.campaign.campaigns import four_bit_network, labelled
from tests.engine.chains import random_inputs
from tests.engine.images import random_image_graph
from tests.schedule.networks import searched_network
from tests.schedule.test_images import buildable, least_folding

pytestmark = pytest.mark.rtl

ZOO = Path(__file__).parents[2] / "models" / "zoo"
FOLDING = {"fc0": Folding(2, 3), "fc1": Folding(1, 2)}


def assert_equal_pairs(graph, directory, x, faults, *, cache, simulator="verilator"):
    """Logits and classes of every pair, and of the clean run; how many pairs differ from it."""
    strikes = tuple(faults)
    found = simulate_transients(directory, x, strikes, cache=cache, simulator=simulator)
    model = evaluate_faults(graph, x, strikes)
    clean = graph.evaluate_all(x)[graph.logits]
    np.testing.assert_array_equal(found.logits[0], clean)
    np.testing.assert_array_equal(found.logits[1:], model.logits)
    np.testing.assert_array_equal(found.classes[1:], model.classes)
    assert not found.hung.any()
    return int((model.logits != clean).any(axis=-1).sum())


def held(graph, plan):
    """The nodes whose elements wait in a register, by what these elements are."""
    units = [unit for unit in netlist(graph, plan).units if unit.module in HOLDS]
    names = {unit.name.removeprefix("u_") for unit in units}
    nodes = {target: [b.node for b in element_bits(graph, target).blocks] for target in Target}
    return {target: [n for n in found if n in names] for target, found in nodes.items()}


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    graph = load_graph(ZOO / "wrap-digits" / "graph.json")
    directory = tmp_path_factory.mktemp("digits") / "build"
    build(graph, make_plan(graph), directory)
    x = load_images("digits", root=ZOO, limit=12).x
    return graph, directory, x.reshape(12, *graph.input_edge.shape)


@pytest.mark.parametrize(
    ("target", "flips", "count"),
    [("accumulator", 1, 200), ("stream", 1, "all"), ("accumulator", 3, 100)],
)
def test_hundreds_of_transients_of_a_digits_network_are_those_of_the_model(
    digits, compiled, simulator, target, flips, count
):
    graph, directory, x = digits
    nodes = held(graph, load_build(directory).plan())[Target(target)]
    model = Transient(target=target, count=count, flips=flips, nodes=tuple(nodes))
    faults = draw_faults(graph, model, rng=np.random.default_rng(flips))
    assert len(faults) >= 75
    changed = assert_equal_pairs(graph, directory, x, faults, cache=compiled, simulator=simulator)
    assert changed > len(faults)


@pytest.mark.parametrize(
    "make", [four_bit_network, pytest.param(searched_network, marks=pytest.mark.slow)]
)
def test_every_bit_of_every_held_element_of_a_folded_network(make, compiled, tmp_path):
    """Two rows a cycle in three column steps, stored signs, thresholds counted or searched."""
    graph = make([6, 4, 3], signs=True)
    build(graph, make_plan(graph, folding=FOLDING), tmp_path / "build")
    for target, nodes in (("accumulator", None), ("stream", ("act0",))):
        recipe = Recipe(
            name="every", build=tmp_path / "build", data="random", images=8, seed=1, unit=512,
            faults=Transient(target=target, nodes=nodes, count="all"),
        )  # fmt: skip
        out = tmp_path / target
        record = run_campaign(recipe, labelled(graph, 12), out=out, cache=compiled)
        assert record.faults == len(element_bits(graph, Target(target), nodes))
        assert record.changed_pairs > record.pairs // 3
        assert record.outcomes["critical"] > 0


@pytest.mark.parametrize("seed", [57, pytest.param(22, marks=pytest.mark.slow)])
def test_transients_of_an_image_network_strike_one_position(seed, compiled, tmp_path):
    """Convolutions, depthwise products, sums of branches behind forks: all that can be held."""
    graph = buildable(random_image_graph(seed))
    target = int(np.random.default_rng(seed).integers(1, 400))
    plan = make_plan(graph, folding=least_folding(graph, target))
    build(graph, plan, tmp_path / "build")
    x = random_inputs(graph, 4, seed)
    changed = 0
    for what, nodes in held(graph, plan).items():
        count = min(60, len(element_bits(graph, what, nodes)))
        model = Transient(target=what, count=count, nodes=tuple(nodes))
        faults = draw_faults(graph, model, rng=np.random.default_rng(seed))
        changed += assert_equal_pairs(graph, tmp_path / "build", x, faults, cache=compiled)
    assert changed


def test_elements_without_a_register_of_their_own_are_refused_by_name(digits, compiled, tmp_path):
    graph, directory, x = digits
    recipe = Recipe(
        name="input", build=directory, data="digits", images=4, seed=1,
        faults=Transient(target="stream", count=40),
    )  # fmt: skip
    with pytest.raises(InputError, match=f"{graph.input}: no unit of the accelerator makes its"):
        run_campaign(recipe, (x, np.zeros(len(x))), out=tmp_path / "out", cache=compiled)
    image = buildable(random_image_graph(57))
    pools = [n for n in image.nodes if type(n.op).__name__ in ("MaxPool", "SumPool")]
    plan = make_plan(image, folding=least_folding(image, 100))
    build(image, plan, tmp_path / "build")
    x = random_inputs(image, 2, 0)
    fault = Fault(pools[0].name, "stream", (0, 0, 0), 0, Kind.TRANSIENT)
    with pytest.raises(InputError, match="holds partial results too"):
        run_rtl(load_build(tmp_path / "build"), x, [[fault]], cache=compiled)


def test_a_pair_on_which_rtl_disagrees_is_written_down(digits, compiled, tmp_path, monkeypatch):
    graph, directory, x = digits
    recipe = Recipe(
        name="wrong", build=directory, data="digits", images=4, seed=1,
        faults=Transient(target="accumulator", count=40, flips=2),
    )  # fmt: skip
    node = graph.nodes[0].name

    def other(directory, x, strikes, **settings):
        moved = [[f for f in strike if f.node != node] for strike in strikes]
        return simulate_transients(directory, x, moved, **settings)

    monkeypatch.setattr("sim.transients.simulate_transients", other)
    said = f"model and RTL do not agree: transient {node}.accumulator"
    with pytest.raises(ClaimError, match=said):
        run_campaign(recipe, (x, np.zeros(len(x))), out=tmp_path / "out", cache=compiled)
    case = load_reproducer(tmp_path / "out" / "reproducer.json")
    assert all(f.kind is Kind.TRANSIENT for f in case.faults)
    assert any(f.node == node for f in case.faults)
    assert replay(tmp_path / "out" / "reproducer.json", cache=compiled).reproduced
    monkeypatch.undo()
    found = replay(tmp_path / "out" / "reproducer.json", cache=compiled)
    assert not found.reproduced
    assert set(found.answers) == {"clean", "model", "batched", "rtl"}  # HLS has no registers
    assert found.first_changed is not None
    assert FaultList.of(graph, [case.faults]).transient
