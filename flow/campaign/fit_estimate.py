"""The rate at which upsets of stored bits make an accelerator answer wrongly.

``sum over cells (bits x FIT of one bit x share of pairs)``; a cell is one bit position of one
parameter in one kind of memory. Faults are drawn within cells, so the interval is a bootstrap over
faults within them, as for the share of critical pairs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from flow.atomic import write_atomic, write_json
from flow.campaign.faultlist import FaultList
from flow.campaign.fit import KINDS, Storage
from flow.campaign.outcome import Outcome
from flow.campaign.prepare import read_description
from flow.campaign.show import results_database
from flow.campaign.statistics import Estimate, stratified_total, stratified_zero_bound
from flow.errors import InputError

TABLE, STORAGE = "fit.json", "storage.parquet"
HOURS = 1e9  # of one FIT
EFFECTS = {
    "sdc": ("tolerable", "critical"),  # other logits that nothing reported
    "critical": ("critical",),
    "detected": ("detected",),
}


@dataclass(frozen=True, slots=True)
class FitRow:
    """Bits in one kind of memory, or all: how often they are upset and with what effect, in FIT."""

    storage: str
    bits: int
    upsets: float  # whatever they do
    sdc: Estimate
    critical: Estimate
    detected: Estimate

    def flat(self, effects: Iterable[str] = EFFECTS) -> dict[str, Any]:
        """As one row of a table: an effect's ends of interval behind it."""
        row: dict[str, Any] = {"storage": self.storage, "bits": self.bits, "upsets": self.upsets}
        for effect in effects:
            found: Estimate = getattr(self, effect)
            row |= {effect: found.value, f"{effect}_lo": found.lo, f"{effect}_hi": found.hi}
        return row


@dataclass(frozen=True, slots=True)
class Cell:
    """One bit position of one parameter in one kind of memory, and the faults drawn there."""

    storage: str
    bits: int
    rate: float  # FIT of one bit
    shares: Mapping[str, NDArray[np.float64]]  # by effect, one number for each fault drawn


def save_storage(storage: Storage, faults: FaultList, out: Path) -> None:
    """Write down what the estimate needs of the build: rates, populations, where faults lie."""
    record = {
        "source": storage.rates.source,
        "fit_of_a_bit": storage.describe(),
        "populations": [asdict(population) for population in storage.populations()],
    }
    names = pa.array([kind.value for kind in KINDS])
    kinds = pa.DictionaryArray.from_arrays(pa.array(storage.kind[faults.position]), names)
    table = pa.table({"fault": pa.array(np.arange(len(faults), dtype=np.int32)), "storage": kinds})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_atomic(out / STORAGE, sink.getvalue().to_pybytes())
    write_json(out / TABLE, record)


def fit_estimate(
    directory: Path, *, rng: np.random.Generator, confidence: float = 0.95
) -> tuple[FitRow, ...]:
    """One row for each kind of memory and one for all; none where the campaign had no ``[fit]``.

    Where no pair shows an effect, ``hi`` is the one-sided bound for zero events.

    Raises:
        InputError: the campaign is unfinished or its files are damaged, or a cell with several bits
            has fewer than two draws, which carry no spread.
    """
    if not (directory / TABLE).exists():
        return ()
    cells = _cells(directory)
    kinds = list(dict.fromkeys(cell.storage for cell in cells))
    rows = [_row(name, [c for c in cells if c.storage == name], rng, confidence) for name in kinds]
    return (*rows, _row("all", cells, rng, confidence))


def fit_record(directory: Path, *, rng: np.random.Generator) -> dict[str, Any]:
    """The estimate as JSON: rows, where the rates are from, and the mean hours to a critical answer
    within the interval; nothing for a campaign without ``[fit]``."""
    rows = fit_estimate(directory, rng=rng)
    if not rows:
        return {}
    critical = rows[-1].critical
    # A build without a check detects nothing, of which an upper bound would tell nothing.
    effects = [name for name in EFFECTS if name != "detected" or rows[-1].detected.value]
    hours = [None if not rate else HOURS / rate for rate in (critical.hi, critical.lo)]
    return {
        "fit": [row.flat(effects) for row in rows],
        "fit_source": _record(directory)["source"],
        "hours_to_critical": {"at_least": hours[0], "at_most": hours[1]},
    }


def _row(name: str, cells: Sequence[Cell], rng: np.random.Generator, confidence: float) -> FitRow:
    found = {effect: total(cells, effect, rng, confidence) for effect in EFFECTS}
    upsets = sum(cell.bits * cell.rate for cell in cells)
    return FitRow(name, sum(cell.bits for cell in cells), upsets, **found)


def total(
    cells: Sequence[Cell], effect: str, rng: np.random.Generator, confidence: float
) -> Estimate:
    """The FIT of one effect over all cells; with no event the one-sided bound on it."""
    shares = [cell.shares[effect] for cell in cells]
    weights = [cell.bits * cell.rate for cell in cells]
    whole = all(len(share) == cell.bits for share, cell in zip(shares, cells, strict=True))
    if whole or any(share.any() for share in shares):
        sizes = [cell.bits for cell in cells]
        rates = [cell.rate for cell in cells]
        return stratified_total(sizes, shares, rates, rng=rng, confidence=confidence)
    # a cell that is drawn wholly, or that nothing upsets, can hide nothing
    open_cells = [
        (weight, len(share))
        for weight, share, cell in zip(weights, shares, cells, strict=True)
        if len(share) < cell.bits and weight
    ]
    if not open_cells:
        return Estimate(0.0, 0.0, 0.0)
    open_weights, draws = zip(*open_cells, strict=True)
    bound = stratified_zero_bound(open_weights, draws, confidence=confidence)
    return Estimate(0.0, 0.0, bound * sum(open_weights))


def _cells(directory: Path) -> list[Cell]:
    record = _record(directory)
    found = _per_fault(directory)
    keys = list(zip(*(found[key] for key in ("node", "parameter", "bit", "storage")), strict=True))
    rows: dict[tuple[Any, ...], list[int]] = {}
    for number, key in enumerate(keys):
        rows.setdefault(key, []).append(number)
    shares = {
        effect: sum(found[f"n_{outcome}"] for outcome in outcomes) / found["pairs"]
        for effect, outcomes in EFFECTS.items()
    }
    cells = []
    for entry in record["populations"]:
        key = (entry["node"], entry["parameter"], entry["bit"], entry["memory"])
        drawn = rows.get(key, [])
        if len(drawn) < min(2, entry["bits"]):
            raise InputError(
                f"{directory}: {len(drawn)} faults of bit {key[2]} of {key[0]}.{key[1]} in "
                f"{key[3]} memory; the FIT estimate needs two of each: raise per_stratum"
            )
        rate = record["fit_of_a_bit"][entry["memory"]]
        part = {effect: share[drawn] for effect, share in shares.items()}
        cells.append(Cell(entry["memory"], entry["bits"], rate, part))
    return cells


def _per_fault(directory: Path) -> dict[str, NDArray[Any]]:
    """Of each fault its node, parameter, bit and storage, and counts of pairs, ``n_`` before the
    outcome."""
    counts = ", ".join(f"count(*) FILTER (outcome = '{o}') AS n_{o}" for o in Outcome)
    path = directory / STORAGE
    with results_database(directory) as database:
        try:
            database.read_parquet(str(path)).create_view("storages")
            found = database.execute(
                f"""
                SELECT *
                FROM (SELECT fault, count(*) AS pairs, {counts} FROM results GROUP BY fault)
                JOIN (SELECT fault, node, parameter, bit FROM faults) USING (fault)
                JOIN storages USING (fault) ORDER BY fault
                """
            ).fetchnumpy()
        except duckdb.Error as error:
            reason = str(error).partition("\n")[0]
            raise InputError(f"{path}: damaged ({reason}); resume the campaign") from None
    drawn, wanted = len(found["fault"]), read_description(directory)["faults"]
    if drawn != wanted:
        raise InputError(f"{directory}: {drawn} of {wanted} faults are done; resume the campaign")
    return {name: np.asarray(values) for name, values in found.items()}


def _record(directory: Path) -> dict[str, Any]:
    path = directory / TABLE
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: damaged ({error}); resume the campaign") from None
    return found
