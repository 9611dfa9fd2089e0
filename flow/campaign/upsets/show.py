"""Questions to the results of a campaign of upsets, answered by DuckDB from the shards.

Upsets are drawn by groups of registers, so each counts with the number of (bit, cycle, image) it
stands for: shares are estimates for all of them. Intervals count Kish's effective number.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from flow.campaign.outcome import Direction, Outcome
from flow.campaign.shards import shard_path, units
from flow.campaign.show import fetched
from flow.campaign.statistics import Estimate, wilson
from flow.campaign.upsets.fit import upset_fit
from flow.campaign.upsets.run import CAMPAIGN, RECORD, UPSETS, read_upset_description
from flow.campaign.upsets.shards import completed_upsets
from flow.errors import InputError

BINS = 16  # parts into which the cycles of a run are divided
SEEN = (Outcome.MASKED, Outcome.TOLERABLE, Outcome.CRITICAL, Outcome.DETECTED, Outcome.HANG)
OUTCOMES = (*SEEN, Outcome.PROTOCOL_ERROR)  # registers are not corrected today
FAILURES = (Outcome.CRITICAL, Outcome.HANG, Outcome.PROTOCOL_ERROR)


class UpsetsBy(StrEnum):
    """How upsets are grouped."""

    ALL = "all"
    UNIT = "unit"  # the instance: a layer, its activation, a FIFO
    REGISTER = "register"  # generated copies together
    CYCLE = "cycle"  # of the run


@dataclass(frozen=True, slots=True)
class UpsetShare:
    """What upsets of one group do; ``outcomes`` counts those seen, estimates are weighted."""

    group: str
    upsets: int
    outcomes: Mapping[str, int]  # by Outcome
    masked: Estimate
    failing: Estimate  # another class, no result, or a broken stream: the AVF
    persistent: Estimate  # an image after it, without a reset, is not right
    weight: float  # (bit, cycle, image) it stands for


def is_upset_campaign(directory: Path) -> bool:
    """Whether ``directory`` holds a campaign of register upsets."""
    try:
        record = json.loads((directory / CAMPAIGN).read_text())
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and record.get("target") == "registers"


def upset_shares(
    directory: Path, by: UpsetsBy = UpsetsBy.ALL, *, confidence: float = 0.95
) -> tuple[UpsetShare, ...]:
    """One record per group, in the order of names and cycles; unfinished campaigns too.

    Raises:
        InputError: ``directory`` holds no campaign of upsets or no completed unit.
    """
    cycles = int(read_upset_description(directory)["cycles"])
    return _shares(directory, _group(by, cycles), confidence)


def unit_cycle_shares(
    directory: Path, *, confidence: float = 0.95
) -> tuple[tuple[str, str, UpsetShare], ...]:
    """One record per unit and part of the run: their names, and what its upsets do.

    Raises:
        InputError: as :func:`upset_shares`.
    """
    cycles = int(read_upset_description(directory)["cycles"])
    group = f"unit || '|' || {_group(UpsetsBy.CYCLE, cycles)}"
    named = ((share.group.partition("|"), share) for share in _shares(directory, group, confidence))
    return tuple((unit, part, share) for (unit, _, part), share in named)


def _shares(directory: Path, group: str, confidence: float) -> tuple[UpsetShare, ...]:
    """By what the SQL ``group`` names."""
    counts = ", ".join(f"count(*) FILTER (outcome = '{o}') AS n_{o}" for o in OUTCOMES)
    failing = ", ".join(f"'{outcome}'" for outcome in FAILURES)
    rows = _query(
        directory,
        f"""
        SELECT {group} AS name, count(*) AS upsets, {counts},
            sum(weight) AS w, sum(weight * weight) AS w2,
            sum(weight) FILTER (outcome = 'masked') AS masked,
            sum(weight) FILTER (outcome IN ({failing})) AS failing,
            sum(weight) FILTER (persistent) AS persistent
        FROM results JOIN drawn USING (upset) GROUP BY name ORDER BY name
        """,
    )
    return tuple(_share(row, confidence) for row in rows)


def upset_summary(directory: Path) -> dict[str, Any]:
    """The record of the finished campaign in ``directory``, its shares and their intervals.

    Raises:
        InputError: no campaign was finished there, or its record is damaged.
    """
    try:
        record: dict[str, Any] = json.loads((directory / RECORD).read_text())
    except FileNotFoundError:
        raise InputError(f"{directory}: no finished campaign; run or resume it first") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{directory / RECORD}: damaged ({error}); resume it") from None
    ways = ", ".join(f"sum({way})::bigint AS {way}" for way in list(Direction)[1:])
    (directions,) = _query(directory, f"SELECT {ways} FROM results")
    (total,) = upset_shares(directory)
    tables = {f"by_{by}": [asdict(s) for s in upset_shares(directory, by)] for by in UpsetsBy}
    rates = upset_fit(record, failing=total.failing, persistent=total.persistent)
    return record | {"outcomes": total.outcomes, "directions": directions} | rates | tables


def upset_rows(shares: tuple[UpsetShare, ...]) -> list[dict[str, Any]]:
    """A printable table: counts of outcomes and, in percent, what the group's upsets do."""
    return [
        {
            "group": share.group,
            "upsets": share.upsets,
            **{name: share.outcomes[name] for name in map(str, OUTCOMES)},
            "failing %": _percent(share.failing),
            "persistent %": _percent(share.persistent),
        }
        for share in shares
    ]


def _percent(estimate: Estimate) -> str:
    value, lo, hi = (100 * part for part in (estimate.value, estimate.lo, estimate.hi))
    return f"{value:.2f} ({lo:.2f} to {hi:.2f})"


def _group(by: UpsetsBy, cycles: int) -> str:
    """SQL that names an upset's group."""
    if by is UpsetsBy.CYCLE:
        width = -(-cycles // BINS)
        low = f"(cycle // {width}) * {width}"
        high = f"least({low} + {width}, {cycles}) - 1"
        digits = len(str(cycles))
        ends = [f"lpad(({end})::varchar, {digits}, '0')" for end in (low, high)]
        return f"'cycles ' || {ends[0]} || ' to ' || {ends[1]}"
    return {UpsetsBy.ALL: "'all flip-flops'", UpsetsBy.UNIT: "unit"}.get(by, '"group"')


def _share(row: Mapping[str, Any], confidence: float) -> UpsetShare:
    trials = row["w"] ** 2 / row["w2"]

    def estimate(name: str) -> Estimate:
        share = min(1.0, (row[name] or 0.0) / row["w"])  # sums may differ in their last bit
        return wilson(share * trials, trials, confidence=confidence)

    return UpsetShare(
        group=row["name"],
        upsets=row["upsets"],
        outcomes={str(outcome): row[f"n_{outcome}"] for outcome in OUTCOMES},
        masked=estimate("masked"),
        failing=estimate("failing"),
        persistent=estimate("persistent"),
        weight=row["w"],
    )


@contextmanager
def upsets_database(directory: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory with the views ``drawn`` and ``results``, one row per upset each.

    Raises:
        InputError: ``directory`` holds no campaign of upsets, no completed unit or a damaged one.
    """
    description = read_upset_description(directory)
    try:
        count = pq.read_metadata(directory / UPSETS).num_rows
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{directory / UPSETS}: damaged ({error}); start again") from None
    wanted = units(count, size=description["recipe"]["unit"])
    done = completed_upsets(directory, wanted, campaign=description["digest"])
    if not done:
        raise InputError(f"{directory}: no unit is completed yet; resume the campaign")
    shards = [str(shard_path(directory, unit)) for unit in wanted if unit in done]
    with duckdb.connect() as database:
        database.read_parquet(str(directory / UPSETS)).create_view("drawn")
        database.read_parquet(shards).create_view("results")
        yield database


def _query(directory: Path, sql: str) -> list[dict[str, Any]]:
    with upsets_database(directory) as database:
        return fetched(database.execute(sql))
