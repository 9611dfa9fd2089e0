"""The outcome of one comparison with a float engine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import floor
from typing import Any

MOST_EXCUSED = 1e-6  # share of elements that float32 rounding may decide otherwise


@dataclass(frozen=True, slots=True)
class Agreement:
    """Counts over every quantizer output, the logits and the class of every image.

    ``excused`` elements differ where the exact value lies within float32's own error of a decision
    point and exact arithmetic sides with the graph; anything else that differs is a mismatch.
    At most the share ``most_excused`` of the elements may be, and always one.
    """

    engine: str
    images: int
    tensors: int
    elements: int
    excused: int
    mismatches: int
    logit_mismatches: int
    class_mismatches: int
    most_excused: float = MOST_EXCUSED

    @property
    def allowed(self) -> int:
        """How many elements may be excused."""
        return max(1, floor(self.most_excused * self.elements))

    @property
    def holds(self) -> bool:
        """Whether nothing differs but what float32 must be excused for."""
        wrong = self.mismatches + self.logit_mismatches + self.class_mismatches
        return not wrong and self.excused <= self.allowed

    def complaint(self) -> str:
        """What does not hold, in one sentence."""
        wrong = self.mismatches + self.logit_mismatches + self.class_mismatches
        if not wrong:
            return (
                f"{self.engine}: {self.excused} of {self.elements} elements lie within float32's "
                f"error of a decision point, more than {self.allowed}; where sums are long and "
                "scales arbitrary that is usual: allow a share, as --most-excused 1e-3"
            )
        return (
            f"{self.engine} differs from the graph in {self.mismatches} of {self.elements} "
            f"elements, {self.logit_mismatches} logits and {self.class_mismatches} classes; lower "
            "it again, or report a bug"
        )

    def record(self) -> dict[str, Any]:
        """JSON-ready, with how many elements may be excused."""
        return asdict(self) | {"allowed": self.allowed}
