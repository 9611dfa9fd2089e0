"""Early-Growth as a method: stages, prices, what is refused, and what remains."""

import contextlib

import pytest
import torch

from flow.errors import InputError
from models.data import Dataset, load_dataset
from models.growth import gates
from models.layers import weighted
from models.methods.ra_bnn import RaBnn
from models.objective import Batch, Objective, Task
from models.recipe import FullyConnected, Training, load_recipe, recipe_of
from models.train import train
from tests.models.test_methods import recipe
from tests.models.test_recipe import GOOD

NETWORK = FullyConnected(kind="fully-connected", hidden=[32, 32], weight_bits=1, activation_bits=1)


class Zero(Objective):
    """A loss that depends on nothing but every logit's presence."""

    def loss(self, model, batch, *, done):
        return 0 * model(batch.x).sum()

    def score(self, model):
        return 0.5


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture
def task(tmp_path):
    data = load_dataset("digits", root=tmp_path)
    batch = Batch(torch.tensor(data.train_x[:64], dtype=torch.float32), torch.zeros(64))
    training = Training(epochs=4, batch=8, learning_rate=0.1, seed=0)
    return Task(NETWORK, training, data.type, (8, 8, 1), 10, examples=batch, held_out=None)


def growing(task, **settings):
    from models.networks import build

    objective = RaBnn(kind="ra-bnn", **{"lanes": 4, **settings}).around(Zero(), task)
    model = build(NETWORK, shape=(64,), classes=10, pixel=task.pixel)
    return objective, objective.prepare(model).train()


@pytest.mark.parametrize("cost", ["channels", "cycles", "lut"])
def test_the_price_is_of_the_share_of_the_widest_network_and_pushes_gates_to_close(cost, task):
    objective, model = growing(task, cost=cost, price=2.0)
    loss = objective.loss(model, task.examples, done=0.1)
    share = objective.expense(model)
    assert loss.item() == pytest.approx(2 * share.item())
    assert 0 < share.item() < 1
    loss.backward()
    slopes = torch.cat([gate.position.grad for gate in gates(model)])
    assert (slopes >= 0).all()
    assert slopes.max() > 0

    for gate in gates(model):
        gate.position.data.fill_(9.0)  # all open: nothing is wider
    assert objective.expense(model).item() == pytest.approx(1)


def test_gates_get_colder_and_growth_ends_at_its_share_of_the_steps(task):
    objective, model = growing(task, growth=0.5, hot=4.0, cold=1.0)
    for done, temperature in ((0.0, 4.0), (0.25, 2.0), (0.4999, 1.0)):
        objective.loss(model, task.examples, done=done)
        assert gates(model)[0].temperature == pytest.approx(temperature, abs=1e-2)
        assert not gates(model)[0].fixed
        assert objective.score(model) is None  # no epoch of growth is the best
    before = weighted(model)[1].weight.detach().clone()
    assert objective.loss(model, task.examples, done=0.5).item() == 0  # and costs nothing more
    assert all(gate.fixed for gate in gates(model))
    assert objective.score(model) == 0.5
    restarted = weighted(model)[1].weight.detach().clone()
    assert not torch.equal(before, restarted)
    objective.loss(model, task.examples, done=0.75)
    assert torch.equal(restarted, weighted(model)[1].weight)  # once


def test_without_restart_training_goes_on_with_the_weights_that_grew(task):
    objective, model = growing(task, restart=False)
    before = weighted(model)[1].weight.detach().clone()
    objective.loss(model, task.examples, done=0.9)
    assert gates(model)[0].fixed
    assert torch.equal(before, weighted(model)[1].weight)


def small_digits(tmp_path):
    whole = load_dataset("digits", root=tmp_path)
    parts = whole.train_x[:300], whole.train_y[:300], whole.test_x, whole.test_y
    return Dataset("digits", whole.type, whole.classes, *parts)


def test_a_dear_channel_stays_closed_and_a_free_one_opens(tmp_path):
    data = small_digits(tmp_path)
    widths = {}
    for price in (0.0, 50.0):
        grown = recipe("ra-bnn", epochs=10, batch=16)
        network = grown.network.model_copy(update={"hidden": [40]})
        method = grown.method[0].model_copy(update={"price": price, "growth": 0.9})
        model = train(grown.model_copy(update={"network": network, "method": [method]}), data).model
        widths[price] = len(weighted(model)[0].weight)
        assert not gates(model)
    assert widths[50.0] == 12  # a quarter, as lanes of 4
    assert widths[0.0] > 12


def refused(tmp_path, old, new, text):
    path = tmp_path / "r.toml"
    path.write_text(GOOD.replace(old, new) + '[[method]]\nkind = "ra-bnn"\n' + text)
    with pytest.raises(InputError) as caught:
        load_recipe(path)
    return str(caught.value).removeprefix(f"{path}: ")


def test_what_is_no_binary_network_is_refused_by_name(tmp_path):
    assert refused(tmp_path, "weight_bits = 1", "weight_bits = 8", "") == (
        "method 'ra-bnn' trains complete binary networks, not 8-bit weights with 1-bit "
        "activations; set network.weight_bits and network.activation_bits to 1"
    )
    assert refused(tmp_path, "activation_bits = 1", "activation_bits = 2", "").startswith(
        "method 'ra-bnn' trains complete binary networks, not 1-bit weights with 2-bit"
    )


def test_a_width_for_each_layer_may_say_that_all_are_one_bit(tmp_path):
    method = {"kind": "ra-bnn"}
    for bits, fits in (([1, 1], True), ([1, 2], False)):
        network = {"kind": "fully-connected", "hidden": [8], "activation_bits": 1}
        values = {
            "name": "a", "dataset": "digits", "network": network | {"weight_bits": bits},
            "training": {"epochs": 1, "batch": 8, "learning_rate": 0.1, "seed": 0},
            "method": [method],
        }  # fmt: skip
        if fits:
            assert recipe_of(values, where="r").network.widths == (1, 1)
            continue
        with pytest.raises(InputError, match="complete binary networks, not 2-bit weights with 1-"):
            recipe_of(values, where="r")


def test_settings_that_cannot_be_are_refused_by_key(tmp_path):
    for text, message in (
        ("growth = 1.0", "'method.0.growth': Input should be less than 1; got 1.0"),
        ("base = 0.0", "'method.0.base': Input should be greater than 0; got 0.0"),
        ('cost = "watts"', "'method.0.cost': Input should be 'channels', 'cycles' or 'lut'; got"),
        ("width = 2", "unknown key 'method.0.width'; known are kind, growth, base, start, hot"),
    ):
        assert refused(tmp_path, "", "", text).startswith(message)


def test_patience_is_refused_since_growth_has_no_best_epoch(tmp_path):
    path = tmp_path / "r.toml"
    text = GOOD.replace("seed = 3", "seed = 3\nheld_out = 100\npatience = 1")
    path.write_text(text + '[[method]]\nkind = "ra-bnn"\n')
    with pytest.raises(InputError, match=r"'training\.patience': method 'ra-bnn' judges no epoch"):
        train(load_recipe(path), load_dataset("digits", root=tmp_path))


def test_a_run_killed_while_it_grows_ends_with_the_widths_and_bits_it_would_have(tmp_path):
    data = small_digits(tmp_path)
    wanted = train(recipe("ra-bnn", epochs=4), data)

    def kill(done, total):
        if done == 1:
            raise KeyboardInterrupt

    for _ in range(2):
        with contextlib.suppress(KeyboardInterrupt):
            found = train(recipe("ra-bnn", epochs=4), data, folder=tmp_path / "t", progress=kill)
    state = found.model.state_dict()
    assert state.keys() == wanted.model.state_dict().keys()
    assert all(torch.equal(state[k], v) for k, v in wanted.model.state_dict().items())
