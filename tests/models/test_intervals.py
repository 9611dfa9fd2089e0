"""Intervals of training hold what they say they hold, and are those of the integer graph."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from flow.certify import input_box, propagate
from flow.certify.input import prove_labels
from flow.fitting import fit
from models.brevitas_api import qnn
from models.data import load_dataset
from models.executed import lowered
from models.export import export
from models.growth import gated, gates
from models.intervals import (
    Interval,
    clean_statistics,
    hidden,
    input_interval,
    known_to,
    margins,
)
from models.methods.qa_ibp import certified
from models.networks import build, integer_logits, random_network
from models.objective import Batch, Objective, Task
from models.recipe import FullyConnected, Stack
from models.struck import struck_leads
from models.train import train
from tests.models.test_methods import recipe

DENSE = FullyConnected(kind="fully-connected", hidden=[20, 12], weight_bits=4, activation_bits=4)
NETWORKS = {
    "dense": (DENSE, (8, 8, 1)),
    "binary": (DENSE.model_copy(update={"weight_bits": 1, "activation_bits": 1}), (8, 8, 1)),
    "stack": (
        Stack(
            kind="stack", convolutions=[(4, 3, 2), (6, 3, 1)], dense=[8],
            weight_bits=3, activation_bits=3, padded=True,
        ),
        (8, 8, 1),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return load_dataset("digits", root=tmp_path_factory.mktemp("empty"))


def activations(model, x):
    found = []
    for layer in list(model)[:-1]:
        x = layer(x)
        found.append(x)
    return [
        value
        for layer, value in zip(list(model)[1:-1], found[1:], strict=True)
        if isinstance(layer, qnn.QuantReLU | qnn.QuantIdentity)
    ], model[-1](x)


@pytest.mark.parametrize("name", NETWORKS)
def test_intervals_contain_a_hundred_thousand_sampled_activations(name, digits):
    network, shape = NETWORKS[name]
    model = random_network(network, shape=shape, classes=10, pixel=digits.type, seed=3).double()
    assert known_to(model)
    generator = torch.Generator().manual_seed(1)
    image = torch.randint(0, 17, (1, 64), generator=generator).double()
    image = image if name != "stack" else image.reshape(1, 1, 8, 8)
    seen = 0
    with torch.no_grad():
        box = input_interval(model, image, 2.0)
        assert box.lo.min() >= 0
        assert box.hi.max() <= 16
        found = hidden(model, box)
        least = margins(model, found[-1], torch.tensor([4]))
        for corner in (False, True):
            share = torch.rand((1500, *image.shape[1:]), generator=generator).double()
            share = share.round() if corner else share
            sampled = box.lo + share * (box.hi - box.lo)
            inside, logits = activations(model, sampled)
            for interval, values in zip(found, inside, strict=False):
                assert ((interval.lo <= values) & (values <= interval.hi)).all()
                seen += values.numel()
            steps = integer_logits(model, sampled)
            lead = steps[:, [4]] - steps
            scale = float((logits[0, 0] / steps[0, 0]).item()) if steps[0, 0] else None
            if scale:
                assert (lead >= np.floor(least.numpy() / scale - 1e-6)).all()
    assert seen > 90_000


@pytest.mark.parametrize("bits", [{}, {"weight_bits": 1, "activation_bits": 1}])
def test_trained_margins_are_those_of_the_integer_graph(bits, digits):
    """In evaluation mode and in doubles: the same images are certified, ties and all."""
    how = recipe("qa-ibp", epochs=6, learning_rate=0.02)
    how = how.model_copy(update={"network": how.network.model_copy(update=bits)})
    trained = train(how, digits)
    graph = lowered(export(trained))
    x = fit(graph, digits.test_x, name="digits")
    model = trained.model.double()
    images = torch.tensor(digits.test_x.reshape(360, -1)).double()
    y = torch.tensor(digits.test_y)
    quantizer = next(m for m in reversed(list(model)[:-1]) if hasattr(m, "act_quant"))
    counts, rival = [], np.arange(10)
    for radius in (1, 2):
        proved = prove_labels(graph, input_box(graph, x, radius=radius), digits.test_y)
        with torch.no_grad():
            scale = float(quantizer.act_quant.scale() * model[-1].quant_weight().scale)
            box = hidden(model, input_interval(model, images, radius))[-1]
            steps = np.rint(margins(model, box, y).numpy() / scale)
            strictly = certified(model, Batch(images, y), radius).numpy()
        ahead = (steps >= (rival < digits.test_y[:, None])) | (rival == digits.test_y[:, None])
        np.testing.assert_array_equal(ahead.all(axis=1), proved)
        assert not (strictly & ~proved).any()
        counts.append(int(proved.sum()))
    assert 0 < counts[0] < 360


def test_the_ends_of_every_activation_are_those_of_the_integer_graph(digits):
    trained = train(recipe("qa-ibp", epochs=2), digits)
    graph = lowered(export(trained))
    x = fit(graph, digits.test_x[:40], name="digits")
    boxes = propagate(graph, input_box(graph, x, radius=1))
    model = trained.model.double()
    images = torch.tensor(digits.test_x[:40].reshape(40, -1)).double()
    with torch.no_grad():
        found = hidden(model, input_interval(model, images, 1.0))
        (scale,) = [float(m.act_quant.scale()) for m in model if isinstance(m, qnn.QuantReLU)]
    (levels,) = [n.output for n in graph.nodes if type(n.op).__name__ == "Threshold"]
    np.testing.assert_array_equal(np.rint(found[0].lo.numpy() / scale), boxes[levels].lo)
    np.testing.assert_array_equal(np.rint(found[0].hi.numpy() / scale), boxes[levels].hi)


def test_in_training_bounds_are_normalised_as_the_clean_batch_is(digits):
    torch.manual_seed(0)
    model = build(DENSE, shape=(8, 8, 1), classes=10, pixel=digits.type).train()
    x = torch.tensor(digits.train_x[:50].reshape(50, -1)).float()
    with clean_statistics(model) as statistics:
        model(x)
    assert len(statistics) == 2
    hooks = sum(len(m._forward_pre_hooks) for m in model.modules())
    assert hooks == 0
    boxes = hidden(model, Interval(x, x), statistics)
    inside, _ = activations(model.train(), x)
    for box, values in zip(boxes, inside, strict=True):
        assert (box.lo == box.hi).all()
        # the scales of the clean pass were this batch's own; those of the bounds lag by one batch
        drift = (box.lo - values).detach().abs().mean()
        assert float(drift) < 0.05 * float(values.detach().abs().mean())
    other = hidden(model, Interval(x, x))
    assert float((other[0].lo - boxes[0].lo).detach().abs().mean()) > 0


def test_intervals_count_for_no_statistics_and_carry_gradients(digits):
    torch.manual_seed(0)
    model = build(DENSE, shape=(8, 8, 1), classes=10, pixel=digits.type).train()
    x = torch.tensor(digits.train_x[:50].reshape(50, -1)).float()
    with clean_statistics(model) as statistics:
        model(x)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    box = hidden(model, input_interval(model, x, 1.0), statistics)[-1]
    lead = margins(model, box, torch.zeros(50, dtype=torch.int64))
    assert (lead[:, 0] == 0).all()
    lead.sum().backward()
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    for layer in model:
        if isinstance(layer, qnn.QuantLinear):
            assert layer.weight.grad.abs().sum() > 0
        assert layer.training


def test_bounds_of_a_growing_network_are_of_the_channels_that_were_drawn(digits):
    """Gates are drawn at each forward pass: a draw for each end would bound no network at all."""
    torch.manual_seed(0)
    binary = NETWORKS["binary"][0]
    model = build(binary, shape=(8, 8, 1), classes=10, pixel=digits.type)
    model = gated(model, base=0.3, start=0.0, multiple=2).double().train()
    x = torch.tensor(digits.train_x[:50].reshape(50, -1)).double()
    y = torch.tensor(digits.train_y[:50])
    with torch.no_grad(), clean_statistics(model) as statistics:
        logits = model(x)
        drawn = [gate.drawn for gate in gates(model)]
        assert all(0 < int(g.sum()) < len(g) for g in drawn)
        clean = logits.gather(1, y[:, None]) - logits
        point = margins(model, hidden(model, Interval(x, x), statistics)[-1], y)
        torch.testing.assert_close(point, clean, rtol=0, atol=2.0**-30)
        boxes = hidden(model, input_interval(model, x, 1.0), statistics)
        assert all((box.lo <= box.hi).all() for box in boxes)
        assert (margins(model, boxes[-1], y) <= clean + 2.0**-30).all()
        leads = struck_leads(model, x, y, flips=1, statistics=statistics)
        assert all((lead <= clean + 2.0**-30).all() for lead in leads)
        assert max(float((clean - lead).max()) for lead in leads) > 0
    assert all(a is gate.drawn for a, gate in zip(drawn, gates(model), strict=True))


@pytest.mark.parametrize(("bits", "spread"), [(1, 3**-0.5), (4, (2 * np.pi) ** 0.5 / 64)])
def test_weights_start_as_wide_as_intervals_bear_but_signs_keep_their_spread(bits, spread, digits):
    how = recipe("qa-ibp")
    wide = {"hidden": [200], "weight_bits": bits}
    network = how.network.model_copy(update=wide)
    torch.manual_seed(0)
    model = build(network, shape=(8, 8, 1), classes=10, pixel=digits.type)
    model = how.method[0].around(Objective(), task_of(how, digits)).prepare(model)
    assert float(model[1].weight.detach().std()) == pytest.approx(spread, rel=0.05)


def task_of(how, data):
    examples = Batch(torch.tensor(data.train_x), torch.tensor(data.train_y))
    return Task(how.network, how.training, data.type, data.shape, 10, examples, None)


def test_a_residual_network_has_no_intervals_here():
    assert not known_to(nn.Sequential(nn.Softmax(dim=1)))


def test_qa_ibp_certifies_more_than_plain_training(digits):
    counts = []
    for how in (recipe("qa-ibp", epochs=8, learning_rate=0.02), None):
        how = how or recipe("qa-ibp", epochs=8, learning_rate=0.02).model_copy(
            update={"method": []}
        )
        trained = train(how, digits)
        graph = lowered(export(trained))
        x = fit(graph, digits.test_x, name="digits")
        proved = prove_labels(graph, input_box(graph, x, radius=1), digits.test_y)
        counts.append(int(proved.sum()))
    assert counts[0] > counts[1] + 60


def test_the_recipes_of_qa_ibp_stand_ready():
    folder = Path(__file__).parents[2] / "models" / "recipes"
    assert {p.stem for p in folder.glob("qa-ibp-*")} >= {
        "qa-ibp-small-mnist", "qa-ibp-mid-mnist", "qa-ibp-bigmnist", "qa-ibp-deep-fashion-mnist",
        "qa-ibp-deep-cifar10",
    }  # fmt: skip
