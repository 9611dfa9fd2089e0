import json
from dataclasses import replace
from shutil import copytree

import pytest

from flow.build import build, load_build
from flow.build.images import read_image
from flow.errors import InputError
from flow.graphfile import digest
from flow.schedule import make_plan
from tests.schedule.networks import binary_network, four_bit_network

GRAPH = four_bit_network([4, 4, 3], signs=True)
PLAN = make_plan(GRAPH, cycles=8)


@pytest.fixture
def made(tmp_path):
    build(GRAPH, PLAN, tmp_path / "b")
    return tmp_path / "b"


def test_a_build_is_loaded_as_it_was_made(tmp_path):
    made = build(GRAPH, PLAN, tmp_path / "b")
    assert load_build(tmp_path / "b", graph=GRAPH) == made
    assert digest(made.graph()) == digest(GRAPH) == made.graph_digest
    assert made.plan() == PLAN


def test_a_build_can_be_moved(made, tmp_path):
    copytree(made, tmp_path / "elsewhere")
    moved = load_build(tmp_path / "elsewhere")
    assert moved.directory == tmp_path / "elsewhere"
    for path in moved.parameters.values():
        assert read_image((moved.directory / path).read_text())


def test_the_same_graph_and_plan_give_the_same_bytes(made, tmp_path):
    again = build(GRAPH, PLAN, tmp_path / "again")
    assert again.files == load_build(made).files


def test_a_build_replaces_an_older_one_whole(made):
    other = binary_network([4, 2, 2])
    build(other, make_plan(other), made)
    assert load_build(made).graph_digest == digest(other)


def test_the_report_states_cycles_and_bits(made):
    report = json.loads((made / "report.json").read_text())
    assert report["cycles_per_image"] == 8
    bits = sum(m["words"] * m["bits"] for m in report["memories"].values())
    assert report["stored_bits"] + report["padding_bits"] == bits


def test_every_file_is_watched(made):
    for name in load_build(made).files:
        content = (made / name).read_bytes()
        (made / name).write_bytes(content + b" ")
        with pytest.raises(InputError) as caught:
            load_build(made)
        assert str(caught.value) == f"{made / name}: damaged (SHA-256 differs); build again"
        (made / name).write_bytes(content)


def test_a_missing_file_is_named(made):
    (made / "images" / "fc0.weights.hex").unlink()
    with pytest.raises(InputError, match=r"images/fc0.weights.hex: missing; build again$"):
        load_build(made)


def test_a_file_too_many_is_named(made):
    (made / "rtl" / "extra.sv").write_text("")
    with pytest.raises(InputError, match=r"rtl/extra.sv: not in the manifest; remove it or build"):
        load_build(made)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(top="other"), "damaged (digest differs)"),
        (lambda r: r["files"].popitem(), "damaged (digest differs)"),
        (lambda r: r.pop("tools"), "damaged (KeyError('tools'))"),
        (lambda r: r.update(format=0), "not a manifest of format 1"),
    ],
)
def test_a_changed_manifest_is_refused(made, change, message):
    path = made / "manifest.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(InputError) as caught:
        load_build(made)
    assert str(caught.value) == f"{path}: {message}; build again"


def test_a_folder_that_is_no_build_says_how_to_make_one(tmp_path):
    with pytest.raises(InputError, match=r"no such file; make it with `bitproof build`$"):
        load_build(tmp_path)


def test_a_build_of_another_graph_is_refused(made):
    other = four_bit_network([4, 4, 3], seed=1)
    with pytest.raises(InputError, match=r"made from another graph than 'net'; build again$"):
        load_build(made, graph=other)


def test_a_plan_of_another_graph_is_refused(tmp_path):
    other = replace(PLAN, graph_digest="0" * 64)
    with pytest.raises(InputError, match=r"^graph 'net': the plan is of another graph; plan again"):
        build(GRAPH, other, tmp_path / "b")
    assert not (tmp_path / "b").exists()
