"""The worst single flip of a stored bit: every one is tried."""

from __future__ import annotations

from typing import Literal

from flow.certify import Effect, single_flips
from models.measures.measure import Measure, Subject
from models.table import Positive


class WorstFlip(Measure):
    """The accuracy that the worst of all single flips leaves, and the share of images that are
    right whatever single bit flips; of the first ``images`` test images, exhaustively."""

    kind: Literal["worst-flip"]
    images: Positive = 100

    def take(self, subject: Subject) -> dict[str, float]:
        """Accuracy behind the worst flip, and images right under every one, in percent."""
        x, y = subject.first(self.images)
        found = single_flips(subject.graph, x, y=y)
        lost = found.counts[:, Effect.RIGHT_TO_WRONG] - found.counts[:, Effect.WRONG_TO_RIGHT]
        left = int(found.correct.sum()) - int(lost.max())
        return {
            "behind the worst flip": 100 * left / len(y),
            "right under every flip": 100 * float(found.certified.mean()),
        }
