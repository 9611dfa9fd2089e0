"""Sliding windows: what turns a convolution into a matrix-vector product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.ir import Array, Edge, IntType

Pair = tuple[int, int]


def positions(size: int, kernel: int, stride: int, dilation: int) -> int:
    """How many windows fit into ``size`` elements; raises ``ValueError`` when none does."""
    span = dilation * (kernel - 1) + 1
    if span > size:
        raise ValueError(f"a window of {span} does not fit into {size} elements; pad first")
    return (size - span) // stride + 1


def slide(x: NDArray[Any], kernel: Pair, stride: Pair, dilation: Pair) -> NDArray[Any]:
    """A view of shape (batch, OH, OW, KH, KW, C) on ``x`` of shape (batch, H, W, C)."""
    spans = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(x, spans, axis=(1, 2))
    view = view[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]
    turned: NDArray[Any] = np.moveaxis(view, 3, 5)
    return turned


@dataclass(frozen=True, slots=True)
class Window:
    """(H, W, C) to (OH, OW, KH * KW * C): each output word is one window, in order (kh, kw, c)."""

    kernel: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)

    def __post_init__(self) -> None:
        for name in ("kernel", "stride", "dilation"):
            if min(getattr(self, name)) < 1 or len(getattr(self, name)) != 2:
                raise ValueError(f"{name} {getattr(self, name)} must be two positive integers")

    @property
    def stored(self) -> Mapping[str, IntType]:
        return {}

    def evaluate(self, x: Array) -> Array:
        view = slide(x, self.kernel, self.stride, self.dilation)
        return view.reshape(*view.shape[:3], -1)

    def out_type(self, x: Edge) -> Edge:
        height, width, channels = spatial(x)
        kernel_height, kernel_width = self.kernel
        shape = (
            positions(height, kernel_height, self.stride[0], self.dilation[0]),
            positions(width, kernel_width, self.stride[1], self.dilation[1]),
            kernel_height * kernel_width * channels,
        )
        return Edge(shape, x.type)


def spatial(x: Edge) -> tuple[int, int, int]:
    """Height, width and channels of an image edge; anything else is a ``ValueError``."""
    if len(x.shape) != 3:
        raise ValueError(f"an image of shape (height, width, channels) is wanted, not {x}")
    height, width, channels = x.shape
    return height, width, channels
