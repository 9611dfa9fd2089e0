"""A reproducer names no bit that its claim does not need."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.build import build
from flow.campaign import Recipe
from flow.campaign import execute as module
from flow.campaign.minimise import TRIALS, minimise
from flow.campaign.model import evaluate_faults, reference
from flow.campaign.outcome import Answers
from flow.campaign.prepare import prepare
from flow.schedule import make_plan
from tests.campaign.campaigns import four_bit_network, labelled


@given(st.sets(st.integers(0, 11), min_size=1), st.sets(st.integers(0, 11)))
def test_exactly_the_needed_bits_are_left(needed, others):
    strike = tuple(sorted(needed | others))
    assert minimise(strike, lambda part: needed <= set(part)) == tuple(sorted(needed))


@given(st.integers(2, 12), st.integers(1, 12))
def test_no_single_bit_can_go_when_any_few_of_them_fail(count, few):
    strike = tuple(range(count))
    few = min(few, count)
    assert len(minimise(strike, lambda part: len(part) >= few)) == few


def test_the_number_of_trials_is_bounded():
    tried = []

    def fails(part):
        tried.append(part)
        return len(part) >= 400

    minimise(tuple(range(500)), fails)
    assert len(tried) <= TRIALS


def test_a_wrong_pair_of_a_multiple_fault_is_written_with_the_bits_at_fault_alone(
    tmp_path, monkeypatch
):
    graph = four_bit_network((6, 4, 3), signs=True)
    build(graph, make_plan(graph), tmp_path / "build")
    faults = {"model": "multiple", "flips": [6], "count": 8}
    recipe = Recipe(
        name="many", build=tmp_path / "build", data="random", images=5, seed=1, faults=faults
    )
    campaign = prepare(recipe, labelled(graph, 9))
    bad = campaign.faults[3][2:4]  # the RTL errs where both are struck
    asked = []

    def rtl(made, x, strikes, *, cache):
        asked.append(len(x))
        clean, found = reference(graph, x), evaluate_faults(graph, x, tuple(strikes))
        logits = np.concatenate([clean.logits[None], found.logits])
        for row, strike in enumerate(strikes, 1):
            if set(bad) <= set(strike):
                logits[row, -1] += 1
        return Answers.of(logits)

    monkeypatch.setattr(module, "run_rtl", rtl)
    (unit,) = campaign.units
    case = module.execute(campaign, unit, cache=tmp_path)
    assert case.faults == bad
    assert case.position == campaign.images[4]
    assert asked[0] == 5
    assert set(asked[1:]) == {1}
    model, found = case.answers["model"].logits, case.answers["rtl"].logits
    assert [b - a for a, b in zip(model, found, strict=True)] == [1, 1, 1]
    x = campaign.x[4:5]
    assert model == tuple(reference(graph, x, bad).logits[0])


def test_a_single_bit_needs_no_trial():
    assert minimise((1,), pytest.fail) == (1,)
