"""How many bits the weights of each layer have, as training may change them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.layers import weighted


def weight_widths(model: nn.Module) -> list[int]:
    """The bits of the weights of each layer, in order."""
    return [int(layer.weight_quant.bit_width()) for layer in weighted(model)]


@torch.no_grad()
def set_weight_widths(model: nn.Module, widths: Sequence[int]) -> None:
    """From now on the layers' weights are rounded to so many bits, at least 2, by the same rule.

    No state of a model has it: Brevitas makes quantizers anew, of the widths they were built with,
    whenever a state is loaded. Whoever changes widths does so before every step.
    """
    for layer, bits in zip(weighted(model), widths, strict=True):
        layer.weight_quant.tensor_quant.msb_clamp_bit_width_impl.bit_width.value.fill_(bits)


@torch.no_grad()
def normalised_anew(model: nn.Sequential, x: Tensor, *, size: int) -> None:
    """BatchNorm's statistics become those of ``x`` (in batches of ``size``); nothing else moves."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all batches
        norm.train()
    for part in x.split(size):
        if len(part) > 1:
            model(part)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()
