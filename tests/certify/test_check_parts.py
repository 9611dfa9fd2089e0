"""A check in parts: each repeats a share of the argument, all of them together the whole."""

import numpy as np
import pytest

from flow.certify import (
    BitSubset,
    Part,
    StoredBits,
    certify_bits,
    certify_input,
    certify_k_flips,
    check,
    plain_cases,
    recheck_bits,
    save_certificates,
    single_flips,
)
from flow.errors import ClaimError, InputError
from tests.attack.networks import W1A1, network, split
from tests.certify.test_check import tamper

PARTS = 3


@pytest.fixture(scope="module")
def case():
    """A graph with a first layer worth cases, images and labels."""
    graph = network(*W1A1)
    _, (x, _) = split(graph)
    y = graph.evaluate(x)
    sure = single_flips(graph, x, y=y).certified
    chosen = np.argsort(~sure, kind="stable")[:12]
    return graph, x[chosen], y[chosen]


def saved(found, tmp_path):
    save_certificates(found, tmp_path / "c.json")
    return tmp_path / "c.json"


def parts():
    return [Part(number + 1, PARTS) for number in range(PARTS)]


def test_the_parts_of_budgets_share_the_images_out(case, tmp_path):
    graph, x, y = case
    found = certify_k_flips(graph, x, y=y, flips=1, subset=BitSubset.choose(graph, layers=["fc2"]))
    assert found.proved > PARTS
    path = saved(found, tmp_path)
    done = [check(path, graph, x, y, part=part) for part in parts()]
    assert sum(one.boxes for one in done) == found.proved
    assert all(one.boxes + one.unchecked == found.proved for one in done)
    assert max(one.boxes for one in done) - min(one.boxes for one in done) <= 1


def test_the_parts_of_inputs_share_the_images_out(case, tmp_path):
    graph, x, y = case
    found = certify_input(graph, x, y=y, radius=0)
    assert found.proved > PARTS
    path = saved(found, tmp_path)
    done = [check(path, graph, x, y, part=part) for part in parts()]
    assert sum(one.boxes for one in done) == found.proved


def test_every_case_of_an_image_is_of_exactly_one_part(case, monkeypatch):
    graph, x, y = case
    asked = []
    monkeypatch.setattr(plain_cases, "label_withstands", lambda *a, **b: asked.append("end"))
    monkeypatch.setattr(
        plain_cases, "kept", lambda g, reached, *rest: asked.append(reached) or True
    )

    def cases(part):
        asked.clear()
        plain_cases.label_withstands_by_channel(graph, x[0], int(y[0]), 2, part=part)
        return len(asked) - 1  # the first is the question whether budgets suffice

    whole = cases(Part())
    assert whole > PARTS
    assert sum(cases(part) for part in parts()) == whole


def test_a_case_that_does_not_hold_is_found_by_one_part_alone(case, monkeypatch):
    graph, x, y = case
    first = iter([False])
    monkeypatch.setattr(plain_cases, "kept", lambda *a: next(first, True))
    label = int(y[0])
    monkeypatch.setattr(
        plain_cases, "label_withstands", lambda *a, subset, radius: subset.parameters is not None
    )
    held = [
        plain_cases.label_withstands_by_channel(graph, x[0], label, 2, part=part)
        for part in parts()
    ]
    assert held == [False, True, True]


def test_an_enumeration_in_parts_runs_every_flip_once(case, tmp_path, monkeypatch):
    graph, x, y = case
    path = saved(certify_bits(single_flips(graph, x, y=y), x, y=y), tmp_path)
    seen = []
    usual = recheck_bits._enumerate

    def watched(subject, x, y, chosen, strikes):
        seen.extend(strikes)
        return usual(subject, x, y, chosen, strikes[:2])

    monkeypatch.setattr(recheck_bits, "_enumerate", watched)
    done = [check(path, graph, x, y, part=part) for part in parts()]
    assert len(seen) == len(set(seen)) == len(StoredBits.of(graph))
    assert [one.part for one in done] == ["1/3", "2/3", "3/3"]


def test_a_part_sees_the_flip_of_its_own_that_breaks_a_forged_claim(case, tmp_path):
    graph, x, y = case
    found = single_flips(graph, x, y=y)
    broken = int(np.flatnonzero(found.correct & ~found.certified)[0])
    path = saved(certify_bits(found, x, y=y), tmp_path)

    def claim(record):
        entry = record["certificates"][broken]
        entry["verdict"] = "PROVED"
        entry["fault"] = None

    tamper(path, claim)
    denied = 0
    for part in parts():
        try:
            check(path, graph, x, y, part=part, images=[broken])
        except ClaimError as error:
            denied += "changes its class" in str(error)
    assert denied >= 1


@pytest.mark.parametrize("text", ["", "2", "0/3", "4/3", "a/b", "1/0", "-1/3", "1/2/3"])
def test_a_part_that_is_none_is_refused(text):
    with pytest.raises(InputError, match=r"^part .*: give I/N with 1 <= I <= N, such as 2/8$"):
        Part.of(text)
