"""Radii of weights in training: against brute force, attacks, and the certificate."""

from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import torch

from flow.certify import certify_weights
from flow.certify.weights import moved_layers
from flow.engine import BatchedEngine
from flow.fitting import fit
from flow.ir import IntType
from models import weight_radius
from models.data import load_dataset
from models.executed import lowered
from models.export import export
from models.layers import weighted
from models.measures.measure import Subject
from models.measures.weight_radius import WeightRadius
from models.networks import floats, random_network
from models.objective import Batch
from models.recipe import FullyConnected, Stack
from models.train import train
from models.weight_radius import mean_radii, radii
from tests.models.test_methods import recipe


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return load_dataset("digits", root=tmp_path_factory.mktemp("empty"))


def tiny(seed, *, hidden=(2,), inputs=3, classes=2):
    network = FullyConnected(
        kind="fully-connected", hidden=list(hidden), weight_bits=3, activation_bits=2
    )
    pixel = IntType(4)
    model = random_network(network, shape=(inputs,), classes=classes, pixel=pixel, seed=seed)
    x = torch.randint(0, 16, (12, inputs), generator=torch.Generator().manual_seed(seed))
    model, x = model.double(), x.double()
    with torch.no_grad():
        return model, Batch(x, model(x).argmax(dim=1))


def moved_leads(model, batch, layer, moves):
    """The least lead of each image over every other class: moves (images, moves, *weights)."""
    at = list(model).index(layer)
    x = model[:at](batch.x)
    sums = torch.einsum("bi,bmoi->bmo", x, layer.quant_weight().value + moves)
    logits = model[at + 1 :](sums.flatten(0, 1)).unflatten(0, sums.shape[:2])
    y = batch.y[:, None, None].expand(-1, logits.shape[1], 1)
    return (logits.gather(2, y) - logits).scatter(2, y, torch.inf).amin(dim=2)


@pytest.mark.parametrize("which", [0, 1], ids=["before the last", "last"])
def test_the_radius_is_the_least_move_of_any_corner_that_reaches_another_class(which):
    seen = 0
    with torch.no_grad():
        for seed in range(6):
            model, batch = tiny(seed)
            layer = weighted(model)[which]
            signs = list(product((-1.0, 1.0), repeat=layer.weight.numel()))
            corners = torch.tensor(signs).double().view(-1, *layer.weight.shape)
            found = radii(model, batch, layer)
            most = float(2 * layer.quant_weight().value.abs().max())
            inside = (found > 0) & (found < 0.9 * most)
            reach = found[:, None, None, None] * corners
            wider = reach + most * 2.0**-12 * corners
            assert (moved_leads(model, batch, layer, reach).amin(dim=1)[inside] > 0).all()
            assert (moved_leads(model, batch, layer, wider).amin(dim=1)[inside] <= 1e-9).all()
            seen += int(inside.sum())
    assert seen > 20


def test_no_attack_within_the_radius_of_an_early_layer_succeeds():
    generator, seen = torch.Generator().manual_seed(0), 0
    with torch.no_grad():
        for seed in range(8):
            model, batch = tiny(seed, hidden=(3, 4), inputs=4, classes=3)
            layer = weighted(model)[0]
            found = radii(model, batch, layer)
            size = (len(batch), 2000, *layer.weight.shape)
            moves = (torch.rand(size, generator=generator).double() * 2 - 1).sign()
            leads = moved_leads(model, batch, layer, moves * found[:, None, None, None])
            assert (leads[found > 0] > 0).all()
            seen += int((found > 0).sum())
    assert seen > 40


def test_an_image_that_is_misclassified_has_no_radius_and_the_mean_counts_it():
    model, batch = tiny(1)
    wrong = Batch(batch.x, 1 - batch.y)
    for layer in weighted(model):
        assert (radii(model, wrong, layer) == 0).all()
    both = Batch(torch.cat([batch.x, batch.x]), torch.cat([batch.y, 1 - batch.y]))
    assert mean_radii(model, both) == pytest.approx([r / 2 for r in mean_radii(model, batch)])


def test_modes_are_as_before():
    model, batch = tiny(2)
    model.train()
    model[1].eval()
    modes = [m.training for m in model.modules()]
    mean_radii(model, batch)
    assert [m.training for m in model.modules()] == modes


STACK = Stack(kind="stack", convolutions=[(3, 3, 2)], dense=[6], weight_bits=4, activation_bits=3)


@pytest.mark.parametrize("network", [None, STACK], ids=["dense", "convolution"])
def test_the_radius_is_that_of_the_certificate(network, digits):
    """Within the certificate's grid of 1/256 of a code, and one unit of a sum: in the graph a
    threshold between two whole sums is the upper one. Ties are lost here: then it is less."""
    how = recipe("clipping", epochs=2, learning_rate=0.02)
    how = how.model_copy(update={"method": []} | ({"network": network} if network else {}))
    if network:
        digits = replace(
            digits,
            train_x=digits.train_x.reshape(-1, 8, 8, 1),
            test_x=digits.test_x.reshape(-1, 8, 8, 1),
        )
    trained = train(how, digits)
    graph, images = lowered(export(trained)), 40
    x = fit(graph, digits.test_x[:images], name="digits")
    model = trained.model.double()
    own = floats(how.network, digits.test_x[:images]).double()
    batch = Batch(own, torch.tensor(digits.test_y[:images]))
    for name, layer in zip(moved_layers(graph), weighted(model), strict=True):
        found = certify_weights(graph, x, y=digits.test_y[:images], layers=(name,))
        exact = np.array([Fraction(c.detail.get("epsilon", 0)) for c in found.certificates], float)
        at = list(model).index(layer)
        with torch.no_grad():
            scale = float(layer.quant_weight().scale)
            slack = 2.0**-12 * float(layer.quant_weight().value.abs().max()) / scale + 1 / 256
            if layer is not model[-1]:
                mass = weight_radius._mass(layer, model[:at](own)).flatten(1)
                unit = 1.0 if at == 1 else float(model[3].act_quant.scale())
                slack = slack + (unit / mass.masked_fill(mass == 0, torch.inf).amin(dim=1)).numpy()
            steps = radii(model, batch, layer).numpy() / scale
        assert (steps <= exact + slack).all()
        near = (np.abs(steps - exact) <= slack).mean()
        assert near == 1 if layer is model[-1] else near > 0.8
        assert exact.any()


def test_the_measure_is_the_mean_of_the_certificates_in_percent_of_the_largest_code(digits):
    how = recipe("pgd", epochs=1)
    mixed = how.network.model_copy(update={"weight_bits": [4, 3]})
    trained = train(how.model_copy(update={"network": mixed}), digits)
    graph = lowered(export(trained))
    x = fit(graph, digits.test_x, name="digits")
    correct = BatchedEngine(graph).run(x) == digits.test_y
    subject = Subject(graph, trained, (x, digits.test_y), (x, digits.test_y), correct)
    found = WeightRadius(kind="weight-radius", images=30).take(subject)
    every = moved_layers(graph)
    asked = {
        "radius 1, %": (every[:1], 7),
        "radius 2, %": (every[1:], 3),
        "radius of all, %": (every, 3),
    }
    assert list(found) == list(asked)
    for heading, (layers, largest) in asked.items():
        proved = certify_weights(graph, x[:30], y=digits.test_y[:30], layers=layers).certificates
        mean = np.mean([float(Fraction(c.detail.get("epsilon", 0))) for c in proved])
        assert found[heading] == pytest.approx(100 * mean / largest)
        assert mean > 0
