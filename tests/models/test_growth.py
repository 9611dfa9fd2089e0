"""Gates open as often as they say, and a network without its closed channels computes the same."""

import math

import numpy as np
import pytest
import torch

from flow.ir import IntType
from models.growth import Gate, fix, gated, gates, gumbel_sigmoid, shrunk
from models.layers import weighted
from models.networks import build, floats
from models.recipe import Convolutional, FullyConnected, Stack

PIXEL = IntType(8)
DRAWS = 200_000
DENSE = FullyConnected(kind="fully-connected", hidden=[24, 16, 8], weight_bits=1, activation_bits=1)
CONVOLUTIONAL = Stack(
    kind="stack",
    convolutions=[(12, 3, 2), (16, 3, 1)],
    dense=[20],
    weight_bits=1,
    activation_bits=1,
    padded=True,
)
CASES = [(DENSE, (36,)), (CONVOLUTIONAL, (9, 9, 2))]


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def gated_network(network, shape, **options):
    """With every gate somewhere else, BatchNorm that is no identity, and gains of either sign."""
    model = build(network, shape=shape, classes=5, pixel=PIXEL)
    model = gated(model, **{"base": 0.25, "start": -1.0, "multiple": 4, **options})
    for gate in gates(model):
        torch.nn.init.normal_(gate.position)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.weight)
            torch.nn.init.normal_(module.bias)
    x = torch.randint(0, 256, (64, *shape)).numpy()
    model.train()(floats(network, x))
    return model.eval()


@pytest.mark.parametrize("logit", [-3.0, -0.5, 0.0, 1.5])
@pytest.mark.parametrize("temperature", [0.2, 1.0, 5.0])
def test_hard_gates_open_as_often_as_the_sigmoid_of_their_logit(logit, temperature):
    hard, soft = gumbel_sigmoid(torch.full((DRAWS,), logit), temperature)
    assert set(hard.unique().tolist()) <= {0.0, 1.0}
    np.testing.assert_array_equal(hard, soft >= 0.5)
    wanted = 1 / (1 + math.exp(-logit))
    deviation = math.sqrt(wanted * (1 - wanted) / DRAWS)
    assert abs(hard.double().mean().item() - wanted) < 5 * deviation


@pytest.mark.parametrize("logit", [-2.0, 0.7])
def test_soft_gates_have_the_expectation_of_their_distribution(logit):
    """At temperature 1 it has a closed form: with a = exp(logit), the integral over a uniform u of
    a u / (1 - u + a u) is a (a - 1 - ln a) / (a - 1)^2."""
    _, soft = gumbel_sigmoid(torch.full((DRAWS,), logit), 1.0)
    a = math.exp(logit)
    wanted = a * (a - 1 - math.log(a)) / (a - 1) ** 2
    assert abs(soft.double().mean().item() - wanted) < 5 * soft.std().item() / math.sqrt(DRAWS)


def test_a_cold_gate_is_nearly_hard_and_a_hot_one_is_not():
    logits = torch.zeros(DRAWS)
    sharp = [gumbel_sigmoid(logits, t)[1] for t in (0.01, 10.0)]
    undecided = [((s > 0.1) & (s < 0.9)).double().mean().item() for s in sharp]
    assert undecided[0] < 0.02
    assert undecided[1] > 0.98


def test_a_gate_passes_zeros_or_the_channel_forward_and_the_soft_gradient_back():
    gate = Gate(6, 2, start=0.0)
    x = torch.randint(0, 2, (40, 6)).float() * 2 - 1
    torch.manual_seed(3)
    found = gate.train()(x)
    torch.manual_seed(3)
    hard, soft = gumbel_sigmoid(gate.logits, gate.temperature)
    np.testing.assert_array_equal(found.detach(), x * torch.cat([torch.ones(2), hard.detach()]))

    (found.sum()).backward()
    slope = x[:, 2:].sum(dim=0) * (soft * (1 - soft)).detach() / gate.temperature
    torch.testing.assert_close(gate.position.grad, slope * 10)  # a gradient; bits are no claim


def test_the_expected_number_of_channels_counts_the_always_open_ones():
    gate = Gate(10, 4, start=0.0)
    assert gate.expected().item() == 4 + 6 / 2
    gate.expected().backward()
    assert (gate.position.grad > 0).all()


def test_channels_kept_are_those_open_more_often_than_not_filled_up_to_the_multiple():
    gate = Gate(12, 2, start=-1.0, multiple=4)
    gate.position.data[:] = torch.tensor([0.5, -0.1, 0.3, -0.9, 0.2, -0.2, -0.8, -0.7, -0.5, -0.6])
    # open: base 0, 1 and 2, 4, 6; the next likely are 3, 7, 10 of which 8 - 5 = 3 are added
    assert gate.kept().tolist() == [0, 1, 2, 3, 4, 6, 7, 10]
    gate.position.data[:] = 1
    assert gate.kept().tolist() == list(range(12))
    gate.position.data[:] = -1
    assert gate.kept().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("network", "shape"), CASES, ids=["dense", "convolutional"])
def test_there_is_a_gate_for_each_hidden_layer_with_its_channels(network, shape):
    found = gates(gated_network(network, shape))
    widths = network.hidden if network is DENSE else [12, 16, 20]
    assert [gate.channels for gate in found] == widths
    assert [gate.base for gate in found] == [-(-round(w / 4) // 4) * 4 for w in widths]


@pytest.mark.parametrize(("network", "shape"), CASES, ids=["dense", "convolutional"])
@pytest.mark.parametrize("seed", range(3))
def test_the_masked_network_and_the_shrunk_one_are_equal_bit_for_bit(network, shape, seed):
    torch.manual_seed(seed)
    model = gated_network(network, shape)
    widths = [len(gate.kept()) for gate in gates(model)]
    assert any(w < gate.channels for w, gate in zip(widths, gates(model), strict=True))

    small = shrunk(model)
    assert not gates(small)
    assert [len(m.weight) for m in weighted(small)] == [*widths, 5]
    x = floats(network, torch.randint(0, 256, (50, *shape)).numpy())
    with torch.no_grad():
        np.testing.assert_array_equal(model(x), small(x))
        model.train()
        fix(model, restart=False)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                module.eval()
        np.testing.assert_array_equal(model(x), small(x))  # also as it trains on
    assert len(small(x).unique(dim=0)) > 1


def test_a_pooled_network_shrinks_too():
    network = Convolutional(kind="cnv", weight_bits=1, activation_bits=1, width=0.125)
    model = gated_network(network, (32, 32, 3))
    small = shrunk(model)
    assert sum(m.weight.numel() for m in weighted(small)) < sum(
        m.weight.numel() for m in weighted(model)
    )
    x = floats(network, torch.randint(0, 256, (3, 32, 32, 3)).numpy())
    with torch.no_grad():
        np.testing.assert_array_equal(model(x), small(x))


def test_fixed_gates_get_no_gradient_and_restarted_weights_are_new():
    model = gated_network(DENSE, (36,)).train()
    before = [m.weight.detach().clone() for m in weighted(model)]
    fix(model, restart=False)
    assert all(torch.equal(a, m.weight) for a, m in zip(before, weighted(model), strict=True))
    model(torch.ones(4, 36)).sum().backward()
    assert [gate.position.grad for gate in gates(model)] == [None] * 3
    fix(model, restart=True)
    assert not any(torch.equal(a, m.weight) for a, m in zip(before, weighted(model), strict=True))
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm1d)]
    assert all((m.weight == 1).all() and (m.running_mean == 0).all() for m in norms)
