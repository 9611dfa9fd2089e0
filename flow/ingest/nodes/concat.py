"""Tensors side by side, each channel with a scale of its own; and constants."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate

import numpy as np

from flow.ingest.nodes.image import as_image
from flow.ingest.nodes.levels import settled
from flow.ingest.nodes.registry import reads
from flow.ingest.reader import SourceNode
from flow.ingest.state import Real, State, Tensor
from flow.ingest.steps import Affine, at
from flow.ir import IntType, integers
from flow.ops import Add, Concat


@reads("Concat", inputs=1)
def concat(state: State, node: SourceNode) -> Tensor:
    """Constants one after the other; images and lines along the channels, vectors along any axis
    but the batch. Every part keeps its integers; what they mean is said channel by channel."""
    tensors = [state.tensors[name] for name in node.inputs]
    axis = node.integer("axis")
    if not any(isinstance(tensor, Real) for tensor in tensors):
        constants = [state.constant(node, place) for place in range(len(tensors))]
        return np.concatenate(constants, axis=axis)
    reals = [_part(state, node, place) for place in range(len(tensors))]
    rank = reals[0].view.ndim + 1
    axis = axis + rank if axis < 0 else axis
    if not 0 < axis < rank:
        raise node.refuse("joins along the batch; use an axis behind it")
    others = {(real.view.ndim, *np.delete(real.view.shape, axis - 1)) for real in reals}
    if len({real.view.ndim for real in reals}) > 1 or len(others) > 1:
        shapes = [real.view.shape for real in reals]
        raise node.refuse(f"joins tensors of shapes {shapes}; they may differ in one axis only")
    images = [len(state.shape(real)) > 1 for real in reals]
    if any(images):
        if axis != 1 or rank not in (3, 4):
            raise node.refuse("joins images along height or width; join channels, axis 1")
        reals = [as_image(state, node, real).real for real in reals]
    mixed = not all(state.edges[real.edge].type.bipolar for real in reals)
    sizes = [state.shape(real)[-1] for real in reals]
    scale, offset = _columns(reals, sizes)
    edges = [_plain(state, node, real) if mixed else real.edge for real in reals]
    kinds = [state.edges[name].type for name in edges]
    edge = state.add("concat", Concat(_common(kinds)), tuple(edges), source=node)
    quantized = all(real.quantized for real in reals)
    made = state.result(edge, Affine(scale, offset), quantized=quantized)
    if any(images):
        view = made.view[:, 0] if rank == 3 else made.view
    else:
        starts = [0, *accumulate(sizes)]
        moved = [real.view + start for real, start in zip(reals, starts, strict=False)]
        view = np.concatenate(moved, axis=axis - 1)
    return Real(edge, made.steps, view, quantized)


def _part(state: State, node: SourceNode, place: int) -> Real:
    real = settled(state, node, place)
    if state.is_input(real) or real.affine is None:
        raise node.refuse(
            f"joins {node.inputs[place]!r}, which is not quantized; add a QuantIdentity in front"
        )
    return real


def _columns(
    reals: list[Real], sizes: list[int]
) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
    """Scale and offset of every channel of the joined edge; one entry where all are equal."""
    scales: list[Fraction] = []
    offsets: list[Fraction] = []
    for real, size in zip(reals, sizes, strict=True):
        affine = real.affine
        assert affine is not None
        scales += [at(affine.scale, c) for c in range(size)]
        offsets += [at(affine.offset, c) for c in range(size)]
    same = len(set(zip(scales, offsets, strict=True))) == 1
    return (tuple(scales[:1]), tuple(offsets[:1])) if same else (tuple(scales), tuple(offsets))


def _common(kinds: list[IntType]) -> IntType:
    """The narrowest type that holds the values of all."""
    if all(kind.bipolar for kind in kinds):
        return IntType.bipolar1()
    low, high = min(kind.lo for kind in kinds), max(kind.hi for kind in kinds)
    kind = IntType.holding(low, high)
    return kind if (kind.code_lo, kind.code_hi) == (low, high) else kind.within(low, high)


def _plain(state: State, node: SourceNode, real: Real) -> str:
    """The edge of ``real``; binary values as the same numbers in two bits."""
    if not state.edges[real.edge].type.bipolar:
        return real.edge
    same = Add(integers([[1]]), integers([0]), IntType(2, True))
    return state.add("add", same, (real.edge,), source=node)
