"""A campaign from start to finish; killed at any moment, it resumes where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.atomic import write_json
from flow.campaign.execute import execute
from flow.campaign.faultfile import holds_faults, save_faults
from flow.campaign.fit_estimate import STORAGE, save_storage
from flow.campaign.fit_estimate import TABLE as RATES
from flow.campaign.lock import LOCK, directory_lock
from flow.campaign.pool import in_cluster, in_processes
from flow.campaign.prepare import CAMPAIGN, Campaign, describe, prepare, read_description
from flow.campaign.recipe import Executor, Recipe
from flow.campaign.reproducer import Reproducer, save_reproducer
from flow.campaign.shards import (
    SHARDS,
    Unit,
    UnitResult,
    completed,
    read_outcomes,
    shard_path,
    write_shard,
)
from flow.campaign.show import outcome_counts
from flow.campaign.stopping import Watch, critical_shares
from flow.certify.flips import SingleFlips
from flow.errors import ClaimError, InputError
from flow.ir import Array

Progress = Callable[[int, int], None]

FAULTS = "faults.parquet"
RECORD = "record.json"
REPRODUCER = "reproducer.json"


class OtherCampaignError(InputError):
    """The folder holds a campaign that is not the one to be resumed, or is damaged."""


@dataclass(frozen=True, slots=True)
class CampaignRecord:
    """A finished campaign; every pair was computed by all engines and found identical."""

    name: str
    digest: str
    graph_digest: str
    plan_digest: str | None
    fault_list_digest: str
    seed: int
    engines: tuple[str, ...]
    faults: int
    images: int
    pairs: int
    outcomes: Mapping[str, int]  # pairs by Outcome
    changed_pairs: int  # whose logits differ from the clean run, undetected
    certified_images: int | None  # None: the campaign was run without the analysis
    units: int
    units_resumed: int  # already there when this run began
    seconds: Mapping[str, float]  # by engine, all runs of the campaign together
    estimate: Mapping[str, int]
    bytes_written: int
    stopping: Mapping[str, Any] | None = None  # of a sequential campaign: where and at what


def run_campaign(
    recipe: Recipe,
    data: tuple[Array, Array],
    *,
    out: Path,
    cache: Path,
    resume: bool = False,
    flips: SingleFlips | None = None,
    progress: Progress | None = None,
) -> CampaignRecord:
    """Try every fault on every image in every engine, and keep one row per pair in ``out``.

    ``out`` holds ``campaign.json`` and ``faults.parquet`` (written first), one Parquet file per
    completed unit in ``shards``, and ``record.json`` (written last).

    Args:
        data: images (n, *input shape) as integers of the input edge, and labels (n,).
        out: a new or empty directory, or with ``resume`` one that this campaign began.
        cache: where compiled simulators are kept.
        flips: a single-flip analysis of the images drawn; made here where the recipe wants one.
        progress: called with (pairs done, pairs in all).

    Raises:
        ClaimError: engines differ, or a certificate is broken, on some pair; ``reproducer.json``
            then holds that pair and `bitproof replay` runs it again.
        InputError: ``out`` holds something else or is in use, or recipe and data do not fit.
    """
    campaign = prepare(recipe, data, flips=flips)
    with directory_lock(out):
        _sweep(out)
        _claim(campaign, out, resume=resume)
        if campaign.storage is not None:  # decides no row: other rates give another estimate
            save_storage(campaign.storage, campaign.faults, out)
        seconds = completed(out, campaign.units, campaign=campaign.key, images=len(campaign.images))
        resumed = len(seconds)
        watch = _watch(campaign, out)
        if watch is None or watch.look(seconds) is None:
            _work(campaign, out, seconds, watch, cache=cache, progress=progress)
        _drop_ahead(out, seconds, watch)
        (out / REPRODUCER).unlink(missing_ok=True)  # of a claim that holds now
        record = _record(campaign, out, seconds=seconds, resumed=resumed, watch=watch)
        write_json(out / RECORD, asdict(record))
    return record


def _watch(campaign: Campaign, out: Path) -> Watch | None:
    if campaign.stopping is None:
        return None
    images = len(campaign.images)

    def shares(unit: Unit) -> NDArray[np.float64]:
        return critical_shares(read_outcomes(out, unit), images)

    return Watch(campaign.stopping, campaign.units, shares)


def _drop_ahead(out: Path, seconds: dict[Unit, Mapping[str, float]], watch: Watch | None) -> None:
    """Remove what workers had finished beyond the unit that was enough."""
    if watch is None or watch.enough is None:
        return
    for unit in [unit for unit in seconds if unit.number >= watch.enough]:
        shard_path(out, unit).unlink()
        del seconds[unit]


def _work(
    campaign: Campaign,
    out: Path,
    seconds: dict[Unit, Mapping[str, float]],
    watch: Watch | None,
    *,
    cache: Path,
    progress: Progress | None,
) -> None:
    """Run the units that are not in ``seconds`` and enter them there, until all are done or
    ``watch`` has seen enough."""
    pending = [unit for unit in campaign.units if unit not in seconds]
    done, images = sum(unit.last - unit.first for unit in seconds), len(campaign.images)
    with closing(_results(campaign, pending, cache=cache)) as results:
        for result in results:
            if isinstance(result, Reproducer):
                save_reproducer(result, out / REPRODUCER)
                raise ClaimError(f"{result}; run `bitproof replay {out / REPRODUCER}`")
            write_shard(out, result, campaign=campaign.key)
            seconds[result.unit] = result.seconds
            done += result.unit.last - result.unit.first
            if progress is not None:
                progress(done * images, campaign.pairs)
            if watch is not None and watch.look(seconds) is not None:
                return


def clear(out: Path) -> None:
    """Remove the campaign that ``out`` holds, and nothing else; refused while one is running."""
    with directory_lock(out):
        (out / CAMPAIGN).unlink()  # first: without it the rest is no campaign
        for name in (FAULTS, RECORD, REPRODUCER, RATES, STORAGE):
            (out / name).unlink(missing_ok=True)
        for shard in (out / SHARDS).glob("*"):
            shard.unlink()


def _sweep(out: Path) -> None:
    """Remove what a killed run was writing; only the holder of the lock may."""
    leftovers = [
        p
        for name in (FAULTS, CAMPAIGN, RECORD, REPRODUCER, RATES, STORAGE)
        for p in out.glob(f".{name}.*")
    ]
    for leftover in [*leftovers, *(out / SHARDS).glob(".*")]:
        leftover.unlink()


def _claim(campaign: Campaign, out: Path, *, resume: bool) -> None:
    """Make ``out`` this campaign's directory, or check that it is."""
    description = describe(campaign)
    if (out / CAMPAIGN).exists():
        if not resume:
            raise InputError(f"{out}: holds a campaign already; resume it or choose another folder")
        there = _identity(out)
        ours = description["identity"]
        for what in {**ours, **there}:
            if there.get(what) != ours.get(what):
                raise OtherCampaignError(
                    f"{out}: its campaign has another {what}; remove it, choose another folder or "
                    "resume with --replace"
                )
        if not holds_faults(out / FAULTS, campaign.faults, graph=campaign.graph):
            raise InputError(f"{out / FAULTS}: another fault list than the campaign's; remove it")
        return
    left = {LOCK, FAULTS, SHARDS}  # a run killed before it wrote campaign.json leaves these
    strangers = [p for p in sorted(out.iterdir()) if p.name not in left and p.name[0] != "."]
    if strangers or any((out / SHARDS).glob("*")):
        raise InputError(f"{out}: not empty and no campaign; choose another folder")
    if not (out / FAULTS).exists():
        save_faults(campaign.faults, out / FAULTS)
    if not holds_faults(out / FAULTS, campaign.faults, graph=campaign.graph):
        raise InputError(f"{out / FAULTS}: another fault list than the campaign's; remove it")
    (out / SHARDS).mkdir(exist_ok=True)
    write_json(out / CAMPAIGN, description)


def _identity(out: Path) -> Mapping[str, Any]:
    """Of the campaign that ``out`` holds; a damaged one is another than any."""
    try:
        identity: Mapping[str, Any] = read_description(out)["identity"]
    except InputError as error:
        raise OtherCampaignError(f"{error} or resume with --replace") from None
    return identity


def _results(
    campaign: Campaign, pending: Sequence[Unit], *, cache: Path
) -> Generator[UnitResult | Reproducer, None, None]:
    """The pending units, in the order they end; only the caller writes."""
    recipe = campaign.recipe
    work = partial(_execute, cache=cache)
    parts = ((campaign.alone(unit), unit) for unit in pending)
    if recipe.executor is Executor.DASK:
        assert recipe.scheduler is not None, "the recipe demands it"
        return in_cluster(work, parts, scheduler=recipe.scheduler)
    return in_processes(work, parts, workers=min(recipe.workers, len(pending)))


def _execute(part: tuple[Campaign, Unit], *, cache: Path) -> UnitResult | Reproducer:
    return execute(*part, cache=cache)


def _record(
    campaign: Campaign,
    out: Path,
    *,
    seconds: Mapping[Unit, Mapping[str, float]],
    resumed: int,
    watch: Watch | None,
) -> CampaignRecord:
    outcomes = outcome_counts(out)
    faults = sum(unit.last - unit.first for unit in seconds)
    pairs = faults * len(campaign.images)
    identity = campaign.identity()
    prediction = campaign.prediction
    return CampaignRecord(
        name=campaign.recipe.name,
        digest=campaign.key,
        graph_digest=identity["graph"],
        plan_digest=identity["plan"],
        fault_list_digest=campaign.faults.digest,
        seed=campaign.recipe.seed,
        engines=tuple(map(str, campaign.recipe.engines)),
        faults=faults,
        images=len(campaign.images),
        pairs=pairs,
        outcomes=outcomes,
        changed_pairs=pairs - outcomes["masked"] - outcomes["detected"],
        certified_images=None if prediction is None else int(prediction.certified.sum()),
        units=len(seconds),
        units_resumed=min(resumed, len(seconds)),
        seconds={
            str(engine): round(sum(unit[engine] for unit in seconds.values()), 3)
            for engine in campaign.recipe.engines
        },
        estimate=campaign.estimate(),
        bytes_written=sum(path.stat().st_size for path in (out / SHARDS).iterdir()),
        stopping=None if watch is None else watch.record(),
    )
