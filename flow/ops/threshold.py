"""Multi-threshold activation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from flow.ir import Array, Edge, IntType, integers

_FEW = 32  # thresholds of a channel that are compared one by one


class Compare(StrEnum):
    """How many thresholds an input has reached: counted, or found by binary search.

    They agree while thresholds ascend; after a fault they may not, so the graph states the form.
    """

    COUNT = "count"
    SEARCH = "search"


@dataclass(frozen=True, eq=False, slots=True)
class Threshold:
    """``level[c] = base + n`` where ``sign[c]`` is +1, else ``base + steps - n``;
    ``n`` is how many of ``thresholds[c]`` the input ``x[c]`` has reached (``>=``).

    A bipolar output means ``2 * level - 1``. Sign bits are stored only where a channel descends.
    """

    thresholds: Array  # (channels, steps), ascending along steps while no fault has struck
    threshold_type: IntType
    sign: Array  # (channels,), +1 ascending chain, -1 descending
    base: int
    output: IntType
    compare: Compare = Compare.COUNT
    signs_stored: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "thresholds", integers(self.thresholds))
        object.__setattr__(self, "sign", integers(self.sign))
        object.__setattr__(self, "compare", Compare(self.compare))
        channels, steps = self.thresholds.shape
        if self.sign.shape != (channels,):
            raise ValueError(f"{self.sign.size} signs for {channels} channels")
        self.threshold_type.encode(self.thresholds)
        IntType.bipolar1().encode(self.sign)
        if (self.sign < 0).any() and not self.signs_stored:
            raise ValueError("a descending channel needs stored signs; set signs_stored")
        top = 1 if self.output.bipolar else self.output.code_hi
        bottom = 0 if self.output.bipolar else self.output.code_lo
        if not bottom <= self.base <= self.base + steps <= top:
            raise ValueError(
                f"levels {self.base}..{self.base + steps} do not fit the output type {self.output}"
            )

    @property
    def stored(self) -> Mapping[str, IntType]:
        if self.signs_stored:
            return {"thresholds": self.threshold_type, "sign": IntType.bipolar1()}
        return {"thresholds": self.threshold_type}

    def reached(self, x: Array) -> Array:
        """How many thresholds each input has reached, by this op's compare form."""
        count = np.zeros(x.shape, dtype=np.int64)
        steps = self.thresholds.shape[1]
        if self.compare is Compare.COUNT and steps > _FEW:  # a count needs no order: sorted or not
            for at, thresholds in enumerate(np.sort(self.thresholds, axis=1)):
                count[..., at] = thresholds.searchsorted(x[..., at], side="right")
            return count
        if self.compare is Compare.COUNT:
            for step in range(steps):
                count += x >= self.thresholds[:, step]
            return count
        channel = np.arange(x.shape[-1])
        for bit in reversed(range(steps.bit_length())):
            probe = count + (1 << bit) - 1
            inside = probe < steps
            threshold = self.thresholds[channel, np.minimum(probe, steps - 1)]
            count += ((x >= threshold) & inside).astype(np.int64) << bit
        return count

    def evaluate(self, x: Array) -> Array:
        count = self.reached(x)
        steps = self.thresholds.shape[1]
        level = self.base + np.where(self.sign > 0, count, steps - count)
        return level * 2 - 1 if self.output.bipolar else level

    def out_type(self, x: Edge) -> Edge:
        if x.type.bipolar:
            raise ValueError("a bipolar input needs no threshold; compare the accumulator")
        if x.shape[-1] != self.sign.size:
            raise ValueError(f"{self.sign.size} channels cannot take an input of shape {x.shape}")
        return Edge(x.shape, self.output)
