"""The class with the largest logit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flow.ir import Array, Edge, IntType


@dataclass(frozen=True, slots=True)
class ArgMax:
    """The index of the largest input; the smallest index wins a tie."""

    @property
    def stored(self) -> Mapping[str, IntType]:
        return {}

    def evaluate(self, x: Array) -> Array:
        index: Array = x.argmax(axis=-1)
        return index

    def out_type(self, x: Edge) -> Edge:
        return Edge(x.shape[:-1], IntType.holding(0, x.shape[-1] - 1))
