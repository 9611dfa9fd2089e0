"""Residual networks of 6n+2 layers for 32x32 images; n = 1 is ResNet-8 of MLPerf Tiny.

K. He et al., Deep Residual Learning, CVPR 2016, section 4.2.
"""

from __future__ import annotations

from torch import Tensor, nn

from flow.ir import IntType
from models.layers import activation, average, convolution, linear, pixels, signed
from models.recipe import Convolutional, scaled

STAGES = ((16, 1), (32, 2), (64, 2))  # channels and stride


class Block(nn.Module):
    """Two convolutions and a shortcut. What is added is quantized first, by one quantizer for
    both terms or, where ``shared`` is not set, by one for each."""

    def __init__(self, inputs: int, outputs: int, stride: int, network: Convolutional) -> None:
        super().__init__()
        bits, levels = network.weight_bits, network.activation_bits
        self.path = nn.Sequential(
            convolution(inputs, outputs, bits=bits, stride=stride, padding=1),
            nn.BatchNorm2d(outputs),
            activation(levels),
            convolution(outputs, outputs, bits=bits, padding=1),
            nn.BatchNorm2d(outputs),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = (
            nn.Sequential()
            if same
            else nn.Sequential(
                convolution(inputs, outputs, 1, bits=bits, stride=stride), nn.BatchNorm2d(outputs)
            )
        )
        self.of_path = signed(levels)
        self.of_shortcut = self.of_path if network.shared_scale else signed(levels)
        self.activation = activation(levels)

    def forward(self, x: Tensor) -> Tensor:
        """Images to images, both of what the activation can give."""
        total = self.of_path(self.path(x)) + self.of_shortcut(self.shortcut(x))
        result: Tensor = self.activation(total)
        return result


def resnet(network: Convolutional, *, channels: int, classes: int, pixel: IntType) -> nn.Sequential:
    """Images (batch, channels, H, W) of raw integers in floats -> logits (batch, classes)."""
    size = scaled(STAGES[0][0], network)
    layers = [pixels(pixel), convolution(channels, size, bits=network.weight_bits, padding=1)]
    layers += [nn.BatchNorm2d(size), activation(network.activation_bits)]
    for width, stride in STAGES:
        width = scaled(width, network)
        for number in range(network.blocks):
            layers.append(Block(size, width, 1 if number else stride, network))
            size = width
    return nn.Sequential(*layers, *average(8), linear(size, classes, bits=network.weight_bits))
