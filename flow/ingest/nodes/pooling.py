"""Pools of quantized images: the maximum as it is, the average as an exact sum."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from flow.errors import InputError
from flow.ingest.nodes.average import average
from flow.ingest.nodes.convolution import Geometry, geometry, padded
from flow.ingest.nodes.image import Image, as_image
from flow.ingest.nodes.layout import flat
from flow.ingest.nodes.levels import settled
from flow.ingest.nodes.registry import reads
from flow.ingest.reader import SourceNode
from flow.ingest.state import Real, State, Tensor
from flow.ingest.steps import Affine
from flow.ops import MaxPool
from flow.ops.window import Pair


@reads("MaxPool", inputs=1)
def max_pool(state: State, node: SourceNode) -> Tensor:
    """The maximum of integers is that of the values where each channel's scale is positive, be
    they codes or sums."""
    return largest(state, node, settled(state, node))


def largest(state: State, node: SourceNode, real: Real) -> Real:
    """The largest value of each window of an image, channels first in the file."""
    if state.is_input(real):
        raise _not_quantized(node)
    image = as_image(state, node, real)
    where, affine = geometry(node, image), image.real.affine
    if affine is None or min(affine.scale) <= 0:
        raise node.refuse("its input is scaled by a number of 0 or below; pool in front of that")
    top, bottom, left, right = where.padding
    sides = ((image.shape[0], top, bottom), (image.shape[1], left, right))
    if not all(_sees(*side, where, axis) for axis, side in enumerate(sides)):
        raise node.refuse("a window holds nothing but padding; pad less")
    op = MaxPool(where.kernel, where.stride, where.dilation)
    # the file pads with minus infinity: no value is below the type's lowest
    lowest = Fraction(state.edges[image.real.edge].type.lo)
    edge = padded(state, node, image.real.edge, where.padding, value=lowest)
    output = state.add("maxpool", op, (edge,), source=node)
    return image.result(state, output, *image.real.steps, quantized=real.quantized)


@reads("AveragePool", inputs=1)
def average_pool(state: State, node: SourceNode) -> Tensor:
    """The sum of every window; the division joins the chain in front of the next quantizer."""
    image = _image(state, node)
    where = geometry(node, image)
    if where.dilation != (1, 1):
        raise node.refuse("averages with dilation; use a depthwise convolution")
    return average(state, node, image, where, padding=bool(node.integer("count_include_pad", 0)))


@reads("GlobalAveragePool", inputs=1)
def global_average_pool(state: State, node: SourceNode) -> Tensor:
    """One average per channel."""
    return _whole(state, node, _image(state, node))


@reads("ReduceMean", inputs=1)
def reduce_mean(state: State, node: SourceNode) -> Tensor:
    """The average over all places, as current exporters write a global average pool."""
    image = _image(state, node)
    axes: Sequence[int] = node.attributes.get("axes", [])
    if len(node.inputs) > 1 and node.inputs[1]:
        axes = state.constant(node, 1).ravel().tolist()
    rank = 2 + image.axes
    if sorted(axis % rank for axis in axes) != list(range(2, rank)):
        raise node.refuse(f"averages over axes {axes}; only height and width can be, axes [2, 3]")
    mean = _whole(state, node, image)
    return mean if node.integer("keepdims", 1) else flat(state, node, mean)


def _image(state: State, node: SourceNode) -> Image:
    """The input, which must be a quantized image."""
    return _quantized(state, node, settled(state, node))


def _quantized(state: State, node: SourceNode, real: Real) -> Image:
    if state.is_input(real) or real.affine is None or not real.quantized:
        raise _not_quantized(node)
    return as_image(state, node, real)


def _not_quantized(node: SourceNode) -> InputError:
    return node.refuse(
        f"its input {node.inputs[0]!r} is not quantized; add a QuantIdentity before the pool"
    )


def _whole(state: State, node: SourceNode, image: Image) -> Real:
    where = Geometry(image.shape[:2], (1, 1), (1, 1), (0, 0, 0, 0))
    return average(state, node, image, where, padding=False)


def _sees(size: int, before: int, after: int, where: Geometry, axis: int) -> bool:
    """Whether every window sees one element or more along an axis, padding apart."""
    kernel, stride, dilation = where.kernel[axis], where.stride[axis], where.dilation[axis]
    starts = range(-before, size + after - dilation * (kernel - 1), stride)
    taps = dilation * np.arange(kernel)
    return all(((taps + start >= 0) & (taps + start < size)).any() for start in starts)


def summed(state: State, node: SourceNode, real: Real, kernel: Pair, stride: Pair) -> Real:
    """The sum of each window of a quantized image, channels first in the file."""
    image = _quantized(state, node, real)
    where = Geometry(kernel, stride, (1, 1), (0, 0, 0, 0))
    if min(kernel) < 1 or min(stride) < 1:
        raise node.refuse("a kernel, stride or dilation below 1")
    mean = average(state, node, image, where, padding=False)
    return mean.then(Affine((Fraction(kernel[0] * kernel[1]),)))
