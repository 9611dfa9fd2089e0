"""Dense layers: MatMul and Gemm with quantized weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flow.ingest.nodes.levels import settled
from flow.ingest.nodes.product import (
    add_product,
    meaning,
    open_product,
    quantized_weights,
    row_scales,
    uniform_data,
)
from flow.ingest.nodes.registry import reads
from flow.ingest.order import channels_last_view
from flow.ingest.reader import SourceNode
from flow.ingest.state import Real, State, Tensor
from flow.ingest.steps import Affine
from flow.ir import Array


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
    weights = quantized_weights(state, node, axes=2, rows=0 if transposed else 1)
    real, scale, offset = uniform_data(state, node, settled(state, node))
    shape = state.edges[real.edge].shape
    last = channels_last_view(shape)
    if len(shape) == 3 and not np.array_equal(real.view, last):
        raise node.refuse("works on an image; flatten it in front of a dense layer")
    codes = weights.codes if transposed else weights.codes.T
    if len(shape) == 1:  # otherwise every position has the file's order
        codes = _placed(node, codes, real.view)
    count = codes.shape[0]
    rows = row_scales(node, weights, (count, 1) if transposed else (1, count))
    op = open_product(state, codes, weights.type)
    output = add_product(state, node, "fc", op, edge=real.edge)
    product = state.result(output, meaning(codes, rows, scale, offset))
    return replace(product, view=channels_last_view(state.edges[output].shape))


def _placed(node: SourceNode, codes: Array, view: Array) -> Array:
    """Columns in the order of the edge, where the file reads it in the order of ``view``."""
    if view.ndim != 1:
        raise node.refuse(f"its input has axes {view.shape}; flatten it before the layer")
    if codes.shape[1] != view.size:
        raise node.refuse(f"{codes.shape[1]} columns cannot take {view.size} channels")
    placed = np.empty_like(codes)
    placed[:, view] = codes
    return placed
