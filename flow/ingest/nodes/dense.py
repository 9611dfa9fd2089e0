"""Dense layers: MatMul and Gemm with quantized weights."""

from __future__ import annotations

from dataclasses import replace

from flow.ingest.nodes.product import (
    add_product,
    meaning,
    open_product,
    quantized_input,
    quantized_weights,
    row_scales,
)
from flow.ingest.nodes.registry import reads
from flow.ingest.order import columns_from_file
from flow.ingest.reader import SourceNode
from flow.ingest.state import Real, State, Tensor, Weights
from flow.ingest.steps import Affine


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


@reads("Transpose", inputs=1)
def transpose(state: State, node: SourceNode) -> Tensor:
    """Of weights only, quantized or not yet: their two axes change places."""
    tensor = state.tensors[node.inputs[0]]
    order = list(node.attributes.get("perm", [1, 0]))
    axes = tensor.codes if isinstance(tensor, Weights) else tensor
    if isinstance(axes, Real) or axes.ndim != 2 or order != [1, 0]:
        raise node.refuse("only two-dimensional weights can be transposed so far")
    if not isinstance(tensor, Weights):
        return axes.T
    return replace(tensor, codes=tensor.codes.T, scale=tensor.scale.T)


def _product(state: State, node: SourceNode, *, transposed: bool) -> Real:
    real, weights = state.real(node), quantized_weights(state, node, axes=2)
    scale, offset = quantized_input(state, node, real)
    shape = state.edges[real.edge].shape
    if len(shape) == 3:
        raise node.refuse("works on an image; flatten it in front of a dense layer")
    codes = weights.codes if transposed else weights.codes.T
    if codes.shape[1] == shape[-1]:  # otherwise the op says what does not fit
        codes = columns_from_file(codes, real.image)
    count = codes.shape[0]
    rows = row_scales(node, weights, (count, 1) if transposed else (1, count))
    op = open_product(state, codes, weights.type)
    output = add_product(state, node, "fc", op, edge=real.edge)
    return Real(output, (meaning(codes, rows, scale, offset),))
