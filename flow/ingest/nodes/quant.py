"""Quant and BipolarQuant: of the input, of weights, and of activations."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from flow.ingest.decision import Decision
from flow.ingest.invert import invert
from flow.ingest.nodes.registry import reads
from flow.ingest.quantizer import Quantizer, Rounding, round_exactly
from flow.ingest.reader import Constant, SourceNode
from flow.ingest.state import Real, State, Tensor, Weights, fractions
from flow.ingest.steps import Affine, at
from flow.ir import Edge
from flow.ops import MatVec, Threshold
from flow.passes.accumulators import register_range

_MOST_LEVELS = 1 << 10


@reads("Quant", "IntQuant")
def quant(state: State, node: SourceNode) -> Tensor:
    """A uniform quantizer with scale, zero point and bit width."""
    bits = state.constant(node, 3)
    if bits.size != 1 or float(bits.item()) != int(bits.item()) or int(bits.item()) < 1:
        raise node.refuse(f"bit width {bits.tolist()} is no positive integer")
    size, signed = int(bits.item()), bool(node.attributes.get("signed", 1))
    narrow = bool(node.attributes.get("narrow", 1))
    if signed and size == 1:
        return _apply(state, node, bipolar=True, low=0, high=1, rounding=Rounding.HALF_EVEN)
    text = str(node.attributes.get("rounding_mode", "ROUND")).upper()
    try:
        rounding = Rounding("HALF_EVEN" if text == "ROUND" else text)
    except ValueError:
        known = ", ".join(["ROUND", *Rounding])
        raise node.refuse(f"rounding mode {text!r} is unknown; choose one of {known}") from None
    low = -(1 << (size - 1)) + narrow if signed else 0
    high = (1 << (size - 1)) - 1 if signed else (1 << size) - 1 - narrow
    return _apply(state, node, bipolar=False, low=low, high=high, rounding=rounding)


@reads("BipolarQuant")
def bipolar_quant(state: State, node: SourceNode) -> Tensor:
    """The sign, times a scale."""
    return _apply(state, node, bipolar=True, low=0, high=1, rounding=Rounding.HALF_EVEN)


def _apply(
    state: State, node: SourceNode, *, bipolar: bool, low: int, high: int, rounding: Rounding
) -> Tensor:
    scale = state.constant(node, 1)
    zero = np.zeros(()) if bipolar else state.constant(node, 2)
    if (np.asarray(scale, dtype=float) <= 0).any():
        raise node.refuse("a scale of 0 or below; train again or clip the scale")
    quantizer = Quantizer(fractions(scale), fractions(zero), low, high, rounding, bipolar)
    tensor = state.tensors[node.inputs[0]]
    if isinstance(tensor, Weights):
        raise node.refuse("a constant that is quantized twice")
    if isinstance(tensor, Real):
        return _activation(state, node, tensor, quantizer)
    return _weights(tensor, scale, zero, quantizer)


def _weights(values: Constant, scale: Constant, zero: Constant, q: Quantizer) -> Weights:
    """Codes by exact division; float64 decides all but those within its error of a tie."""
    if q.bipolar:
        codes = np.where(values >= 0, 1, -1).astype(np.int64)
        return Weights(codes, _exact(scale), q.type)
    ratio = values.astype(np.float64) / scale.astype(np.float64) + zero.astype(np.float64)
    codes = np.clip(np.rint(ratio), q.low, q.high).astype(np.int64)
    exact = q.rounding is not Rounding.HALF_EVEN
    near = np.ones(ratio.shape, bool) if exact else np.abs(np.abs(ratio % 1) - 0.5) < 1e-6
    spread_scale, spread_zero = (np.broadcast_to(a, values.shape) for a in (scale, zero))
    for place in zip(*np.nonzero(near), strict=True):
        value = Fraction(float(values[place])) / Fraction(float(spread_scale[place]))
        code = round_exactly(value + Fraction(float(spread_zero[place])), q.rounding)
        codes[place] = min(max(code, q.low), q.high)
    if not zero.any():
        return Weights(codes, _exact(scale), q.type)
    shifted = codes - np.rint(zero).astype(np.int64)
    low, high = int(shifted.min()), int(shifted.max())
    kind = type(q.type).holding(min(low, q.low), max(high, q.high))
    return Weights(shifted, _exact(scale), kind)


def _activation(state: State, node: SourceNode, real: Real, q: Quantizer) -> Real:
    after = _meaning(q)
    if state.is_input(real):
        if real.steps:
            raise node.refuse("the input is scaled before it is quantized; state its integer type")
        state.input_edge = Edge(state.source.input_shape, q.type)
        state.input_affine = after
        state.edges[real.edge] = state.input_edge
        return Real(real.edge, (after,))
    edge = state.edges[real.edge]
    if _changes_nothing(real, q, edge):
        return Real(real.edge, (after,))
    if q.steps > _MOST_LEVELS:
        raise node.refuse(f"{q.steps + 1} levels; quantize activations to at most 8 bits")
    channels = edge.shape[-1]
    low, high = _span(state, real.edge)
    try:
        thresholds, sign = invert(real.steps, q, channels=channels, low=low, high=high)
    except ArithmeticError as error:
        raise node.refuse(f"{error}; fold one BatchNormalization into the other") from None
    kind = type(edge.type).holding(low, high + 1)
    op = Threshold(thresholds, kind, sign, q.low, q.type, signs_stored=bool((sign < 0).any()))
    output = state.add("act", op, (real.edge,), source=node)
    state.origin[output] = node.outputs[0]
    state.decisions.append(Decision(real.edge, output, real.steps, q))
    return Real(output, (after,))


def _meaning(q: Quantizer) -> Affine:
    """What the codes of a quantizer mean; bipolar values are -1 and +1 themselves."""
    if q.bipolar:
        return Affine(q.scale)
    size = max(len(q.scale), len(q.zero_point))
    pairs = [(at(q.scale, c), at(q.zero_point, c)) for c in range(size)]
    return Affine(tuple(s for s, _ in pairs), tuple(-s * z for s, z in pairs))


def _changes_nothing(real: Real, q: Quantizer, edge: Edge) -> bool:
    """Whether the codes are the edge's own integers for every value it can have."""
    affine = real.affine
    if affine is None or q.bipolar != edge.type.bipolar:
        return False
    if q.bipolar:
        return all(s > 0 for s in affine.scale) and not any(affine.offset)
    size = max(len(affine.scale), len(affine.offset), len(q.scale), len(q.zero_point))
    same = all(
        at(affine.scale, c) == at(q.scale, c)
        and at(affine.offset, c) == -at(q.scale, c) * at(q.zero_point, c)
        for c in range(size)
    )
    return same and q.low <= edge.type.lo and edge.type.hi <= q.high


def _span(state: State, edge: str) -> tuple[int, int]:
    """Every value an edge can carry under any stored codes."""
    for node in state.nodes:
        if node.output == edge and isinstance(node.op, MatVec):
            return register_range(node.op, state.edges[node.inputs[0]].type)
    kind = state.edges[edge].type
    return kind.code_lo, kind.code_hi


def _exact(values: Constant) -> Constant:
    exact = np.empty(values.shape, dtype=object)
    for place, value in np.ndenumerate(values):
        exact[place] = Fraction(float(value))
    return exact
