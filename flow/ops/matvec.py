"""Integer matrix-vector product with an explicit accumulator type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from flow.ir import Array, Edge, IntType, integers


class Decode(StrEnum):
    """How a stored code is read: as the number it is, or limited to the declared range."""

    PLAIN = "plain"
    CLAMP = "clamp"


@dataclass(frozen=True, eq=False, slots=True)
class MatVec:
    """``y[m] = sum_n weights[m, n] * x[n]``, kept in ``accumulator`` as the register keeps it.

    In ``popcount`` form (bipolar weights and inputs) the result is the number of agreeing
    positions, ``(columns + y) / 2``: what an XNOR-popcount unit counts.

    A grouped convolution is a window of ``positions`` places followed by ``groups`` > 1: group g
    of the rows sees group g of the channels at every place, in order (place, channel).
    """

    weights: Array  # (rows, columns); columns = positions * channels / groups
    weight_type: IntType
    accumulator: IntType
    decode: Decode = Decode.PLAIN
    popcount: bool = False
    groups: int = 1
    positions: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", integers(self.weights))
        object.__setattr__(self, "decode", Decode(self.decode))
        if self.weights.ndim != 2:
            raise ValueError(f"weights have shape {self.weights.shape}, not (rows, columns)")
        self.weight_type.encode(self.weights)
        if self.popcount and not self.weight_type.bipolar:
            raise ValueError(f"popcount form needs bipolar weights, not {self.weight_type}")
        rows, columns = self.weights.shape
        whole = min(self.groups, self.positions) >= 1
        if not whole or rows % self.groups or columns % self.positions:
            raise ValueError(
                f"{rows} rows and {columns} columns cannot be {self.groups} groups of "
                f"{self.positions} positions"
            )

    @property
    def stored(self) -> Mapping[str, IntType]:
        return {"weights": self.weight_type}

    @property
    def read(self) -> Array:
        """The weights as the arithmetic sees them, after ``decode``."""
        if self.decode is Decode.CLAMP:
            return np.clip(self.weights, self.weight_type.lo, self.weight_type.hi)
        return self.weights

    def evaluate(self, x: Array) -> Array:
        total = x @ self.read.T if self.groups == 1 else self._grouped(x)
        if self.popcount:
            total = (total + self.weights.shape[1]) // 2
        return self.accumulator.wrap(total)

    def _grouped(self, x: Array) -> Array:
        split = x.reshape(*x.shape[:-1], self.positions, self.groups, -1)
        by_group = np.moveaxis(split, -2, -3).reshape(*x.shape[:-1], self.groups, -1)
        weights = self.read.reshape(self.groups, -1, self.weights.shape[1])
        total: Array = np.einsum("...gc,grc->...gr", by_group, weights)
        return total.reshape(*x.shape[:-1], -1)

    def out_type(self, x: Edge) -> Edge:
        rows, columns = self.weights.shape
        if x.shape[-1] != columns * self.groups:
            raise ValueError(f"{columns * self.groups} columns cannot take an input {x}")
        if self.popcount and not x.type.bipolar:
            raise ValueError(f"popcount form needs bipolar inputs, not {x.type}")
        return Edge((*x.shape[:-1], rows), self.accumulator)
