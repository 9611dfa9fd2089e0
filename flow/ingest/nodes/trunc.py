"""Rounding in front of a quantizer, and Trunc, which rounds twice."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from flow.ingest.nodes.fold import folded
from flow.ingest.nodes.quant import apply_quantizer, rounding_mode
from flow.ingest.nodes.registry import reads
from flow.ingest.quantizer import Quantizer
from flow.ingest.reader import SourceNode
from flow.ingest.rounding import Rounding, round_exactly
from flow.ingest.state import Real, State, Tensor, fractions
from flow.ingest.steps import Affine, Rounded

_MODES = {"Round": Rounding.HALF_EVEN, "Floor": Rounding.FLOOR, "Ceil": Rounding.CEIL}

_FUNCTIONS = {"Round": np.rint, "Floor": np.floor, "Ceil": np.ceil}


@reads("Round", "Floor", "Ceil", inputs=1)
def rounded(state: State, node: SourceNode) -> Tensor:
    """To a whole number; Round gives a tie to the even one."""
    tensor = state.tensors[node.inputs[0]]
    if isinstance(tensor, np.ndarray):  # Brevitas computes a bit width that it exports
        return folded(node, _FUNCTIONS[node.op], tensor)
    return state.real(node).then(Rounded(_MODES[node.op]))


@reads("Trunc", inputs=5)
def trunc(state: State, node: SourceNode) -> Tensor:
    """The codes of a quantized tensor without their lowest bits.

    Five inputs (opset 1) end in the output's bits and keep the scale, nothing saturates; six have
    the output's scale before them, and saturate.
    """
    real = state.real(node)
    affine = real.affine
    if affine is None or state.is_input(real):
        raise node.refuse("its input is not quantized; add a QuantIdentity in front")
    scale, zero, *rest = (_one(state, node, place) for place in range(1, len(node.inputs)))
    if scale <= 0:
        raise node.refuse("a scale of 0 or below; train again or clip the scale")
    mode = rounding_mode(node, "FLOOR")
    if len(node.inputs) == 5:
        factor, after = _power(node, rest[0] - rest[1]), scale
        output_zero = zero
    else:
        after = rest[1]
        factor = after / scale
        if factor.numerator != 1 << (factor.numerator.bit_length() - 1) or factor.denominator != 1:
            raise node.refuse(
                f"an output scale {float(factor):g} times the input's; use 1, 2, 4 ..."
            )
        output_zero = zero / factor
    on_grid = {*affine.scale} == {scale} and {*affine.offset} == {-scale * zero}
    if not on_grid or after != scale * factor:  # else rounding to integers changes nothing
        real = real.then(Affine((1 / scale,), (zero,))).then(Rounded(Rounding.HALF_EVEN))
        real = real.then(Affine((after / factor,), (-output_zero * after,)))
    if len(node.inputs) == 5:
        low, high = _ends(state, real, affine, scale, zero, factor, mode)
    else:
        bits, signed = int(rest[2]), bool(node.integer("signed", 1))
        narrow = bool(node.integer("narrow", 0))
        low = -(1 << (bits - 1)) + narrow if signed else 0
        high = (1 << (bits - 1)) - 1 if signed else (1 << bits) - 1 - narrow
    q = Quantizer((after,), (output_zero,), low, max(high, low + 1), mode)
    return apply_quantizer(state, node, real, q)


def _ends(
    state: State,
    real: Real,
    affine: Affine,
    scale: Fraction,
    zero: Fraction,
    factor: Fraction,
    mode: Rounding,
) -> tuple[int, int]:
    """The lowest and highest code that the values of the edge are given."""
    kind, codes = state.edges[real.edge].type, []
    for column in range(max(len(affine.scale), len(affine.offset))):
        s, o = (v[column if len(v) > 1 else 0] for v in (affine.scale, affine.offset))
        for value in (kind.lo, kind.hi):
            whole = round_exactly((s * value + o) / scale + zero, Rounding.HALF_EVEN)
            codes.append(round_exactly(whole / factor, mode))
    return min(codes), max(codes)


def _one(state: State, node: SourceNode, place: int) -> Fraction:
    values = state.constant(node, place)
    if values.size != 1:
        raise node.refuse(f"input {place} of shape {values.shape}; use one value for the tensor")
    return fractions(values)[0]


def _power(node: SourceNode, bits: Fraction) -> Fraction:
    if bits.denominator != 1 or not 0 <= bits < 32:
        raise node.refuse(f"cuts off {float(bits):g} bits; use a whole number from 0")
    return Fraction(1 << int(bits))
