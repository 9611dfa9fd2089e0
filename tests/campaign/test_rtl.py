"""Model and RTL under the same faults, and RTL that is wrong."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from flow.build import build, load_build, site_table
from flow.build.manifest import save_manifest, sha256
from flow.campaign import Burst, Multiple, Rates, Recipe, Stuck, replay, run_campaign
from flow.campaign.execute import execute
from flow.campaign.model import evaluate_faults, reference
from flow.campaign.prepare import prepare
from flow.campaign.reproducer import Answer, load_reproducer
from flow.certify import StoredBits
from flow.errors import ClaimError, InputError
from flow.schedule import make_plan
from sim.accelerator import FaultResponse
from sim.nodes import simulate_nodes
from tests.campaign.campaigns import four_bit_network, labelled

pytestmark = pytest.mark.rtl


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A folder with a build in ``build``, and images with labels."""
    folder = tmp_path_factory.mktemp("rtl")
    graph = four_bit_network((6, 4, 3), signs=True)
    build(graph, make_plan(graph), folder / "build")
    return folder, labelled(graph, 12)


def recipe(directory, **settings):
    chosen = {"images": 6, "faults": 70, "seed": 1, "unit": 64} | settings
    return Recipe(name="rtl", build=directory, data="random", **chosen)


def corrupted(folder, name, change, file="images/fc1.weights.hex"):
    """A copy of the build with one file changed, as if the generator had written it so."""
    copy = folder / name
    shutil.copytree(folder / "build", copy)
    path = copy / file
    path.write_text(change(path.read_text()))
    made = replace(load_build(folder / "build"), directory=copy)
    save_manifest(replace(made, files=dict(made.files) | {file: sha256(path)}))
    return copy


def flip_lowest_bit(text):
    first, *words = text.split()
    return "\n".join([first[:-1] + f"{int(first[-1], 16) ^ 1:x}", *words]) + "\n"


def test_parity_detects_every_single_flip_in_rtl(network, compiled, tmp_path):
    folder, data = network
    graph = load_build(folder / "build").graph()
    build(graph, make_plan(graph, parity=True), tmp_path / "build")
    record = run_campaign(recipe(tmp_path / "build"), data, out=tmp_path / "out", cache=compiled)
    assert record.outcomes == dict.fromkeys(record.outcomes, 0) | {"detected": record.pairs}
    assert record.changed_pairs == 0


def test_every_pair_agrees_in_model_and_rtl(network, compiled):
    folder, data = network
    record = run_campaign(recipe(folder / "build"), data, out=folder / "out", cache=compiled)
    assert record.engines == ("model", "rtl")
    assert record.pairs == record.faults * 6
    assert record.faults >= 70
    assert record.changed_pairs > 0
    assert set(record.seconds) == {"model", "rtl"}


@pytest.mark.parametrize(
    "faults",
    [
        Burst(count=30, bits=3),
        Multiple(count=15, flips=(2, 9)),
        Stuck(count=45, value=1),
        Rates(rates=(0.0, 0.05, 0.3), chips=8),
    ],
    ids=lambda model: model.model,
)
def test_every_fault_model_agrees_in_model_and_rtl(network, compiled, tmp_path, faults):
    folder, data = network
    made = recipe(folder / "build", faults=faults)
    record = run_campaign(made, data, out=tmp_path / "out", cache=compiled)
    assert record.pairs == record.faults * 6
    assert record.changed_pairs > 0


def test_rtl_with_one_wrong_bit_is_caught_and_its_reproducer_fails_again(network, compiled):
    folder, data = network
    wrong = corrupted(folder, "wrong", flip_lowest_bit)
    out = folder / "caught"
    with pytest.raises(ClaimError, match="model and RTL do not agree: ") as error:
        run_campaign(recipe(wrong), data, out=out, cache=compiled)
    assert f"bitproof replay {out / 'reproducer.json'}" in str(error.value)
    assert not list((out / "shards").iterdir())
    case = load_reproducer(out / "reproducer.json")
    assert case.faults == ()  # the clean run is wrong already
    assert case.answers["model"] != case.answers["rtl"]
    found = replay(out / "reproducer.json", cache=compiled)
    assert found.reproduced
    assert found.answers["rtl"] == case.answers["rtl"]
    assert found.answers["model"] == found.answers["batched"] == case.answers["model"]
    assert found.answers["hls"] == case.answers["rtl"]  # both read the build's images
    assert found.first_differing == "fc1"
    assert {step.node: step.rtl for step in found.trace if not step.rtl}.keys() == {
        *("fc0", "act0", "argmax")
    }
    mended = replay(out / "reproducer.json", cache=compiled, build=folder / "build")
    assert not mended.reproduced
    assert mended.answers["hls"] == mended.answers["model"]
    assert mended.first_differing is None


def compare_the_other_way(text):
    assert " >= " in text
    return text.replace(" >= ", " < ")


def test_a_broken_unit_is_the_first_node_that_differs_in_rtl(network, compiled):
    folder, data = network
    wrong = corrupted(folder, "unit", compare_the_other_way, "rtl/threshold.sv")
    out = folder / "broken"
    with pytest.raises(ClaimError, match="model and RTL do not agree: "):
        run_campaign(recipe(wrong, faults=20, unit=8), data, out=out, cache=compiled)
    found = replay(out / "reproducer.json", cache=compiled)
    assert found.reproduced
    assert found.first_differing == "act0"
    rtl = {step.node: step.rtl for step in found.trace}
    assert rtl["fc0"] == 0 < rtl["act0"]
    assert rtl["fc1"] > 0
    assert rtl["argmax"] is None  # class and logits leave together: the answers show them
    assert not any(step.differing for step in found.trace)
    assert found.answers["hls"] == found.answers["model"] != found.answers["rtl"]


def test_rtl_shows_every_element_of_every_node_under_faults(network, compiled):
    folder, (x, _) = network
    graph = load_build(folder / "build").graph()
    table = site_table(graph, load_build(folder / "build").plan())
    bits = StoredBits.of(graph)
    for struck in ((), (3,), (60, 100)):
        faults = [bits.fault(k) for k in struck]
        wanted = graph.evaluate_all(x[:1], faults)
        sites = [table.site(fault) for fault in faults]
        seen = simulate_nodes(folder / "build", x[:1], sites, cache=compiled)
        assert [node.node for node in seen] == ["fc0", "act0", "fc1"]
        for node in seen:
            right = wanted[graph.node(node.node).output]
            np.testing.assert_array_equal(node.values, right.ravel())


@pytest.mark.parametrize("wrong", ["class", "logit", "hang"])
def test_a_single_wrong_pair_is_found_in_class_or_logits_alone(
    network, compiled, monkeypatch, wrong
):
    folder, data = network
    campaign = prepare(recipe(folder / "build"), data)
    unit = campaign.units[0]
    faults = tuple(campaign.faults.part(unit.first, unit.last))
    clean = reference(campaign.graph, campaign.x)
    right = evaluate_faults(campaign.graph, campaign.x, faults)
    logits = np.concatenate([clean.logits[None], right.logits])
    classes = np.concatenate([clean.classes[None], right.classes])
    if wrong != "logit":
        classes[18, 4] = -1 if wrong == "hang" else (classes[18, 4] + 1) % 3
    if wrong != "class":
        logits[18, 4, 1] = -1 if wrong == "hang" else logits[18, 4, 1] + 1

    def simulated(directory, x, sites, *, cache):
        assert [tuple(site.fault for site in group) for group in sites] == [(), *faults]
        hung = (classes < 0).any(axis=1).astype(int)
        return FaultResponse(logits, classes, hung, detected=np.zeros_like(classes), cycles=0)

    monkeypatch.setattr("sim.accelerator.simulate_faults", simulated)
    case = execute(campaign, unit, cache=compiled)
    assert (case.faults, case.position) == (faults[17], campaign.images[4])
    assert case.image == tuple(campaign.x[4])
    assert case.answers["rtl"] == Answer(tuple(logits[18, 4]), classes[18, 4])
    assert case.answers["model"] == Answer(tuple(right.logits[17, 4]), right.classes[17, 4])
    assert ("rtl gives no answer" in str(case)) == (wrong == "hang")


def test_a_build_changed_since_a_campaign_began_is_refused(network, compiled):
    folder, data = network
    first = folder / "first"
    shutil.copytree(folder / "build", first)
    settings = {"engines": ["model"], "faults": 60}
    run_campaign(recipe(first, **settings), data, out=folder / "same", cache=compiled)
    other = corrupted(folder, "other", flip_lowest_bit)
    with pytest.raises(InputError, match="its campaign has another build files"):
        run_campaign(
            recipe(other, **settings),
            data,
            out=folder / "same",
            cache=compiled,
            resume=True,
        )
