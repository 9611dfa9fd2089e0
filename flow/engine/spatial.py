"""Torch kernels of the ops that have no product: windows, padding, pools, adds and layout.

They work on int64, so that each is exact whatever the values are; only windows that a layer alone
reads are made in the dtype of that layer's product.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from flow.engine.exactness import Span, largest_sum, product_dtype
from flow.engine.kernels import Step, kernel, tensor, wrap
from flow.ops import Add, Concat, MatVec, MaxPool, Pad, Reshape, SumPool, Transpose, Window
from flow.ops.window import Pair


def slide(x: Tensor, kernel: Pair, stride: Pair, dilation: Pair) -> Tensor:
    """A view of shape (batch, OH, OW, KH, KW, C) on ``x`` of shape (batch, H, W, C)."""
    height, width = (d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    view = x.unfold(1, height, stride[0]).unfold(2, width, stride[1])
    return view[..., :: dilation[0], :: dilation[1]].movedim(3, 5)


def window_for(op: Window, reader: MatVec, inputs: Span) -> Step:
    """``op`` in the dtype in which ``reader`` multiplies: each pixel is converted once, before it
    is copied into every window it belongs to. ``inputs`` is what the reader is given."""
    return _windows(op, product_dtype(largest_sum(reader, inputs)))


def _windows(op: Window, dtype: torch.dtype) -> Step:
    def run(x: Tensor) -> Tensor:
        return slide(x.to(dtype), op.kernel, op.stride, op.dilation).flatten(3)

    return run


@kernel.register
def _(op: Window, inputs: Span, *, device: str) -> Step:
    return _windows(op, torch.int64)


@kernel.register
def _(op: Pad, inputs: Span, *, device: str) -> Step:
    top, bottom, left, right = op.margins

    def run(x: Tensor) -> Tensor:
        return pad(x, (0, 0, left, right, top, bottom), value=op.value)

    return run


@kernel.register
def _(op: MaxPool, inputs: Span, *, device: str) -> Step:
    def run(x: Tensor) -> Tensor:
        return slide(x, op.kernel, op.stride, op.dilation).amax(dim=(3, 4))

    return run


@kernel.register
def _(op: SumPool, inputs: Span, *, device: str) -> Step:
    def run(x: Tensor) -> Tensor:
        return wrap(op.accumulator, slide(x, op.kernel, op.stride, (1, 1)).sum(dim=(3, 4)))

    return run


@kernel.register
def _(op: Add, inputs: Span, *, device: str) -> Step:
    multipliers = tensor(op.multipliers, device=device)
    offset = tensor(op.offset, device=device)

    def run(*streams: Tensor) -> Tensor:
        total = offset.expand(streams[0].shape)
        for multiplier, x in zip(multipliers, streams, strict=True):
            total = total + multiplier * x
        return wrap(op.accumulator, total)

    return run


@kernel.register
def _(op: Concat, inputs: Span, *, device: str) -> Step:
    def run(*streams: Tensor) -> Tensor:
        return torch.cat(streams, dim=-1)

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
