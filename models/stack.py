"""Convolutions by a list, then dense layers: QA-IBP's networks, and binary ones with padding.

M. Lechner et al., Quantization-aware Interval Bound Propagation, AAAI 2023, has none of its layers
padded; A. S. Rakin et al., RA-BNN, 2021, pads binary activations with -1, since no sign is 0.
"""

from __future__ import annotations

from torch import nn

from flow.errors import InputError
from flow.ir import IntType
from models.layers import activation, convolution, linear, pixels
from models.recipe import Stack


def stack(network: Stack, *, shape: tuple[int, ...], classes: int, pixel: IntType) -> nn.Sequential:
    """Images (batch, channels, H, W) of raw integers in floats -> logits (batch, classes).

    Each hidden layer is a product, BatchNorm, activation; the last is linear alone. Where
    ``padded``, an image keeps its size at stride 1: pixels and unsigned levels get zeros around
    them, signs get -1.

    Raises:
        InputError: a kernel does not fit into the image that reaches it.
    """
    bits, levels = iter(network.widths), network.activation_bits
    (height, width, size), layers = shape, [pixels(pixel)]
    for number, (filters, kernel, stride) in enumerate(network.convolutions):
        margin = kernel // 2 if network.padded else 0
        if min(height, width) + 2 * margin < kernel:
            raise InputError(
                f"'network.convolutions.{number}': a kernel of {kernel} does not fit into "
                f"{height}x{width} elements; use fewer or smaller ones"
            )
        height, width = ((n + 2 * margin - kernel) // stride + 1 for n in (height, width))
        if margin:
            layers.append(nn.ConstantPad2d(margin, -1.0 if number and levels == 1 else 0.0))
        layers.append(convolution(size, filters, kernel, bits=next(bits), stride=stride))
        layers += [nn.BatchNorm2d(filters), activation(levels)]
        size = filters
    layers.append(nn.Flatten())
    size *= height * width
    for units in network.dense:
        layers += [linear(size, units, bits=next(bits)), nn.BatchNorm1d(units), activation(levels)]
        size = units
    return nn.Sequential(*layers, linear(size, classes, bits=next(bits)))
