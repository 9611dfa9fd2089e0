"""QuantizeLinear, Clip of integers and DequantizeLinear: together one quantizer."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from flow.ingest.decision import WeightDecision
from flow.ingest.nodes.quant import apply_quantizer
from flow.ingest.nodes.registry import reads
from flow.ingest.quantizer import Quantizer, weight_codes
from flow.ingest.reader import Constant, SourceNode
from flow.ingest.state import Codes, Real, State, Tensor, Weights, exact, fractions

INTEGER_OPERATORS = (
    "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear",
)  # fmt: skip
_RANGES = {
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int16": (-(1 << 15), (1 << 15) - 1),
    "uint16": (0, (1 << 16) - 1),
    "int32": (-(1 << 31), (1 << 31) - 1),
}


@reads("QuantizeLinear", inputs=2)
def quantize_linear(state: State, node: SourceNode) -> Tensor:
    """``saturate(round_half_even(x / scale) + zero_point)``, undecided until it is dequantized:
    a Clip may still narrow it. ONNX operator ``QuantizeLinear``, opsets 10 to 21."""
    tensor = state.tensors[node.inputs[0]]
    if isinstance(tensor, Weights | Codes):
        raise node.refuse("quantizes integers; put a DequantizeLinear in front")
    if node.attributes.get("output_dtype"):
        raise node.refuse("states its type by output_dtype; give it a zero point of that type")
    scale, zero = _parameters(state, node)
    low, high = _range(node, zero)
    if len(node.inputs) < 3 or not node.inputs[2]:
        low, high = _RANGES["uint8"]
    return Codes(tensor, scale, zero.astype(np.int64), low, high, _axis(node, scale))


def clip_codes(state: State, node: SourceNode, tensor: Codes | Constant) -> Tensor:
    """A Clip of integers: of codes it narrows their range, a constant it limits."""
    limits = [
        state.constant(node, place) if len(node.inputs) > place and node.inputs[place] else None
        for place in (1, 2)
    ]
    if any(limit is not None and limit.size != 1 for limit in limits):
        raise node.refuse("limits of several values; use one value")
    low, high = (None if limit is None else int(limit.item()) for limit in limits)
    if isinstance(tensor, np.ndarray):
        clipped = np.clip(tensor.astype(np.int64), low, high)
        kept = _range(node, tensor)
        low, high = _narrowed(node, kept, low, high)
        scale, zero = np.ones(()), np.zeros((), dtype=np.int64)
        return Codes(clipped, scale, zero, low, high, None, stored=True)
    low, high = _narrowed(node, (tensor.low, tensor.high), low, high)
    return replace(tensor, low=low, high=high, done=[])


@reads("DequantizeLinear", inputs=2)
def dequantize_linear(state: State, node: SourceNode) -> Tensor:
    """``scale * (code - zero_point)``; with the QuantizeLinear in front of it one quantizer."""
    codes = state.tensors[node.inputs[0]]
    scale, zero = _parameters(state, node)
    axis = _axis(node, scale)
    if isinstance(codes, np.ndarray):
        low, high = _range(node, codes)
        codes = Codes(codes.astype(np.int64), scale, zero, low, high, axis, stored=True)
    if not isinstance(codes, Codes):
        raise node.refuse("its input is not quantized; put a QuantizeLinear in front")
    if codes.stored:
        return _stored(node, codes, scale, zero, axis)
    same = np.array_equal(codes.scale, scale) and np.array_equal(codes.zero, zero)
    if not same or codes.axis != axis:
        raise node.refuse(
            "its scale, zero point or axis differ from those of its QuantizeLinear; "
            "export both with the same"
        )
    if isinstance(codes.tensor, Real):
        return _activation(state, node, codes, codes.tensor)
    return _weights(state, node, codes, codes.tensor)


def _activation(state: State, node: SourceNode, codes: Codes, real: Real) -> Real:
    """The edge holds ``code - zero_point``: the tie between two codes is then even where the
    quotient is, which is rounded before the zero point is added."""
    if codes.done:
        return codes.done[0]
    zeros = {int(z) for z in codes.zero.ravel()}
    if len(zeros) > 1:
        raise node.refuse("a zero point per channel; use one for the tensor")
    zero = zeros.pop()
    if codes.axis is None:
        scales = fractions(codes.scale.reshape(()))
    else:
        shape = [1] * (real.view.ndim + 1)
        axis = _inside(node, codes.axis, len(shape))
        shape[axis] = -1
        scales = fractions(state.along(node, codes.scale.reshape(shape), real))
    q = Quantizer(scales, (Fraction(0),), codes.low - zero, codes.high - zero)
    codes.done.append(apply_quantizer(state, node, real, q))
    return codes.done[0]


def _weights(state: State, node: SourceNode, codes: Codes, values: Constant) -> Weights:
    scale = _along(node, codes.scale, values, codes.axis)
    zero = _along(node, codes.zero, values, codes.axis)
    least, most = codes.low - int(zero.max()), codes.high - int(zero.min())
    q = Quantizer(fractions(codes.scale), (Fraction(0),), least, most)
    nothing = np.zeros_like(scale)
    whole = weight_codes(values, scale, nothing, q)
    whole = np.clip(whole, codes.low - zero, codes.high - zero)
    state.weights.append(WeightDecision(node.outputs[0], values, whole, scale, nothing, q))
    return Weights(whole, exact(scale), q.type)


def _stored(
    node: SourceNode, codes: Codes, scale: Constant, zero: Constant, axis: int | None
) -> Weights:
    """Integers of the file, of the file's own type or the range of the Clip behind them."""
    assert isinstance(codes.tensor, np.ndarray)
    values = codes.tensor
    factors, zeros = _along(node, scale, values, axis), _along(node, zero, values, axis)
    least, most = codes.low - int(zeros.max()), codes.high - int(zeros.min())
    kind = Quantizer(fractions(scale), (Fraction(0),), least, most).type
    return Weights(values - zeros.astype(np.int64), exact(factors), kind)


def _parameters(state: State, node: SourceNode) -> tuple[Constant, Constant]:
    """Scale and zero point, of one shape."""
    if node.integer("block_size", 0):
        raise node.refuse("a scale per block; use one per channel or one in all")
    scale = state.constant(node, 1)
    if scale.dtype.kind != "f" or not (scale > 0).all():
        raise node.refuse("a scale of 0 or below, or of whole numbers; train again")
    zero: Constant = np.zeros(scale.shape, dtype=np.int64)
    if len(node.inputs) > 2 and node.inputs[2]:
        zero = state.constant(node, 2)
        _range(node, zero)
    if zero.size != scale.size or scale.ndim > 1:
        raise node.refuse(
            f"a scale of shape {scale.shape} and a zero point of shape {zero.shape}; "
            "use one per channel or one in all"
        )
    return scale, zero.reshape(scale.shape)


def _range(node: SourceNode, values: Constant) -> tuple[int, int]:
    """The smallest and largest integer of the type of ``values``."""
    if values.dtype == np.int64:
        return _RANGES["int32"]
    if values.dtype.name not in _RANGES:
        known = ", ".join(_RANGES)
        raise node.refuse(f"integers of type {values.dtype.name}; use one of {known}")
    return _RANGES[values.dtype.name]


def _narrowed(
    node: SourceNode, kept: tuple[int, int], low: int | None, high: int | None
) -> tuple[int, int]:
    least = kept[0] if low is None else max(kept[0], low)
    most = kept[1] if high is None else min(kept[1], high)
    if least >= most:
        raise node.refuse(f"leaves the codes {least}..{most}; clip to two levels or more")
    return least, most


def _axis(node: SourceNode, scale: Constant) -> int | None:
    """The axis of a scale per channel; none where there is one number."""
    return None if scale.size == 1 else node.integer("axis", 1)


def _inside(node: SourceNode, axis: int, axes: int) -> int:
    if not -axes <= axis < axes:
        raise node.refuse(f"axis {axis} of a tensor of {axes} axes")
    return axis % axes


def _along(node: SourceNode, constant: Constant, values: Constant, axis: int | None) -> Constant:
    """``constant`` with the axes of ``values``, each 1 or whole."""
    shape = [1] * values.ndim
    if axis is not None:
        shape[_inside(node, axis, values.ndim)] = -1
        if constant.size != values.shape[axis]:
            raise node.refuse(f"{constant.size} scales for {values.shape[axis]} channels")
    return constant.reshape(shape)
