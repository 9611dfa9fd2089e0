"""Sampled multi-bit weight faults on TFC-w1a1: (image, fault) pairs per second, beside the tools.

python -m tests.bench.strikes [--flips 8] [--images 1000] [--faults 400] [--tools FOLDER]

FOLDER holds MRFI and PyTorchFI (``pip install --no-deps --target FOLDER MRFI pytorchfi``). Both run
a float twin of the network in torch whose logits equal the integer graph's; every fault is one
forward pass of all images in one batch, which is the fastest way to use them. All run the same
faults on the same images in this process, on one thread, and must agree on every class. Seconds are
the processor's, so that other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from flow.campaign import FaultList
from flow.campaign.model import StruckModel
from flow.certify.stored_bits import StoredBits
from flow.ops import MatVec, Threshold
from tests.bench.finn_networks import tfc


class Popcount(nn.Module):
    """How many of the products are +1."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.columns = columns

    def forward(self, x):
        return (x + self.columns) / 2


class Levels(nn.Module):
    """A threshold activation with one step: -1 or +1."""

    def __init__(self, op: Threshold) -> None:
        super().__init__()
        self.register_buffer("limit", torch.tensor(op.thresholds[:, 0]).float())
        self.register_buffer("sign", torch.tensor(op.sign).float())

    def forward(self, x):
        return torch.where(x >= self.limit, self.sign, -self.sign)


def twin(graph) -> nn.Sequential:
    """The network in floats; sums stay below 2**24, so every value is the graph's integer."""
    layers: list[nn.Module] = []
    for node in graph.nodes:
        if isinstance(node.op, MatVec):
            layer = nn.Linear(node.op.weights.shape[1], node.op.weights.shape[0], bias=False)
            layer.weight = nn.Parameter(torch.tensor(node.op.weights).float(), requires_grad=False)
            layers.append(layer)
            if node.op.popcount:
                layers.append(Popcount(node.op.weights.shape[1]))
        elif isinstance(node.op, Threshold):
            layers.append(Levels(node.op))
    return nn.Sequential(*layers).eval()


def weight_faults(graph, count: int, flips: int) -> FaultList:
    """``count`` sets of ``flips`` distinct weight bits, uniform over all weights."""
    bits = StoredBits.of(graph)
    stored = np.concatenate(
        [np.arange(b.first, b.first + b.size) for b in bits.blocks if b.parameter == "weights"]
    )
    rng = np.random.default_rng(0)
    drawn = [np.sort(rng.choice(stored, flips, replace=False)) for _ in range(count)]
    return FaultList.assemble(
        graph, model="multiple", sizes=np.full(count, flips), position=np.concatenate(drawn)
    )


def by_torch(model, x, faults, layers):
    """What both tools do at their core: copy the weights, change them, run the whole batch."""
    for strike in faults:
        kept = [layer.weight.clone() for layer in layers]
        for number, row, column in strike:
            layers[number].weight[row, column] *= -1
        yield model(x).argmax(dim=1)
        for layer, weight in zip(layers, kept, strict=True):
            layer.weight = nn.Parameter(weight, requires_grad=False)


def by_pytorchfi(model, x, faults, layers):
    """PyTorchFI's weight injection: a copy of the model for every fault."""
    from pytorchfi.core import fault_injection

    injector = fault_injection(
        model, len(x), input_shape=[x.shape[1]], layer_types=[nn.Linear], use_cuda=False
    )
    for strike in faults:
        number, row, column = (list(part) for part in zip(*strike, strict=True))
        none = [None] * len(strike)  # a weight matrix has two axes, the tool's index four
        broken = injector.declare_weight_fi(
            layer_num=number, k=row, dim1=column, dim2=none, dim3=none,
            function=lambda weight, index: -weight[index],
        )  # fmt: skip
        yield broken(x).argmax(dim=1)


def by_mrfi(model, x, faults, layers):
    """MRFI's weight injection: fixed positions, set anew for every fault."""
    from mrfi import MRFI, EasyConfig
    from mrfi.mrfi import add_function

    add_function("Negate", lambda values: -values)
    rule = {
        "type": "weight",
        "selector": {"method": "FixPositions", "positions": []},
        "error_mode": {"method": "Negate"},
        "module_type": ["Linear"],
    }
    injector = MRFI(model, EasyConfig({"faultinject": [rule]}))
    places = [layer.FI_config.weights[0].selector.args for layer in layers]
    for strike in faults:
        for number, layer in enumerate(layers):
            columns = layer.weight.shape[1]
            places[number].positions = sorted(
                row * columns + column for at, row, column in strike if at == number
            )
        yield injector(x).argmax(dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("flips", 8), ("images", 1000), ("faults", 400), ("slow", 40)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--tools", type=Path)
    options = parser.parse_args()
    if options.tools is not None:
        sys.path.append(str(options.tools))
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    graph = tfc().graph
    shape = (options.images, *graph.input_edge.shape)
    images = np.random.default_rng(1).choice([-1, 1], shape)
    faults = weight_faults(graph, options.faults, options.flips)
    model = StruckModel(graph, images)
    model.struck(faults.part(0, 2))
    start = time.process_time()
    ours = model.struck(faults)
    classes_of_ours = ours.classes
    rate = options.faults * options.images / (time.process_time() - start)
    print(f"bitproof: {rate:,.0f} pairs/s, logits shared between equal pairs", flush=True)
    net, x = twin(graph), torch.tensor(images).float()
    assert np.array_equal(net(x).numpy(), model.clean.logits)
    layers = [layer for layer in net if isinstance(layer, nn.Linear)]
    names = [node.name for node in graph.nodes if isinstance(node.op, MatVec)]
    few = [
        [(names.index(fault.node), *fault.index) for fault in faults[k]]
        for k in range(min(options.slow, options.faults))
    ]
    ways = [("clone, flip, forward", by_torch)]
    if options.tools is not None:
        ways += [("PyTorchFI", by_pytorchfi), ("MRFI", by_mrfi)]
    for name, way in ways:
        start = time.process_time()
        found = list(way(net, x, few, layers))
        seconds = time.process_time() - start
        for classes, wanted in zip(found, classes_of_ours, strict=False):
            assert np.array_equal(classes.numpy(), wanted), name
        theirs = len(few) * options.images / seconds
        print(f"{name}: {theirs:,.0f} pairs/s; bitproof {rate / theirs:.0f} times", flush=True)


if __name__ == "__main__":
    main()
