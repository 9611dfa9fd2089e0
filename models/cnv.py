"""CNV, the small VGG of FINN and of Brevitas's own examples: six convolutions, three dense layers.

Y. Umuroglu et al., FINN, FPGA 2017, section 6.
"""

from __future__ import annotations

from torch import nn

from flow.ir import IntType
from models.layers import activation, convolution, linear, pixels
from models.recipe import Convolutional, scaled

CONVOLUTIONS = ((64, False), (64, True), (128, False), (128, True), (256, False), (256, False))
DENSE = (512, 512)


def cnv(network: Convolutional, *, channels: int, classes: int, pixel: IntType) -> nn.Sequential:
    """Images (batch, channels, 32, 32) of raw integers in floats -> logits (batch, classes).

    No padding, so binary activations stay exact; pooling follows the activation, which is the same
    function as before it.
    """
    bits, size = network.weight_bits, channels
    layers = [pixels(pixel)]
    for width, pooled in CONVOLUTIONS:
        width = scaled(width, network)
        layers += [convolution(size, width, bits=bits), nn.BatchNorm2d(width)]
        layers.append(activation(network.activation_bits))
        layers += [nn.MaxPool2d(2)] if pooled else []
        size = width
    layers.append(nn.Flatten())
    for width in DENSE:
        width = scaled(width, network)
        layers += [linear(size, width, bits=bits), nn.BatchNorm1d(width)]
        layers.append(activation(network.activation_bits))
        size = width
    return nn.Sequential(*layers, linear(size, classes, bits=bits))
