"""Certificates of k flips, re-checked by other code and rejected when forged."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.certify import (
    Checked,
    Verdict,
    certify_k_flips,
    check,
    load_certificates,
    save_certificates,
)
from flow.certify.k_flips import withstood
from flow.certify.plain_budget import label_withstands
from flow.certify.stored_bits import StoredBits
from flow.errors import ClaimError
from tests.certify.test_check import first, tamper
from tests.engine.chains import chains, random_chain, random_inputs, random_labels


@settings(max_examples=80, deadline=None)
@given(chains(), st.integers(1, 4))
def test_the_plain_budget_decides_as_the_fast_one(graph, k):
    k = min(k, len(StoredBits.of(graph)))
    x = random_inputs(graph, 5)
    y = graph.evaluate(x)
    fast = withstood(graph, x, y=y, flips=k) >= k
    plain = [label_withstands(graph, xi, int(yi), k) for xi, yi in zip(x, y, strict=True)]
    assert fast.tolist() == plain


@pytest.fixture
def case(tmp_path):
    """A graph, images and a file with every verdict among its certificates of two flips."""
    for seed in range(1000):
        graph = random_chain(seed)
        x = random_inputs(graph, 12)
        y = random_labels(graph, x)
        found = certify_k_flips(graph, x, y=y, flips=2)
        counts = found.summary()
        pairs = any(len(c.faults) == 2 for c in found.certificates)
        if pairs and min(counts["misclassified"], counts["proved"]) > 0:
            save_certificates(found, tmp_path / "c.json")
            return graph, x, y, tmp_path / "c.json"
    raise AssertionError("no chain with every verdict")


def test_what_is_certified_is_accepted(case):
    graph, x, y, path = case
    found = load_certificates(path)
    refuted = sum(c.verdict is Verdict.REFUTED for c in found.certificates)
    assert check(path, graph, x, y) == Checked(found.proved, refuted, 0, 0)


def claim_proved(record):
    entry = first(record, "REFUTED")
    entry["verdict"] = "PROVED"
    del entry["faults"]


def drop_the_witness(record):
    del first(record, "REFUTED")["faults"]


def shrink_the_witness(record):
    entry = next(e for e in record["certificates"] if len(e.get("faults", ())) == 2)
    entry["faults"].pop()


def stick_the_witness(record):
    for fault in first(record, "REFUTED")["faults"]:
        fault["kind"] = "stuck0"


def ask_for_one(record):
    """Witnesses of two flips refute no claim about one."""
    record["radius"] = 1


def ask_for_more(record):
    record["radius"] = 40


FORGERIES = [
    claim_proved, drop_the_witness, shrink_the_witness, stick_the_witness, ask_for_one, ask_for_more
]  # fmt: skip


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda f: f.__name__)
def test_a_forged_claim_is_rejected(case, forgery):
    graph, x, y, path = case
    tamper(path, forgery)
    with pytest.raises(ClaimError, match="image"):
        check(path, graph, x, y)


def test_every_witness_in_a_file_changes_the_class_in_the_graph(case):
    graph, x, y, path = case
    for k, entry in enumerate(load_certificates(path).certificates):
        if entry.correct and entry.verdict is Verdict.REFUTED:
            assert graph.evaluate(x[k : k + 1], entry.faults)[0] != y[k]
    assert (
        "faults"
        in json.loads(path.read_text())["certificates"][
            int(np.argmax([len(c.faults) > 0 for c in load_certificates(path).certificates]))
        ]
    )
