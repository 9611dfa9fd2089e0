"""Widths of single layers: what a recipe may list, what they cost, and which are chosen."""

import contextlib
import tomllib
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from flow.errors import InputError
from flow.ingest import lower
from flow.ir import IntType
from models.brevitas_api import qnn
from models.data import load_dataset
from models.export import train_and_export
from models.lipschitz import cheapest, sensitivities
from models.mixed_widths import choose_widths
from models.networks import random_network
from models.recipe import FullyConnected, Recipe, Stack, load_recipe
from models.train import train
from models.weight_widths import set_weight_widths, weight_widths
from tests.models.test_recipe import GOOD

DENSE = FullyConnected(
    kind="fully-connected", hidden=[5, 4], weight_bits=[8, 7, 6], activation_bits=3
)
STACK = Stack(
    kind="stack", convolutions=[(3, 3, 1)], dense=[4], weight_bits=8, activation_bits=2,
    padded=True,
)  # fmt: skip


@pytest.mark.parametrize("network", [DENSE, STACK], ids=["dense", "stack"])
def test_each_layer_has_the_width_it_is_given(network):
    listed = network.model_copy(update={"weight_bits": [8, 1, 5]})
    model = random_network(listed, shape=(4, 4, 1), classes=3, pixel=IntType(4), seed=0)
    assert weight_widths(model) == [8, 1, 5]
    assert listed.widths == (8, 1, 5)
    assert network.model_copy(update={"weight_bits": 6}).widths == (6, 6, 6)


def test_a_network_of_mixed_widths_is_an_exact_graph_of_these_widths(tmp_path):
    path = tmp_path / "mixed.toml"
    path.write_text(GOOD.replace("weight_bits = 1", "weight_bits = [5, 2]"))
    record = train_and_export(path, tmp_path / "m.onnx", data_root=tmp_path)
    assert record["correct_in_integers"] == record["correct"]
    graph = lower(tmp_path / "m.onnx").graph
    found = [n.op.weight_type.bits for n in graph.nodes if hasattr(n.op, "weight_type")]
    assert found == [5, 2]


WRONG = [
    ("[4]", "'network': Value error, weight_bits has 1 widths for 2 layers; give one each"),
    ("[4, 11]", "'network.weight_bits.1': Input should be less than or equal to 10; got 11"),
    ('["4", 4]', "'network.weight_bits.0': Input should be a valid integer; got '4'"),
    ('"4"', "'network.weight_bits': Input should be a valid integer; got '4'"),
    ("[]", "'network': Value error, weight_bits has 0 widths for 2 layers; give one each"),
]


@pytest.mark.parametrize(("bits", "message"), WRONG, ids=[bits for bits, _ in WRONG])
def test_widths_that_cannot_be_are_refused_with_their_key(bits, message, tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(GOOD.replace("weight_bits = 1", f"weight_bits = {bits}"))
    with pytest.raises(InputError) as caught:
        load_recipe(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_one_binary_layer_is_enough_to_refuse_a_method(tmp_path):
    path = tmp_path / "small.toml"
    text = GOOD.replace("weight_bits = 1", "weight_bits = [4, 1]")
    path.write_text(text + '[[method]]\nkind = "clipping"\nlimit = 0.1\n')
    with pytest.raises(InputError, match="clipping changes no sign"):
        load_recipe(path)


def plain(model, x, weights):
    """Logits with activations that clip but do not round, of other weights."""
    weights = iter(weights)
    for layer in list(model)[1:]:
        if isinstance(layer, qnn.QuantLinear | qnn.QuantConv2d):
            value = next(weights)
            if isinstance(layer, qnn.QuantLinear):
                x = nn.functional.linear(x, value)
            else:
                x = nn.functional.conv2d(x, value, None, layer.stride)
        elif isinstance(layer, qnn.QuantReLU):
            top = float(layer.act_quant.scale()) * (2 ** int(layer.act_quant.bit_width()) - 1)
            x = x.clamp(0, top)
        else:
            x = layer(x)
    return x


@pytest.mark.parametrize("network", [DENSE, STACK], ids=["dense", "stack"])
def test_no_logit_moves_farther_than_the_costs_say(network):
    most, generator = 0.0, torch.Generator().manual_seed(0)
    for seed in range(4):
        pixel = IntType(4)
        model = random_network(network, shape=(4, 4, 1), classes=3, pixel=pixel, seed=seed)
        model, known = model.double(), sensitivities(model.double())
        x = torch.randint(0, 16, (2000, 16), generator=generator).double()
        x = x.view(-1, 1, 4, 4) if network is STACK else x
        fine = [m.weight.detach() for m in model if hasattr(m, "quant_weight")]
        with torch.no_grad():
            logits = plain(model, x, fine)
            for widths in ((2, 8, 8), (8, 2, 8), (8, 8, 2), (3, 2, 4)):
                set_weight_widths(model, widths)
                coarse = [m.quant_weight().value for m in model if hasattr(m, "quant_weight")]
                moved = float((plain(model, x, coarse) - logits).abs().max())
                bound = sum(s.cost(bits) for s, bits in zip(known, widths, strict=True))
                assert moved <= bound
                most = max(most, moved / bound)
    assert most > 0.02


def test_constants_are_those_of_a_layer_worked_out_by_hand():
    model = random_network(DENSE, shape=(3,), classes=2, pixel=IntType(4), seed=1)
    first, second, last = (m for m in model if hasattr(m, "quant_weight"))
    norm, activation = model[2], model[3]
    found = sensitivities(model)
    gain = np.abs(norm.weight.detach().numpy()) / np.sqrt(norm.running_var.numpy() + norm.eps)
    sums = np.abs(first.weight.detach().numpy()).sum(axis=1)
    assert found[0].constant == pytest.approx((gain * sums).max(), rel=1e-5)
    assert found[0].push == pytest.approx(gain.max() * 3 * 15, rel=1e-5)
    assert found[1].behind == pytest.approx(found[2].constant)
    assert found[0].behind == pytest.approx(found[1].constant * found[2].constant)
    reach = float(activation.act_quant.scale()) * 7
    gain = (model[5].weight.abs() / torch.sqrt(model[5].running_var + model[5].eps)).detach()
    assert found[1].push == pytest.approx(float(gain.max()) * 5 * reach, rel=1e-5)
    largest = float(last.weight.detach().abs().max())
    assert found[2].cost(4) == pytest.approx(largest / 7 / 2 * found[2].push)
    assert (found[1].weights, second.weight.numel()) == (20, 20)


def test_binary_activations_have_no_constant():
    binary = DENSE.model_copy(update={"activation_bits": 1})
    model = random_network(binary, shape=(3,), classes=2, pixel=IntType(4), seed=1)
    with pytest.raises(InputError, match=r"^layer 3 \(QuantIdentity\): no Lipschitz constant"):
        sensitivities(model)


COSTS = st.lists(
    st.dictionaries(st.integers(1, 4), st.integers(0, 6).map(float), min_size=1),
    min_size=1,
    max_size=4,
)


@given(COSTS, st.lists(st.integers(1, 5), min_size=4, max_size=4), st.integers(0, 60))
def test_the_cheapest_widths_are_those_of_brute_force(costs, sizes, budget):
    sizes = sizes[: len(costs)]
    every = [
        (
            sum(choices[b] for choices, b in zip(costs, bits, strict=True)),
            sum(s * b for s, b in zip(sizes, bits, strict=True)),
            bits,
        )
        for bits in product(*costs)
    ]
    possible = [row for row in every if row[1] <= budget]
    if not possible:
        with pytest.raises(
            InputError,
            match=f"of {budget} bits: the layers need {min(every, key=lambda r: r[1])[1]};",
        ):
            cheapest(costs, sizes, budget=budget)
        return
    found = cheapest(costs, sizes, budget=budget)
    cost, used, _ = min(possible)
    assert sum(choices[b] for choices, b in zip(costs, found, strict=True)) == cost
    assert sum(s * b for s, b in zip(sizes, found, strict=True)) == used


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(
        GOOD.replace("weight_bits = 1\nactivation_bits = 1", "weight_bits = 3\nactivation_bits = 3")
        + '[[method]]\nkind = "clipping"\nlimit = 0.5\n'
    )
    return path


def test_widths_are_chosen_for_a_recipe_behind_a_kill_too(recipe, tmp_path):
    out = tmp_path / "mixed.toml"

    def kill(done, total):
        raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        choose_widths(recipe, out, data_root=tmp_path, least=2, most=8, progress=kill)
    assert (tmp_path / "mixed.toml.training" / "checkpoint.pt").exists()
    found = choose_widths(recipe, out, data_root=tmp_path, least=2, most=8)
    again = choose_widths(recipe, tmp_path / "b.toml", data_root=tmp_path, least=2, most=8)
    assert found == again
    assert found["budget"] == 3 * (64 * 8 + 80)
    assert found["stored_bits"] <= found["budget"]
    written, asked = load_recipe(out), load_recipe(recipe)
    assert list(written.network.widths) == found["weight_bits"]
    unlisted = written.network.model_copy(update={"weight_bits": 3})
    assert written.model_copy(update={"network": unlisted}) == asked
    assert not (tmp_path / "mixed.toml.training" / "checkpoint.pt").exists()

    fine = Recipe.model_validate(
        tomllib.loads(recipe.read_text().replace("weight_bits = 3", "weight_bits = 8"))
    )
    known = sensitivities(train(fine, load_dataset("digits", root=tmp_path)).model)
    possible = [
        (sum(s.cost(b) for s, b in zip(known, bits, strict=True)), bits)
        for bits in product(range(2, 9), repeat=2)
        if 512 * bits[0] + 80 * bits[1] <= found["budget"]
    ]
    assert tuple(found["weight_bits"]) == min(possible)[1]


def test_what_cannot_be_chosen_is_refused(bitproof, recipe, tmp_path):
    out = tmp_path / "m.toml"
    status, _, err = bitproof("widths", recipe, "-o", out, "--budget", "9")
    assert (status, err.splitlines()[-1]) == (
        2, "bitproof: error: a budget of 9 bits: the layers need 1184; give more",
    )  # fmt: skip
    status, _, err = bitproof("widths", recipe, "-o", out, "--least", "5", "--most", "4")
    assert (status, err.splitlines()[-1]) == (
        2, "bitproof: error: --least 5, --most 4: give 2 to 8, the least first",
    )  # fmt: skip
    status, _, err = bitproof("widths", recipe, "-o", tmp_path)
    assert (status, err.splitlines()[-1]) == (
        2, f"bitproof: error: {tmp_path}: a folder; name the file to write",
    )  # fmt: skip
    recipe.write_text(GOOD.replace('"fully-connected"\nhidden = [8]', '"cnv"'))
    status, _, err = bitproof("widths", recipe, "-o", out)
    assert status == 2
    assert "network 'cnv' has one width for all layers" in err.splitlines()[-1]
    assert not out.exists()
