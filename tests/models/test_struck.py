"""What bits flipped in one layer leave of the margins: against every set of flips, in integers."""

from itertools import combinations

import numpy as np
import pytest
import torch

from flow.certify import largest_k
from flow.fitting import fit
from flow.ir import IntType
from models.brevitas_api import qnn
from models.data import load_dataset
from models.executed import lowered
from models.export import export
from models.methods.certified_flips import held
from models.networks import random_network
from models.objective import Batch
from models.recipe import FullyConnected
from models.struck import bit_steps, struck_leads
from models.train import train
from tests.models.test_methods import recipe


def network(bits, hidden, levels=2):
    return FullyConnected(
        kind="fully-connected", hidden=hidden, weight_bits=bits, activation_bits=levels
    )


def tiny(bits, hidden, *, seed, levels=2):
    model = random_network(
        network(bits, hidden, levels), shape=(3,), classes=3, pixel=IntType(2), seed=seed
    )
    return model.double()


def linears(model):
    return [m for m in model if isinstance(m, qnn.QuantLinear)]


def forward(model, x, moved):
    """Logits with other weights in one layer."""
    for layer in model:
        if isinstance(layer, qnn.QuantLinear):
            weights = moved.get(layer, layer.quant_weight().value)
            x = torch.nn.functional.linear(x, weights)
        else:
            x = layer(x)
    return x


def worst(model, layer, x, y, flips):
    """The least lead of ``y`` over each class, by every set of at most ``flips`` bits."""
    steps, weights = bit_steps(layer), layer.quant_weight().value
    sites = list(np.ndindex(*steps.shape))
    least = None
    for count in range(flips + 1):
        for chosen in combinations(sites, count):
            other = weights.clone()
            for o, i, b in chosen:
                other[o, i] += steps[o, i, b]
            logits = forward(model, x, {layer: other})
            lead = logits.gather(1, y[:, None]) - logits
            least = lead if least is None else torch.minimum(least, lead)
    return least


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_flipping_every_stored_bit_moves_the_weight_by_its_step(bits):
    layer = linears(tiny(bits, [4], seed=0))[0]
    quantized, steps = layer.quant_weight(), bit_steps(layer)
    scale = float(quantized.scale.detach())
    codes = np.rint((quantized.value / scale).detach().numpy()).astype(int)
    moved = np.rint(((quantized.value[..., None] + steps).detach() / scale).numpy()).astype(int)
    if bits == 1:
        np.testing.assert_array_equal(moved[..., 0], -codes)
        return
    kind = IntType(bits, signed=True)
    for bit in range(bits):
        np.testing.assert_array_equal(moved[..., bit], kind.wrap(codes ^ (1 << bit)))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("bits", "levels"), [(1, 1), (2, 2), (3, 3)])
def test_one_flip_is_bounded_exactly_and_more_are_bounded(bits, levels, seed):
    model = tiny(bits, [3], seed=seed, levels=levels)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 4, (5, 3), generator=generator).double()
    y = torch.randint(0, 3, (5,), generator=generator)
    with torch.no_grad():
        for flips in (1, 2):
            found = struck_leads(model, x, y, flips=flips)
            unit = 2.0**-30
            for layer, lead in zip(linears(model), found, strict=True):
                exact = worst(model, layer, x, y, flips)
                below = torch.round(lead / unit) <= torch.round(exact / unit)
                assert below.all()
                if flips == 1 or layer is linears(model)[-1]:
                    assert torch.equal(torch.round(lead / unit), torch.round(exact / unit))


@pytest.mark.parametrize("seed", range(2))
def test_flips_of_an_early_layer_are_bounded_behind_another(seed):
    model = tiny(2, [3, 3], seed=seed)
    x = torch.tensor([[0.0, 1, 3], [2, 2, 1]]).double()
    y = torch.tensor([0, 2])
    with torch.no_grad():
        for flips in (1, 2):
            lead = struck_leads(model, x, y, flips=flips)[0]
            assert (lead <= worst(model, linears(model)[0], x, y, flips) + 2.0**-40).all()


@pytest.mark.parametrize("flips", [1, 2])
def test_a_label_is_held_where_no_set_of_flips_of_a_layer_takes_it(flips):
    model = tiny(1, [8], seed=0)
    x = torch.randint(0, 4, (12, 3), generator=torch.Generator().manual_seed(2)).double()
    y = model(x).argmax(dim=1)
    with torch.no_grad():
        found = held(model, Batch(x, y), flips)
        others = torch.arange(3)[None] != y[:, None]
        leads = torch.stack([worst(model, layer, x, y, flips) for layer in linears(model)])
        least = leads.masked_fill(~others, torch.inf).amin(dim=(0, 2))
    found, least = found[least.abs() > 2.0**-40], least[least.abs() > 2.0**-40]  # no tie
    truly = least > 0
    assert not (found & ~truly).any()
    if flips == 1:
        assert torch.equal(found, truly)
        assert 0 < int(truly.sum()) < len(truly)


def test_a_label_that_is_certified_against_one_flip_is_held_in_training(tmp_path):
    """The loss strikes a part of what the certificate does, exactly; ties as the class decides."""
    data = load_dataset("digits", root=tmp_path)
    trained = train(recipe("certified-flips", epochs=4, learning_rate=0.02), data)
    graph = lowered(export(trained))
    images, labels = data.test_x[:100], data.test_y[:100]
    certified = largest_k(graph, fit(graph, images, name="digits"), y=labels, most=1) == 1
    model, y = trained.model.double(), torch.tensor(labels)
    with torch.no_grad():
        leads = torch.stack(struck_leads(model, torch.tensor(images).double(), y, flips=1))
    rounding, rival = 1e-7 * leads.abs().max(), torch.arange(10)[None]
    ahead = (leads > rounding) | ((leads > -rounding) & (rival >= y[:, None]))
    found = ahead.all(dim=2).all(dim=0).numpy()
    assert not (certified & ~found).any()
    assert 10 < certified.sum() <= found.sum() < 100


def test_the_bound_moves_weights():
    model = tiny(3, [4], seed=1).train()
    x = torch.randint(0, 4, (8, 3), generator=torch.Generator().manual_seed(0)).double()
    found = struck_leads(model, x, torch.zeros(8, dtype=torch.int64), flips=2)
    torch.stack([lead.sum() for lead in found]).sum().backward()
    for layer in linears(model):
        assert layer.weight.grad.abs().sum() > 0
