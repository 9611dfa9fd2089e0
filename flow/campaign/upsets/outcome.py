"""What an upset did to its run of images."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from flow.campaign.outcome import Answers, Direction, Outcome, classify
from flow.ir import Array
from sim.upsets import Upset, UpsetResponse

SCHEMA = pa.schema(
    {
        "upset": pa.int32(),  # position in the list
        "register": pa.string(),
        "bit": pa.int32(),
        "cycle": pa.int32(),
        "first": pa.int32(),  # position of the run's first image among those drawn
        "outcome": pa.string(),
        "persistent": pa.bool_(),  # an image that came later, without a reset, is not right
        "missing": pa.int32(),  # results that never came
        "changed": pa.int32(),  # results with other logits
        **{str(way): pa.int32() for way in list(Direction)[1:]},  # results with another class
    }
)


def outcome_rows(
    first: int, upsets: tuple[Upset, ...], found: UpsetResponse, labels: Array, *, window: int
) -> pa.Table:
    """One row per upset, ``first`` being the position of the first in the list.

    The gravest sign counts: a stream that broke its rules, a missing result, a report of a parity
    check, another class, other logits.

    Args:
        labels: true classes of all images drawn.
    """
    images = np.array([u.first for u in upsets])[:, None] + np.arange(found.classes.shape[1])
    clean = Answers(found.clean_logits[images], found.clean_classes[images])
    missing = found.classes < 0
    _, ways = classify(clean, Answers(found.logits, found.classes), labels[images])
    wrong = (found.logits != clean.logits).any(axis=-1)
    changed, moved = wrong & ~missing, (found.classes != clean.classes) & ~missing
    outcome = np.full(len(upsets), str(Outcome.MASKED), dtype=object)
    for sign, name in (
        (changed.any(axis=1), Outcome.TOLERABLE),
        (moved.any(axis=1), Outcome.CRITICAL),
        (found.detected.any(axis=1), Outcome.DETECTED),
        (missing.any(axis=1), Outcome.HANG),
        (found.broken, Outcome.PROTOCOL_ERROR),
    ):
        outcome[sign] = str(name)
    columns = {
        "upset": np.arange(first, first + len(upsets)),
        "register": [u.register for u in upsets],
        "bit": [u.bit for u in upsets],
        "cycle": [u.cycle for u in upsets],
        "first": images[:, 0],
        "outcome": outcome,
        "persistent": (wrong | missing)[:, window:].any(axis=1),
        "missing": missing.sum(axis=1),
        "changed": changed.sum(axis=1),
        **{str(w): ((ways == str(w)) & moved).sum(axis=1) for w in list(Direction)[1:]},
    }
    return pa.table(columns).cast(SCHEMA)
