"""Fully connected Brevitas networks: TFC and its relatives."""

from __future__ import annotations

import brevitas.nn as qnn
from brevitas.quant import (
    Int8WeightPerTensorFloat,
    SignedBinaryActPerTensorConst,
    SignedBinaryWeightPerTensorConst,
    Uint8ActPerTensorFloat,
)
from torch import nn

from flow.ir import IntType
from models.recipe import Network


class BinaryWeight(SignedBinaryWeightPerTensorConst):  # type: ignore[misc]
    """Weights -1 and +1: with scale 1 the integers are the weights."""

    scaling_const = 1.0


def fully_connected(network: Network, *, inputs: int, classes: int, pixel: IntType) -> nn.Module:
    """Pixels (batch, inputs) as raw integers in floats -> logits (batch, classes).

    Each hidden layer is linear, BatchNorm, activation; the last is linear alone, so its logits are
    one scale times integers. No layer has a bias: BatchNorm has it. The input quantizer has scale
    1 and changes no pixel; it tells the exported file what the input's integers are.
    """
    layers: list[nn.Module] = [
        qnn.QuantIdentity(
            act_quant=Uint8ActPerTensorFloat,
            bit_width=pixel.bits,
            scaling_impl_type="const",
            scaling_init=float(pixel.code_hi),  # brevitas divides by the largest code: scale 1
        )
    ]
    size = inputs
    for hidden in network.hidden:
        layers += [_linear(network, size, hidden), nn.BatchNorm1d(hidden), _activation(network)]
        size = hidden
    return nn.Sequential(*layers, _linear(network, size, classes))


def _linear(network: Network, inputs: int, outputs: int) -> nn.Module:
    if network.weight_bits == 1:
        layer = qnn.QuantLinear(inputs, outputs, bias=False, weight_quant=BinaryWeight)
        nn.init.uniform_(layer.weight, -1, 1)  # the usual init leaves signs near their boundary
        return layer
    return qnn.QuantLinear(
        inputs,
        outputs,
        bias=False,
        weight_quant=Int8WeightPerTensorFloat,
        weight_bit_width=network.weight_bits,
    )


def _activation(network: Network) -> nn.Module:
    if network.activation_bits == 1:
        return qnn.QuantIdentity(act_quant=SignedBinaryActPerTensorConst)
    return qnn.QuantReLU(act_quant=Uint8ActPerTensorFloat, bit_width=network.activation_bits)
