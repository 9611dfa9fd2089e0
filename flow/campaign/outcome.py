"""What a fault did to one image."""

from __future__ import annotations

import hashlib
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


@dataclass(frozen=True, slots=True, eq=False)
class Struck:
    """The model's answers under many strikes, which mostly agree with each other: ``which``
    (strikes, images) numbers rows of ``rows`` (results, classes), the first being ``clean``'s.

    A pair has its image's own clean row exactly where its logits are the clean ones.
    """

    rows: Array
    which: NDArray[np.int32]
    clean: Answers

    @property
    def logits(self) -> Array:
        """(strikes, images, classes)."""
        return self.rows[self.which]

    @property
    def classes(self) -> Array:
        """(strikes, images)."""
        return ArgMax().evaluate(self.rows)[self.which]

    @property
    def differs(self) -> NDArray[np.bool_]:
        """(strikes, images): the logits are not the clean ones."""
        return np.asarray(self.which != np.arange(self.which.shape[1]))

    def answers(self) -> Answers:
        """The same, pair by pair."""
        return Answers(self.logits, self.classes)

    def digest(self) -> str:
        """SHA-256 of the logits of every pair, independent of how ``rows`` are numbered."""
        differs = self.differs
        total = hashlib.sha256(np.ascontiguousarray(self.clean.logits, dtype="<i8").tobytes())
        total.update(np.packbits(differs).tobytes())
        total.update(np.ascontiguousarray(self.rows[self.which[differs]], dtype="<i8").tobytes())
        return total.hexdigest()


OUTCOMES, DIRECTIONS = tuple(map(str, Outcome)), tuple(map(str, Direction))


def classify(
    clean: Answers, faulty: Answers, labels: Array
) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """The ``Outcome`` and ``Direction`` of every pair, as text; see :func:`kinds_of`."""
    differs = (faulty.logits != clean.logits).any(axis=-1)
    outcome, direction = kinds_of(clean, faulty.classes, differs, labels, detected=faulty.detected)
    return np.array(OUTCOMES)[outcome], np.array(DIRECTIONS)[direction]


def kinds_of(
    clean: Answers,
    classes: Array,
    differs: NDArray[np.bool_],
    labels: Array,
    *,
    detected: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """The outcome and direction of every pair, as numbers of ``OUTCOMES`` and ``DIRECTIONS``.

    A pair that was detected is so whatever became of its logits; its direction says where the class
    went.

    Args:
        clean: the answers without a fault, (images, classes) and (images,).
        classes: with each fault, (faults, images), and whether logits differ, in the same shape.
        labels: the true classes, (images,).
        detected: where a check in the hardware had reported, if there is one.
    """
    changed = classes != clean.classes
    outcome = differs.astype(np.int8)  # masked, tolerable, critical are 0, 1, 2
    outcome[changed] = OUTCOMES.index(Outcome.CRITICAL)
    if detected is not None:
        outcome[detected] = OUTCOMES.index(Outcome.DETECTED)
    was, now = clean.classes == labels, classes == labels
    codes = [DIRECTIONS.index(d) for d in (Direction.RIGHT_TO_WRONG, Direction.WRONG_TO_WRONG)]
    direction = np.where(was, *codes)
    direction = np.where(now, DIRECTIONS.index(Direction.WRONG_TO_RIGHT), direction)
    direction = np.where(changed, direction, DIRECTIONS.index(Direction.UNCHANGED))
    return outcome, direction.astype(np.int8)
