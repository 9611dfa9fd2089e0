"""How far rounding each layer's weights can move the logits, by Lipschitz constants.

After the layer-wise adversarial-aware quantization of arXiv 2110.12308, of which we have the
abstract: settings per layer follow Lipschitz constants. The norm, the bound and the exact choice
under a budget of bits are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from flow.errors import InputError
from models.brevitas_api import qnn
from models.layers import input_type

Costs = Sequence[dict[int, float]]  # of each layer, by the bits of its weights


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """One layer of a trained network; values in its own units, sizes by their largest element."""

    weights: int
    largest: float  # weight
    push: float  # of its normalised sums, by a move of 1 of every weight
    constant: float  # Lipschitz constant of product and BatchNorm
    behind: float  # product of the constants of the layers behind

    def cost(self, bits: int) -> float:
        """No logit moves farther when the weights are rounded to ``bits`` bits, 2 or more."""
        return self.largest / (2 ** (bits - 1) - 1) / 2 * self.push * self.behind


@torch.no_grad()
def sensitivities(model: nn.Sequential) -> list[Sensitivity]:
    """Of each layer with weights, in order, of a chain in evaluation mode.

    Inputs of a layer are taken anywhere in the range of the quantizer in front of it. For all such
    inputs, and activations that clip but do not round, no logit moves by more than the sum of
    the layers' costs when all weights are rounded.

    Raises:
        InputError: the network has a layer of another kind, or binary activations, which jump.
    """
    gains, reach, found = _gains(model), float(input_type(model).hi), []
    for at, layer in enumerate(model):
        if isinstance(layer, qnn.QuantLinear | qnn.QuantConv2d):
            sums = layer.weight.detach().abs().flatten(1).sum(dim=1)
            gain = gains.get(at, torch.ones_like(sums))
            each = layer.weight[0].numel()
            found.append((
                layer.weight.numel(), float(layer.weight.abs().max()),
                float(gain.max()) * each * reach, float((gain * sums).max()),
            ))  # fmt: skip
        elif isinstance(layer, qnn.QuantReLU):
            quantizer = layer.act_quant
            reach = float(quantizer.scale()) * (2 ** int(quantizer.bit_width()) - 1)
        elif at and not isinstance(layer, _SHORT):
            raise InputError(
                f"layer {at} ({type(layer).__name__}): no Lipschitz constant of it here; choose "
                "dense layers and convolutions with activations of 2 bits or more"
            )
    behind, whole = 1.0, []
    for *known, constant in reversed(found):
        whole.append(Sensitivity(*known, constant, behind))
        behind *= constant
    return whole[::-1]


_SHORT = (nn.Flatten, nn.MaxPool2d, nn.Identity, nn.ConstantPad2d, nn.BatchNorm1d, nn.BatchNorm2d)


def _gains(model: nn.Sequential) -> dict[int, torch.Tensor]:
    """By the place of a product, the sizes of the gains that BatchNorm behind it has."""
    found = {}
    for at, layer in enumerate(model):
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            found[at - 1] = (layer.weight / torch.sqrt(layer.running_var + layer.eps)).abs()
    return found


def cheapest(costs: Costs, sizes: Sequence[int], *, budget: int) -> tuple[int, ...]:
    """The bits of each layer with the least sum of costs, ``sum(size * bits) <= budget``.

    Exact: layer by layer, choices are dropped only for others that neither cost nor use more. Of
    equal sums the one with fewer bits, then with fewer in the first layers.

    Raises:
        InputError: no choice is within the budget.
    """
    front: list[tuple[float, int, tuple[int, ...]]] = [(0.0, 0, ())]
    for choices, size in zip(costs, sizes, strict=True):
        longer = sorted(
            (cost + more, used + size * bits, (*widths, bits))
            for cost, used, widths in front
            for bits, more in choices.items()
            if used + size * bits <= budget
        )
        front, least = [], budget + 1
        for one in longer:  # by cost: keep what uses fewer bits than all that cost no more
            if one[1] < least:
                front.append(one)
                least = one[1]
    if not front:
        fewest = sum(size * min(choices) for choices, size in zip(costs, sizes, strict=True))
        raise InputError(f"a budget of {budget} bits: the layers need {fewest}; give more")
    return front[0][2]
