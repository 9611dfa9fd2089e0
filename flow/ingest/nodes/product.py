"""What every layer with weights has in common."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from flow.ingest.nodes.grid import on_one_grid
from flow.ingest.reader import Constant, SourceNode
from flow.ingest.state import Real, State, Weights, exact
from flow.ingest.steps import Affine, at
from flow.ir import Array, IntType
from flow.ops import MatVec
from flow.passes.accumulators import accumulator_type

_LARGEST = 1 << 31  # of a weight


_AXES = {2: "a matrix", 3: "(out, in, length)", 4: "(out, in, height, width)"}


def quantized_weights(state: State, node: SourceNode, *, axes: int, rows: int = 0) -> Weights:
    """The weights of a layer, which passed a quantizer or are a constant of whole numbers, or of
    one number per row with either sign; ``rows`` is the axis of rows."""
    weights = state.tensors[node.inputs[1]]
    if not isinstance(weights, Weights):
        weights = _constant(node, state.constant(node, 1), rows)
    if weights.codes.ndim != axes:
        wanted = _AXES[axes]
        raise node.refuse(f"weights of shape {weights.codes.shape} where {wanted} is wanted")
    return weights


def _constant(node: SourceNode, values: Constant, rows: int) -> Weights:
    """Whole numbers are their own codes; else each row has one size, which is its scale. Binary
    where all codes are -1 or +1, else of the narrowest type that holds them."""
    scale: Constant = np.full((1,) * values.ndim, Fraction(1), dtype=object)
    if values.size and (values != np.rint(values)).any():
        others = tuple(axis for axis in range(values.ndim) if axis != rows)
        size = abs(values).max(axis=others, keepdims=True)
        if size.all() and ((abs(values) == size) | (values == 0)).all():
            scale, values = exact(size), np.sign(values)
    if not values.size or (values != np.rint(values)).any() or abs(values).max() > _LARGEST:
        raise node.refuse(
            "the weights are neither quantized nor whole numbers; give the layer a weight quantizer"
        )
    codes = values.astype(np.int64)
    binary = bool((abs(codes) == 1).all())
    kind = IntType.holding(int(codes.min()), int(codes.max()))
    return Weights(codes, scale, IntType.bipolar1() if binary else kind)


def quantized_data(state: State, node: SourceNode, real: Real) -> Real:
    """``real``, which must be what a quantizer made, scaled at most."""
    if state.is_input(real):
        raise node.refuse("the input is not quantized; add a QuantIdentity in front of the layer")
    if real.affine is None:
        raise node.refuse(
            f"its input {node.inputs[0]!r} is not quantized; add a QuantIdentity before the layer"
        )
    if not real.quantized:
        raise node.refuse("follows a layer with no quantizer between; add a QuantIdentity")
    return real


def uniform_data(state: State, node: SourceNode, real: Real) -> tuple[Real, Fraction, Fraction]:
    """``quantized_data`` with one scale and offset for all of it, and these."""
    real = on_one_grid(state, node, quantized_data(state, node, real))
    affine = real.affine
    assert affine is not None
    scale, offset = affine.scale[0], affine.offset[0]
    if not scale:
        raise node.refuse("its input is scaled by 0; drop the layer, or train again")
    return real, scale, offset


def quantized_input(state: State, node: SourceNode, real: Real) -> tuple[Fraction, Fraction]:
    """Scale and offset of a layer's input, one for all of it, straight from a quantizer."""
    affine = quantized_data(state, node, real).affine
    assert affine is not None
    scale, offset = set(affine.scale), set(affine.offset)
    if len(scale) > 1 or len(offset) > 1:
        raise node.refuse("its input has a scale per channel; use one scale for the tensor")
    return scale.pop(), offset.pop()


def add_product(state: State, node: SourceNode, prefix: str, op: MatVec, *, edge: str) -> str:
    """Append ``op`` with the accumulator that the policy asks for; return its output edge."""
    kind = accumulator_type(op, state.edges[edge].type, state.policy)
    return state.add(prefix, replace(op, accumulator=kind), (edge,), source=node)


def open_product(
    state: State, codes: Array, kind: IntType, *, groups: int = 1, positions: int = 1
) -> MatVec:
    """A product whose accumulator is still to be chosen."""
    wide = IntType(63, True)
    return MatVec(codes, kind, wide, state.decode, groups=groups, positions=positions)


def meaning(codes: Array, rows: tuple[Fraction, ...], scale: Fraction, offset: Fraction) -> Affine:
    """What the integer sums mean: weights times ``scale * x + offset``, row by row."""
    if not offset:
        return Affine(tuple(row * scale for row in rows))
    sums = codes.sum(axis=1).tolist()
    return Affine(
        tuple(at(rows, i) * scale for i in range(len(sums))),
        tuple(at(rows, i) * offset * total for i, total in enumerate(sums)),
    )


def row_scales(node: SourceNode, weights: Weights, shape: tuple[int, ...]) -> tuple[Fraction, ...]:
    """One scale, or one per row, then of ``shape``; others cannot leave the sum."""
    scale = weights.scale
    if scale.size == 1:
        return (scale.item(),)
    if scale.shape != shape:
        raise node.refuse(
            f"weight scales of shape {scale.shape}; use one per output channel or one in all"
        )
    return tuple(scale.ravel())
