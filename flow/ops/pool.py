"""Pooling over windows of an image: the maximum, or the exact sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flow.ir import Array, Edge, IntType
from flow.ops.window import Pair, Window, slide


@dataclass(frozen=True, slots=True)
class MaxPool:
    """(H, W, C) to (OH, OW, C): the largest value of each window, per channel."""

    kernel: Pair
    stride: Pair
    dilation: Pair = (1, 1)

    @property
    def stored(self) -> Mapping[str, IntType]:
        return {}

    def evaluate(self, x: Array) -> Array:
        highest: Array = slide(x, self.kernel, self.stride, self.dilation).max(axis=(3, 4))
        return highest

    def out_type(self, x: Edge) -> Edge:
        height, width, _ = Window(self.kernel, self.stride, self.dilation).out_type(x).shape
        return Edge((height, width, x.shape[-1]), x.type)


@dataclass(frozen=True, slots=True)
class SumPool:
    """(H, W, C) to (OH, OW, C): the sum of each window, per channel, kept in ``accumulator``.

    An average pool is this sum followed by a Threshold that divides and rounds.
    """

    kernel: Pair
    stride: Pair
    accumulator: IntType

    @property
    def stored(self) -> Mapping[str, IntType]:
        return {}

    def evaluate(self, x: Array) -> Array:
        return self.accumulator.wrap(slide(x, self.kernel, self.stride, (1, 1)).sum(axis=(3, 4)))

    def out_type(self, x: Edge) -> Edge:
        height, width, _ = Window(self.kernel, self.stride).out_type(x).shape
        return Edge((height, width, x.shape[-1]), self.accumulator)
