"""Coarse weights of fine ones: rounded, held within a radius, or pulled towards it."""

import numpy as np
import pytest
import torch
from torch import nn

from flow.errors import InputError
from models.data import load_dataset
from models.layers import weighted
from models.methods.rounding import Rounding
from models.methods.weight_radius import WeightRadius, beyond, constrain
from models.networks import build
from models.objective import Batch, Objective, Task
from models.recipe import FullyConnected, Training, load_recipe
from models.train import Plain, train
from models.weight_widths import normalised_anew, set_weight_widths, weight_widths
from tests.models.test_methods import recipe
from tests.models.test_recipe import GOOD

NETWORK = FullyConnected(kind="fully-connected", hidden=[12], weight_bits=3, activation_bits=4)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return load_dataset("digits", root=tmp_path_factory.mktemp("empty"))


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def task(digits, **training):
    x = torch.tensor(digits.train_x[:128].reshape(128, -1), dtype=torch.float32)
    batch = Batch(x, torch.tensor(digits.train_y[:128]))
    settings = Training(epochs=4, batch=32, learning_rate=0.1, seed=0, **training)
    return Task(NETWORK, settings, digits.type, (8, 8, 1), 10, examples=batch, held_out=None)


def codes(layer):
    found = layer.quant_weight()
    return np.rint((found.value / found.scale).detach().numpy()).astype(int)


def stepped(objective, model, work, *, steps, lr=0.05):
    """Training steps; yields behind each."""
    optimiser = torch.optim.Adam(model.parameters(), lr)
    for step in range(steps):
        model.train()
        part = work.examples.take(slice(32 * (step % 4), 32 * (step % 4) + 32))
        loss = objective.loss(model, part, done=step / steps)
        optimiser.zero_grad()
        loss.backward()
        objective.before_step(model, done=step / steps)
        optimiser.step()
        objective.after_step(model, done=step / steps)
        yield step


@pytest.mark.parametrize("scale", [0.0, 1.0, 40.0])
def test_after_each_step_every_code_is_within_the_radius_or_the_nearest(scale, digits):
    work = task(digits)
    objective = WeightRadius(kind="weight-radius", start=0.25).around(Plain(1.0, None), work)
    model = objective.prepare(build(NETWORK, shape=(64,), classes=10, pixel=digits.type))
    checked, moved = 0, 0
    for step in stepped(objective, model, work, steps=16):
        assert bool(model.coarse) == (step >= 4)
        if step < 4:
            assert [codes(layer).max() > 3 for layer in weighted(model)] == [True, True]
            continue
        for layer in weighted(model):
            if step == 4:
                layer.radius *= scale
                constrain(model)
            reference, radius = layer.reference.numpy(), float(layer.radius)
            unit, found = np.abs(reference).max() / 3, codes(layer)
            assert float(layer.quant_weight().scale.detach()) == pytest.approx(unit)
            assert np.abs(found).max() <= 3
            away = np.abs(found * unit - reference)
            nearest = np.abs(np.rint(reference / unit) * unit - reference)
            assert ((away <= radius + 1e-3 * unit) | (away <= nearest + 1e-3 * unit)).all()
            moved += int((found != np.rint(reference / unit)).sum())
            checked += 1
    assert checked == 24
    assert (moved > 0) == (scale == 40)


class Scored(Plain):
    def score(self, model):
        return 0.5


def test_the_reference_is_the_fine_network_and_its_radii_those_of_training_images(digits):
    from models.weight_radius import mean_radii

    work = task(digits)
    settings = WeightRadius(kind="weight-radius", start=0.5, images=20, reference_bits=6)
    objective = settings.around(Scored(1.0, None), work)
    model = objective.prepare(build(NETWORK, shape=(64,), classes=10, pixel=digits.type))
    for _ in stepped(objective, model, work, steps=2):
        if not model.coarse:
            assert weight_widths(model) == [6, 6]
            assert objective.score(model) is None
            values = [layer.quant_weight().value.detach() for layer in weighted(model)]
            expected = mean_radii(model, work.examples.take(slice(20)))
    assert objective.score(model) == 0.5
    assert weight_widths(model) == [3, 3]
    assert [bool((m.reference == v).all()) for m, v in zip(weighted(model), values, strict=True)]
    assert [float(layer.radius) for layer in weighted(model)] == pytest.approx(expected)
    assert min(expected) > 0


def test_what_is_never_reached_is_done_in_the_end(digits):
    work = task(digits)
    objective = WeightRadius(kind="weight-radius", start=0.9).around(Plain(1.0, None), work)
    model = objective.prepare(build(NETWORK, shape=(64,), classes=10, pixel=digits.type))
    for _ in stepped(objective, model, work, steps=4):
        assert not model.coarse
    fine = [layer.quant_weight().value.detach().numpy() for layer in weighted(model)]
    model = objective.finish(model)
    assert weight_widths(model) == [3, 3]
    assert {name.split(".")[-1] for name in model.state_dict()}.isdisjoint(
        {"reference", "radius", "coarse"}
    )
    for layer, value in zip(weighted(model), fine, strict=True):
        np.testing.assert_array_equal(codes(layer), np.rint(value / (np.abs(value).max() / 3)))


def test_the_pull_is_what_lies_beyond_the_radius_in_steps(digits):
    model = build(NETWORK, shape=(64,), classes=10, pixel=digits.type)
    layer = weighted(model)[0]
    layer.reference = layer.weight.detach().clone()
    layer.radius = torch.tensor(0.01)
    unit = float(layer.quant_weight().scale.detach())
    value = layer.quant_weight().value.detach().numpy()
    wanted = np.maximum(np.abs(value - layer.reference.numpy()) - 0.01, 0) / unit
    np.testing.assert_allclose(beyond(layer).detach().numpy(), wanted, rtol=1e-5)
    beyond(layer).square().sum().backward()
    nearer = layer.weight - 1e-3 * layer.weight.grad.sign()
    ahead = (layer.weight.grad != 0) & (layer.weight.abs() < layer.weight.abs().max())
    pulled = (layer.quant_weight().value - layer.reference).sign() == layer.weight.grad.sign()
    assert pulled[ahead].all()
    assert nearer.isfinite().all()


def test_the_pull_joins_the_loss_with_its_weight(digits):
    work = task(digits)
    losses = {}
    for weight in (0.0, 2.0, 4.0):
        torch.manual_seed(0)
        settings = WeightRadius(kind="weight-radius", how="regularised", weight=weight, start=0.01)
        objective = settings.around(Plain(1.0, None), work)
        model = objective.prepare(build(NETWORK, shape=(64,), classes=10, pixel=digits.type))
        losses[weight] = objective.loss(model.eval(), work.examples, done=0.5).item()
        excess = sum(float(beyond(m).square().mean().detach()) for m in weighted(model))
    assert losses[4.0] - losses[0.0] == pytest.approx(2 * (losses[2.0] - losses[0.0]), rel=1e-4)
    assert losses[2.0] - losses[0.0] == pytest.approx(2 * excess, rel=1e-4)


def test_rounding_trains_the_fine_network_and_takes_its_nearest_codes(digits):
    how = recipe("rounding")
    rounded = train(how, digits)
    fine = {"network": how.network.model_copy(update={"weight_bits": 8}), "method": []}
    plain = train(how.model_copy(update=fine), digits)
    assert rounded.history == plain.history
    for layer, other in zip(weighted(rounded.model), weighted(plain.model), strict=True):
        assert torch.equal(layer.weight, other.weight)
        value = other.weight.detach().numpy()
        np.testing.assert_array_equal(codes(layer), np.rint(value / (np.abs(value).max() / 3)))


def test_statistics_are_the_means_of_the_batches_and_nothing_else_moves(digits):
    work = task(digits)
    model = build(NETWORK, shape=(64,), classes=10, pixel=digits.type).train()
    model(work.examples.x)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    set_weight_widths(model, [2, 4])
    normalised_anew(model, work.examples.x[:97], size=32)
    (norm,) = [m for m in model if isinstance(m, nn.BatchNorm1d)]
    with torch.no_grad():
        parts = [model[:2](part) for part in work.examples.x[:96].split(32)]
    mean = torch.stack([p.mean(dim=0) for p in parts]).mean(dim=0)
    variance = torch.stack([p.var(dim=0) for p in parts]).mean(dim=0)
    torch.testing.assert_close(norm.running_mean, mean)
    torch.testing.assert_close(norm.running_var, variance)
    assert norm.momentum == 0.1
    assert not any(m.training for m in model.modules())
    kept = [k for k in before if "running" not in k and "num_batches" not in k]
    assert [k for k in kept if not torch.equal(before[k], model.state_dict()[k])] == []
    assert weight_widths(model) == [2, 4]


class Nothing(Objective):
    def score(self, model):
        return 0.5


def test_calibration_is_asked_for(digits):
    states = []
    for calibrate in (False, True):
        torch.manual_seed(0)
        objective = Rounding(kind="rounding", calibrate=calibrate).around(Nothing(), task(digits))
        model = objective.prepare(build(NETWORK, shape=(64,), classes=10, pixel=digits.type))
        model = objective.finish(model.eval())
        assert weight_widths(model) == [3, 3]
        assert not hasattr(model, "own_widths")
        states.append([m.running_mean.clone() for m in model if isinstance(m, nn.BatchNorm1d)])
    assert (states[0][0] == 0).all()
    assert (states[1][0] != 0).any()


def refused(tmp_path, old, new, kind):
    text = GOOD.replace("weight_bits = 1", "weight_bits = 4").replace(old, new)
    path = tmp_path / "r.toml"
    path.write_text(text + f'[[method]]\nkind = "{kind}"\n')
    with pytest.raises(InputError) as caught:
        load_recipe(path)
    return str(caught.value).removeprefix(f"{path}: ")


RESIDUAL = 'kind = "resnet"\nweight_bits = 4\nactivation_bits = 4'
DENSE = 'kind = "fully-connected"\nhidden = [8]\nweight_bits = 4\nactivation_bits = 1'


def test_networks_without_distances_or_intervals_are_refused(tmp_path):
    bits = ("weight_bits = 4", "weight_bits = 1")
    assert refused(tmp_path, *bits, "rounding") == (
        "rounding has no nearest code among two signs; use 2 bits or more"
    )
    assert refused(tmp_path, *bits, "weight-radius") == (
        "weight-radius has no distance between signs; use 2 bits or more"
    )
    assert refused(tmp_path, DENSE, RESIDUAL, "weight-radius") == (
        "weight-radius has no intervals of residual sums; choose a chain of layers"
    )


def test_patience_with_a_reference_is_refused(digits):
    with pytest.raises(InputError, match=r"^'training.patience': method 'weight-radius' judges"):
        train(recipe("weight-radius", held_out=40, patience=2), digits)
