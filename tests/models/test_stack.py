"""Stacks of convolutions: published sizes, what is around an image, and exact lowering."""

import numpy as np
import pytest
from torch import nn

from flow.agreement import agree_qonnx
from flow.errors import InputError
from flow.ingest import lower
from flow.ir import IntType
from flow.ops import Pad
from models.export import qonnx_file
from models.networks import build, floats, random_network
from models.recipe import Stack, load_recipe
from tests.models.test_recipe import RECIPES

PIXEL = IntType(8)
SHAPES = {"digits": (64,), "cifar10": (32, 32, 3)}


def stack(convolutions, dense=(), bits=4, **options):
    return Stack.model_validate(
        {
            "kind": "stack",
            "convolutions": [list(row) for row in convolutions],
            "dense": list(dense),
            "weight_bits": bits,
            "activation_bits": bits,
            **options,
        }
    )


def parameters(model):
    """Weights, and one bias where the publication has one: here it is BatchNorm's."""
    layers = [m for m in model.modules() if hasattr(m, "quant_weight")]
    return sum(layer.weight.numel() + len(layer.weight) for layer in layers)


@pytest.mark.parametrize(
    ("name", "shape", "count"),
    [
        ("bigmnist-w8a8", (28, 28, 1), 3_289_354),
        ("deep-fashion-mnist-w8a8", (28, 28, 1), 431_338),
        ("deep-cifar10-w8a8", (32, 32, 3), 581_994),
    ],
)
def test_the_recipes_of_qa_ibp_have_the_parameters_it_publishes(name, shape, count):
    network = load_recipe(RECIPES / f"{name}.toml").network
    assert parameters(build(network, shape=shape, classes=10, pixel=PIXEL)) == count


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda p: p.stem)
def test_every_recipe_of_ours_takes_the_images_of_its_data(path):
    recipe = load_recipe(path)
    shape = SHAPES.get(recipe.dataset, (28, 28, 1))
    model = build(recipe.network, shape=shape, classes=10, pixel=PIXEL).eval()
    assert model(floats(recipe.network, np.zeros((1, *shape), dtype=np.int64))).shape == (1, 10)


PADDINGS = [(1, False, []), (1, True, [0, -1, -1]), (4, True, [0, 0, 0])]


@pytest.mark.parametrize(("bits", "padded", "values"), PADDINGS)
def test_a_stack_lowers_exactly_and_pads_signs_with_minus_one(bits, padded, values, tmp_path):
    network = stack([(6, 3, 2), (8, 3, 1), (8, 3, 1)], [12], bits, padded=padded)
    shape = (13, 11, 2)
    model = random_network(network, shape=shape, classes=5, pixel=PIXEL, seed=3)
    example = floats(network, np.zeros((1, *shape), dtype=np.int64))
    path = tmp_path / "stack.onnx"
    path.write_bytes(qonnx_file(model, example, PIXEL, {}))

    lowered = lower(path)
    x = np.random.default_rng(0).integers(0, 256, (3, *shape))
    assert agree_qonnx(path, lowered, x).holds
    pads = [node.op for node in lowered.graph.nodes if isinstance(node.op, Pad)]
    assert [(pad.value, pad.margins) for pad in pads] == [(v, (1, 1, 1, 1)) for v in values]


def test_a_padded_stack_keeps_the_size_of_its_image_and_another_does_not():
    sizes = []
    for padded in (True, False):
        network = stack([(4, 5, 1), (4, 3, 1)], padded=padded)
        model = build(network, shape=(9, 9, 1), classes=2, pixel=PIXEL)
        sizes.append([m.in_features for m in model.modules() if isinstance(m, nn.Linear)])
    assert sizes == [[9 * 9 * 4], [3 * 3 * 4]]


def test_a_kernel_that_does_not_fit_is_refused_by_its_row():
    with pytest.raises(InputError) as caught:
        build(stack([(4, 3, 2), (4, 5, 1)]), shape=(8, 8, 1), classes=2, pixel=PIXEL)
    assert str(caught.value) == (
        "'network.convolutions.1': a kernel of 5 does not fit into 3x3 elements; use fewer or "
        "smaller ones"
    )


RECIPE = """
name = "small"
dataset = "mnist"
[network]
kind = "stack"
convolutions = {rows}
weight_bits = 1
activation_bits = 1
padded = {padded}
[training]
epochs = 1
batch = 64
learning_rate = 0.01
seed = 0
"""


@pytest.mark.parametrize(
    ("rows", "padded", "message"),
    [
        ("[[4, 3]]", "false", "'network.convolutions.0.2': Field required"),
        ("[[4, 3, 0]]", "false", "'network.convolutions.0.2': Input should be greater than 0"),
        ("[4]", "false", "'network.convolutions.0': Input should be a valid tuple; got 4"),
        ("[]", "false", "'network.convolutions': List should have at least 1 item"),
        ("[[4, 2, 1]]", "true", "'network': Value error, a padded kernel needs a middle; use odd"),
        ("[[4, 3, 1]]\nhidden = 3", "true", "unknown key 'network.hidden'; known are kind, conv"),
    ],
)
def test_a_stack_that_cannot_be_is_refused_with_its_key(rows, padded, message, tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(RECIPE.format(rows=rows, padded=padded))
    with pytest.raises(InputError) as caught:
        load_recipe(path)
    assert str(caught.value).startswith(f"{path}: {message}")
