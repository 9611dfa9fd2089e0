import json
from dataclasses import replace

import pytest

from flow.errors import InputError
from flow.schedule import Folding, MemoryStyle, Plan, load_plan, plan_digest, save_plan

PLAN = Plan("ab12", {"fc0": Folding(2, 4), "fc1": Folding(1, 8)}, {"act0_fifo": 8})


@pytest.fixture
def path(tmp_path):
    save_plan(PLAN, tmp_path / "plan.json")
    return tmp_path / "plan.json"


def test_a_saved_plan_is_loaded_unchanged(path):
    assert load_plan(path) == PLAN
    assert plan_digest(load_plan(path)) == plan_digest(PLAN)


def test_a_plan_says_whether_memories_have_parity_and_one_without_says_nothing(path):
    protected = replace(PLAN, parity=True)
    assert "parity" not in path.read_text()
    assert save_plan(protected, path) != plan_digest(PLAN)
    assert load_plan(path) == protected


def test_a_plan_says_what_its_memories_are_made_of_and_leaves_it_out_where_nothing_is_asked(path):
    assert "memory_style" not in path.read_text()
    digests = {plan_digest(PLAN)}
    for style in MemoryStyle:
        styled = replace(PLAN, memory_style=style)
        digests.add(save_plan(styled, path))
        assert load_plan(path) == styled
    assert len(digests) == len(MemoryStyle)


def test_constants_have_no_parity():
    with pytest.raises(InputError, match=r"^memory style rom: its words are constants and have no"):
        replace(PLAN, parity=True, memory_style=MemoryStyle.ROM)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(parity=True), "damaged (digest differs)"),
        (lambda r: r["folding"]["fc0"].update(pe=4), "damaged (digest differs)"),
        (lambda r: r["fifo_depth"].update(act0_fifo=4), "damaged (digest differs)"),
        (lambda r: r["folding"]["fc0"].update(pe=2.5), "damaged (digest differs)"),
        (lambda r: r.update(memory_style="rom"), "damaged (digest differs)"),
        (lambda r: r.update(memory_style="wood"), "damaged (ValueError("),
        (lambda r: r.update(colour="red"), "damaged (digest differs)"),
        (lambda r: r["folding"]["fc0"].pop("pe"), "damaged (KeyError('pe'))"),
        (lambda r: r.update(fifo_depth=None), "damaged (AttributeError"),
        (lambda r: r.update(format=1), "not a plan of format 2"),
    ],
)
def test_a_changed_plan_is_refused(path, change, message):
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))

    with pytest.raises(InputError) as caught:
        load_plan(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert str(caught.value).endswith("; build again")


@pytest.mark.parametrize("content", ["", "{", "[]", '"plan"'])
def test_a_file_that_is_no_plan_is_refused(path, content):
    path.write_text(content)
    with pytest.raises(InputError, match="not a plan"):
        load_plan(path)


def test_a_missing_plan_says_how_to_make_one(tmp_path):
    with pytest.raises(InputError, match=r"no such file; make it with `bitproof build`$"):
        load_plan(tmp_path / "plan.json")
