"""A broken claim is caught, written down, and fails again when it is replayed."""

import json
from dataclasses import replace

import numpy as np
import pytest

from flow.campaign import replay, run_campaign
from flow.campaign.prepare import prepare
from flow.campaign.reproducer import load_reproducer, save_reproducer
from flow.certify.flips import single_flips
from flow.errors import ClaimError, InputError
from flow.graphfile import save_graph
from tests.campaign.campaigns import four_bit_network, labelled, model_recipe


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A campaign stopped by an analysis that certifies every image."""
    folder = tmp_path_factory.mktemp("replay")
    graph = four_bit_network((6, 5, 4), signs=True)
    data = labelled(graph, 12)
    recipe = model_recipe(graph, folder)
    campaign = prepare(recipe, data)
    flips = single_flips(graph, campaign.x, y=campaign.labels)
    claimed = replace(flips, critical_faults=np.zeros_like(flips.critical_faults))
    with pytest.raises(ClaimError):
        run_campaign(recipe, data, out=folder / "out", cache=folder, flips=claimed)
    return graph, folder / "out" / "reproducer.json"


def test_a_broken_certificate_breaks_again(broken, tmp_path):
    graph, path = broken
    found = replay(path, cache=tmp_path)
    case = found.reproducer
    assert found.reproduced
    assert found.answers["clean"].label == case.label != found.answers["model"].label
    assert found.answers["model"] == found.answers["batched"]
    assert found.first_differing is None
    x = np.array([case.image])
    clean, struck = graph.evaluate_all(x), graph.evaluate_all(x, case.faults)
    changed = {n.name: int((struck[n.output] != clean[n.output]).sum()) for n in graph.nodes}
    assert {step.node: step.changed for step in found.trace} == changed
    assert found.first_changed == case.faults[0].node
    assert changed["argmax"] == 1


def test_a_case_that_no_longer_fails_is_said_not_to(broken, tmp_path):
    _, path = broken
    case = load_reproducer(path)
    other = replace(case.answers["model"], label=case.answers["clean"].label)
    mended = replace(case, answers={"clean": case.answers["clean"], "model": other})
    save_reproducer(mended, tmp_path / "case.json")
    assert not replay(tmp_path / "case.json", cache=tmp_path).reproduced


def test_a_reproducer_read_back_is_the_one_written(broken, tmp_path):
    _, path = broken
    case = load_reproducer(path)
    save_reproducer(case, tmp_path / "case.json")
    assert load_reproducer(tmp_path / "case.json") == case
    assert (tmp_path / "case.json").read_text() == path.read_text()


def test_a_reproducer_of_another_network_is_refused(broken, tmp_path):
    _, path = broken
    save_graph(four_bit_network((6, 5, 4), seed=1), tmp_path / "graph.json")
    with pytest.raises(InputError, match="made with another graph than 'net'"):
        replay(path, cache=tmp_path, graph=tmp_path / "graph.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 1}, "not a reproducer of format 2"),
        ({"claim": "the earth is flat"}, "damaged"),
        ({"faults": [{"node": "fc0"}]}, "damaged"),
        ({"image": None}, "damaged"),
        ({"extra": 1}, "damaged"),
    ],
)
def test_a_damaged_reproducer_is_refused(broken, tmp_path, change, message):
    _, path = broken
    (tmp_path / "case.json").write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=message):
        load_reproducer(tmp_path / "case.json")


def test_a_missing_reproducer_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_reproducer(tmp_path / "none.json")
