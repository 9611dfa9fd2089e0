"""Channels that open and close while a binary network is trained: Gumbel-Sigmoid gates.

A. S. Rakin et al., RA-BNN, arXiv 2103.13813, section on Early-Growth. A gate multiplies what a
channel gives by 0 or 1 in front of the next product, behind any padding, so a closed channel adds
nothing to any sum and the network without it computes the same bits.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from models.layers import convolution, linear, weighted

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

    While training, gates are drawn anew at every forward pass and pass the gradient of the soft
    gate; once ``fixed``, and in evaluation, the channels of ``kept`` are open and nothing moves.
    """

    fixed: Tensor
    drawn: Tensor  # at the last forward pass of training

    def __init__(self, channels: int, base: int, *, start: float, multiple: int = 1) -> None:
        """
        Args:
            start: logit of every channel that may open.
            multiple: what is kept is filled up to a multiple of so many channels.
        """
        super().__init__()
        self.base, self.multiple, self.temperature = base, multiple, 1.0
        self.position = nn.Parameter(torch.full((channels - base,), start / _SPEED))
        self.register_buffer("fixed", torch.tensor(False))
        self.drawn = torch.ones(channels)

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
        if self.training and not self.fixed:
            hard, soft = gumbel_sigmoid(self.logits, self.temperature)
            gates = hard + (soft - soft.detach())
            self.drawn = torch.cat([gates.new_ones(self.base), gates])
        return self.again(x)

    def again(self, x: Tensor) -> Tensor:
        """By the gates of the last forward pass: bounds are of the network that was drawn."""
        if self.training and not self.fixed:
            gates = self.drawn.to(x.device)
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


@torch.no_grad()
def fix(model: nn.Module, *, restart: bool) -> None:
    """End growth: no gate moves any more. With ``restart`` all weights are drawn anew."""
    for gate in gates(model):
        gate.fixed.fill_(True)
    for module in model.modules() if restart else ():
        if hasattr(module, "quant_weight"):
            nn.init.uniform_(module.weight, -1, 1)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.reset_parameters()


@torch.no_grad()
def shrunk(model: nn.Sequential) -> nn.Sequential:
    """The binary network ``model`` without gates and closed channels, in evaluation mode.

    It gives the same logits, bit for bit.
    """
    kept = [gate.kept() for gate in gates(model)]
    products = weighted(model)
    inputs, outputs = products[0].weight.shape[1], len(products[-1].weight)
    columns = [torch.arange(inputs), *kept]
    rows = iter([*kept, torch.arange(outputs)])
    of = iter(zip(columns, [inputs, *(gate.channels for gate in gates(model))], strict=True))
    small: list[nn.Module] = []
    for layer in model:
        if isinstance(layer, Gate):
            continue
        if hasattr(layer, "quant_weight"):
            stay, (read, channels) = next(rows), next(of)
            small.append(_product(layer, stay, read, channels))
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            small.append(type(layer)(len(stay)))
            state = layer.state_dict()
            small[-1].load_state_dict({k: v[stay] if v.ndim else v for k, v in state.items()})
        else:
            small.append(deepcopy(layer))
    return nn.Sequential(*small).eval()


def _product(layer: nn.Module, rows: Tensor, read: Tensor, channels: int) -> nn.Module:
    """A binary product of ``rows`` that reads some of the ``channels`` that ``layer`` reads."""
    each = layer.weight.shape[1] // channels  # elements of a channel behind Flatten
    columns = (read[:, None] * each + torch.arange(each)).flatten()
    weight = layer.weight[rows][:, columns]
    if isinstance(layer, nn.Conv2d):
        kernel, stride = weight.shape[2], layer.stride[0]
        made = convolution(len(columns), len(rows), kernel, bits=1, stride=stride)
    else:
        made = linear(len(columns), len(rows), bits=1)
    made.weight.copy_(weight)
    return made
