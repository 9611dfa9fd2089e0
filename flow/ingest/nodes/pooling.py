"""Pools of quantized images: the maximum as it is, the average as an exact sum."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from flow.errors import InputError
from flow.ingest.nodes.convolution import Geometry, geometry, padded
from flow.ingest.nodes.layout import flat
from flow.ingest.nodes.levels import settled
from flow.ingest.nodes.registry import reads
from flow.ingest.reader import SourceNode
from flow.ingest.state import Real, State, Tensor
from flow.ingest.steps import Affine
from flow.ir import IntType
from flow.ops import MaxPool, SumPool
from flow.ops.window import Pair


@reads("MaxPool", inputs=1)
def max_pool(state: State, node: SourceNode) -> Tensor:
    """The maximum of integers is that of the values where each channel's scale is positive, be
    they codes or sums."""
    return largest(state, node, settled(state, node))


def largest(state: State, node: SourceNode, real: Real) -> Real:
    """The largest value of each window of an image, channels first in the file."""
    where = geometry(node)
    if state.is_input(real):
        raise _not_quantized(node)
    height, width, _ = state.image(node, real)
    affine = real.affine
    if affine is None or min(affine.scale) <= 0:
        raise node.refuse("its input is scaled by a number of 0 or below; pool in front of that")
    top, bottom, left, right = where.margins
    sides = ((height, top, bottom), (width, left, right))
    if not all(_sees(*side, where, axis) for axis, side in enumerate(sides)):
        raise node.refuse("a window holds nothing but padding; pad less")
    op = MaxPool(where.kernel, where.stride, where.dilation)
    # the file pads with minus infinity: no value is below the type's lowest
    lowest = Fraction(state.edges[real.edge].type.lo)
    edge = padded(state, node, real.edge, where.margins, value=lowest)
    output = state.add("maxpool", op, (edge,), source=node)
    return state.result(output, *real.steps, quantized=real.quantized)


@reads("AveragePool", inputs=1)
def average_pool(state: State, node: SourceNode) -> Tensor:
    """The sum of every window; the division joins the chain in front of the next quantizer."""
    real, where = settled(state, node), geometry(node)
    _image(state, node, real)
    if any(where.margins) or where.dilation != (1, 1):
        raise node.refuse("averages with pads or dilation; use neither")
    return _average(state, node, real, where.kernel, where.stride)


@reads("GlobalAveragePool", inputs=1)
def global_average_pool(state: State, node: SourceNode) -> Tensor:
    """One average per channel."""
    real = settled(state, node)
    height, width, _ = _image(state, node, real)
    return _average(state, node, real, (height, width), (1, 1))


@reads("ReduceMean", inputs=1)
def reduce_mean(state: State, node: SourceNode) -> Tensor:
    """The average over height and width, as current exporters write a global average pool."""
    real = settled(state, node)
    height, width, _ = _image(state, node, real)
    if len(node.inputs) > 1 and node.inputs[1]:
        axes = state.constant(node, 1).ravel().tolist()
    else:
        axes = node.attributes.get("axes", [])
    if sorted(axis % 4 for axis in axes) != [2, 3]:
        raise node.refuse(f"averages over axes {axes}; only height and width can be, axes [2, 3]")
    mean = _average(state, node, real, (height, width), (1, 1))
    if node.integer("keepdims", 1):
        return mean
    return flat(state, node, mean)


def _image(state: State, node: SourceNode, real: Real) -> tuple[int, int, int]:
    """Height, width and channels of a quantized image."""
    if state.is_input(real) or real.affine is None or not real.quantized:
        raise _not_quantized(node)
    return state.image(node, real)


def _not_quantized(node: SourceNode) -> InputError:
    return node.refuse(
        f"its input {node.inputs[0]!r} is not quantized; add a QuantIdentity before the pool"
    )


def _sees(size: int, before: int, after: int, where: Geometry, axis: int) -> bool:
    """Whether every window sees one element or more along an axis, padding apart."""
    kernel, stride, dilation = where.kernel[axis], where.stride[axis], where.dilation[axis]
    starts = range(-before, size + after - dilation * (kernel - 1), stride)
    taps = dilation * np.arange(kernel)
    return all(((taps + start >= 0) & (taps + start < size)).any() for start in starts)


def _average(state: State, node: SourceNode, real: Real, kernel: Pair, stride: Pair) -> Real:
    total = summed(state, node, real, kernel, stride)
    return total.then(Affine((Fraction(1, kernel[0] * kernel[1]),)))


def summed(state: State, node: SourceNode, real: Real, kernel: Pair, stride: Pair) -> Real:
    """The sum of each window of a quantized image, channels first in the file."""
    _image(state, node, real)
    count = kernel[0] * kernel[1]
    kind, affine = state.edges[real.edge].type, real.affine
    if affine is None or count < 1:
        raise node.refuse(f"kernel {kernel} averages nothing")
    op = SumPool(kernel, stride, IntType.holding(count * kind.lo, count * kind.hi))
    output = state.add("sumpool", op, (real.edge,), source=node)
    # the offset of each value is in the sum as often as there are values
    offset = tuple(count * value for value in affine.offset)
    return state.result(output, Affine(affine.scale, offset))
