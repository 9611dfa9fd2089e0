"""Quant and BipolarQuant: of the input, of weights, and of activations."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from flow.ingest.decision import Decision, WeightDecision
from flow.ingest.invert import invert
from flow.ingest.nodes.registry import reads
from flow.ingest.order import file_view, input_shape_and_view
from flow.ingest.quantizer import Quantizer, weight_codes
from flow.ingest.reader import Constant, SourceNode
from flow.ingest.rounding import Rounding
from flow.ingest.state import Codes, Real, State, Tensor, Weights, exact, fractions
from flow.ingest.steps import Affine, at
from flow.ir import Edge, IntType, integers
from flow.ops import Add, MatVec, Threshold
from flow.passes.accumulators import register_range

_MOST_BITS = 32  # of a weight or an input
_MOST_LEVELS = 1 << 10  # of an activation: each is a threshold per channel


@reads("Quant", "IntQuant", inputs=4)
def quant(state: State, node: SourceNode) -> Tensor:
    """A uniform quantizer with scale, zero point and bit width."""
    bits = state.constant(node, 3)
    if bits.size != 1 or bits.item() not in range(1, _MOST_BITS + 1):
        raise node.refuse(f"bit width {bits.tolist()} is no integer from 1 to {_MOST_BITS}")
    size, signed = int(bits.item()), bool(node.integer("signed"))
    narrow = bool(node.integer("narrow"))
    if signed and size == 1:
        if state.constant(node, 2).any():
            raise node.refuse("one signed bit with a zero point; use a zero point of 0")
        return _apply(state, node, bipolar=True, low=0, high=1, rounding=Rounding.HALF_EVEN)
    rounding = rounding_mode(node, "ROUND")
    low = -(1 << (size - 1)) + narrow if signed else 0
    high = (1 << (size - 1)) - 1 if signed else (1 << size) - 1 - narrow
    if high == low:
        raise node.refuse("a narrow range of one level; use more bits or the full range")
    return _apply(state, node, bipolar=False, low=low, high=high, rounding=rounding)


@reads("BipolarQuant", inputs=2)
def bipolar_quant(state: State, node: SourceNode) -> Tensor:
    """The sign, times a scale."""
    return _apply(state, node, bipolar=True, low=0, high=1, rounding=Rounding.HALF_EVEN)


def rounding_mode(node: SourceNode, default: str) -> Rounding:
    """The mode that the node states."""
    text = node.text("rounding_mode", default).upper()
    try:
        return Rounding("HALF_EVEN" if text == "ROUND" else text)
    except ValueError:
        known = ", ".join(["ROUND", *Rounding])
        raise node.refuse(f"rounding mode {text!r} is unknown; choose one of {known}") from None


def _apply(
    state: State, node: SourceNode, *, bipolar: bool, low: int, high: int, rounding: Rounding
) -> Tensor:
    scale = state.constant(node, 1)
    zero = np.zeros(()) if bipolar else state.constant(node, 2)
    if not (scale > 0).all():
        raise node.refuse("a scale of 0 or below; train again or clip the scale")
    tensor = state.tensors[node.inputs[0]]
    if isinstance(tensor, Weights | Codes):
        raise node.refuse("a constant that is quantized twice")
    if isinstance(tensor, Real):
        scales = state.per_channel(node, 1, tensor)
        zeros = (Fraction(0),) if bipolar else state.per_channel(node, 2, tensor)
        quantizer = Quantizer(scales, zeros, low, high, rounding, bipolar)
        return apply_quantizer(state, node, tensor, quantizer)
    quantizer = Quantizer(fractions(scale), fractions(zero), low, high, rounding, bipolar)
    return _weights(state, node, tensor, scale, zero, quantizer)


def _weights(
    state: State,
    node: SourceNode,
    values: Constant,
    scale: Constant,
    zero: Constant,
    q: Quantizer,
) -> Weights:
    scale, zero = _spread(node, scale, values), _spread(node, zero, values)
    if (zero != np.rint(zero)).any():
        raise node.refuse("a zero point that is no integer; weights need a whole one")
    codes = weight_codes(values, scale, zero, q)
    state.weights.append(WeightDecision(node.outputs[0], values, codes, scale, zero, q))
    if not zero.any():
        return Weights(codes, exact(scale), q.type)
    codes = codes - zero.astype(np.int64)
    kind = IntType.holding(
        min(int(codes.min()), q.low - int(zero.max())),
        max(int(codes.max()), q.high - int(zero.min())),
    )
    return Weights(codes, exact(scale), kind)


def _spread(node: SourceNode, constant: Constant, values: Constant) -> Constant:
    """One number, or as many axes as ``values`` with each 1 or whole."""
    if constant.size == 1:
        return constant.reshape((1,) * values.ndim)
    axes = (1,) * (values.ndim - constant.ndim) + constant.shape
    if len(axes) != values.ndim or any(
        a not in (1, n) for a, n in zip(axes, values.shape, strict=True)
    ):
        raise node.refuse(
            f"a scale or zero point of shape {constant.shape} for weights of shape {values.shape}; "
            "use one per output channel or one in all"
        )
    return constant.reshape(axes)


def apply_quantizer(
    state: State, node: SourceNode, real: Real, q: Quantizer, *, tensor: str | None = None
) -> Real:
    """Thresholds that give the codes of ``q``; the input's own integers where it states them.
    The file calls the result ``tensor``, else it is what ``node`` makes."""
    after, tensor = _meaning(q), node.outputs[0] if tensor is None else tensor
    if state.is_input(real):
        if state.input_edge is not None:
            raise node.refuse("the input is quantized twice; quantize it once, then branch")
        if real.steps or q.table:
            raise node.refuse(
                "the input is scaled before it is quantized; state its integer type "
                "(--input-type u8 --input-scale 1/255)"
            )
        if len(set(q.scale)) > 1 or len(set(q.zero_point)) > 1:
            raise node.refuse("the input has a scale per channel; use one scale for the tensor")
        real = _stated(state, real, q.type)
        state.input_affine = after
        real = replace(real, steps=(after,))
    elif real.edge == state.source.input and not real.quantized:  # its integers mean nothing yet
        raise node.refuse("the input is quantized twice; quantize it once and share the result")
    edge = state.edges[real.edge]
    if _changes_nothing(real, q, edge):
        state.decisions.append(Decision(real.edge, real.edge, tensor, real.steps, q, real.view))
        return Real(real.edge, (after,), real.view, quantized=True)
    if q.steps > _MOST_LEVELS:
        raise node.refuse(f"{q.steps + 1} levels; quantize activations to at most 10 bits")
    if edge.type.bipolar:  # thresholds compare numbers; the same values in two bits
        same = Add(integers([[1]]), integers([0]), IntType(2, True))
        real = replace(real, edge=state.add("add", same, (real.edge,), source=node))
    low, high = span(state, real.edge)
    thresholds, sign = invert(real.steps, q, channels=edge.shape[-1], low=low, high=high)
    kind = IntType.holding(low, high + 1)
    op = Threshold(thresholds, kind, sign, q.low, q.type, signs_stored=bool((sign < 0).any()))
    output = state.add("act", op, (real.edge,), source=node)
    state.origin[output] = tensor
    state.decisions.append(Decision(real.edge, output, tensor, real.steps, q, real.view))
    return Real(output, (after,), real.view, quantized=True)


def _stated(state: State, real: Real, kind: IntType) -> Real:
    """The input, its integers now known: an image is one if nothing gave it other axes before."""
    shape = state.source.input_shape
    plain = np.arange(real.view.size).reshape(shape)
    whole, view = shape, plain
    if len(shape) == 3 or (len(shape) == 2 and state.works_on_images):
        whole, view = input_shape_and_view(state.source)
    untouched = np.array_equal(real.view, plain)
    moved = whole == shape and len(shape) == 3 and np.array_equal(real.view, file_view(shape))
    if untouched or moved:
        state.input_view = view
    state.input_edge = Edge(whole if untouched or moved else (real.view.size,), kind)
    state.edges[real.edge] = state.input_edge
    return replace(real, view=view) if untouched else real


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
    if affine is None or q.table or q.bipolar != edge.type.bipolar:
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


def span(state: State, edge: str) -> tuple[int, int]:
    """Every value an edge can carry under any stored codes."""
    for node in state.nodes:
        if node.output == edge and isinstance(node.op, MatVec):
            return register_range(node.op, state.edges[node.inputs[0]].type)
    kind = state.edges[edge].type
    return kind.code_lo, kind.code_hi
