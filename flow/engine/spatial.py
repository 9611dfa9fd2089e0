"""Torch kernels of image ops: windows and convolutions, padding, pools, adds and layout."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from itertools import product

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from flow.engine.exactness import (
    Span,
    code_span,
    extremes,
    full_precision,
    holding,
    largest_sum,
    magnitude,
    weight_span,
)
from flow.engine.kernels import Step, finished, kernel, tensor, wrap
from flow.errors import ClaimError
from flow.ir import IntType
from flow.ops import Add, Concat, MatVec, MaxPool, Pad, Reshape, SumPool, Transpose, Window
from flow.ops.window import Pair

_compared: set[tuple[object, ...]] = set()  # what convolutions were compared with products


def slide(x: Tensor, kernel: Pair, stride: Pair, dilation: Pair) -> Tensor:
    """A view of shape (batch, OH, OW, KH, KW, C) on ``x`` of shape (batch, H, W, C)."""
    height, width = (d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    view = x.unfold(1, height, stride[0]).unfold(2, width, stride[1])
    return view[..., :: dilation[0], :: dilation[1]].movedim(3, 5)


def convolves(window: Window, op: MatVec, inputs: Span) -> bool:
    """Whether :func:`convolution` takes the place of both: no sum may leave float32."""
    taps = window.kernel[0] * window.kernel[1]
    return largest_sum(op, inputs) < 1 << 24 and (op.groups == 1 or op.positions == taps)


def convolution(window: Window, op: MatVec, inputs: Span, *, device: str) -> Step:
    """``window`` and the product behind it in one step that copies no windows.

    Sums of integers below 2**24 are exact in any order, though not what a transformed (Winograd)
    convolution would add up; ``try_convolution`` shows that the device's is none. Libraries choose
    among algorithms by shape, so the first batch of each shape is compared at its two ends with
    windows and product one after the other.

    Raises:
        ClaimError: (by the step) the two differ.
    """
    weights = _filters(window, tensor(op.read, device=device))
    whole = finished(op, inputs, lambda x: _convolve(window, op, x, weights))
    windows, product_of = (kernel(o, inputs, device=device) for o in (window, op))

    def run(x: Tensor) -> Tensor:
        found = whole(x)
        key = (device, window, op.weights.shape, op.groups, x.dtype, x.shape, x.stride())
        if key not in _compared and len(x):
            ends = [0, len(x) - 1]
            if (found[ends] != product_of(windows(x[ends]))).any():
                raise ClaimError(
                    f"convolutions on {device} are not exact for images {tuple(x.shape)}; "
                    "use another device, and report this"
                )
            _compared.add(key)
        return found

    return run


def try_convolution(window: Window, op: MatVec, inputs: Span, *, device: str) -> None:
    """Convolve extreme images by extreme weights on ``device``; compare with integers.

    Raises:
        ClaimError: the device's convolutions are not exact.
    """
    taps, columns = window.kernel[0] * window.kernel[1], op.weights.shape[1]
    weights = np.tile(extremes(weight_span(op), columns), (op.groups, 1))
    sizes = [d * (k - 1) + 4 for k, d in zip(window.kernel, window.dilation, strict=True)]
    channels = columns // taps * op.groups
    rows = extremes(inputs, sizes[0] * sizes[1] * channels)
    images = torch.from_numpy(rows.reshape(-1, *sizes, channels)).to(device)
    kind, wide = IntType.holding(int(weights.min()), int(weights.max())), IntType(62, True)
    exact = MatVec(weights, kind, wide, groups=op.groups, positions=taps)
    with full_precision():
        filters = _filters(window, tensor(weights, device=device))
        found = _convolve(window, op, images, filters)
    wanted = exact.evaluate(window.evaluate(images.cpu().numpy()))
    if (found.cpu().numpy() != wanted).any():
        raise ClaimError(
            f"convolutions on {device} are not exact for {op.weights.shape[1]} columns; "
            "use another device"
        )


def _filters(window: Window, weights: Tensor) -> Tensor:
    rows = len(weights)
    return weights.to(torch.float32).reshape(rows, *window.kernel, -1).permute(0, 3, 1, 2)


def _convolve(window: Window, op: MatVec, x: Tensor, weights: Tensor) -> Tensor:
    # oneDNN misreads batches of one channel where a stride leaves one column: no stride is needed.
    spans = [d * (k - 1) + 1 for k, d in zip(window.kernel, window.dilation, strict=True)]
    stride = list(window.stride)
    for axis, span in enumerate(spans):
        if x.shape[1 + axis] < span + stride[axis]:
            x, stride[axis] = x.narrow(1 + axis, 0, span), 1
    image = x.to(torch.float32).permute(0, 3, 1, 2)
    options = (stride, 0, window.dilation, op.groups)
    return conv2d(image, weights, None, *options).permute(0, 2, 3, 1)


def slices(x: Tensor, kernel: Pair, stride: Pair, dilation: Pair) -> Iterator[Tensor]:
    """For each tap of the window its elements of all windows, (batch, OH, OW, C)."""
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    ends = [n - span for n, span in zip(x.shape[1:3], spans, strict=True)]
    for row, column in product(range(kernel[0]), range(kernel[1])):
        top, left = row * dilation[0], column * dilation[1]
        yield x[:, top : top + ends[0] + 1 : stride[0], left : left + ends[1] + 1 : stride[1]]


@kernel.register
def _(op: Window, inputs: Span, *, device: str) -> Step:
    def run(x: Tensor) -> Tensor:
        return slide(x, op.kernel, op.stride, op.dilation).flatten(3)

    return run


@kernel.register
def _(op: Pad, inputs: Span, *, device: str) -> Step:
    top, bottom, left, right = op.margins

    def run(x: Tensor) -> Tensor:
        return pad(x, (0, 0, left, right, top, bottom), value=op.value)

    return run


@kernel.register
def _(op: MaxPool, inputs: Span, *, device: str) -> Step:
    def run(x: Tensor) -> Tensor:
        return reduce(torch.maximum, slices(x, op.kernel, op.stride, op.dilation))

    return run


@kernel.register
def _(op: SumPool, inputs: Span, *, device: str) -> Step:
    largest = op.kernel[0] * op.kernel[1] * magnitude(inputs)
    dtype = holding(largest + (1 << op.accumulator.bits))

    def run(x: Tensor) -> Tensor:
        total = reduce(torch.add, slices(x.to(dtype), op.kernel, op.stride, (1, 1)))
        return wrap(op.accumulator, total)

    return run


@kernel.register
def _(op: Add, inputs: Span, *, device: str) -> Step:
    largest = int(np.abs(op.multipliers).max(axis=1).sum()) * magnitude(inputs)
    largest += int(np.abs(op.offset).max()) + (1 << op.accumulator.bits)
    dtype = holding(largest)
    multipliers = tensor(op.multipliers, device=device).to(dtype)
    offset = tensor(op.offset, device=device).to(dtype)

    def run(*streams: Tensor) -> Tensor:
        total = offset.expand(streams[0].shape)
        for multiplier, x in zip(multipliers, streams, strict=True):
            total = total + multiplier * x.to(dtype)
        return wrap(op.accumulator, total)

    return run


@kernel.register
def _(op: Concat, inputs: Span, *, device: str) -> Step:
    dtype = holding(magnitude(code_span(op.output)))

    def run(*streams: Tensor) -> Tensor:
        return torch.cat([x.to(dtype) for x in streams], dim=-1)

    return run


@kernel.register
def _(op: Reshape, inputs: Span, *, device: str) -> Step:
    def run(x: Tensor) -> Tensor:
        return x.reshape(len(x), *op.shape)

    return run


@kernel.register
def _(op: Transpose, inputs: Span, *, device: str) -> Step:
    def run(x: Tensor) -> Tensor:
        return x.permute(0, *(axis + 1 for axis in op.order))

    return run
