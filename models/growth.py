"""Channels that open and close while a binary network is trained: Gumbel-Sigmoid gates.

A. S. Rakin et al., RA-BNN, arXiv 2103.13813, section on Early-Growth. A gate multiplies what a
channel gives by 0 or 1 in front of the next product, behind any padding, so a closed channel adds
nothing to any sum and the network without it computes the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn

from models.recipe import FullyConnected, Stack

Grown = TypeVar("Grown", FullyConnected, Stack)
_SPEED = 10.0  # how much faster than a weight a logit moves: Adam's steps have one size


def gumbel_sigmoid(logits: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """A draw of independent gates, hard (0 or 1) and soft, noise from torch's generator.

    ``soft = sigmoid((logits + g1 - g2) / temperature)`` of standard Gumbel noise; hard is whether
    soft reaches 1/2, so P(hard = 1) = sigmoid(logits) at every temperature.
    """
    uniform = torch.rand_like(logits).clamp(1e-6, 1 - 1e-6)
    logistic = uniform.log() - (-uniform).log1p()  # as the difference of two Gumbel variables
    soft = torch.sigmoid((logits + logistic) / temperature)
    return (soft >= 0.5).to(logits.dtype), soft


class Gate(nn.Module):
    """Multiplies each channel by its gate. The first ``base`` channels are always open.

    While training, gates are drawn anew for every batch and pass the gradient of the soft gate;
    in evaluation the channels of ``kept`` are open.
    """

    def __init__(self, channels: int, base: int, *, start: float, multiple: int = 1) -> None:
        """
        Args:
            start: logit of every channel that may open.
            multiple: what is kept is filled up to a multiple of so many channels.
        """
        super().__init__()
        self.base, self.multiple, self.temperature = base, multiple, 1.0
        self.position = nn.Parameter(torch.full((channels - base,), start / _SPEED))

    @property
    def logits(self) -> Tensor:
        """Log odds of each channel that may open."""
        return _SPEED * self.position

    @property
    def channels(self) -> int:
        """Of all, open or not."""
        return self.base + len(self.position)

    def expected(self) -> Tensor:
        """How many channels are open on average; differentiable."""
        return self.base + torch.sigmoid(self.logits).sum()

    def kept(self) -> Tensor:
        """The channels (ascending) that stay when growth ends.

        Those that are open more often than not, and as many of the next likely ones as hardware
        that works on ``multiple`` channels at a time computes anyway.
        """
        order = torch.sort(self.logits.detach(), descending=True, stable=True).indices
        opened = self.base + int((self.logits > 0).sum())
        count = min(self.channels, -(-opened // self.multiple) * self.multiple)
        chosen = order[: count - self.base].sort().values
        return torch.cat([torch.arange(self.base, device=chosen.device), self.base + chosen])

    def forward(self, x: Tensor) -> Tensor:
        """Channels are dimension 1."""
        if self.training:
            hard, soft = gumbel_sigmoid(self.logits, self.temperature)
            gates = hard + (soft - soft.detach())
            gates = torch.cat([gates.new_ones(self.base), gates])
        else:
            gates = x.new_zeros(self.channels)
            gates[self.kept()] = 1
        return x * gates.view(1, -1, *[1] * (x.ndim - 2))


def gated(model: nn.Sequential, *, base: float, start: float, multiple: int = 1) -> nn.Sequential:
    """``model`` with a gate in front of every product but the first; layers are not copied.

    Args:
        base: share of the channels that are always open, at least ``multiple`` of them.
        start, multiple: see :class:`Gate`.
    """
    layers: list[nn.Module] = []
    flattened = False
    channels = 0
    for layer in model:
        product = hasattr(layer, "quant_weight")
        if channels and (isinstance(layer, nn.Flatten) or (product and not flattened)):
            always = -(-round(base * channels) // multiple) * multiple
            always = min(channels, max(always, multiple))
            layers.append(Gate(channels, always, start=start, multiple=multiple))
        flattened = isinstance(layer, nn.Flatten)
        if product:
            channels = len(layer.weight)
        layers.append(layer)
    return nn.Sequential(*layers)


def gates(model: nn.Module) -> list[Gate]:
    """Every gate, in order: one for each hidden layer."""
    return [module for module in model.modules() if isinstance(module, Gate)]


def grown(network: Grown, widths: Sequence[int]) -> Grown:
    """``network`` with hidden layers of these widths."""
    if isinstance(network, FullyConnected):
        return network.model_copy(update={"hidden": list(widths)})
    rows = len(network.convolutions)
    convolutions = [
        (width, *row[1:]) for width, row in zip(widths[:rows], network.convolutions, strict=True)
    ]
    return network.model_copy(update={"convolutions": convolutions, "dense": list(widths[rows:])})


@torch.no_grad()
def take_over(model: nn.Sequential, small: nn.Sequential) -> None:
    """Give ``small``, built from ``grown``, the parameters of the channels that ``model`` keeps.

    In evaluation both then give the same logits, bit for bit.
    """
    products = [layer for layer in model if hasattr(layer, "quant_weight")]
    inputs, outputs = products[0].weight.shape[1], len(products[-1].weight)
    edges = [(torch.arange(inputs), inputs)]
    edges += [(gate.kept(), gate.channels) for gate in gates(model)]
    edges.append((torch.arange(outputs), outputs))
    sides = pairwise(edges)
    rows = edges[0][0]
    for old, new in zip([m for m in model if not isinstance(m, Gate)], small, strict=True):
        if hasattr(old, "quant_weight"):
            (kept, channels), (rows, _) = next(sides)
            each = old.weight.shape[1] // channels  # elements of a channel behind Flatten
            columns = (kept[:, None] * each + torch.arange(each)).flatten()
            new.weight.copy_(old.weight[rows][:, columns])
        elif isinstance(old, nn.BatchNorm1d | nn.BatchNorm2d):
            state = new.state_dict()
            for name, value in old.state_dict().items():
                state[name].copy_(value[rows] if value.ndim else value)
        else:
            new.load_state_dict(old.state_dict())
