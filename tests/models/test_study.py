"""A study does its cells once, goes on after a kill, and its table is what its files say."""

import json
from contextlib import contextmanager
from dataclasses import replace
from statistics import mean, stdev

import numpy as np
import pytest

from flow.certify import largest_k
from flow.certify.input import certify_input
from flow.errors import ClaimError, InputError
from models import study as study_module
from models.study import load_study, markdown, run_study

SMALL = """
name = "small"
title = "digits"
seeds = 2
[base]
dataset = "digits"
[base.network]
kind = "fully-connected"
hidden = [6]
weight_bits = 4
activation_bits = 4
[base.training]
epochs = 1
batch = 64
learning_rate = 0.02
[[measure]]
kind = "boxes"
radius = [1]
[[row]]
label = "plain"
[[row]]
label = "clipped, 2 bits"
[row.recipe]
network = {weight_bits = 2}
method = [{kind = "clipping", limit = 0.25}]
[[row]]
label = "large"
run = false
[row.recipe]
network = {hidden = [4096]}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(study_module, "FOLDER", tmp_path)
    (tmp_path / "small.toml").write_text(SMALL)
    return tmp_path


def run(folder, titles, *, stop=99, seeds=2):
    @contextmanager
    def progress(title):
        titles.append(title)
        if len(titles) > stop:
            raise KeyboardInterrupt
        yield lambda done, total: None

    return run_study(
        load_study("small"),
        seeds=seeds,
        results=folder / "out",
        data_root=folder,
        progress=progress,
    )


def test_a_study_does_each_cell_once_and_goes_on_after_a_kill(folder):
    titles = []
    with pytest.raises(KeyboardInterrupt):
        run(folder, titles, stop=1)
    record = run(folder, titles)
    assert titles == [
        "small: plain, seed 0",
        "small: plain, seed 1",  # killed, and again
        "small: plain, seed 1",
        "small: clipped, 2 bits, seed 0",
        "small: clipped, 2 bits, seed 1",
    ]
    assert run(folder, again := []) == record
    assert again == []
    files = sorted(p.name for p in (folder / "out" / "small").iterdir())
    assert files == ["00-seed0.json", "00-seed1.json", "01-seed0.json", "01-seed1.json"]
    cells = [json.loads((folder / "out" / "small" / name).read_text()) for name in files]
    assert [cell["recipe"]["training"]["seed"] for cell in cells] == [0, 1, 0, 1]
    assert [cell["recipe"]["network"]["weight_bits"] for cell in cells] == [4, 4, 2, 2]
    shares = [cell["numbers"]["accuracy"] for cell in cells[:2]]
    lines = record["markdown"].splitlines()
    assert lines[0] == "| digits | accuracy | certified at 1 |"
    assert lines[2].startswith(f"| plain | {mean(shares):.2f} ± {stdev(shares):.2f} | ")
    assert lines[4] == "| large | not run | not run |"

    (folder / "small.toml").write_text(SMALL.replace("0.25", "0.5"))
    run(folder, changed := [])
    assert changed == ["small: clipped, 2 bits, seed 0", "small: clipped, 2 bits, seed 1"]


def test_a_graph_that_decides_otherwise_is_not_measured(folder, monkeypatch):
    plain = study_module.lowered

    def turned(blob):
        graph = plain(blob)
        *others, last, end = graph.nodes
        last = replace(last, op=replace(last.op, weights=-last.op.weights))
        return replace(graph, nodes=(*others, last, end))

    monkeypatch.setattr(study_module, "lowered", turned)
    with pytest.raises(
        ClaimError,
        match=r"^recipe 'small': the exported file decides \d+ of 360 test images differently",
    ):
        run(folder, [])
    assert not list((folder / "out" / "small").glob("*.json"))


def test_other_measures_measure_anew(folder):
    run(folder, [], seeds=1)
    (folder / "small.toml").write_text(SMALL.replace("radius = [1]", "radius = [1, 2]"))
    record = run(folder, titles := [], seeds=1)
    assert titles == ["small: plain, seed 0", "small: clipped, 2 bits, seed 0"]
    assert record["markdown"].splitlines()[0] == (
        "| digits | accuracy | certified at 1 | certified at 2 |"
    )


def test_one_seed_has_no_spread(folder):
    plan = load_study("small")
    rows = [(row, [{"numbers": {"accuracy": 97.5}}] if row.run else []) for row in plan.row]
    table = markdown(plan, rows)
    assert table.splitlines()[2:4] == ["| plain | 97.50 |", "| clipped, 2 bits | 97.50 |"]


BAD = [
    ("epochs = 1", "epoch = 1", "study 'small', 'plain': unknown key 'training.epoch'; known are"),
    ("limit = 0.25", "limit = -1", "study 'small', 'clipped, 2 bits': 'method.0.limit': Input"),
    ('kind = "boxes"', 'kind = "boxed"', "'measure.0': Input tag 'boxed' found using 'kind'"),
    ("seeds = 2", "seeds = 0", "'seeds': Input should be greater than 0; got 0"),
    ("title", "titel", "'title': Field required"),
    ("[base]", "[base", "not a TOML file"),
]


@pytest.mark.parametrize(("old", "new", "message"), BAD, ids=[b[1] for b in BAD])
def test_a_study_that_cannot_be_is_refused_before_it_trains(old, new, message, folder):
    (folder / "small.toml").write_text(SMALL.replace(old, new))
    with pytest.raises(InputError) as caught:
        load_study("small")
    assert message in str(caught.value)


def test_an_unknown_study_is_told_the_known_ones(folder):
    with pytest.raises(InputError, match=r"^study 'smal': unknown; choose from small$"):
        load_study("smal")


def test_a_damaged_cell_is_refused(folder):
    (folder / "out" / "small").mkdir(parents=True)
    (folder / "out" / "small" / "00-seed0.json").write_text("{")
    with pytest.raises(InputError, match=r"00-seed0\.json: damaged; remove it to measure anew"):
        run(folder, [])


def test_every_study_of_ours_holds_recipes_only():
    for path in study_module.FOLDER.glob("*.toml"):
        assert load_study(path.stem).name == path.stem


def test_measures_are_what_the_certificates_say(folder, monkeypatch):
    text = SMALL.replace(
        "[[row]]",
        '[[measure]]\nkind = "certified-flips"\nmost = 3\nimages = 20\n'
        '[[measure]]\nkind = "attacked-flips"\nbudget = 2\n[[row]]',
        1,
    )
    (folder / "small.toml").write_text(text.replace("radius = [1]", "radius = [1]\nimages = 50"))
    taken = []
    cell = study_module.Subject

    def noted(*args):
        taken.append(cell(*args))
        return taken[-1]

    monkeypatch.setattr(study_module, "Subject", noted)
    run(folder, [], seeds=1)
    numbers = json.loads((folder / "out" / "small" / "00-seed0.json").read_text())["numbers"]
    (x, y), graph = taken[0].test, taken[0].graph
    proved = certify_input(graph, x[:50], y=y[:50], radius=1).summary()["proved"]
    assert numbers["certified at 1"] == 100 * proved / 50
    k = largest_k(graph, x[:20], y=y[:20], most=3)
    assert numbers["certified flips"] == k.mean()
    assert numbers["withstand 1 flips"] == 100 * np.mean(k >= 1)
    assert 0 <= numbers["attacked flips"] <= 2
