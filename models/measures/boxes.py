"""Images certified when every pixel may move: integer interval bounds of the lowered graph."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flow.certify import input_box
from flow.certify.input import prove_labels
from models.measures.measure import Measure, Subject
from models.table import Positive


class Boxes(Measure):
    """The share of test images classified rightly and provably so within each radius."""

    kind: Literal["boxes"]
    radius: list[Positive] = Field(min_length=1)
    images: Positive | None = None

    def take(self, subject: Subject) -> dict[str, float]:
        """One column for each radius, in percent of the images."""
        x, y = subject.first(self.images)
        right = subject.correct[: len(y)]
        found = {}
        for radius in self.radius:
            box = input_box(subject.graph, x, radius=radius)
            proved = prove_labels(subject.graph, box, y) & right
            found[f"certified at {radius}"] = 100 * float(proved.mean())
        return found
