"""Fully connected Brevitas networks: TFC and its relatives."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from flow.errors import ClaimError
from flow.ir import Array, IntType
from models.brevitas_api import (
    Int8WeightPerTensorFloat,
    SignedBinaryActPerTensorConst,
    SignedBinaryWeightPerTensorConst,
    Uint8ActPerTensorFloat,
    qnn,
)
from models.recipe import Network


class BinaryWeight(SignedBinaryWeightPerTensorConst):  # type: ignore[misc]
    """Weights -1 and +1: with scale 1 the integers are the weights.

    Brevitas clips the latent weights of this quantizer to [-1, 1] in place, so every sign can turn.
    """

    scaling_const = 1.0


def fully_connected(
    network: Network, *, inputs: int, classes: int, pixel: IntType
) -> nn.Sequential:
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


def integer_logits(model: nn.Sequential, logits: Tensor) -> Array:
    """The integers (batch, classes) that the float logits of ``model`` stand for.

    A logit is an integer times one scale, plus float32 rounding. Without the rounding, equal logits
    are equal again, so the class of a tie is the same in every engine: the smallest index.

    Raises:
        ClaimError: a logit lies between two integers, so the scale is not the logits' scale.
    """
    scale = float(model[-2].act_quant.scale() * model[-1].quant_weight().scale)
    steps = logits.double().numpy() / scale
    nearest = np.rint(steps)
    if not (np.abs(steps - nearest) < 1 / 16).all():
        raise ClaimError(
            f"logits are no integers times {scale}; the last layer must be linear alone"
        )
    return nearest.astype(np.int64)


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
