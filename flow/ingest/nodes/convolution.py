"""Two-dimensional convolutions: padding, a window and a product."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from flow.ingest.nodes.levels import settled
from flow.ingest.nodes.product import (
    add_product,
    meaning,
    open_product,
    quantized_input,
    quantized_weights,
    row_scales,
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
    """Where the windows of a node lie."""

    kernel: Pair
    stride: Pair
    dilation: Pair
    margins: Margins


def geometry(node: SourceNode, *, kernel: Pair | None = None) -> Geometry:
    """The windows that the attributes of a convolution or pool describe, all two-dimensional."""
    mode = node.text("auto_pad", "NOTSET")
    if mode not in ("NOTSET", "VALID"):
        raise node.refuse(f"auto_pad {mode!r}; export explicit pads")
    if node.integer("ceil_mode", 0):
        raise node.refuse("rounds its size up; use ceil_mode=0 and explicit pads")
    if kernel is None or "kernel_shape" in node.attributes:
        height, width = node.integers("kernel_shape", (0, 0))
        if kernel is not None and kernel != (height, width):
            raise node.refuse(f"kernel_shape {[height, width]} of weights that are {[*kernel]}")
        kernel = (height, width)
    vertical, horizontal = node.integers("strides", (1, 1))
    rows, columns = node.integers("dilations", (1, 1))
    top, left, bottom, right = node.integers("pads", (0, 0, 0, 0))
    margins = (0, 0, 0, 0) if mode == "VALID" else (top, bottom, left, right)
    if max(margins) > _MOST_PADDING:
        raise node.refuse(f"pads {[*margins]}; pad by at most {_MOST_PADDING}")
    return Geometry(kernel, (vertical, horizontal), (rows, columns), margins)


@reads("Conv", inputs=2)
def conv(state: State, node: SourceNode) -> Tensor:
    """Any stride, padding, dilation and groups; padding is the integer that means 0."""
    real, weights = settled(state, node), quantized_weights(state, node, axes=4)
    scale, offset = quantized_input(state, node, real)
    shape = state.image(node, real)
    count, share, height, width = weights.codes.shape
    where, groups = geometry(node, kernel=(height, width)), node.integer("group", 1)
    if groups < 1 or share * groups != shape[-1]:
        raise node.refuse(f"{groups} groups of {share} channels for an image of {shape[-1]}")
    edge = padded(state, node, real.edge, where.margins, value=-offset / scale)
    if (where.kernel, where.stride) != ((1, 1), (1, 1)):
        edge = state.add(
            "window", Window(where.kernel, where.stride, where.dilation), (edge,), source=node
        )
    codes = weights.codes.transpose(0, 2, 3, 1).reshape(count, -1)
    rows = row_scales(node, weights, (count, 1, 1, 1))
    op = open_product(state, codes, weights.type, groups=groups, positions=height * width)
    output = add_product(state, node, "conv", op, edge=edge)
    product = state.result(output, meaning(codes, rows, scale, offset))
    if len(node.inputs) < 3 or not node.inputs[2]:
        return product
    return product.then(Affine((Fraction(1),), state.per_channel(node, 2, product, first=True)))


@reads("Pad", inputs=2)
def pad(state: State, node: SourceNode) -> Tensor:
    """A constant margin around a quantized image, of a value on the image's own grid."""
    real = settled(state, node)
    if node.text("mode", "constant") != "constant":
        raise node.refuse(f"mode {node.text('mode', '')!r}; only constant padding is read")
    scale, offset = quantized_input(state, node, real)
    sizes = state.constant(node, 1).tolist()
    if len(node.inputs) > 3 and node.inputs[3]:
        raise node.refuse("pads chosen axes; export pads of all axes")
    if state.image(node, real) and len(sizes) != 8:
        raise node.refuse("only height and width of an image can be padded")
    (batch, channels, top, left), (last, behind, bottom, right) = sizes[:4], sizes[4:]
    if any((batch, channels, last, behind)):
        raise node.refuse("only height and width of an image can be padded")
    value = Fraction(0)
    if len(node.inputs) > 2 and node.inputs[2]:
        given = state.constant(node, 2)
        if given.size != 1:
            raise node.refuse(f"a value of shape {given.shape}; use one")
        value = fractions(given)[0]
    margins = (int(top), int(bottom), int(left), int(right))
    edge = padded(state, node, real.edge, margins, value=(value - offset) / scale)
    return state.result(edge, *real.steps, quantized=True)


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
