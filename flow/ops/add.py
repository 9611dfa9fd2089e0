"""Exact weighted sum of streams on one integer grid: residual adds, and rescaling of one stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flow.ir import Array, Edge, IntType, integers


@dataclass(frozen=True, eq=False, slots=True)
class Add:
    """``y[c] = sum_i multipliers[i, c] * x_i[c] + offset[c]``, kept in ``accumulator``.

    The multipliers bring streams of different scales to their common integer grid; they are
    constants of the circuit, not stored parameters. One input makes it an exact rescaling.
    """

    multipliers: Array  # (inputs, channels or 1)
    offset: Array  # (channels or 1,)
    accumulator: IntType

    def __post_init__(self) -> None:
        object.__setattr__(self, "multipliers", integers(self.multipliers))
        object.__setattr__(self, "offset", integers(self.offset))
        if self.multipliers.ndim != 2 or self.offset.ndim != 1:
            raise ValueError("multipliers have shape (inputs, channels), offset (channels,)")

    @property
    def stored(self) -> Mapping[str, IntType]:
        return {}

    def evaluate(self, *inputs: Array) -> Array:
        total = self.offset + sum(m * x for m, x in zip(self.multipliers, inputs, strict=True))
        return self.accumulator.wrap(total)

    def out_type(self, *inputs: Edge) -> Edge:
        if len(inputs) != len(self.multipliers):
            raise ValueError(f"{len(self.multipliers)} multipliers for {len(inputs)} inputs")
        shapes = {edge.shape for edge in inputs}
        if len(shapes) != 1:
            raise ValueError(f"inputs of different shapes cannot be added: {sorted(shapes)}")
        channels = inputs[0].shape[-1]
        for size in (self.multipliers.shape[1], self.offset.size):
            if size not in (1, channels):
                raise ValueError(f"{size} constants for {channels} channels")
        return Edge(inputs[0].shape, self.accumulator)
