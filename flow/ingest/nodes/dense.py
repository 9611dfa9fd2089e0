"""Dense layers: MatMul and Gemm with quantized weights."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from flow.ingest.nodes.registry import reads
from flow.ingest.reader import SourceNode
from flow.ingest.state import Real, State, Tensor, Weights
from flow.ingest.steps import Affine, at
from flow.ir import Array, IntType
from flow.ops import MatVec
from flow.passes.accumulators import accumulator_type

_LARGEST = 1 << 31  # of a weight


@reads("MatMul", inputs=2)
def matmul(state: State, node: SourceNode) -> Tensor:
    """Data times weights of shape (columns, rows)."""
    return _product(state, node, transposed=False)


@reads("Gemm", inputs=2)
def gemm(state: State, node: SourceNode) -> Tensor:
    """``alpha * A @ B + beta * C`` with the data as A."""
    if node.integer("transA", 0):
        raise node.refuse("a transposed data input has no stream order; export with transA=0")
    product = _product(state, node, transposed=bool(node.integer("transB", 0)))
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    if len(node.inputs) < 3 or not node.inputs[2]:
        return product if alpha == 1 else product.then(Affine((alpha,)))
    bias = tuple(beta * b for b in state.per_channel(node, 2, product))
    return product.then(Affine((alpha,), bias))


def _product(state: State, node: SourceNode, *, transposed: bool) -> Real:
    real, weights = state.real(node), _weights(state, node)
    if weights.codes.ndim != 2:
        raise node.refuse(f"weights of shape {weights.codes.shape} where a matrix is wanted")
    if state.is_input(real):
        raise node.refuse("the input is not quantized; add a QuantIdentity in front of the layer")
    affine = real.affine
    if affine is None:
        raise node.refuse(
            f"its input {node.inputs[0]!r} is not quantized; add a QuantIdentity before the layer"
        )
    scale, offset = set(affine.scale), set(affine.offset)
    if len(scale) > 1 or len(offset) > 1:
        raise node.refuse("its input has a scale per channel; use one scale for the tensor")
    if not real.quantized:
        raise node.refuse("follows a layer with no quantizer between; add a QuantIdentity")
    codes = _placed(node, weights.codes if transposed else weights.codes.T, real.view)
    rows = _row_scales(node, weights, codes.shape[0], transposed=transposed)
    wide = MatVec(codes, weights.type, IntType(63, True), decode=state.decode)
    kind = accumulator_type(wide, state.edges[real.edge].type, state.policy)
    output = state.add("fc", replace(wide, accumulator=kind), (real.edge,), source=node)
    meaning = _meaning(codes, rows, scale.pop(), offset.pop())
    return Real(output, (meaning,), np.arange(len(codes)))


def _weights(state: State, node: SourceNode) -> Weights:
    """Quantized weights, or a constant of whole numbers, which is its own codes: binary where all
    are -1 or +1, else of the narrowest type that holds them."""
    tensor = state.tensors[node.inputs[1]]
    if isinstance(tensor, Weights):
        return tensor
    values = state.constant(node, 1)
    if not values.size or (values != np.rint(values)).any() or abs(values).max() > _LARGEST:
        raise node.refuse(
            "the weights are neither quantized nor whole numbers; give the layer a weight quantizer"
        )
    codes = values.astype(np.int64)
    binary = bool((abs(codes) == 1).all())
    kind = IntType.holding(int(codes.min()), int(codes.max()))
    return Weights(
        codes,
        np.full((1,) * codes.ndim, Fraction(1), dtype=object),
        IntType.bipolar1() if binary else kind,
    )


def _placed(node: SourceNode, codes: Array, view: Array) -> Array:
    """Columns in the order of the edge, where the file reads it in the order of ``view``."""
    if view.ndim != 1:
        raise node.refuse(f"its input has axes {view.shape}; flatten it before the layer")
    if codes.shape[1] != view.size:
        raise node.refuse(f"{codes.shape[1]} columns cannot take {view.size} channels")
    placed = np.empty_like(codes)
    placed[:, view] = codes
    return placed


def _meaning(codes: Array, rows: tuple[Fraction, ...], scale: Fraction, offset: Fraction) -> Affine:
    """What the integer sums mean: weights times ``scale * x + offset``, row by row."""
    if not offset:
        return Affine(tuple(row * scale for row in rows))
    sums = codes.sum(axis=1).tolist()
    return Affine(
        tuple(at(rows, i) * scale for i in range(len(sums))),
        tuple(at(rows, i) * offset * total for i, total in enumerate(sums)),
    )


def _row_scales(
    node: SourceNode, weights: Weights, rows: int, *, transposed: bool
) -> tuple[Fraction, ...]:
    """One scale, or one per row; a scale per column cannot leave the sum."""
    scale = weights.scale
    if scale.size == 1:
        return (scale.item(),)
    if scale.shape != ((rows, 1) if transposed else (1, rows)):
        raise node.refuse(
            f"weight scales of shape {scale.shape}; use one per output channel or one in all"
        )
    return tuple(scale.ravel())
