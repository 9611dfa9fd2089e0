"""Flips of stored bits: how many provably do nothing, and how many an attack needs."""

from __future__ import annotations

from typing import Literal

import numpy as np

from flow.attack import bfa
from flow.certify import largest_k
from models.measures.measure import Measure, Subject
from models.table import Positive


class CertifiedFlips(Measure):
    """The k that no choice of k bits among all stored ones makes matter, at most ``most``.

    The mean over the first ``images`` test images (0 where misclassified), and the share of them
    with at least 1. Each image has its own proof.
    """

    kind: Literal["certified-flips"]
    most: Positive
    images: Positive = 200

    def take(self, subject: Subject) -> dict[str, float]:
        """The mean of the certified k, and the share of images that withstand 1 and 2."""
        x, y = subject.first(self.images)
        found = largest_k(subject.graph, x, y=y, most=self.most)
        share = {f"withstand {k} flips": 100 * float((found >= k).mean()) for k in (1, 2)}
        return {"certified flips": float(found.mean()), **share}


class AttackedFlips(Measure):
    """Flips that the sign-correct bit search needs until the network guesses, ``budget`` at most.

    A network that still does better then is counted with ``budget``, and its accuracy is beside.
    """

    kind: Literal["attacked-flips"]
    budget: Positive
    batch: Positive = 128
    seed: int = 0

    def take(self, subject: Subject) -> dict[str, float]:
        """Flips made, and the accuracy they left on all test images, in percent."""
        found = bfa(
            subject.graph, *subject.train, budget=self.budget, seed=self.seed, batch=self.batch,
            evaluate_on=subject.test,
        )  # fmt: skip
        return {
            "attacked flips": float(found.hamming_distance),
            "accuracy behind them": 100 * float(np.float64(found.accuracy)),
        }
