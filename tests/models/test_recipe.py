"""A recipe is checked whole before anything runs; its errors name the key."""

from pathlib import Path

import pytest

from flow.errors import InputError
from models.recipe import load_recipe

RECIPES = Path(__file__).parents[2] / "models" / "recipes"

GOOD = """
name = "small"
dataset = "digits"
[network]
kind = "fully-connected"
hidden = [8]
weight_bits = 1
activation_bits = 1
[training]
epochs = 2
batch = 64
learning_rate = 0.01
seed = 3
"""


@pytest.fixture
def recipe(tmp_path):
    def write(old="", new=""):
        assert old in GOOD
        path = tmp_path / "small.toml"
        path.write_text(GOOD.replace(old, new, 1) if old else GOOD)
        return path

    return write


def refusal(path):
    with pytest.raises(InputError) as caught:
        load_recipe(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_a_good_recipe_has_defaults_for_what_it_leaves_out(recipe):
    found = load_recipe(recipe())
    assert (found.name, found.network.hidden, found.training.seed) == ("small", [8], 3)
    assert (found.training.temperature, found.training.teacher_epochs) == (1.0, 0)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda p: p.stem)
def test_every_recipe_of_ours_is_valid_and_named_like_its_file(path):
    assert load_recipe(path).name == path.stem


def test_our_recipes_are_the_two_networks_of_the_demo():
    assert {"tfc-digits-w1a1", "tfc-digits-w4a4"} <= {p.stem for p in RECIPES.glob("*.toml")}


UNKNOWN = [
    ("epochs = 2", "", "'training.epochs': Field required"),
    (
        "epochs = 2",
        "epoch = 2",
        "unknown key 'training.epoch'; known are epochs, batch, learning_rate, seed, "
        "temperature, teacher_epochs",
    ),
    (
        "seed = 3",
        "seed = 3\nmomentum = 0.9",
        "unknown key 'training.momentum'; known are epochs, batch, learning_rate, seed, "
        "temperature, teacher_epochs",
    ),
    (
        "[network]",
        "[network]\nbias = true",
        "unknown key 'network.bias'; known are kind, hidden, weight_bits, activation_bits",
    ),
    (
        'kind = "fully-connected"\nhidden = [8]',
        'kind = "cnv"\nhidden = [8]',
        "unknown key 'network.hidden'; known are kind, weight_bits, activation_bits, width, "
        "blocks, shared_scale",
    ),
    (
        "dataset",
        "data = 1\ndataset",
        "unknown key 'data'; known are name, dataset, network, training",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), UNKNOWN, ids=[new for _, new, _ in UNKNOWN])
def test_an_unknown_or_missing_key_is_named(old, new, message, recipe):
    assert refusal(recipe(old, new)).startswith(message)


IMPOSSIBLE = [
    (
        'kind = "fully-connected"\nhidden = [8]',
        'kind = "cnv"\nblocks = 3',
        "'network': Value error, blocks and shared_scale are of resnet; cnv has none",
    ),
    ("epochs = 2", "epochs = 0", "'training.epochs': Input should be greater than 0; got 0"),
    ("epochs = 2", "epochs = true", "'training.epochs': Input should be a valid integer; got True"),
    ("epochs = 2", "epochs = '2'", "'training.epochs': Input should be a valid integer; got '2'"),
    (
        "batch = 64",
        "batch = 1",
        "'training.batch': Input should be greater than or equal to 2; got 1",
    ),
    ("= 0.01", "= nan", "'training.learning_rate': Input should be a finite number; got nan"),
    ("= 0.01", "= 1.5", "'training.learning_rate': Input should be less than 1; got 1.5"),
    (
        "seed = 3",
        "seed = -1",
        "'training.seed': Input should be greater than or equal to 0; got -1",
    ),
    (
        "hidden = [8]",
        "hidden = [8, 0]",
        "'network.hidden.1': Input should be greater than 0; got 0",
    ),
    ("hidden = [8]", "hidden = []", "'network.hidden': List should have at least 1 item"),
    ("weight_bits = 1", "weight_bits = 11", "'network.weight_bits': Input should be less than or"),
    (
        "fully-connected",
        "dense",
        "'network.kind': Input should be one of 'fully-connected', 'cnv', 'resnet', 'depthwise', "
        "'stack'; got 'dense'",
    ),
    (
        'kind = "fully-connected"\nhidden = [8]',
        'kind = "resnet"',
        "'network': Value error, resnet pads with 0, which is no sign; use 2 bits or more",
    ),
    ('"small"', '"Not A Name"', "'name': String should match pattern"),
]


@pytest.mark.parametrize(("old", "new", "message"), IMPOSSIBLE, ids=[i[1] for i in IMPOSSIBLE])
def test_an_impossible_value_is_refused_with_its_key(old, new, message, recipe):
    assert refusal(recipe(old, new)).startswith(message)


def test_a_file_that_is_no_recipe_is_refused(tmp_path):
    assert refusal(tmp_path / "absent.toml") == "no such recipe"
    broken = tmp_path / "broken.toml"
    broken.write_text("name = \n[")
    assert refusal(broken).startswith("not a TOML file (")
    broken.write_bytes(b"\xff\xfe")
    assert refusal(broken).startswith("not a TOML file (")
    assert refusal(tmp_path).startswith("not a TOML file (")
