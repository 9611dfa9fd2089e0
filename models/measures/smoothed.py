"""Randomized smoothing in integers: certified accuracy by radius."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from flow.certify import Smoothing, Verdict, certify_smoothing
from models.measures.measure import Measure, Subject
from models.table import Positive


class Smoothed(Measure):
    """The share of the first ``images`` test images certified within each Euclidean radius, in
    pixel codes, at noise ``sigma``: ``samples`` votes, each image wrong with chance 1/1000."""

    kind: Literal["smoothed"]
    sigma: Annotated[int, Field(gt=0)]
    radius: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    images: Positive = 100
    samples: Positive = 1000

    def take(self, subject: Subject) -> dict[str, float]:
        """One column for each radius, in percent of the images."""
        x, y = subject.first(self.images)
        terms = Smoothing(Fraction(self.sigma), samples=self.samples)
        found = certify_smoothing(subject.graph, x, y=y, terms=terms).certificates
        reach = np.array(
            [c.detail["squared"] if c.verdict is Verdict.STATISTICAL else -1 for c in found]
        )
        return {
            f"sigma {self.sigma}, r {r}": 100 * float((reach >= r * r).mean()) for r in self.radius
        }
