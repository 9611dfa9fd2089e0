"""Measures of a study, each against brute force or the certificate it counts."""

import numpy as np
import pytest

from flow.attack import bfa
from flow.certify import Smoothing, StoredBits, Verdict, certify_smoothing
from flow.engine import BatchedEngine
from models.data import load_dataset
from models.executed import lowered
from models.export import export
from models.measures.bit_search import BitSearch
from models.measures.measure import Subject
from models.measures.size import Size
from models.measures.smoothed import Smoothed
from models.measures.worst_flip import WorstFlip
from models.recipe import FullyConnected, Recipe, Training
from models.train import train


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    data = load_dataset("digits", root=tmp_path_factory.mktemp("empty"))
    recipe = Recipe(
        name="tiny",
        dataset="digits",
        network=FullyConnected(
            kind="fully-connected", hidden=[4, 6], weight_bits=1, activation_bits=1
        ),
        training=Training(epochs=3, batch=64, learning_rate=0.02, seed=0),
    )
    trained = train(recipe, data)
    graph = lowered(export(trained))
    correct = BatchedEngine(graph).run(data.test_x) == data.test_y
    train_set, test_set = (data.train_x, data.train_y), (data.test_x, data.test_y)
    return Subject(graph, trained, train_set, test_set, correct)


def test_size_is_hidden_units_and_stored_bits(subject):
    thresholds = sum(
        node.op.thresholds.size * node.op.threshold_type.bits
        for node in subject.graph.nodes
        if hasattr(node.op, "thresholds")
    )
    signs = sum(
        len(node.op.sign) for node in subject.graph.nodes if getattr(node.op, "signs_stored", False)
    )
    weights = 64 * 4 + 4 * 6 + 6 * 10
    found = Size(kind="size").take(subject)
    assert found == {
        "units 1": 4, "units 2": 6, "stored kbit": (weights + thresholds + signs) / 1000
    }  # fmt: skip


def test_the_worst_flip_is_the_worst_of_all_by_the_reference(subject):
    x, y = subject.first(40)
    bits = StoredBits.of(subject.graph)
    right = np.array(
        [subject.graph.with_faults([bits.fault(k)]).evaluate(x) == y for k in range(len(bits))]
    )
    found = WorstFlip(kind="worst-flip", images=40).take(subject)
    assert found["behind the worst flip"] == 100 * right.sum(axis=1).min() / 40
    clean = subject.graph.evaluate(x) == y
    assert found["right under every flip"] == 100 * (right.all(axis=0) & clean).sum() / 40


def test_a_bit_search_counts_what_its_attacks_report(subject):
    measure = BitSearch(kind="bit-search", budget=4, seeds=[0, 1, 2], images=100, batch=32)
    found = measure.take(subject)
    each = [
        bfa(
            subject.graph, *subject.train, budget=4, seed=seed, batch=32,
            evaluate_on=subject.first(100),
        )
        for seed in (0, 1, 2)
    ]  # fmt: skip
    distances = [result.hamming_distance for result in each]
    assert found["flips"] == sum(distances) / 3
    assert found["least"] == min(distances)
    guessed = [result.stop == "random guess" for result in each]
    assert found["guessing"] == 100 * sum(guessed) / 3


def test_smoothed_accuracy_is_that_of_the_certificates(subject):
    measure = Smoothed(kind="smoothed", sigma=2, radius=[0, 1, 3, 9], images=30, samples=200)
    found = list(measure.take(subject).values())
    x, y = subject.first(30)
    certificates = certify_smoothing(
        subject.graph, x, y=y, terms=Smoothing(2, samples=200)
    ).certificates
    held = [c for c in certificates if c.verdict is Verdict.STATISTICAL]
    assert all(c.correct for c in held)
    assert found[0] == 100 * len(held) / 30
    assert found[1] == 100 * sum(c.detail["squared"] >= 1 for c in held) / 30
    assert found[2] == 100 * sum(c.detail["squared"] >= 9 for c in held) / 30
    assert found == sorted(found, reverse=True)
    assert found[0] > 0
    assert found[3] == 0  # beyond what 200 votes can show: sigma * 2.0
