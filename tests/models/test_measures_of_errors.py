"""Measures of bit errors and of gradient attacks: what they count is what the graph computes."""

import numpy as np
import pytest
import torch

from flow.engine import BatchedEngine
from flow.ir import Fault
from flow.ops import MatVec
from models.data import Dataset, load_dataset
from models.executed import lowered
from models.export import export
from models.measures.bit_errors import BitErrors, chip
from models.measures.gradients import (
    GradientAttacks,
    beyond,
    boundary_distances,
    survived,
    transfer_network,
)
from models.measures.measure import Subject
from models.recipe import Recipe
from models.train import train


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    whole = load_dataset("digits", root=tmp_path_factory.mktemp("empty"))
    data = Dataset(
        "digits", whole.type, 10, whole.train_x, whole.train_y, whole.test_x[:60], whole.test_y[:60]
    )
    recipe = Recipe.model_validate(
        {
            "name": "tiny",
            "dataset": "digits",
            "network": {
                "kind": "fully-connected",
                "hidden": [16],
                "weight_bits": 3,
                "activation_bits": 8,
            },
            "training": {"epochs": 4, "batch": 64, "learning_rate": 0.02, "seed": 1},
        }
    )
    trained = train(recipe, data)
    graph = lowered(export(trained))
    x = data.test_x.reshape(60, -1)
    correct = BatchedEngine(graph).run(x) == data.test_y
    train_x = data.train_x.reshape(len(data.train_x), -1)
    return Subject(graph, trained, (train_x, data.train_y), (x, data.test_y), correct)


def stored(graph):
    return {
        node.name: node.op.weight_type.encode(node.op.weights)
        for node in graph.nodes
        if isinstance(node.op, MatVec)
    }


def test_a_chip_is_the_graph_with_flips_at_the_rate_and_keeps_those_of_lower_rates(subject):
    clean = stored(subject.graph)
    low, high, other = (
        stored(chip(subject.graph, number, rate)) for number, rate in ((3, 0.1), (3, 0.4), (4, 0.4))
    )
    masks = [{name: clean[name] ^ codes[name] for name in clean} for codes in (low, high, other)]
    assert all((masks[0][name] & ~masks[1][name] == 0).all() for name in clean)
    assert any((masks[1][name] != masks[2][name]).any() for name in clean)
    bits = 3 * sum(mask.size for mask in clean.values())
    flips = [sum(int(np.bitwise_count(m).sum()) for m in mask.values()) for mask in masks]
    assert abs(flips[0] / bits - 0.1) < 0.03
    assert abs(flips[1] / bits - 0.4) < 0.05
    faults = [
        Fault(name, "weights", tuple(map(int, index)), bit)
        for name, mask in masks[0].items()
        for bit in range(3)
        for index in np.argwhere(mask >> bit & 1)
    ]
    x = subject.test[0]
    np.testing.assert_array_equal(
        BatchedEngine(subject.graph).run(x, faults),
        BatchedEngine(chip(subject.graph, 3, 0.1)).run(x),
    )


def test_the_error_of_a_rate_is_the_mean_over_chips(subject):
    found = BitErrors(kind="bit-errors", rate=[0.05], chips=3).take(subject)
    x, y = subject.test
    wrong = [(chip(subject.graph, n, 0.05).evaluate(x) != y).mean() for n in range(3)]
    assert found == {
        "error": 100 * float(1 - subject.correct.mean()),
        "error at p = 5 %": 100 * float(np.mean(wrong)),
    }


def test_attacks_break_what_the_graph_says_and_radius_none_breaks_nothing(subject):
    measure = GradientAttacks(kind="gradient-attacks", radius=[1, 3], steps=4, images=60)
    found = measure.take(subject)
    assert found == measure.take(subject)
    clean = 100 * float(subject.correct.mean())
    for name in ("fgsm", "pgd", "pgd++", "transfer"):
        assert 0 <= found[f"{name} 3"] < found[f"{name} 1"] <= clean
    assert found["pgd 3"] <= found["fgsm 3"]
    assert found["pgd 3"] < found["transfer 3"]
    assert found["model 3"] < found["model 1"] <= clean
    y = torch.tensor(subject.test[1])
    assert 100 * survived(subject, torch.tensor(subject.test[0]).float(), y) == clean


def test_distances_of_a_linear_classifier_are_exact():
    network = torch.nn.Linear(3, 3, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[2.0, 0, 0], [0, 1, 0], [0, 0, 5]]))
    x, y = torch.tensor([[4.0, 2, 1], [4.0, 2, 1]]), torch.tensor([0, 1])
    # leads 8 - 2 over slope 2 + 1, and 8 - 5 over 2 + 5; the second image is misclassified
    np.testing.assert_array_equal(boundary_distances(network, x, y), [3 / 7, 0])


def test_the_model_is_a_log_normal_tail_of_the_distances():
    distances = np.exp(np.random.default_rng(0).normal(2, 0.5, 20_000))
    for radius in (2, 7, 20):
        assert abs(beyond(distances, radius) - (distances > radius).mean()) < 0.01
    with_zeros = np.concatenate([distances, np.zeros(100), [np.inf]])
    assert beyond(with_zeros, 7) == beyond(distances, 7)


def test_the_stranger_is_a_classifier_of_the_same_images(subject):
    data = subject.trained.data
    found = transfer_network(data)(torch.tensor(data.test_x).float()).argmax(dim=1)
    assert (found.numpy() == data.test_y).mean() > 0.6
