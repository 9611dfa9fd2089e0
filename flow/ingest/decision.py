"""One quantizer of the file: the chain in front of it, and the floats its codes mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.ingest.quantizer import Quantizer
from flow.ingest.steps import Step
from flow.ir import Array


@dataclass(frozen=True, slots=True)
class Decision:
    """``output`` holds the codes of ``quantizer`` applied to ``steps`` of the edge ``source``."""

    source: str
    output: str
    steps: tuple[Step, ...]
    quantizer: Quantizer

    def codes(self, values: Array) -> Array:
        """The codes that the integers of the output edge stand for."""
        return (values + 1) // 2 if self.quantizer.bipolar else values

    def meaning(self, values: Array) -> NDArray[np.float32]:
        """The float32 tensor a quantizer makes of these integers: one exact rounding."""
        scale = np.array([float(s) for s in self.quantizer.scale], dtype=np.float32)
        if self.quantizer.bipolar:
            return values.astype(np.float32) * scale
        zero = np.array([float(z) for z in self.quantizer.zero_point], dtype=np.float32)
        return (values.astype(np.float32) - zero) * scale

    def code_of(self, found: float, channel: int, channels: int) -> int | None:
        """The code whose meaning is exactly ``found``, or None when no code means that."""
        low, high = self.quantizer.low, self.quantizer.high
        codes = np.arange(low, high + 1)
        integers = codes * 2 - 1 if self.quantizer.bipolar else codes
        spread = np.broadcast_to(integers[:, None], (len(codes), channels))
        hits: Any = np.flatnonzero(self.meaning(spread)[:, channel] == np.float32(found))
        return int(codes[hits[0]]) if hits.size else None
