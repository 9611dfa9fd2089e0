"""The quantized layers of all networks here. No layer has a bias: BatchNorm has it."""

from __future__ import annotations

from torch import nn

from flow.ir import IntType
from models.brevitas_api import (
    Int8ActPerTensorFloat,
    Int8WeightPerTensorFloat,
    SignedBinaryActPerTensorConst,
    SignedBinaryWeightPerTensorConst,
    Uint8ActPerTensorFloat,
    qnn,
)


class BinaryWeight(SignedBinaryWeightPerTensorConst):  # type: ignore[misc]
    """Weights -1 and +1: with scale 1 the integers are the weights.

    Brevitas clips the latent weights of this quantizer to [-1, 1] in place, so every sign can turn.
    """

    scaling_const = 1.0


def pixels(kind: IntType) -> nn.Module:
    """The input quantizer: scale 1, so it changes no integer of ``kind``; it tells the exported
    file what the input's integers are."""
    coded = IntType(2) if kind.bits == 1 else kind  # brevitas exports every one-bit code as a sign
    quantizer = qnn.QuantIdentity(
        act_quant=Int8ActPerTensorFloat if coded.signed else Uint8ActPerTensorFloat,
        bit_width=coded.bits,
        scaling_impl_type="const",
        # brevitas divides by the largest code, of signed ones by the size of the smallest
        scaling_init=float(-coded.code_lo if coded.signed else coded.code_hi),
    )
    quantizer.kind = kind
    return quantizer


def input_type(model: nn.Sequential) -> IntType:
    """The integers that a network of :func:`pixels` first takes."""
    kind: IntType = model[0].kind
    return kind


def weighted(model: nn.Module) -> list[nn.Module]:
    """The layers of a network that have quantized weights, in order."""
    return [m for m in model.modules() if isinstance(m, qnn.QuantLinear | qnn.QuantConv2d)]


def linear(inputs: int, outputs: int, *, bits: int) -> nn.Module:
    """A dense layer with weights of ``bits`` bits; 1 is -1 and +1."""
    return _weighted(qnn.QuantLinear, inputs, outputs, bits=bits)


def convolution(
    inputs: int,
    outputs: int,
    kernel: int = 3,
    *,
    bits: int,
    stride: int = 1,
    padding: int = 0,
    groups: int = 1,
) -> nn.Module:
    """A square convolution with weights of ``bits`` bits."""
    geometry = {"stride": stride, "padding": padding, "groups": groups}
    return _weighted(qnn.QuantConv2d, inputs, outputs, kernel, bits=bits, **geometry)


def _weighted(kind: type[nn.Module], *sizes: int, bits: int, **geometry: int) -> nn.Module:
    if bits > 1:
        options = {"weight_quant": Int8WeightPerTensorFloat, "weight_bit_width": bits}
        return kind(*sizes, bias=False, **options, **geometry)
    layer = kind(*sizes, bias=False, weight_quant=BinaryWeight, **geometry)
    nn.init.uniform_(layer.weight, -1, 1)  # the usual init leaves signs near their boundary
    return layer


def activation(bits: int) -> nn.Module:
    """1 bit: -1 and +1. More: unsigned, zero below 0."""
    if bits == 1:
        return qnn.QuantIdentity(act_quant=SignedBinaryActPerTensorConst)
    return qnn.QuantReLU(act_quant=Uint8ActPerTensorFloat, bit_width=bits)


def signed(bits: int) -> nn.Module:
    """A quantizer of either sign, as residual sums need in front of them."""
    return qnn.QuantIdentity(act_quant=Int8ActPerTensorFloat, bit_width=bits)


def average(bits: int) -> list[nn.Module]:
    """The mean of each channel, quantized and flattened."""
    return [nn.AdaptiveAvgPool2d(1), activation(bits), nn.Flatten()]
