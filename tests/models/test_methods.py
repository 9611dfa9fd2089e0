"""Every way to train: the same bits again, the same bits after a kill, an exact integer graph."""

import contextlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from flow.errors import InputError
from models.data import Dataset, load_dataset
from models.executed import decided, lowered
from models.export import export
from models.layers import weighted
from models.methods import METHODS
from models.objective import Around, Batch, Objective, Task, ramp
from models.recipe import FullyConnected, Recipe, Training, load_recipe
from models.train import train
from tests.models.test_recipe import GOOD

# One row per method: its settings and what the tiny network must have for it.
TINY = {
    "certified-flips": (
        {"flips": 2, "start": 0.0, "weight": 2.0},
        {"weight_bits": 3, "activation_bits": 3},
    ),
    "qa-ibp": (
        {"radius": 1.0, "start": 0.0, "weight": 5.0},
        {"weight_bits": 4, "activation_bits": 4},
    ),
    "ra-bnn": ({"price": 0.3, "cost": "lut", "lanes": 4}, {"weight_bits": 1, "activation_bits": 1}),
    "smoothing": ({"sigma": 2.0, "widen": 3.0}, {"weight_bits": 2, "activation_bits": 2}),
    "clipping": ({"limit": 0.0625}, {"weight_bits": 4, "activation_bits": 4}),
    "randbet": ({"rate": 0.05, "start": 9.0}, {"weight_bits": 2, "activation_bits": 4}),
    "wcat": ({"limit": 0.0625}, {"weight_bits": 4, "activation_bits": 4}),
    "rounding": ({"calibrate": True}, {"weight_bits": 3, "activation_bits": 4}),
    "weight-radius": (
        {"how": "regularised", "start": 0.4, "images": 50},
        {"weight_bits": 3, "activation_bits": 4},
    ),
    "pgd": ({"radius": 2, "steps": 2}, {"weight_bits": 4, "activation_bits": 4}),
}
KINDS = [m.model_fields["kind"].annotation.__args__[0] for m in METHODS]


def recipe(*kinds, **training):
    network = {"kind": "fully-connected", "hidden": [12]}
    for kind in kinds:
        network |= TINY[kind][1]
    return Recipe.model_validate(
        {
            "name": "tiny",
            "dataset": "digits",
            "network": network,
            "training": {"epochs": 3, "batch": 64, "learning_rate": 0.01, "seed": 1} | training,
            "method": [{"kind": kind, **TINY[kind][0]} for kind in kinds],
        }
    )


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    whole = load_dataset("digits", root=tmp_path_factory.mktemp("empty"))
    return Dataset(
        "digits",
        whole.type,
        whole.classes,
        whole.train_x[:300],
        whole.train_y[:300],
        whole.test_x,
        whole.test_y,
    )


def weights(trained):
    return b"".join(v.detach().numpy().tobytes() for v in trained.model.state_dict().values())


def test_every_method_is_tested_here():
    assert set(KINDS) == set(TINY)


@pytest.mark.parametrize("kind", KINDS)
def test_a_method_trains_the_same_bits_again_also_behind_a_kill(kind, digits, tmp_path):
    wanted = train(recipe(kind, held_out=40), digits)
    torch.rand(5)  # what ran before must not matter

    def kill(done, total):
        if done == 2:
            raise KeyboardInterrupt

    for _ in range(2):
        with contextlib.suppress(KeyboardInterrupt):
            found = train(recipe(kind, held_out=40), digits, folder=tmp_path, progress=kill)
    assert weights(found) == weights(wanted)
    assert found.history == wanted.history
    assert weights(train(recipe(kind, held_out=40, seed=2), digits)) != weights(wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_method_trained_is_an_exact_integer_graph(kind, digits):
    trained = train(recipe(kind, epochs=1), digits)
    found = decided(lowered(export(trained)), trained)
    np.testing.assert_array_equal(found.logits, trained.logits)
    assert found.correct == trained.correct


@pytest.mark.parametrize("kind", KINDS)
def test_a_method_changes_what_is_trained(kind, digits):
    with_method = recipe(kind)
    without = with_method.model_copy(update={"method": []})
    assert weights(train(with_method, digits)) != weights(train(without, digits))


class Noted(Around):
    """Writes down who was asked, and asks inwards."""

    seen: list = []  # noqa: RUF012 - one list for all

    def prepare(self, model):
        self.seen.append((self.task, "prepare"))
        return super().prepare(model)

    def loss(self, model, batch, *, done):
        self.seen.append((self.task, "loss"))
        return super().loss(model, batch.moved(batch.x + 1), done=done)

    def before_step(self, model, *, done):
        self.seen.append((self.task, "before"))
        super().before_step(model, done=done)

    def after_step(self, model, *, done):
        self.seen.append((self.task, "after"))
        super().after_step(model, done=done)

    def finish(self, model):
        self.seen.append((self.task, "finish"))
        return super().finish(model)


class Innermost(Objective):
    def loss(self, model, batch, *, done):
        return batch.x.sum()

    def score(self, model):
        return 0.25


def test_an_objective_around_another_asks_it_for_all_it_does_not_change():
    both = Noted(Noted(Innermost(), "inner"), "outer")
    model = torch.nn.Sequential()
    assert both.prepare(model) is model
    assert both.loss(model, Batch(torch.zeros(3), torch.zeros(3)), done=0.5).item() == 6
    assert both.score(model) == 0.25
    both.before_step(model, done=0.5)
    both.after_step(model, done=0.5)
    assert both.finish(model) is model
    asked = ("prepare", "loss", "before", "after", "finish")
    assert Noted.seen == [(who, step) for step in asked for who in ("outer", "inner")]


def test_a_ramp_is_a_line_between_its_ends():
    assert [ramp(d, start=0.25, end=0.75) for d in (0, 0.25, 0.5, 0.75, 1)] == [0, 0, 0.5, 1, 1]
    assert [ramp(d, start=0.5, end=0.5) for d in (0.4, 0.5)] == [0, 1]


def test_clipped_weights_stay_clipped(digits):
    trained = train(recipe("clipping"), digits)
    assert [float(m.weight.detach().abs().max()) for m in weighted(trained.model)] == [0.0625] * 2


def refused(tmp_path, text):
    path = tmp_path / "r.toml"
    path.write_text(GOOD.replace("weight_bits = 1", "weight_bits = 4") + text)
    with pytest.raises(InputError) as caught:
        load_recipe(path)
    return str(caught.value).removeprefix(f"{path}: ")


def test_methods_that_cannot_be_are_refused_by_key(tmp_path):
    clip = '[[method]]\nkind = "clipping"\n'
    assert refused(tmp_path, clip) == ("'method.0.limit': Field required; got {'kind': 'clipping'}")
    assert refused(tmp_path, clip + "limit = 0.1\nlamda = 2") == (
        "unknown key 'method.0.lamda'; known are kind, limit"
    )
    assert refused(tmp_path, clip + "limit = nan") == (
        "'method.0.limit': Input should be a finite number; got nan"
    )
    twice = (clip + "limit = 0.1\n") * 2
    assert refused(tmp_path, twice) == "method 'clipping' twice; give it once"


def test_two_methods_that_make_coarse_weights_are_refused():
    with pytest.raises(ValueError, match="'rounding' and 'weight-radius' both make coarse weights"):
        recipe("rounding", "weight-radius")


@pytest.mark.parametrize("kind", ["qa-ibp", "certified-flips"])
def test_patience_is_refused_where_early_epochs_certify_little(kind, digits):
    with pytest.raises(InputError, match=rf"^'training.patience': method '{kind}' certifies"):
        train(recipe(kind, held_out=40, patience=2), digits)


@pytest.mark.parametrize("kind", ["qa-ibp", "certified-flips"])
def test_held_out_images_keep_an_epoch_that_certifies_not_an_early_one(kind, digits):
    """By clean accuracy the epochs in front of the ramp would win."""
    how = recipe(kind, epochs=4)
    task = Task(how.network, how.training, digits.type, digits.shape, 10, None, None)
    objective = how.method[0].around(Innermost(), task)
    assert objective.score(torch.nn.Sequential()) is None
    x, y = torch.tensor(digits.test_x).float(), torch.tensor(digits.test_y)
    model = train(how, digits).model
    score = replace(objective, task=replace(task, held_out=Batch(x, y))).score(model)
    right = float((model(x).argmax(dim=1) == y).double().mean())
    assert score not in (0.25, right)
    assert score < right


def test_a_method_that_the_network_cannot_have_is_refused():
    with pytest.raises(ValueError, match="clipping changes no sign; binary weights need another"):
        Recipe(
            name="a",
            dataset="digits",
            network=FullyConnected(
                kind="fully-connected", hidden=[4], weight_bits=1, activation_bits=1
            ),
            training=Training(epochs=1, batch=2, learning_rate=0.1, seed=0),
            method=[{"kind": "clipping", "limit": 0.1}],
        )
