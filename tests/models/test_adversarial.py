"""Adversarial training: images stay on the pixel grid, in their ball, and are harder."""

import pytest
import torch
from torch.nn import functional

from flow.ir import IntType
from models.methods.adversarial import attacked
from models.networks import random_network
from models.recipe import FullyConnected

PIXEL = IntType(5).within(0, 16)


@pytest.fixture(scope="module")
def network():
    table = FullyConnected(kind="fully-connected", hidden=[16], weight_bits=4, activation_bits=4)
    return random_network(table, shape=(20,), classes=4, pixel=PIXEL, seed=3)


def images(count=200):
    return torch.randint(0, 17, (count, 20), generator=torch.Generator().manual_seed(1)).float()


def test_images_beyond_the_range_are_moved_no_further_out_and_not_clipped(network):
    """Noise may have put them there, where the input is wide enough for it."""
    x = images() + torch.tensor([-9.0, 9.0]).repeat(10)
    y = torch.zeros(len(x), dtype=torch.int64)
    loss = lambda model, points: functional.cross_entropy(model(points), y)  # noqa: E731
    moved = attacked(network, x, loss, radius=2, steps=2, lo=0, hi=16)
    assert ((moved - x).abs() <= 2).all()
    assert (moved >= x.clamp(max=0)).all()
    assert (moved <= x.clamp(min=16)).all()


@pytest.mark.parametrize("steps", [1, 3])  # 3: strides that are no whole levels
@pytest.mark.parametrize("training", [False, True])
def test_moved_images_are_whole_levels_of_the_ball_and_raise_the_loss(network, steps, training):
    x = images()
    y = network.eval()(x).argmax(dim=1).detach()
    network.train(training)
    before = {name: value.clone() for name, value in network.state_dict().items()}

    def loss(model, points):
        assert not model.training
        return functional.cross_entropy(model(points), y)

    moved = attacked(network, x, loss, radius=2, steps=steps, lo=0, hi=16)
    assert network.training == training
    assert all((value == before[name]).all() for name, value in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters())
    assert (moved == moved.round()).all()
    assert ((moved - x).abs() <= 2).all()
    assert 0 <= moved.min() <= moved.max() <= 16
    assert not moved.requires_grad
    network.eval()
    chance = (x + 2 * torch.randint(0, 2, x.shape) * 2 - 2).clamp(0, 16)
    assert loss(network, moved) > 1.1 * loss(network, chance) > 0
