"""The outcome of one comparison with a float engine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

MOST_EXCUSED = 1e-6  # share of elements that float32 rounding may decide otherwise


@dataclass(frozen=True, slots=True)
class Agreement:
    """Counts over every quantizer output, the logits and the class of every image.

    ``excused`` elements differ where the exact value lies within float32's own error of a decision
    point and exact arithmetic sides with the graph; anything else that differs is a mismatch.
    """

    engine: str
    images: int
    tensors: int
    elements: int
    excused: int
    mismatches: int
    logit_mismatches: int
    class_mismatches: int

    @property
    def holds(self) -> bool:
        """Whether nothing differs but what float32 must be excused for."""
        wrong = self.mismatches + self.logit_mismatches + self.class_mismatches
        return not wrong and self.excused <= MOST_EXCUSED * self.elements

    def record(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)
