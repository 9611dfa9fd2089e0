"""How far the weights of one layer may move before a training image can lose its label.

The weight-perturbation radius of Weng et al., AAAI 2020, by intervals and in floats, on the network
as it is trained: a guide for quantization. What is certified is computed again in integers, on the
graph that is lowered from the exported file (``flow.certify.certify_weights``).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.brevitas_api import qnn
from models.intervals import Interval, margins, through
from models.layers import weighted
from models.objective import Batch

_TIE = 1e-5  # of the largest logit: a lead as small is float rounding of a tie
_HALVINGS = 16  # of the interval that the radius lies in: from the largest weight to 2**-15 of it


@torch.no_grad()
def mean_radii(model: nn.Sequential, batch: Batch) -> list[float]:
    """For each layer with weights, in order, the mean of :func:`radii` over the batch."""
    return [float(radii(model, batch, layer).double().mean()) for layer in weighted(model)]


@torch.no_grad()
def radii(model: nn.Sequential, batch: Batch, layer: nn.Module) -> Tensor:
    """(batch,): moves of at most so much, of every weight of ``layer``, leave an image its label.

    In units of the weights; 0 for an image that is misclassified, at most twice the largest
    weight. The network is taken as it is in evaluation mode, BatchNorm's statistics included;
    every other layer keeps its weights. Images are exact in front of ``layer``, so the bound is
    exact for the last layer and for the one before it, sound for the others.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        return _bisected(model, batch, layer)
    finally:
        for module, training in modes:
            module.training = training


def _bisected(model: nn.Sequential, batch: Batch, layer: nn.Module) -> Tensor:
    at = list(model).index(layer)
    x = model[:at](batch.x)
    most = 2 * layer.quant_weight().value.abs().max()
    low, high = torch.zeros(len(batch)).to(x), most.expand(len(batch)).clone()
    tie = _TIE * model(batch.x).abs().amax(dim=1)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        held = _least_lead(model, at, x, middle, batch.y) > tie
        low, high = torch.where(held, middle, low), torch.where(held, high, middle)
    return low


def _least_lead(model: nn.Sequential, at: int, x: Tensor, moves: Tensor, y: Tensor) -> Tensor:
    """Below the lead of each label over every other class, weights of layer ``at`` moved."""
    own = functional.one_hot(y, len(model[-1].weight)).bool()
    mass = _mass(model[at], x)  # how far a sum moves for a move of 1
    if at == len(model) - 1:  # the rows of label and rival move apart
        lead = margins(model, Interval(x, x), y) - 2 * moves[:, None] * mass
    else:
        middle, width = model[at](x), moves.view(-1, *[1] * (mass.ndim - 1)) * mass
        box = Interval(middle - width, middle + width)
        for layer in list(model)[at + 1 : -1]:
            box = through(layer, box, {})
        lead = margins(model, box, y)
    return lead.masked_fill(own, torch.inf).min(dim=1).values


def _mass(layer: Any, x: Tensor) -> Tensor:
    """The sum of sizes of the inputs that each output of ``layer`` reads."""
    ones = torch.ones_like(layer.weight)
    if isinstance(layer, qnn.QuantLinear):
        return functional.linear(x.abs(), ones)
    return functional.conv2d(
        x.abs(), ones, None, layer.stride, layer.padding, layer.dilation, layer.groups
    )
