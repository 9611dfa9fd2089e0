"""Training with bit errors: the codes are those the exported graph stores, flipped."""

import numpy as np
import pytest
import torch

from flow.engine import BatchedEngine
from flow.ir import Fault, IntType
from flow.ops import MatVec
from models.bit_errors import random_mask, random_masks, struck, struck_codes
from models.data import load_dataset
from models.executed import lowered
from models.export import export
from models.layers import weighted
from models.methods.randbet import RandBET
from models.methods.wcat import WCAT
from models.networks import floats
from models.objective import Batch, Objective
from models.recipe import Recipe
from models.train import train


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return load_dataset("digits", root=tmp_path_factory.mktemp("empty"))


def trained(digits, bits, epochs=1, *methods):
    network = {"kind": "fully-connected", "hidden": [12], "weight_bits": bits}
    recipe = {
        "name": "tiny",
        "dataset": "digits",
        "network": network | {"activation_bits": 4},
        "training": {"epochs": epochs, "batch": 64, "learning_rate": 0.01, "seed": 1},
        "method": list(methods),
    }
    return train(Recipe.model_validate(recipe), digits)


@pytest.mark.parametrize("bits", range(1, 11))
def test_a_struck_code_is_what_memory_reads_back(bits):
    kind = IntType.bipolar1() if bits == 1 else IntType(bits, signed=True)
    rng = np.random.default_rng(bits)
    values = np.array([-1, 1]) if bits == 1 else np.arange(kind.code_lo, kind.code_hi + 1)
    masks = rng.integers(0, 1 << bits, values.shape)
    wanted = kind.decode(kind.encode(values) ^ masks)
    found = struck_codes(torch.from_numpy(values), torch.from_numpy(masks), bits)
    np.testing.assert_array_equal(found.numpy(), wanted)


@pytest.mark.parametrize("bits", [1, 4, 10])
def test_a_struck_model_computes_what_the_exported_graph_computes_with_those_bits_flipped(
    bits, digits
):
    found = trained(digits, bits)
    graph = lowered(export(found))
    torch.manual_seed(bits)
    masks = random_masks(found.model, 0.1)
    nodes = [node for node in graph.nodes if isinstance(node.op, MatVec)]
    faults = [
        Fault(node.name, "weights", tuple(map(int, index)), bit)
        for node, mask in zip(nodes, masks, strict=True)
        for bit in range(bits)
        for index in np.argwhere(mask.numpy() >> bit & 1)
    ]
    assert faults
    x = digits.test_x.reshape(len(digits.test_x), -1)
    wanted = BatchedEngine(graph).run_edges(x, (graph.logits,), faults)[graph.logits]
    with torch.no_grad(), struck(found.model, masks):
        logits = found.model(floats(found.recipe.network, digits.test_x)).double().numpy()
        *_, activation, last = found.model
        steps = logits / float(activation.act_quant.scale() * last.quant_weight().scale)
    np.testing.assert_allclose(steps, wanted, rtol=0, atol=1 / 16)
    assert (wanted != found.logits).any()


@pytest.mark.parametrize(("bits", "rate"), [(1, 0.3), (8, 0.01), (8, 0.5)])
def test_bits_are_struck_at_the_stated_rate_in_every_place(bits, rate):
    torch.manual_seed(0)
    mask = random_mask((400, 300), bits, rate).numpy()
    shares = [(mask >> bit & 1).mean() for bit in range(bits)]
    spread = (rate * (1 - rate) / mask.size) ** 0.5
    assert np.abs(np.array(shares) - rate).max() < 5 * spread
    assert mask.max() < 1 << bits


def test_struck_weights_leave_no_trace(digits):
    model = trained(digits, 4).model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with struck(model, random_masks(model, 0.2)):
        model(floats_of(digits)).sum().backward()
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm1d)]
    assert all(m.training and m.track_running_stats for m in norms)
    assert all((value == before[name]).all() for name, value in model.state_dict().items())
    assert all("inner_forward_impl" not in vars(layer) for layer in weighted(model))
    assert all(layer.weight.grad.abs().sum() > 0 for layer in weighted(model))


def floats_of(digits):
    return torch.tensor(digits.train_x[:50], dtype=torch.float32).flatten(1)


class Counted(Objective):
    """A loss of 1, then 3, and how often it was asked."""

    def __init__(self):
        self.asked = []

    def loss(self, model, batch, *, done):
        self.asked.append("inner_forward_impl" in vars(weighted(model)[0]))
        return torch.tensor(1.0 if len(self.asked) == 1 else 3.0)


@pytest.mark.parametrize(
    ("start", "wanted", "asked"), [(1.5, 2.0, [False, True]), (1.0, 1.0, [False])]
)
def test_errors_begin_where_the_clean_loss_is_low_enough(start, wanted, asked, digits):
    model, inner = trained(digits, 4).model, Counted()
    objective = RandBET(kind="randbet", rate=0.1, start=start).around(inner, None)
    assert objective.loss(model, Batch(floats_of(digits), None), done=0.0).item() == wanted
    assert inner.asked == asked


@pytest.mark.slow
def test_training_with_errors_makes_errors_less_harmful(digits):
    def hurt(found):
        torch.manual_seed(9)
        x, wrong = floats(found.recipe.network, digits.test_x), 0
        for _ in range(20):
            with torch.no_grad(), struck(found.model, random_masks(found.model, 0.1)):
                wrong += int((found.model(x).argmax(1).numpy() != digits.test_y).sum())
        return wrong

    clipping = {"kind": "clipping", "limit": 0.125}
    clipped = hurt(trained(digits, 4, 12, clipping))
    assert clipped < hurt(trained(digits, 4, 12))
    assert hurt(trained(digits, 4, 12, clipping, {"kind": "randbet", "rate": 0.1})) < clipped


def test_a_learned_range_follows_its_border_and_its_decay(digits):
    model = trained(digits, 4).model
    objective = WCAT(kind="wcat", limit=0.125, decay=0.25).around(Objective(), None)
    objective.prepare(model)
    layer = weighted(model)[0]
    assert float(layer.weight.detach().abs().max()) == 0.125
    for each in weighted(model):
        each.weight.grad = torch.zeros_like(each.weight)
    with torch.no_grad():
        layer.weight.clamp_(-0.1, 0.1)
        layer.weight[0, :3] = torch.tensor([0.125, -0.125, 0.0625])
        layer.weight.grad[0, :3] = torch.tensor([1.0, 5.0, 7.0])
    objective.before_step(model, done=0.0)
    assert layer.range.grad.item() == 1 - 5 + 2 * 0.25 * 0.125
    with torch.no_grad():
        layer.range.fill_(-1.0)
    objective.after_step(model, done=0.0)
    assert 0 < float(layer.weight.detach().abs().max()) <= float(layer.range.detach()) < 0.01
    objective.finish(model)
    assert not hasattr(layer, "range")
