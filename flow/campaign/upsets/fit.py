"""Failures in time of the flip-flops, from their rate and what upsets of them do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flow.campaign.fit import Fit
from flow.campaign.statistics import Estimate
from flow.schedule.cells import MemoryKind


def rate_of(fit: Fit | None) -> dict[str, Any]:
    """What the record keeps of ``[fit]``: FIT of one flip-flop, and where that is from.

    Raises:
        InputError: there is no such rate.
    """
    if fit is None:
        return {}
    rates = fit.rates()
    rate = rates.of(MemoryKind.FLIP_FLOP, holder="every register")
    return {"fit_of_a_flip_flop": rate, "fit_source": rates.source}


def upset_fit(
    record: Mapping[str, Any], *, failing: Estimate, persistent: Estimate
) -> dict[str, Any]:
    """FIT of all flip-flops while images stream back to back: of upsets, and of those that fail."""
    if "fit_of_a_flip_flop" not in record:
        return {}
    total = record["flip_flops"] * record["fit_of_a_flip_flop"]
    row: dict[str, Any] = {"storage": MemoryKind.FLIP_FLOP.value, "bits": record["flip_flops"]}
    row["upsets"] = total
    for name, share in (("failing", failing), ("persistent", persistent)):
        row |= {name: total * share.value, f"{name}_lo": total * share.lo}
        row[f"{name}_hi"] = total * share.hi
    return {"fit": [row]}
