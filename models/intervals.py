"""Intervals through a quantized network as it is trained, in floats, with gradients.

For training and for scores only: what is certified is computed again in integers, on the graph that
is lowered from the exported file (``flow.certify``). Quantizers pass gradients straight through, as
they do in plain training.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.brevitas_api import qnn
from models.growth import Gate
from models.layers import input_type

Statistics = dict[nn.Module, tuple[Tensor, Tensor]]  # mean and variance of each BatchNorm's input

_MONOTONE = (nn.Flatten, nn.ConstantPad2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d, nn.Identity)
_ACTIVATIONS = (qnn.QuantReLU, qnn.QuantIdentity)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


@dataclass(frozen=True, slots=True, eq=False)
class Interval:
    """``lo <= v <= hi`` elementwise."""

    lo: Tensor
    hi: Tensor

    @property
    def width(self) -> Tensor:
        """The mean of ``hi - lo``."""
        return (self.hi - self.lo).mean()


def known_to(model: nn.Sequential) -> bool:
    """Whether every layer has an interval rule here."""
    known = (*_MONOTONE, *_ACTIVATIONS, *_NORMS, qnn.QuantLinear, qnn.QuantConv2d, Gate)
    return all(isinstance(layer, known) for layer in model)


@contextmanager
def clean_statistics(model: nn.Sequential) -> Iterator[Statistics]:
    """What BatchNorm normalises by in the forward passes made inside: the batch's own statistics.

    Intervals are normalised by them too (after Shi et al., 2021): those of the ends would be of
    another function than the one that is exported.
    """
    found: Statistics = {}

    def note(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        around = [0, *range(2, inputs[0].ndim)]
        found[layer] = (inputs[0].mean(around), inputs[0].var(around, unbiased=False))

    norms = [layer for layer in model if isinstance(layer, _NORMS)]
    hooks = [layer.register_forward_pre_hook(note) for layer in norms]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def input_interval(model: nn.Sequential, x: Tensor, radius: float) -> Interval:
    """All inputs within ``radius`` of ``x``, within the range of the pixels."""
    kind = input_type(model)
    return Interval((x - radius).clamp(min=kind.lo), (x + radius).clamp(max=kind.hi))


def hidden(
    model: nn.Sequential, box: Interval, statistics: Statistics | None = None
) -> list[Interval]:
    """The interval behind each activation; the last is what the last product reads.

    BatchNorm takes ``statistics`` of the clean batch, or its running ones.
    """
    found, known = [], statistics or {}
    for layer in list(model)[1:-1]:
        box = through(layer, box, known)
        if isinstance(layer, _ACTIVATIONS):
            found.append(box)
    if not found or box is not found[-1]:
        found.append(box)  # a Flatten behind the last activation
    return found


def margins(model: nn.Sequential, box: Interval, y: Tensor) -> Tensor:
    """(batch, classes): below the lead of label ``y`` over each class, 0 over itself.

    The last product is fused with the comparison: rows are differences of its rows.
    """
    weights = model[-1].quant_weight().value
    rows = weights[y][:, None, :] - weights  # (batch, classes, inputs)
    centre, radius = (box.hi + box.lo) / 2, (box.hi - box.lo) / 2
    lead: Tensor = (rows * centre[:, None, :]).sum(2) - (rows.abs() * radius[:, None, :]).sum(2)
    return lead


def through(layer: nn.Module, box: Interval, statistics: Statistics) -> Interval:
    """The interval behind one layer."""
    if isinstance(layer, qnn.QuantLinear | qnn.QuantConv2d):
        weights = layer.quant_weight().value
        middle = _product(layer, (box.hi + box.lo) / 2, weights)
        radius = _product(layer, (box.hi - box.lo) / 2, weights.abs())
        return Interval(middle - radius, middle + radius)
    if isinstance(layer, _NORMS):
        return _normalised(layer, box, statistics)
    if isinstance(layer, _ACTIVATIONS):
        return _quantized(layer, box)
    if isinstance(layer, Gate):  # a new draw at each end would be of two networks
        return Interval(layer.again(box.lo), layer.again(box.hi))
    return Interval(layer(box.lo), layer(box.hi))


def _product(layer: Any, values: Tensor, weights: Tensor) -> Tensor:
    if isinstance(layer, qnn.QuantLinear):
        return functional.linear(values, weights)
    return functional.conv2d(
        values, weights, None, layer.stride, layer.padding, layer.dilation, layer.groups
    )


def _normalised(layer: Any, box: Interval, statistics: Statistics) -> Interval:
    mean, variance = statistics.get(layer, (layer.running_mean, layer.running_var))
    gain = layer.weight / torch.sqrt(variance + layer.eps)
    shape = [1, -1, *[1] * (box.lo.ndim - 2)]
    gain, shift = gain.view(shape), (layer.bias - mean * gain).view(shape)
    ends = box.lo * gain + shift, box.hi * gain + shift
    return Interval(torch.minimum(*ends), torch.maximum(*ends))


def _quantized(layer: nn.Module, box: Interval) -> Interval:
    """Both ends; not counted by a scale that still collects statistics of clean activations."""
    was = layer.training
    layer.eval()
    found = Interval(layer(box.lo), layer(box.hi))
    layer.train(was)
    return found
