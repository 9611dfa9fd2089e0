"""Convolutions of images and lines: padding, a window and a product."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from flow.ingest.nodes.image import Image, as_image
from flow.ingest.nodes.levels import settled
from flow.ingest.nodes.product import (
    add_product,
    meaning,
    open_product,
    quantized_data,
    quantized_weights,
    row_scales,
    uniform_data,
)
from flow.ingest.nodes.registry import reads
from flow.ingest.reader import SourceNode
from flow.ingest.state import State, Tensor, fractions
from flow.ingest.steps import Affine
from flow.ops import Pad, Window
from flow.ops.window import Pair

_MOST_PADDING = 1 << 10
Margins = tuple[int, int, int, int]  # top, bottom, left, right


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where the windows of a node lie; ``overhang`` is what the windows reach below and right of
    the padded image, where sizes are rounded up."""

    kernel: Pair
    stride: Pair
    dilation: Pair
    margins: Margins
    overhang: Pair = (0, 0)

    @property
    def padding(self) -> Margins:
        """The margins, overhang included."""
        top, bottom, left, right = self.margins
        return top, bottom + self.overhang[0], left, right + self.overhang[1]


def geometry(node: SourceNode, image: Image, *, kernel: tuple[int, ...] = ()) -> Geometry:
    """The windows that the attributes of a convolution or pool describe on ``image``."""
    axes = image.axes
    if not kernel or "kernel_shape" in node.attributes:
        stated = node.integers("kernel_shape", (0,) * axes)
        if kernel and kernel != stated:
            raise node.refuse(f"kernel_shape {[*stated]} of weights that are {[*kernel]}")
        kernel = stated
    stride = node.integers("strides", (1,) * axes)
    dilation = node.integers("dilations", (1,) * axes)
    if min(*kernel, *stride, *dilation) < 1:
        raise node.refuse("a kernel, stride or dilation below 1")
    pads = node.integers("pads", (0,) * 2 * axes)
    mode, up = node.text("auto_pad", "NOTSET"), bool(node.integer("ceil_mode", 0))
    if mode not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise node.refuse(f"auto_pad {mode!r} is unknown; export explicit pads")
    sides, over = [], []
    for axis, size in enumerate(image.shape[2 - axes : 2]):
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        side = (pads[axis], pads[axis + axes]) if mode == "NOTSET" else (0, 0)
        if mode.startswith("SAME"):
            side = _same(node, mode, size, reach=reach, stride=stride[axis])
        sides.append(side)
        over.append(_overhang(size + sum(side), size + side[0], reach, stride[axis]) if up else 0)
    margins = tuple(n for side in sides for n in side)
    if max(margins) > _MOST_PADDING:
        raise node.refuse(f"pads {[*margins]}; pad by at most {_MOST_PADDING}")
    if axes == 1:
        return Geometry(
            (1, kernel[0]), (1, stride[0]), (1, dilation[0]), (0, 0, *sides[0]), (0, over[0])
        )
    return Geometry(
        (kernel[0], kernel[1]),
        (stride[0], stride[1]),
        (dilation[0], dilation[1]),
        (*sides[0], *sides[1]),
        (over[0], over[1]),
    )


def _same(node: SourceNode, mode: str, size: int, *, reach: int, stride: int) -> tuple[int, int]:
    """The padding in front and behind that ``auto_pad`` asks for along an axis."""
    total = (-(-size // stride) - 1) * stride + reach - size
    if total < 0:  # engines differ: negative padding, none, or an error
        raise node.refuse(f"auto_pad {mode!r} with strides that skip; export explicit pads")
    small, large = total // 2, total - total // 2  # the odd one behind, or in front
    return (large, small) if mode == "SAME_LOWER" else (small, large)


def _overhang(padded: int, begun: int, reach: int, stride: int) -> int:
    """How far the last window leaves the padded image when sizes are rounded up; a window that
    starts in the padding behind the image does not count."""
    last = -(-(padded - reach) // stride) * stride
    if last >= begun:
        last -= stride
    return max(last + reach - padded, 0)


@reads("Conv", inputs=2)
def conv(state: State, node: SourceNode) -> Tensor:
    """Any stride, padding, dilation and groups, on images and lines; padding is the integer that
    means 0."""
    image = as_image(state, node, quantized_data(state, node, settled(state, node)))
    weights = quantized_weights(state, node, axes=2 + image.axes)
    real, scale, offset = uniform_data(state, node, image.real)
    count, share, *kernel = weights.codes.shape
    where, groups = geometry(node, image, kernel=tuple(kernel)), node.integer("group", 1)
    if groups < 1 or share * groups != image.shape[-1]:
        raise node.refuse(f"{groups} groups of {share} channels for an image of {image.shape[-1]}")
    edge = padded(state, node, real.edge, where.padding, value=-offset / scale)
    if (where.kernel, where.stride) != ((1, 1), (1, 1)):
        edge = state.add(
            "window", Window(where.kernel, where.stride, where.dilation), (edge,), source=node
        )
    codes = np.moveaxis(weights.codes, 1, -1).reshape(count, -1)
    rows = row_scales(node, weights, (count, *[1] * (1 + image.axes)))
    positions = where.kernel[0] * where.kernel[1]
    op = open_product(state, codes, weights.type, groups=groups, positions=positions)
    output = add_product(state, node, "conv", op, edge=edge)
    product = image.result(state, output, meaning(codes, rows, scale, offset))
    if len(node.inputs) < 3 or not node.inputs[2]:
        return product
    return product.then(Affine((Fraction(1),), state.per_channel(node, 2, product, first=True)))


@reads("Pad", inputs=2)
def pad(state: State, node: SourceNode) -> Tensor:
    """A constant margin around a quantized image, of a value on the image's own grid."""
    if node.text("mode", "constant") != "constant":
        raise node.refuse(f"mode {node.text('mode', '')!r}; only constant padding is read")
    image = as_image(state, node, quantized_data(state, node, settled(state, node)))
    real, scale, offset = uniform_data(state, node, image.real)
    sizes = [int(size) for size in state.constant(node, 1).ravel()]
    if len(node.inputs) > 3 and node.inputs[3]:
        raise node.refuse("pads chosen axes; export pads of all axes")
    ends = len(sizes) // 2
    if ends != 2 + image.axes or any((*sizes[:2], *sizes[ends : ends + 2])):
        raise node.refuse("only height and width of an image can be padded")
    value = Fraction(0)
    if len(node.inputs) > 2 and node.inputs[2]:
        given = state.constant(node, 2)
        if given.size != 1:
            raise node.refuse(f"a value of shape {given.shape}; use one")
        value = fractions(given)[0]
    sides = [(0, 0)] * image.line + list(zip(sizes[2:ends], sizes[ends + 2 :], strict=True))
    margins = (*sides[0], *sides[1])
    edge = padded(state, node, real.edge, margins, value=(value - offset) / scale)
    return image.result(state, edge, *real.steps, quantized=True)


def padded(state: State, node: SourceNode, edge: str, margins: Margins, *, value: Fraction) -> str:
    """``edge`` with margins of the integer ``value``; refuses what is no integer of its type."""
    if not any(margins):
        return edge
    if value.denominator != 1:
        raise node.refuse(
            f"pads with what is {float(value):g} on its input's grid, no integer; "
            "use a whole zero point"
        )
    return state.add("pad", Pad(margins, int(value)), (edge,), source=node)
