"""Last layers that Brevitas exports: qonnx, finn-base, engine and graph agree on every logit."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from flow.agreement import agree_finn, agree_qonnx
from flow.attack import bfa
from flow.campaign.model import evaluate_faults
from flow.certify import (
    StoredBits,
    certify_bits,
    certify_input,
    certify_pixel,
    check,
    save_certificates,
    single_flips,
)
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.export import export_finn
from flow.ingest import lower
from flow.ir import IntType
from flow.ops import Add, ArgMax, MatVec, Threshold
from flow.schedule import make_plan
from models.brevitas_api import (
    Int8WeightPerTensorFloat,
    SignedBinaryActPerTensorConst,
    SignedBinaryWeightPerTensorConst,
    Uint8ActPerTensorFloat,
    export_qonnx,
    qnn,
)

INPUTS, CLASSES = 12, 5


def linear(columns, rows, bits, *, per_class=False, bias=False):
    if bits == 1:
        return qnn.QuantLinear(
            columns, rows, bias=bias, weight_quant=SignedBinaryWeightPerTensorConst
        )
    return qnn.QuantLinear(
        columns, rows, bias=bias, weight_quant=Int8WeightPerTensorFloat, weight_bit_width=bits,
        weight_scaling_per_output_channel=per_class,
    )  # fmt: skip


def activation(bits):
    if bits == 1:
        return qnn.QuantIdentity(act_quant=SignedBinaryActPerTensorConst)
    return qnn.QuantReLU(act_quant=Uint8ActPerTensorFloat, bit_width=bits)


def pixels(bits):
    return qnn.QuantIdentity(
        act_quant=Uint8ActPerTensorFloat, bit_width=bits, scaling_impl_type="const",
        scaling_init=float(2**bits - 1),
    )  # fmt: skip


ENDS = {
    "a bias": lambda bits: [linear(16, CLASSES, bits, bias=True)],
    "scales of each class": lambda bits: [linear(16, CLASSES, bits, per_class=True)],
    "both": lambda bits: [linear(16, CLASSES, bits, per_class=True, bias=True)],
    "BatchNorm": lambda bits: [linear(16, CLASSES, bits), nn.BatchNorm1d(CLASSES)],
    "one norm for all": lambda bits: [
        linear(16, CLASSES, bits),
        nn.Unflatten(1, (1, CLASSES)),
        nn.BatchNorm1d(1),
        nn.Flatten(),
    ],
}

NETWORKS = [
    ("a bias", 1), ("scales of each class", 3), ("both", 3), ("BatchNorm", 1), ("BatchNorm", 3),
    ("one norm for all", 1),
]  # fmt: skip


def exported(end, bits, path):
    torch.manual_seed(3)
    model = nn.Sequential(
        pixels(4), linear(INPUTS, 16, bits), nn.BatchNorm1d(16), activation(bits), *ENDS[end](bits)
    )
    model.train()
    for _ in range(3):  # scales of activations and statistics of norms
        model(torch.randint(0, 16, (64, INPUTS)).float())
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm1d)):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    model.eval()
    return save_qonnx(model, torch.zeros(1, INPUTS), path)


def save_qonnx(model, example, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export_qonnx(model, args=example, export_path=str(path))
    return path


@pytest.fixture(scope="module", params=NETWORKS, ids=str)
def network(request, tmp_path_factory):
    end, bits = request.param
    path = exported(end, bits, tmp_path_factory.mktemp("end") / "net.onnx")
    lowered = lower(path)
    x = np.random.default_rng(1).integers(0, 16, (200, INPUTS))
    return request.param, path, lowered, x


def test_logits_and_classes_are_those_of_the_file(network, tmp_path):
    (end, _), path, lowered, x = network
    found = agree_qonnx(path, lowered, x)
    assert (found.mismatches, found.logit_mismatches, found.class_mismatches) == (0, 0, 0)
    graph = lowered.graph
    kinds = [type(node.op) for node in graph.nodes]
    plain = [MatVec, Threshold, MatVec, ArgMax]
    assert kinds == (plain if end == "one norm for all" else [*plain[:3], Add, ArgMax])


def test_a_moved_offset_is_another_class(network):
    _, path, lowered, x = network
    graph = lowered.graph
    if not isinstance(graph.nodes[-2].op, Add):
        return
    op = graph.nodes[-2].op
    high = op.offset.max() + 50 * abs(op.multipliers).max()
    moved = replace(op, offset=[high, *op.offset[1:]], accumulator=IntType(40, True))
    other = graph.map(lambda n: replace(n, op=moved) if n.op is op else n)
    found = agree_qonnx(path, replace(lowered, graph=other), x)
    assert (found.mismatches, found.logit_mismatches) == (0, 0)
    assert found.class_mismatches == int((other.evaluate(x) != graph.evaluate(x)).sum()) > 0


def test_finn_agrees_or_an_inexact_float_is_refused_by_name(network, tmp_path):
    case, _, lowered, x = network
    graph = lowered.graph
    if case == ("BatchNorm", 3):
        with pytest.raises(InputError, match=r"^node 'logits0': logits to \d+ are not exact in"):
            export_finn(graph, tmp_path / "finn.onnx")
        return
    export_finn(graph, tmp_path / "finn.onnx")
    found = agree_finn(tmp_path / "finn.onnx", graph, x)
    assert (found.mismatches, found.logit_mismatches, found.class_mismatches) == (0, 0, 0)
    again = lower(tmp_path / "finn.onnx", input_type=str(graph.input_edge.type)).graph
    np.testing.assert_array_equal(again.evaluate(x), graph.evaluate(x))


def test_every_stage_takes_it_or_names_the_node(network, tmp_path):
    _, _, lowered, x = network
    graph, few = lowered.graph, x[:6]
    np.testing.assert_array_equal(BatchedEngine(graph).run(x), graph.evaluate(x))
    y = graph.evaluate(few)
    for found in (
        certify_input(graph, few, y=y, radius=1),
        certify_pixel(graph, few, y=y, radius=2),
        certify_bits(single_flips(graph, few, y=y), few, y=y),
    ):
        save_certificates(found, tmp_path / "c.json")
        checked = check(tmp_path / "c.json", graph, few, y)
        assert checked.boxes + checked.witnesses + checked.enumerated >= found.proved
    attacked = bfa(
        graph,
        x[:60],
        graph.evaluate(x[:60]),
        budget=3,
        seed=0,
        evaluate_on=(x[60:], graph.evaluate(x[60:])),
    )
    assert attacked.steps[0].loss > attacked.clean_loss
    flips = [StoredBits.of(graph).fault(k) for k in range(0, 300, 7)]
    answers = evaluate_faults(graph, few, [(fault,) for fault in flips])
    for fault, logits in zip(flips, answers.logits, strict=True):
        np.testing.assert_array_equal(logits, graph.evaluate_all(few, [fault])[graph.logits])
    make_plan(graph)


class Pooled(nn.Module):
    """Convolution, then a global pool of another: logits (N, C, 1, 1), flattened or not."""

    def __init__(self, *, flat):
        super().__init__()
        few = {"weight_quant": Int8WeightPerTensorFloat, "weight_bit_width": 3}
        self.start = pixels(4)
        self.first = qnn.QuantConv2d(2, 6, 3, bias=True, **few)
        self.act = activation(3)
        more = {"weight_scaling_per_output_channel": True, **few}
        self.last = qnn.QuantConv2d(6, CLASSES, 1, bias=True, **more)
        self.end = qnn.QuantIdentity(
            act_quant=Uint8ActPerTensorFloat, bit_width=6, return_quant_tensor=False
        )
        self.flat = flat

    def forward(self, x):
        x = self.end(self.last(self.act(self.first(self.start(x)))))
        x = nn.functional.adaptive_avg_pool2d(x, 1)
        return x.flatten(1) if self.flat else x


@pytest.mark.parametrize("flat", [False, True])
def test_a_convolutional_network_ends_in_a_global_pool(flat, tmp_path):
    torch.manual_seed(1)
    model = Pooled(flat=flat)
    model.train()
    for _ in range(3):
        model(torch.randint(0, 16, (16, 2, 5, 5)).float())
    model.eval()
    path = save_qonnx(model, torch.zeros(1, 2, 5, 5), tmp_path / "net.onnx")
    lowered = lower(path)
    x = np.random.default_rng(1).integers(0, 16, (100, 5, 5, 2))
    found = agree_qonnx(path, lowered, x)
    assert (found.mismatches, found.logit_mismatches, found.class_mismatches) == (0, 0, 0)
    assert found.excused <= 1


def test_a_convolution_with_scales_and_biases_of_each_class_ends_the_network(tmp_path):
    torch.manual_seed(2)
    few = {"weight_quant": Int8WeightPerTensorFloat, "weight_bit_width": 3, "bias": True}
    model = nn.Sequential(
        pixels(4), qnn.QuantConv2d(2, 6, 3, **few), activation(3),
        qnn.QuantConv2d(6, CLASSES, 3, weight_scaling_per_output_channel=True, **few),
    )  # fmt: skip
    model.train()
    for _ in range(3):
        model(torch.randint(0, 16, (16, 2, 5, 5)).float())
    model.eval()
    path = save_qonnx(model, torch.zeros(1, 2, 5, 5), tmp_path / "net.onnx")
    lowered = lower(path)
    assert isinstance(lowered.graph.nodes[-2].op, Add)
    x = np.random.default_rng(1).integers(0, 16, (100, 5, 5, 2))
    found = agree_qonnx(path, lowered, x)
    assert (found.mismatches, found.logit_mismatches, found.class_mismatches) == (0, 0, 0)
