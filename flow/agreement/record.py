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

    def complaint(self) -> str:
        """What does not hold, in one sentence."""
        wrong = self.mismatches + self.logit_mismatches + self.class_mismatches
        if not wrong:
            return (
                f"{self.engine}: {self.excused} of {self.elements} elements lie within float32's "
                "error of a decision point, more than 1 in a million"
            )
        return (
            f"{self.engine} differs from the graph in {self.mismatches} of {self.elements} "
            f"elements, {self.logit_mismatches} logits and {self.class_mismatches} classes"
        )

    def record(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)
