"""Convolutional definitions: the published shapes, what they refuse, and training one."""

import numpy as np
import pytest
import torch
from torch import nn

from flow.errors import InputError
from flow.ingest import lower
from flow.ir import IntType
from models.data import load_dataset
from models.export import train_and_export
from models.networks import build, floats, random_network
from models.recipe import Convolutional, FullyConnected, load_recipe
from models.train import train

PIXEL = IntType(8)


def network(kind, **options):
    return Convolutional(kind=kind, **{"weight_bits": 2, "activation_bits": 2, **options})


def layers(model):
    return [m for m in model.modules() if hasattr(m, "quant_weight")]


PUBLISHED = [
    ("cnv", {}, (32, 32, 3), 10, 1_542_848, 9),
    ("resnet", {"blocks": 1}, (32, 32, 3), 10, 77_360, 10),
    ("resnet", {"blocks": 3}, (32, 32, 3), 10, 270_896, 22),
    ("depthwise", {}, (96, 96, 3), 2, 208_112, 28),
]


@pytest.mark.parametrize(("kind", "options", "shape", "classes", "weights", "count"), PUBLISHED)
def test_at_width_1_the_network_is_the_published_one(kind, options, shape, classes, weights, count):
    model = build(network(kind, **options), shape=shape, classes=classes, pixel=PIXEL)
    assert sum(layer.weight.numel() for layer in layers(model)) == weights
    assert len(layers(model)) == count


def test_a_shared_scale_is_one_quantizer_of_both_terms():
    for shared in (True, False):
        made = network("resnet", shared_scale=shared, width=0.25)
        model = build(made, shape=(8, 8, 3), classes=4, pixel=PIXEL)
        for block in list(model)[4:7]:
            assert (block.of_path is block.of_shortcut) == shared


def test_the_same_seed_makes_the_same_network_and_leaves_torch_alone():
    def made(seed):
        small = network("resnet", width=0.125)
        return random_network(small, shape=(8, 8, 3), classes=4, pixel=PIXEL, seed=seed)

    before = torch.random.get_rng_state()
    first, again, other = made(1).state_dict(), made(1).state_dict(), made(2).state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    assert any(not torch.equal(value, other[key]) for key, value in first.items())


@pytest.mark.parametrize(
    ("kind", "shape", "message"),
    [
        ("cnv", (28, 28, 1), "network 'cnv': takes 32x32 images, not 28x28x1; use other data"),
        ("resnet", (64,), "network 'resnet': takes images, not 64; use other data"),
    ],
)
def test_other_images_are_refused(kind, shape, message):
    with pytest.raises(InputError) as caught:
        build(network(kind), shape=shape, classes=10, pixel=PIXEL)
    assert str(caught.value) == message


def test_the_pools_of_cnv_leave_one_pixel():
    model = build(network("cnv", width=0.125), shape=(32, 32, 3), classes=10, pixel=PIXEL).eval()
    sizes = []
    for layer in list(model):
        if isinstance(layer, nn.MaxPool2d | nn.Flatten):
            layer.register_forward_hook(lambda _, given, __: sizes.append(given[0].shape[2:]))
    model(torch.zeros(1, 3, 32, 32))
    assert [tuple(size) for size in sizes] == [(28, 28), (10, 10), (1, 1)]


def test_images_are_channels_first_or_flat_channels_last():
    x = np.arange(24).reshape(1, 2, 4, 3)
    found = floats(network("resnet"), x)
    for place in np.ndindex(x.shape):
        n, row, column, channel = place
        assert found[n, channel, row, column] == x[place]
    dense = FullyConnected(kind="fully-connected", hidden=[2], weight_bits=1, activation_bits=1)
    assert floats(dense, x).tolist() == [list(range(24))]


RECIPE = """
name = "small"
dataset = "{data}"
[network]
kind = "resnet"
weight_bits = 2
activation_bits = 2
width = 0.125
[training]
epochs = 2
batch = 8
learning_rate = 0.01
seed = 0
"""


def test_a_recipe_of_a_convolutional_network_trains_in_parts(tmp_path, monkeypatch):
    """However many images are run at once, all are counted; the file is what was trained."""
    rng = np.random.default_rng(0)
    data = tmp_path / "noise.npz"
    x, y = rng.integers(0, 256, (24, 8, 8, 1)), rng.integers(0, 2, 24)
    np.savez(data, x=x, y=y, train_x=x, train_y=y)
    recipe = tmp_path / "small.toml"
    recipe.write_text(RECIPE.format(data=data))
    whole = train(load_recipe(recipe), load_dataset(str(data), root=tmp_path))
    monkeypatch.setattr("models.train._TEST_BATCH", 10)
    monkeypatch.setattr("models.executed._AT_ONCE", 10)
    record = train_and_export(recipe, tmp_path / "small.onnx", data_root=tmp_path)
    assert (record["correct"], record["total"]) == (whole.correct, 24)
    lowered = lower(tmp_path / "small.onnx")
    x = load_dataset(str(data), root=tmp_path).test_x
    found = lowered.graph.evaluate_all(x)[lowered.graph.logits]
    assert (found != whole.logits).any(axis=1).sum() == record["images_with_other_logits"] == 0
