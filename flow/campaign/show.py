"""Questions to the results of a campaign, answered by DuckDB from the shards.

Faults are drawn by strata, so each counts with the number of stored bits it stands for: shares are
estimates for *all* single-bit faults of the group. Pairs of one fault are not independent; a
fault's share over the images lies in 0..1 and varies no more than a single event would, so
intervals count each fault once (Kish's effective number of them) and are conservative.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from flow.campaign.faultlist import INDEPENDENT
from flow.campaign.outcome import Direction, Outcome
from flow.campaign.prepare import read_description
from flow.campaign.shards import Unit, completed, read_outcomes, shard_path, units
from flow.campaign.statistics import Estimate, stratified, stratified_zero_bound, wilson
from flow.campaign.stopping import Watch, critical_shares, stopping_of
from flow.errors import InputError

RESAMPLES = 2000
ENDLESS = 10**15  # faults that independent draws could have been

# One row per fault. What its bits do not share is null: a fault across layers has no layer. The
# first fault of a parameter, in the order of the list, places the groups of that parameter.
FAULTS_VIEW = """
    CREATE VIEW faults AS
    SELECT *, min(fault) OVER (PARTITION BY node, parameter) AS first FROM (
        SELECT fault, any_value(level) AS level, any_value(chip) AS chip,
            any_value(weight) AS weight, count(node) AS flips,
            CASE WHEN count(DISTINCT memory) = 1 THEN any_value(memory) END AS memory,
            CASE WHEN count(DISTINCT node) = 1 THEN any_value(node) END AS node,
            CASE WHEN count(DISTINCT parameter) = 1 THEN any_value(parameter) END AS parameter,
            CASE WHEN count(DISTINCT bit) = 1 THEN any_value(bit) END AS bit
        FROM bits GROUP BY fault)
"""
# Of a sequential campaign, where a beginning of the list was tried: what a stratum stands for is
# shared among those of its faults that were. Strikes of several bits count one each as before.
STOPPED_VIEW = """
    CREATE OR REPLACE TEMP VIEW drawn AS SELECT * FROM faults;
    CREATE TEMP TABLE weighed AS SELECT * REPLACE (
        CASE WHEN flips = 1 AND bool_or(weight > 1) OVER stratum
            THEN sum(weight) OVER stratum / count(*) FILTER ({done}) OVER stratum
            ELSE weight END AS weight)
    FROM drawn WINDOW stratum AS (PARTITION BY node, parameter, bit);
    DROP VIEW drawn; DROP VIEW faults;
    CREATE VIEW faults AS SELECT * FROM weighed;
"""


class By(StrEnum):
    """How faults are grouped; the value is the SQL that names a fault's group."""

    ALL = "'all faults'"
    LAYER = "coalesce(node, 'several layers')"
    MEMORY = "coalesce(memory, 'several memories')"
    PARAMETER = "coalesce(node || '.' || parameter, 'several parameters')"
    BIT = "coalesce(node || '.' || parameter || ' bit ' || lpad(bit::varchar, 2, '0'), 'several')"
    LEVEL = "level::varchar"
    IMAGE = "'image ' || lpad(image::varchar, 6, '0')"


@dataclass(frozen=True, slots=True)
class Share:
    """What faults of one group do; ``outcomes`` counts the pairs seen, estimates are weighted."""

    group: str
    faults: int
    pairs: int
    outcomes: Mapping[str, int]  # by Outcome
    changed: Estimate  # share of pairs with changed logits, undetected
    critical: Estimate  # share of pairs with another class, undetected
    breaking: Estimate  # share of faults that change the class of at least one image
    accuracy: Estimate  # share of pairs with the true class
    clean_accuracy: float  # the same without faults


def shares(directory: Path, by: By = By.ALL, *, confidence: float = 0.95) -> tuple[Share, ...]:
    """One record per group of faults, in the order of the network; unfinished campaigns too.

    Raises:
        InputError: ``directory`` holds no campaign or no completed unit.
    """
    counts = ", ".join(f"sum(n_{outcome})::bigint AS n_{outcome}" for outcome in Outcome)
    rows = _query(
        directory,
        f"""
        SELECT name, count(*) AS faults, sum(pairs)::bigint AS pairs, {counts},
            sum(w) AS w, sum(w * w) AS w2,
            sum(w * (1 - (n_masked + n_detected) / pairs)) / sum(w) AS changed,
            sum(w * n_critical / pairs) / sum(w) AS critical,
            sum(w * (n_critical > 0)::integer) / sum(w) AS breaking,
            sum(w * correct / pairs) / sum(w) AS accuracy,
            sum(clean_correct) / sum(pairs) AS clean_accuracy
        FROM ({_per_fault(by)}) GROUP BY name ORDER BY min(first), name
        """,
    )
    return tuple(_share(row, confidence) for row in rows)


def outcome_counts(directory: Path) -> dict[str, int]:
    """Pairs of every outcome seen."""
    found = _query(directory, "SELECT outcome, count(*) AS n FROM results GROUP BY outcome")
    return dict.fromkeys(map(str, Outcome), 0) | {row["outcome"]: row["n"] for row in found}


def direction_counts(directory: Path) -> dict[str, int]:
    """Pairs by the direction in which their class moved."""
    found = _query(directory, "SELECT direction, count(*) AS n FROM results GROUP BY direction")
    return dict.fromkeys(map(str, Direction), 0) | {row["direction"]: row["n"] for row in found}


def critical_share(
    directory: Path, *, rng: np.random.Generator, confidence: float = 0.95
) -> Estimate:
    """The share of (fault, image) pairs with another class, over all faults of the model.

    A sequential campaign has the interval it watched, at its own confidence, also while it runs.
    Single bits: stratified over all stored bits, bootstrap over faults. Independent draws: their
    mean over all levels together, bootstrap over faults. Where no pair changed its class, ``hi`` is
    the one-sided bound for zero events.

    Raises:
        InputError: as :func:`shares`, and while units are missing.
    """
    description = read_description(directory)
    watched = watch_of(directory)
    if watched is not None:
        return watched.interval
    independent = description.get("fault_model", "single") in INDEPENDENT
    grouping = By.ALL if independent else By.BIT
    rows = _query(
        directory,
        f"""
        SELECT list(n_critical / pairs ORDER BY fault) AS found, any_value(w) * count(*) AS size
        FROM ({_per_fault(grouping)}) GROUP BY name ORDER BY min(first), name
        """,
    )
    drawn = sum(len(row["found"]) for row in rows)
    if drawn != description["faults"]:
        raise InputError(
            f"{directory}: {drawn} of {description['faults']} faults are done; resume the campaign"
        )
    sizes = [ENDLESS if independent else round(row["size"]) for row in rows]
    found = [np.array(row["found"]) for row in rows]
    if independent and drawn == 1:
        return Estimate(float(found[0][0]), 0.0, 1.0)
    if not any(share.any() for share in found):
        draws = [len(share) for share in found]
        return Estimate(0.0, 0.0, stratified_zero_bound(sizes, draws, confidence=confidence))
    return stratified(sizes, found, rng=rng, confidence=confidence, resamples=RESAMPLES)


def watch_of(directory: Path) -> Watch | None:
    """What a sequential campaign has seen so far; None for any other.

    Raises:
        InputError: ``directory`` holds no campaign, or a damaged shard.
    """
    description = read_description(directory)
    stopping, images = stopping_of(description["identity"]), description["images"]
    if stopping is None:
        return None
    wanted, done = _checked_units(directory)
    watch = Watch(
        stopping, wanted, lambda unit: critical_shares(read_outcomes(directory, unit), images)
    )
    watch.look(done)
    return watch


def _per_fault(by: By) -> str:
    """One row per group and fault: its name, weight, and counts of pairs."""
    counts = ", ".join(
        f"count(*) FILTER (outcome = '{outcome}') AS n_{outcome}" for outcome in Outcome
    )
    return f"""
        SELECT {by} AS name, fault, any_value(weight) AS w, any_value(first) AS first,
            count(*) AS pairs, {counts},
            count(*) FILTER (class = label) AS correct,
            count(*) FILTER (clean_class = label) AS clean_correct
        FROM results JOIN faults USING (fault) GROUP BY name, fault
    """


def _share(row: Mapping[str, Any], confidence: float) -> Share:
    effective = row["w"] ** 2 / row["w2"]

    def estimate(share: float) -> Estimate:
        return wilson(min(share, 1.0) * effective, effective, confidence=confidence)

    return Share(
        group=row["name"],
        faults=row["faults"],
        pairs=row["pairs"],
        outcomes={str(outcome): row[f"n_{outcome}"] for outcome in Outcome},
        changed=estimate(row["changed"]),
        critical=estimate(row["critical"]),
        breaking=estimate(row["breaking"]),
        accuracy=estimate(row["accuracy"]),
        clean_accuracy=row["clean_accuracy"],
    )


def _checked_units(directory: Path) -> tuple[tuple[Unit, ...], tuple[Unit, ...]]:
    """The units of a campaign, and those of them whose shard is there and what was written."""
    campaign = read_description(directory)
    wanted = units(campaign["faults"], size=campaign["identity"]["unit"])
    digest, images = campaign["digest"], campaign["images"]
    done = completed(directory, wanted, campaign=digest, images=images)
    return wanted, tuple(unit for unit in wanted if unit in done)


@contextmanager
def results_database(directory: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory with the views ``results`` (one row per pair), ``bits`` (one per struck
    bit) and ``faults`` (one per fault) of the completed units.

    Raises:
        InputError: ``directory`` holds no campaign, no completed unit or a damaged one.
    """
    _, done = _checked_units(directory)
    if not done:
        raise InputError(f"{directory}: no unit is completed yet; resume the campaign")
    sequential = stopping_of(read_description(directory)["identity"]) is not None
    with duckdb.connect() as database:
        shards = [str(shard_path(directory, unit)) for unit in done]
        database.read_parquet(shards).create_view("results")
        database.read_parquet(str(directory / "faults.parquet")).create_view("bits")
        database.execute(FAULTS_VIEW)
        if sequential:
            spans = " OR ".join(f"fault BETWEEN {u.first} AND {u.last - 1}" for u in _joined(done))
            database.execute(STOPPED_VIEW.format(done=spans))
        yield database


def _joined(done: Sequence[Unit]) -> list[Unit]:
    """Units that follow each other as one."""
    spans: list[Unit] = []
    for unit in done:
        if spans and spans[-1].last == unit.first:
            spans[-1] = Unit(spans[-1].number, spans[-1].first, unit.last)
        else:
            spans.append(unit)
    return spans


def _query(directory: Path, sql: str) -> list[dict[str, Any]]:
    with results_database(directory) as database:
        return fetched(database.execute(sql))


def fetched(cursor: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """The rows of an answer, by column name."""
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
