"""Ops that move elements without changing them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from flow.ir import Array, Edge, IntType


@dataclass(frozen=True, slots=True)
class Concat:
    """Several streams of one type side by side along the channels."""

    output: IntType

    @property
    def stored(self) -> Mapping[str, IntType]:
        return {}

    def evaluate(self, *inputs: Array) -> Array:
        return np.concatenate(inputs, axis=-1)

    def out_type(self, *inputs: Edge) -> Edge:
        places = {edge.shape[:-1] for edge in inputs}
        if len(places) != 1:
            raise ValueError(f"inputs of different sizes cannot be joined: {sorted(places)}")
        for edge in inputs:
            inside = self.output.lo <= edge.type.lo and edge.type.hi <= self.output.hi
            if not inside or edge.type.bipolar != self.output.bipolar:
                raise ValueError(f"an input of type {edge.type} does not fit {self.output}")
        return Edge((*places.pop(), sum(edge.shape[-1] for edge in inputs)), self.output)


@dataclass(frozen=True, slots=True)
class Reshape:
    """The same elements in the same order under another shape."""

    shape: tuple[int, ...]

    @property
    def stored(self) -> Mapping[str, IntType]:
        return {}

    def evaluate(self, x: Array) -> Array:
        return x.reshape(len(x), *self.shape)

    def out_type(self, x: Edge) -> Edge:
        if prod(self.shape) != x.elements:
            raise ValueError(f"{x.elements} elements of {x} cannot take the shape {self.shape}")
        return Edge(tuple(self.shape), x.type)


@dataclass(frozen=True, slots=True)
class Transpose:
    """Axes of one sample in another order; axis 0 is the first after the batch."""

    order: tuple[int, ...]

    @property
    def stored(self) -> Mapping[str, IntType]:
        return {}

    def evaluate(self, x: Array) -> Array:
        return x.transpose(0, *(axis + 1 for axis in self.order))

    def out_type(self, x: Edge) -> Edge:
        if sorted(self.order) != list(range(len(x.shape))):
            raise ValueError(f"{self.order} is no order of the axes of {x}")
        return Edge(tuple(x.shape[axis] for axis in self.order), x.type)
