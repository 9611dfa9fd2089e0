"""The sign-correct bit search from several attack batches."""

from __future__ import annotations

from statistics import mean
from typing import Literal

from pydantic import Field

from flow.attack import Stop, bfa
from models.measures.measure import Measure, Subject
from models.table import Positive


class BitSearch(Measure):
    """Stored bits that differ when the network only guesses, the mean over attack ``seeds``.

    An attack that ends before, at ``budget`` flips or where no flip raises the loss, counts with
    the flips it made; ``guessing`` is the share of attacks that got there. Accuracy is judged on
    the first ``images`` test images.
    """

    kind: Literal["bit-search"]
    budget: Positive
    seeds: list[int] = Field(min_length=1)
    images: Positive = 1000
    batch: Positive = 128

    def take(self, subject: Subject) -> dict[str, float]:
        """Mean and least number of flips, and the share of attacks that got to guessing."""
        found = [
            bfa(
                subject.graph, *subject.train, budget=self.budget, seed=seed, batch=self.batch,
                evaluate_on=subject.first(self.images),
            )
            for seed in self.seeds
        ]  # fmt: skip
        return {
            "flips": mean(float(f.hamming_distance) for f in found),
            "least": float(min(f.hamming_distance for f in found)),
            "guessing": 100 * mean(float(f.stop is Stop.GUESS) for f in found),
        }
