"""A finished campaign in one JSON-ready record."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from flow.campaign.fit_estimate import fit_record
from flow.campaign.show import By, critical_share, direction_counts, shares
from flow.errors import InputError


def summary(out: Path) -> dict[str, Any]:
    """The record of the campaign in ``out``, with directions, shares and their intervals.

    Raises:
        InputError: no campaign was finished there, or its record is damaged.
    """
    try:
        record: dict[str, Any] = json.loads((out / "record.json").read_text())
        changed, seed = record["changed_pairs"] / record["pairs"], int(record["seed"])
    except FileNotFoundError:
        raise InputError(f"{out}: no finished campaign; run or resume it first") from None
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise InputError(f"{out / 'record.json'}: damaged ({error}); resume it") from None
    return record | {
        "directions": direction_counts(out),
        "changed_share": changed,
        "critical_share": asdict(critical_share(out, rng=np.random.default_rng(seed))),
        **fit_record(out, rng=np.random.default_rng(seed)),
        "by_parameter": [asdict(share) for share in shares(out, By.PARAMETER)],
        "by_level": [asdict(share) for share in shares(out, By.LEVEL)],
        "by_bit": [asdict(share) for share in shares(out, By.BIT)],
    }
