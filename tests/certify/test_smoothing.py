"""Smoothing: votes, certificates and their checker."""

import json
from fractions import Fraction

import numpy as np
import pytest

from flow.certify import Smoothing, Verdict, certify_smoothing, check, save_certificates
from flow.certify.certificate import content_digest
from flow.certify.smoothing import count_votes, noise_stream
from flow.engine import BatchedEngine
from flow.errors import ClaimError, InputError
from flow.evidence.smoothing import curve
from flow.ir import Edge, Graph, IntType, Node
from flow.ops import ArgMax, MatVec
from tests.engine.chains import BIPOLAR, random_chain, random_inputs, random_labels

ALPHA = Fraction(1, 100)


def subject(lanes=None, **terms):
    """A graph of six inputs, images, labels some of which are wrong, and their certificates."""
    rng = np.random.default_rng(5)
    weights = rng.integers(-4, 4, (3, 6))
    op = MatVec(weights, IntType(3, True), IntType(12, True))
    nodes = Node("fc", op, ("x",), "z"), Node("argmax", ArgMax(), ("z",), "class")
    graph = Graph("g", "x", Edge((6,), IntType(4, declared=(0, 12))), nodes, "class")
    x = rng.integers(0, 13, (12, 6))
    y = graph.evaluate(x)
    y[:2] = (y[:2] + 1) % 3
    smoothing = Smoothing(Fraction(3, 2), 400, 40, ALPHA, 7, lanes, **terms)
    return graph, x, y, smoothing


@pytest.mark.parametrize("lanes", [None, 3])
def test_votes_are_those_of_the_reference_row_by_row(lanes):
    graph, x, _, terms = subject(lanes)
    rows = noise_stream(graph, terms, 1).rows(300)
    wanted = [np.bincount(graph.evaluate(np.clip(rows + xi, 0, 12)), minlength=3) for xi in x]
    found = count_votes(BatchedEngine(graph), x, noise_stream(graph, terms, 1), samples=300)
    assert (found == wanted).all()
    small = BatchedEngine(graph, memory=1)  # one row at a time
    assert (
        count_votes(small, x[:2], noise_stream(graph, terms, 1), samples=300) == wanted[:2]
    ).all()


@pytest.fixture(params=[None, 3], ids=["host", "lanes"])
def case(request, tmp_path):
    graph, x, y, terms = subject(request.param)
    found = certify_smoothing(graph, x, y=y, terms=terms)
    save_certificates(found, tmp_path / "c.json")
    return graph, x, y, found, tmp_path / "c.json"


def test_what_is_certified_is_accepted_and_never_proved(case):
    graph, x, y, found, path = case
    counts = found.summary()
    assert counts["proved"] == counts["refuted"] == 0
    assert counts["statistical"] > 3
    assert counts["misclassified"] >= 2
    assert counts["unknown"] + counts["statistical"] == counts["correct"]
    done = check(path, graph, x, y)
    assert (done.enumerated, done.unchecked) == (12, 0)
    chosen = check(path, graph, x, y, images=[0, 5])
    assert chosen.enumerated == 2
    assert chosen.unchecked >= counts["statistical"] - 2
    with pytest.raises(InputError, match=r"images \[12\]: choose from 0 to 11"):
        check(path, graph, x, y, images=[12])


def first(record, verdict="STATISTICAL"):
    return next(e for e in record["certificates"] if e["verdict"] == verdict)


def farther(name):
    def change(record):
        first(record)["detail"][name] += 1

    return change


def more_votes(record):
    entry = next(e for e in record["certificates"] if len(set(e["detail"]["votes"])) > 2)
    votes = entry["detail"]["votes"]
    votes[int(np.argmax(votes))] += 1
    votes[int(np.argmin(votes))] -= 1


def wrong_class_certified(record):
    entry = next(e for e in record["certificates"] if not e["correct"])
    entry.update(verdict="STATISTICAL", correct=True)


def proved(record):
    first(record)["verdict"] = "PROVED"


def perfect_noise(record):
    record["terms"]["error"] = "0"


def other_seed(record):
    record["terms"]["seed"] += 1


def fewer_samples(record):
    record["terms"]["samples"] -= 1


def milder_alpha(record):
    record["terms"]["alpha"] = "2"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (farther("squared"), ClaimError, "its votes do not certify squared"),
        (farther("ideal"), ClaimError, "its votes do not certify ideal"),
        (more_votes, ClaimError, "counted again, are others"),
        (wrong_class_certified, ClaimError, "votes, label"),
        (proved, ClaimError, "PROVED, but its votes say otherwise"),
        (perfect_noise, ClaimError, "is less than that of its noise"),
        (other_seed, ClaimError, "counted again, are others"),
        (fewer_samples, ClaimError, "of 400 votes"),
        (milder_alpha, InputError, "describe no smoothing"),
    ],
)
def test_a_forged_claim_is_rejected(case, change, error, message):
    graph, x, y, _, path = case
    record = json.loads(path.read_text())
    change(record)
    entries = [e for e in record["certificates"] if e["correct"]]
    counts = {v.lower(): sum(e["verdict"] == v for e in entries) for v in Verdict}
    wrong = len(x) - len(entries)
    record["summary"] = {"total": len(x), "correct": len(entries), "misclassified": wrong, **counts}
    del record["content"]
    record["content"] = content_digest(record)
    path.write_text(json.dumps(record))
    with pytest.raises(error, match=message):
        check(path, graph, x, y)


def test_the_curve_counts_images_whose_distance_reaches_the_radius(case):
    found = case[3]
    rows = curve(found, Fraction(3, 2))
    squares = [c.detail["squared"] for c in found.certificates if c.verdict is Verdict.STATISTICAL]
    assert rows[0] == {"radius": 0.0, "certified": len(squares), "certified_ideal": len(squares)}
    assert rows[-1]["certified"] == 0
    for row in rows:
        near = int(row["radius"] ** 2)  # quarters of 3/2 are exact
        assert row["certified"] == sum(s >= near for s in squares)


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"sigma": Fraction(0)}, "sigma 0: give a number of pixel codes above 0"),
        ({"alpha": Fraction(1)}, "alpha 1: give a chance between 0 and 1"),
        ({"alpha": Fraction(0)}, "alpha 0: give a chance between 0 and 1"),
        ({"samples": 0}, "0 samples, 100 to select: give at least 1 of each"),
        ({"selection": 0}, "10000 samples, 0 to select: give at least 1 of each"),
        ({"seed": -1}, "seed -1: give 0 or more"),
    ],
)
def test_terms_that_mean_nothing_are_refused(terms, message):
    with pytest.raises(InputError, match=message):
        Smoothing(**{"sigma": Fraction(1), **terms})


def test_inputs_that_cannot_carry_noise_are_refused():
    graph, x, y, terms = subject(lanes=4)
    with pytest.raises(InputError, match="4 lanes do not divide the 6 elements of an input"):
        certify_smoothing(graph, x, y=y, terms=terms)
    with pytest.raises(InputError, match="are no 6:u4"):
        certify_smoothing(graph, x + 9, y=y, terms=Smoothing(Fraction(1)))
    for seed in range(100):
        graph = random_chain(seed)
        if graph.input_edge.type == BIPOLAR:
            break
    x = random_inputs(graph, 3)
    with pytest.raises(InputError, match="smoothing adds noise to integers; a bipolar"):
        certify_smoothing(graph, x, y=random_labels(graph, x), terms=Smoothing(Fraction(1)))
