"""A depthwise separable network: MobileNet V1 at a quarter of its width, as MLPerf Tiny's Visual
Wake Words has it at 96x96. C. Banbury et al., MLPerf Tiny Benchmark, NeurIPS 2021.
"""

from __future__ import annotations

from torch import nn

from flow.ir import IntType
from models.layers import activation, average, convolution, linear, pixels
from models.recipe import Convolutional, scaled

FIRST = 8
PAIRS = ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1))


def depthwise(
    network: Convolutional, *, channels: int, classes: int, pixel: IntType
) -> nn.Sequential:
    """Images (batch, channels, H, W) of raw integers in floats -> logits (batch, classes)."""
    bits, levels = network.weight_bits, network.activation_bits
    size = scaled(FIRST, network)
    layers = [pixels(pixel), convolution(channels, size, bits=bits, stride=2, padding=1)]
    layers += [nn.BatchNorm2d(size), activation(levels)]
    for width, stride in PAIRS:
        width = scaled(width, network)
        layers.append(convolution(size, size, bits=bits, stride=stride, padding=1, groups=size))
        layers += [nn.BatchNorm2d(size), activation(levels)]
        layers.append(convolution(size, width, 1, bits=bits))
        layers += [nn.BatchNorm2d(width), activation(levels)]
        size = width
    return nn.Sequential(*layers, *average(8), linear(size, classes, bits=bits))
