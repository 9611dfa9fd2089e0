"""Fully connected Brevitas networks: TFC and its relatives."""

from __future__ import annotations

from torch import nn

from flow.ir import IntType
from models.layers import activation, linear, pixels
from models.recipe import FullyConnected


def fully_connected(
    network: FullyConnected, *, inputs: int, classes: int, pixel: IntType
) -> nn.Sequential:
    """Pixels (batch, inputs) as raw integers in floats -> logits (batch, classes).

    Each hidden layer is linear, BatchNorm, activation; the last is linear alone, so its logits are
    one scale times integers.
    """
    layers, size = [pixels(pixel)], inputs
    *widths, last = network.widths
    for hidden, bits in zip(network.hidden, widths, strict=True):
        layers.append(linear(size, hidden, bits=bits))
        layers += [nn.BatchNorm1d(hidden), activation(network.activation_bits)]
        size = hidden
    return nn.Sequential(*layers, linear(size, classes, bits=last))
