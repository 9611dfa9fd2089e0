"""What an attack did, step by step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from flow.ir import Fault


class Stop(StrEnum):
    """Why an attack ended."""

    GUESS = "random guess"  # the accuracy fell to that of guessing
    TARGET = "target class"  # the images meant get it
    BUDGET = "budget"
    STUCK = "no candidate"  # no flip is expected, or none was found, to raise the loss


@dataclass(frozen=True, slots=True)
class Step:
    """One committed step: the flips it made, and where it left the network.

    ``gain`` is the rise of the loss that was expected (by first order, or exactly), ``loss`` the
    exact loss on the attack batch afterwards (both None where the method looks at none),
    ``hamming_distance`` the stored bits that differ from the clean graph: a bit flipped back counts
    no more.
    ``success`` is the share of the images meant that get a targeted attack's class.
    """

    flips: tuple[Fault, ...]
    gain: float | None
    loss: float | None
    accuracy: float
    hamming_distance: int
    success: float | None = None


@dataclass(frozen=True, slots=True)
class AttackResult:
    """An attack from the clean ``accuracy`` onward; deterministic for its seed."""

    graph_digest: str
    method: str
    seed: int
    budget: int
    clean_accuracy: float
    clean_loss: float | None
    temperature: float | None
    steps: tuple[Step, ...]
    stop: Stop

    @property
    def flips(self) -> tuple[Fault, ...]:
        """Every flip in the order it was made."""
        return tuple(flip for step in self.steps for flip in step.flips)

    @property
    def accuracy(self) -> float:
        """The accuracy the attack left."""
        return self.steps[-1].accuracy if self.steps else self.clean_accuracy

    @property
    def hamming_distance(self) -> int:
        """Stored bits that differ from the clean graph at the end."""
        return self.steps[-1].hamming_distance if self.steps else 0

    def record(self) -> dict[str, Any]:
        """The result as JSON-ready values."""
        return {
            "graph": self.graph_digest,
            "method": self.method,
            "seed": self.seed,
            "budget": self.budget,
            "clean_accuracy": self.clean_accuracy,
            "accuracy": self.accuracy,
            "hamming_distance": self.hamming_distance,
            "stop": self.stop.value,
            "clean_loss": self.clean_loss,
            "temperature": self.temperature,
            "steps": [
                {
                    "flips": [str(flip) for flip in step.flips],
                    "gain": step.gain,
                    "loss": step.loss,
                    "accuracy": step.accuracy,
                    "hamming_distance": step.hamming_distance,
                    "success": step.success,
                }
                for step in self.steps
            ],
        }


def hamming_distance(flips: Iterable[Fault]) -> int:
    """Bits that differ after ``flips``: those flipped an odd number of times."""
    return sum(count % 2 for count in Counter(flips).values())
