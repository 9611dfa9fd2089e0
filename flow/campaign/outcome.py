"""What a fault did to one image."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from flow.ir import Array
from flow.ops import ArgMax


class Outcome(StrEnum):
    """The class of one (fault, image) pair; the last four need hardware that can tell."""

    MASKED = "masked"  # logits identical
    TOLERABLE = "tolerable"  # logits differ, the class does not
    CRITICAL = "critical"  # the class differs
    DETECTED = "detected"  # reported by a check in the hardware
    CORRECTED = "corrected"  # reported and repaired
    HANG = "hang"  # no result within the time limit
    PROTOCOL_ERROR = "protocol_error"  # a handshake, count or order was wrong


class Direction(StrEnum):
    """How a pair's class moved against its true label."""

    UNCHANGED = "unchanged"
    RIGHT_TO_WRONG = "right_to_wrong"
    WRONG_TO_RIGHT = "wrong_to_right"
    WRONG_TO_WRONG = "wrong_to_wrong"  # to another wrong class


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What an engine answers: ``logits`` (..., images, classes) and ``classes`` (..., images).

    ``detected`` (..., images) says where a check in the hardware had reported; None: it has none.
    """

    logits: Array
    classes: Array
    detected: NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, logits: Array) -> Answers:
        """The answer with these logits; ties go to the smallest class."""
        return cls(logits, ArgMax().evaluate(logits))

    def part(self, rows: slice | int) -> Answers:
        """The answers of some faults."""
        detected = None if self.detected is None else self.detected[rows]
        return Answers(self.logits[rows], self.classes[rows], detected)


def classify(
    clean: Answers, faulty: Answers, labels: Array
) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """The ``Outcome`` and ``Direction`` of every pair, as text, in the shape of ``faulty.classes``.

    A pair that was detected is so whatever became of its logits; its direction says where the class
    went.

    Args:
        clean: the answers without a fault, (images, classes) and (images,).
        faulty: the answers with each fault, (faults, images, classes) and (faults, images).
        labels: the true classes, (images,).
    """
    changed = faulty.classes != clean.classes
    differs = (faulty.logits != clean.logits).any(axis=-1)
    outcome = np.where(differs, str(Outcome.TOLERABLE), str(Outcome.MASKED))
    outcome = np.where(changed, str(Outcome.CRITICAL), outcome)
    if faulty.detected is not None:
        outcome = np.where(faulty.detected, str(Outcome.DETECTED), outcome)
    was, now = clean.classes == labels, faulty.classes == labels
    direction = np.where(was, str(Direction.RIGHT_TO_WRONG), str(Direction.WRONG_TO_WRONG))
    direction = np.where(now, str(Direction.WRONG_TO_RIGHT), direction)
    return outcome, np.where(changed, direction, str(Direction.UNCHANGED))
