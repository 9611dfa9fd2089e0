"""What a network decides in training, in qonnx and in integers, where float32 rounds its sums."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from flow.errors import ClaimError
from models import executed
from models.data import load_dataset
from models.executed import decided, execute_again, lower_bytes, lowered
from models.export import export
from models.networks import integer_logits
from models.recipe import FullyConnected, Recipe, Training
from models.train import train


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Sums of 300 products of 8 bits: beyond what a float32 holds to the unit."""
    recipe = Recipe(
        name="wide",
        dataset="digits",
        network=FullyConnected(
            kind="fully-connected", hidden=[300], weight_bits=8, activation_bits=8
        ),
        training=Training(epochs=1, batch=64, learning_rate=0.01, seed=0),
    )
    trained = train(recipe, load_dataset("digits", root=tmp_path_factory.mktemp("empty")))
    return trained, export(trained)


@torch.no_grad()
def test_logits_are_integers_although_float32_rounds_their_sums(wide):
    trained, blob = wide
    x = torch.tensor(trained.data.test_x, dtype=torch.float32).flatten(1)
    *_, activation, last = trained.model
    steps = trained.model(x).double().numpy()
    steps /= float(last.quant_weight().scale * activation.act_quant.scale())
    missed = abs(steps - trained.logits)
    assert 1 / 16 < missed.max() < 1e-6 * abs(trained.logits).max()
    found = decided(lowered(blob), trained)
    other = (found.logits != trained.logits).any(axis=1)
    assert other.sum() == found.moved < 10  # hidden activations that float32 moved by a level
    assert (missed[~other] <= found.error[~other]).all()


@torch.no_grad()
def test_logits_of_a_last_layer_that_is_not_linear_alone_are_refused(wide):
    trained, _ = wide
    *rest, last = trained.model
    x = torch.tensor(trained.data.test_x, dtype=torch.float32).flatten(1)
    with pytest.raises(ClaimError, match=r"^logits are no integers times \d"):
        integer_logits(torch.nn.Sequential(*rest, _Louder(last)), x)


class _Louder(torch.nn.Module):
    """A last layer whose logits are no integers of its weights and inputs."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.quant_weight = layer, layer.quant_weight

    def forward(self, x):
        return self.layer(x) * 1.01


def test_a_file_that_qonnx_executes_otherwise_is_refused(wide):
    trained, blob = wide
    whole = lower_bytes(blob)
    found = decided(whole.graph, trained)
    assert execute_again(blob, whole, trained, found).moved < 10
    with pytest.raises(
        ClaimError, match=r"^recipe 'wide': the file decides \d+ test images otherwise than the "
    ):
        execute_again(_negated(blob), whole, trained, found)


def test_what_qonnx_decides_by_rounding_is_looked_into_and_accepted(wide, monkeypatch):
    """A tie in all but the last bits of a float: the file itself is compared element by element."""
    trained, blob = wide
    whole = lower_bytes(blob)
    found = decided(whole.graph, trained)
    execute, seen = executed._execute, []

    def rounded(blob, x):
        logits = execute(blob, x)
        second = logits[:, 1:].argmax(axis=1) + 1
        np.put_along_axis(logits, second[:, None], logits.max(axis=1, keepdims=True) * 1.01, 1)
        return logits

    def agree(path, whole, x):
        seen.append(len(x))
        return agree_qonnx(path, whole, x)

    agree_qonnx = executed.agree_qonnx
    monkeypatch.setattr(executed, "_execute", rounded)
    monkeypatch.setattr(executed, "agree_qonnx", agree)
    again = execute_again(blob, whole, trained, found)
    assert again.moved > 10
    assert again.correct < found.correct  # as qonnx has it, although the graph has it otherwise
    assert seen == [(found.logits.argmax(axis=1) == 0).sum()]


def test_training_may_decide_one_image_otherwise_and_no_more(wide):
    trained, blob = wide
    graph = lowered(blob)
    assert decided(graph, trained).correct == trained.correct
    for images, holds in ((1, True), (2, False)):
        logits = decided(graph, trained).logits.copy()
        logits[:images] = np.roll(logits[:images], 1, axis=1)
        other = replace(trained, logits=logits)
        if holds:
            assert decided(graph, other).moved == images
            continue
        with pytest.raises(ClaimError, match="the exported file decides 2 of 360 test images"):
            decided(graph, other)


def _negated(blob):
    """The file with the weights of its last layer negated."""
    model = onnx.load_from_string(blob)
    last = next(n for n in model.graph.node if n.output[0] == model.graph.node[-1].input[1])
    stored = next(i for i in model.graph.initializer if i.name == last.input[0])
    turned = -onnx.numpy_helper.to_array(stored)
    stored.CopyFrom(onnx.numpy_helper.from_array(turned, stored.name))
    return model.SerializeToString()
