"""The targeted bit search reaches its class, and the data-free attack takes the largest weights."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from flow.attack import Stop, Towards, bfa, dnl, random_flips, tbfa
from flow.attack.dnl import largest_weights
from flow.attack.surrogate import Surrogate
from flow.certify import StoredBits
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.ir import Edge, Graph, IntType, Node
from flow.ops import ArgMax, MatVec, Reshape, Threshold, Window
from tests.attack.networks import W1A1, W4A4, linear_lead, network, split
from tests.engine.chains import random_inputs
from tests.engine.images import random_image_graph


@pytest.mark.parametrize("widths", [W1A1, W4A4], ids=["w1a1", "w4a4"])
@pytest.mark.parametrize(("source", "stealthy"), [(None, False), (1, False), (1, True)])
def test_images_get_the_target_class_one_flip_a_step(widths, source, stealthy):
    graph = network(*widths, seed=2)
    attack, test = split(graph)
    result = tbfa(
        graph, *attack, target=0, source=source, stealthy=stealthy,
        budget=60, seed=1, evaluate_on=test,
    )  # fmt: skip
    assert result.stop in (Stop.TARGET, Stop.STUCK)
    losses = [result.clean_loss, *(step.loss for step in result.steps)]
    assert all(after > before for before, after in pairwise(losses))
    assert all(len(step.flips) == 1 for step in result.steps)
    classes, (x, y) = graph.evaluate(test[0], result.flips), test
    meant = y == source if source is not None else y != 0
    success = float((classes[meant] == 0).mean())
    assert result.steps[-1].success == success > (graph.evaluate(x)[meant] == 0).mean() + 0.3
    assert result.steps[-1].accuracy == float((classes == y).mean())


@pytest.mark.parametrize(("target", "source"), [(2, 3), (0, 1)])
def test_a_stealthy_attack_keeps_more_of_the_other_images(target, source):
    graph = network(*W4A4, seed=1)
    attack, (x, y) = split(graph)
    others, kept = y != source, []
    for stealthy in (False, True):
        result = tbfa(
            graph, *attack, target=target, source=source, stealthy=stealthy,
            budget=40, seed=0, evaluate_on=(x, y),
        )  # fmt: skip
        kept.append((graph.evaluate(x, result.flips)[others] == y[others]).mean())
    assert kept[1] > kept[0]


def test_only_the_images_meant_weigh_in_the_loss():
    logits = torch.tensor([[4.0, 0.0], [0.0, 4.0], [1.0, 1.0]], dtype=torch.float64)
    y = torch.tensor([0, 1, 1])
    ce = torch.nn.functional.cross_entropy
    assert Towards(1.0, 0, source=1)(logits, y) == -ce(logits[1:], torch.tensor([0, 0]))
    kept = -ce(logits[1:], torch.tensor([0, 0])) - ce(logits[:1], y[:1])
    assert Towards(1.0, 0, source=1, keep=True)(logits, y) == kept
    assert Towards(2.0, 0)(logits, y) == -ce(logits / 2, torch.tensor([0, 0, 0]))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"target": 4}, "target 4: no class of the graph; give 0 to 3"),
        ({"target": 1, "source": 7}, "source 7: no class"),
        ({"target": 1, "source": 1}, "another class as source than as target"),
        ({"target": 1, "stealthy": True}, "a stealthy attack needs one"),
    ],
)
def test_impossible_classes_are_refused(asked, message):
    graph = network(*W1A1)
    attack, test = split(graph)
    with pytest.raises(InputError, match=message):
        tbfa(graph, *attack, **asked, budget=1, seed=0, evaluate_on=test)


def test_a_class_without_images_is_refused():
    graph = network(*W1A1)
    (x, y), test = split(graph)
    with pytest.raises(InputError, match="source 2: no image of this class"):
        tbfa(graph, x[y != 2], y[y != 2], target=0, source=2, budget=1, seed=0, evaluate_on=test)


def test_the_largest_weight_of_every_kernel_loses_its_highest_bit():
    kind = IntType(4, True)
    weights = np.array([[1, -7, 3, 2, 0, 5], [-8, 1, 1, 1, 6, 1]])
    op = MatVec(weights, kind, IntType(10, True), positions=3)  # two channels
    dense = MatVec([[1, 2], [-4, 1]], kind, IntType(8, True))
    nodes = (
        Node("window", Window((1, 3)), ("x",), "w"),
        Node("conv", op, ("w",), "a"),
        Node("flat", Reshape((2,)), ("a",), "b"),
        Node("fc", dense, ("b",), "c"),
        Node("argmax", ArgMax(), ("c",), "class"),
    )
    graph = Graph("g", "x", Edge((1, 3, 2), IntType(2)), nodes, "class")
    found = list(largest_weights(graph, layers=5, seed=0))
    places = [(f.node, f.index) for f in found]
    assert places[:5] == [
        ("conv", (1, 0)), ("conv", (0, 1)), ("fc", (1, 0)), ("conv", (0, 2)), ("fc", (0, 1)),
    ]  # fmt: skip
    assert places[5] in [("conv", (1, column)) for column in (1, 3, 5)]  # three of a size
    assert {f.bit for f in found} == {3}
    assert [f.node for f in largest_weights(graph, layers=1, seed=0)] == ["conv"] * 4


def test_the_data_free_attack_does_more_harm_than_random_flips():
    lost = {"dnl": [], "random": []}
    for seed in range(5):
        graph = network(*W4A4, seed=seed)
        _, test = split(graph)
        for name, run in (("dnl", dnl), ("random", random_flips)):
            result = run(graph, budget=8, seed=seed, evaluate_on=test)
            lost[name].append(result.clean_accuracy - result.accuracy)
    assert np.mean(lost["dnl"]) > np.mean(lost["random"]) + 0.1


def test_more_flips_than_kernels_are_refused():
    graph = network(*W4A4)
    _, test = split(graph)
    with pytest.raises(InputError, match="the first 2 layers have 32 kernels; give at most these"):
        dnl(graph, budget=33, seed=0, evaluate_on=test, layers=2)
    with pytest.raises(InputError, match="layers 0: give 1 or more"):
        dnl(graph, budget=1, seed=0, evaluate_on=test, layers=0)


@pytest.mark.parametrize("popcount", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_gains_of_a_linear_convolution_are_exact_for_every_bit(seed, popcount):
    rng = np.random.default_rng(seed)
    bipolar = IntType.bipolar1()
    kind = bipolar if popcount else IntType(3, True)
    weights = rng.choice([-1, 1], (2, 4)) if popcount else rng.integers(-4, 4, (2, 4))
    conv = MatVec(weights, kind, IntType(8, True), popcount=popcount, positions=4)
    nodes = (
        Node("window", Window((2, 2)), ("x",), "w"),
        Node("conv", conv, ("w",), "a"),
        Node("flat", Reshape((8,)), ("a",), "b"),
        Node(
            "fc", MatVec(np.eye(4, 8, dtype=int), IntType(2, True), IntType(9, True)), ("b",), "c"
        ),
        Node("argmax", ArgMax(), ("c",), "class"),
    )
    graph = Graph("g", "x", Edge((3, 3, 1), bipolar if popcount else IntType(3)), nodes, "class")
    x = random_inputs(graph, 16, seed)
    y = rng.integers(0, 4, 16)
    surrogate = Surrogate.of(BatchedEngine(graph), x, y, linear_lead)
    clean = surrogate.exact_loss(())
    bits = [fault for fault in StoredBits.of(graph) if fault.node == "conv"]
    exact = [surrogate.exact_loss((fault,)) - clean for fault in bits]
    assert surrogate.gains(())[: len(bits)].tolist() == exact


@pytest.mark.parametrize("seed", range(6))
def test_image_networks_are_attacked_to_a_higher_loss(seed):
    graph = random_image_graph(seed)
    x = np.unique(random_inputs(graph, 200), axis=0)
    y = graph.evaluate(x)
    half = len(x) // 2
    result = bfa(
        graph, x[:half], y[:half], budget=3, seed=0, evaluate_on=(x[half:], y[half:]), batch=64
    )
    losses = [result.clean_loss, *(step.loss for step in result.steps)]
    assert all(after > before for before, after in pairwise(losses))
    stored = any(isinstance(node.op, MatVec | Threshold) for node in graph.nodes)
    assert stored
