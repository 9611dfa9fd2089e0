"""Layers of the FINN dialect that work channels last, or on bits: what streamlining leaves."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from flow.ingest.nodes.convolution import padded
from flow.ingest.nodes.levels import settled
from flow.ingest.nodes.pooling import largest, summed
from flow.ingest.nodes.product import add_product, open_product, quantized_input
from flow.ingest.nodes.quant import apply_quantizer
from flow.ingest.nodes.registry import reads
from flow.ingest.order import channels_last_view
from flow.ingest.quantizer import Quantizer
from flow.ingest.reader import SourceNode
from flow.ingest.rounding import Rounding
from flow.ingest.state import Real, State, Tensor
from flow.ingest.steps import Affine
from flow.ir import IntType
from flow.ops import Window

_ONE = Fraction(1)


@reads("XnorPopcountMatMul", inputs=2, dialect="FINN")
def xnor_popcount(state: State, node: SourceNode) -> Tensor:
    """How many positions of a vector of bits agree with a column of bits.

    With weights of -1 and +1 and bits ``a``: agreements = ``sum(v * a) + (K - sum(v)) / 2``.
    """
    real, bits = settled(state, node), state.constant(node, 1)
    if bits.ndim != 2 or not np.isin(bits, (0, 1)).all():
        raise node.refuse("weights that are no matrix of 0 and 1; export it with BINARY weights")
    scale, offset = quantized_input(state, node, real)
    kind, shape = state.edges[real.edge].type, state.shape(real)
    if not (kind.bits == 1 and not kind.signed and (scale, offset) == _bits(kind)):
        raise node.refuse(
            "its input is no tensor of 0 and 1; put a BINARY MultiThreshold before it"
        )
    if not np.array_equal(real.view, channels_last_view(shape)) or len(bits) != shape[-1]:
        raise node.refuse(f"{len(bits)} rows of weights for an input of shape {real.view.shape}")
    codes = bits.T.astype(np.int64) * 2 - 1
    op = open_product(state, codes, IntType.bipolar1())
    output = add_product(state, node, "fc", op, edge=real.edge)
    columns, sums = codes.shape[1], codes.sum(axis=1).tolist()
    half = Fraction(1, 2)
    if kind.bipolar:
        steps = Affine((half,), (half * columns,))
    else:
        steps = Affine((_ONE,), tuple(half * (columns - total) for total in sums))
    return Real(output, (steps,), channels_last_view(state.edges[output].shape))


def _bits(kind: IntType) -> tuple[Fraction, Fraction]:
    """Scale and offset with which the integers of ``kind`` mean 0 and 1."""
    return (Fraction(1, 2), Fraction(1, 2)) if kind.bipolar else (_ONE, Fraction(0))


@reads("Im2Col", inputs=1, dialect="FINN")
def im2col(state: State, node: SourceNode) -> Tensor:
    """The windows of an image, channels last: each in order (row, column, channel)."""
    real = _channels_first(state, node, settled(state, node))
    scale, offset = quantized_input(state, node, real)
    state.image(node, real)
    kernel, stride = (node.integers(name, (0, 0)) for name in ("kernel_size", "stride"))
    dilation = node.integers("dilations", (1, 1))
    top, left, bottom, right = node.integers("pad_amount", (0, 0, 0, 0))
    value = (node.integer("pad_value", 0) - offset) / scale
    edge = padded(state, node, real.edge, (top, bottom, left, right), value=value)
    pair = (kernel[0], kernel[1]), (stride[0], stride[1]), (dilation[0], dilation[1])
    edge = state.add("window", Window(*pair), (edge,), source=node)
    view = channels_last_view(state.edges[edge].shape)
    return Real(edge, (Affine((scale,), (offset,)),), view, quantized=True)


@reads("MaxPoolNHWC", inputs=1, dialect="FINN")
def max_pool_nhwc(state: State, node: SourceNode) -> Tensor:
    """MaxPool, the channels last."""
    return _channels_last(largest(state, node, _channels_first(state, node, settled(state, node))))


@reads("QuantAvgPool2d", inputs=1, dialect="FINN")
def quant_avg_pool(state: State, node: SourceNode) -> Tensor:
    """The sum of every window of integers, its low bits cut off so that ``obits`` are left."""
    layout = node.text("data_layout", "NCHW")
    real = settled(state, node)
    if layout == "NHWC":
        real = _channels_first(state, node, real)
    size, step = node.integer("kernel", 1), node.integer("stride", 1)
    total = summed(state, node, real, (size, size), (step, step))
    affine, kind = total.affine, state.edges[total.edge].type
    whole = affine is not None and all(v.denominator == 1 for v in (*affine.scale, *affine.offset))
    if affine is None or not whole or len({*affine.scale}) > 1 or len({*affine.offset}) > 1:
        raise node.refuse("its input has other than whole values of one scale; scale it behind")
    most = ((1 << node.integer("ibits")) - 1) * size * size
    shift = Fraction(1 << max(most.bit_length() - node.integer("obits"), 0))
    ends = sorted((affine.scale[0] * v + affine.offset[0]) / shift for v in (kind.lo, kind.hi))
    low, high = ends[0].__floor__(), ends[1].__floor__()
    q = Quantizer((_ONE,), (Fraction(0),), low, max(high, low + 1), Rounding.FLOOR)
    total = _channels_last(total) if layout == "NHWC" else total
    return apply_quantizer(state, node, total.then(Affine((1 / shift,))), q)


def _channels_first(state: State, node: SourceNode, real: Real) -> Real:
    """The same image on the axes of a file that has the channels first."""
    shape = state.shape(real)
    if len(shape) == 3 and not np.array_equal(real.view, channels_last_view(shape)):
        raise node.refuse(
            f"its image has axes {real.view.shape} for {shape[-1]} channels; put the channels "
            "last (NHWC)"
        )
    return replace(real, view=np.moveaxis(real.view, -1, 0))


def _channels_last(real: Real) -> Real:
    return replace(real, view=np.moveaxis(real.view, 0, -1))
