"""Padding by an explicit integer of the tensor's own type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from flow.ir import Array, Edge, IntType
from flow.ops.window import spatial


@dataclass(frozen=True, slots=True)
class Pad:
    """(H, W, C) with ``value`` around it; margins are (top, bottom, left, right)."""

    margins: tuple[int, int, int, int]
    value: int

    def __post_init__(self) -> None:
        if len(self.margins) != 4 or min(self.margins) < 0:
            raise ValueError(f"margins {self.margins} must be four integers of at least 0")

    @property
    def stored(self) -> Mapping[str, IntType]:
        return {}

    def evaluate(self, x: Array) -> Array:
        top, bottom, left, right = self.margins
        widths = ((0, 0), (top, bottom), (left, right), (0, 0))
        return np.pad(x, widths, constant_values=self.value)

    def out_type(self, x: Edge) -> Edge:
        height, width, channels = spatial(x)
        top, bottom, left, right = self.margins
        if x.type.bipolar and self.value not in (-1, 1):
            raise ValueError(
                f"a bipolar tensor cannot be padded with {self.value}: it has no such value; "
                "pad with -1 or +1 in the model"
            )
        if not x.type.code_lo <= self.value <= x.type.code_hi:
            raise ValueError(f"the padding {self.value} is no value of {x.type}")
        kind = x.type
        if kind.declared is not None:
            kind = kind.within(min(kind.lo, self.value), max(kind.hi, self.value))
        return Edge((height + top + bottom, width + left + right, channels), kind)
