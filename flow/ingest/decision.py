"""The quantizers of the file as the agreement checks see them: what was decided, and the floats
that the codes mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.ingest.quantizer import Quantizer
from flow.ingest.reader import Constant
from flow.ingest.steps import Step, at, forward
from flow.ingest.surd import Surd
from flow.ir import Array

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False, slots=True)
class Decision:
    """Edge ``output`` holds the codes of ``quantizer`` applied to ``steps`` of edge ``source``; the
    file calls the quantized tensor ``tensor``. Where quantizing changed no integer the two edges
    are one. ``view`` has the file's axes and says which element of the edge stands where, as in
    ``Real``."""

    source: str
    output: str
    tensor: str
    steps: tuple[Step, ...]
    quantizer: Quantizer
    view: Array

    def arrange(self, values: Floats) -> Floats:
        """The elements of the output edge on the axes of the file's tensor, batch first."""
        return values.reshape(len(values), -1)[:, self.view]

    def codes(self, values: Array) -> Array:
        """The codes that the integers of the output edge stand for."""
        return (values + 1) // 2 if self.quantizer.bipolar else values

    def code(self, value: int, channel: int) -> int:
        """The code of an integer of the source edge, by evaluating the steps exactly."""
        exact = Surd.of(value)
        for step in self.steps:
            exact = forward(step, exact, channel)
        return self.quantizer.code(exact, channel)

    def meaning(self, values: Array) -> Floats:
        """The float32 tensor that a float engine makes of the integers of the output edge."""
        q = self.quantizer
        if q.table and not q.bipolar:
            levels = [float(at(q.scale, 0) * (c - at(q.zero_point, 0))) for c in q.codes]
            return np.array(levels, dtype=np.float32)[values - q.low]
        zero = np.zeros(()) if q.bipolar else _floats(q.zero_point)
        return _meaning(values, _floats(q.scale), zero)

    def code_of(self, found: float, channel: int) -> int | None:
        """The code whose meaning is exactly ``found``, or None when no code means that."""
        q = self.quantizer
        codes = np.arange(q.low, q.high + 1)
        width = max(len(q.scale), len(q.zero_point))
        values = np.repeat((codes * 2 - 1 if q.bipolar else codes)[:, None], width, axis=1)
        column = channel if width > 1 else 0
        hits = np.flatnonzero(self.meaning(values)[:, column] == np.float32(found))
        return int(codes[hits[0]]) if hits.size else None


@dataclass(frozen=True, eq=False, slots=True)
class WeightDecision:
    """Constants ``values`` of the file with the codes (bipolar: -1 and +1) they were given;
    ``scale`` and ``zero`` broadcast to them."""

    tensor: str
    values: Constant
    codes: Array
    scale: Constant
    zero: Constant
    quantizer: Quantizer

    def meaning(self) -> Floats:
        """The float32 tensor that a float engine makes of the codes."""
        return _meaning(self.codes, self.scale, self.zero)


def _floats(values: Sequence[Any]) -> Constant:
    return np.array([float(v) for v in values])


def _meaning(integers: Array, scale: Constant, zero: Constant) -> Floats:
    """``(integers - zero) * scale`` in float32, operation by operation as QONNX has it."""
    meaning: Floats = (integers.astype(np.float32) - zero.astype(np.float32)) * scale.astype(
        np.float32
    )
    return meaning
