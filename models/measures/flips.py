"""Flips of stored bits: how many provably do nothing, and how many an attack needs."""

from __future__ import annotations

from typing import Literal

import numpy as np

from flow.attack import bfa
from flow.certify import largest_k
from flow.ir import Array
from models.measures.measure import Measure, Subject
from models.table import Positive


def wrong_bits(flips: int) -> int:
    """The most stored bits that are wrong and unreported behind a SECDED code on every word while
    ``flips`` bits of its words flip, check bits among them.

    One flip in a word is corrected and two are reported. Of an odd number from three on the decoder
    takes them for one and adds a wrong bit; an even number may pass as it is. So three in each of
    as many words as there are threes do most.
    """
    threes, rest = divmod(flips, 3)
    return 4 * threes + 2 * (rest // 2) if threes else 0


def behind_secded(certified: Array, right: Array) -> Array:
    """How many flips of any bits provably change no label silently where every word has a SECDED
    code, of images that withstand ``certified`` flips without one; 0 where not ``right``."""
    most = int(certified.max(initial=0)) + 3
    needed = np.array([wrong_bits(k) for k in range(most + 1)])  # rises with the flips
    return np.where(right, np.searchsorted(needed, certified, side="right") - 1, 0)


class CertifiedFlips(Measure):
    """The k that no choice of k bits among all stored ones makes matter, at most ``most``.

    The mean over the first ``images`` test images (0 where misclassified), the share of them with
    at least 1 and 2, and what a SECDED code on every word makes of it. Each image has its own
    proof.
    """

    kind: Literal["certified-flips"]
    most: Positive
    images: Positive = 200

    def take(self, subject: Subject) -> dict[str, float]:
        """The mean of the certified k, without and behind SECDED, and the share of images that
        withstand 1 and 2."""
        x, y = subject.first(self.images)
        found = largest_k(subject.graph, x, y=y, most=self.most)
        share = {f"withstand {k} flips": 100 * float((found >= k).mean()) for k in (1, 2)}
        coded = behind_secded(found, subject.correct[: len(y)])
        return {
            "certified flips": float(found.mean()), **share,
            "certified behind SECDED": float(coded.mean()),
        }  # fmt: skip


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
