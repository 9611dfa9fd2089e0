"""A campaign of register upsets from start to finish; killed at any moment, it resumes."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flow.atomic import write_atomic, write_json
from flow.build import Build, load_build
from flow.campaign.lock import LOCK, directory_lock
from flow.campaign.model import reference
from flow.campaign.pool import in_processes
from flow.campaign.run import OtherCampaignError
from flow.campaign.shards import SHARDS, Unit, units
from flow.campaign.upsets.fit import rate_of
from flow.campaign.upsets.outcome import outcome_rows
from flow.campaign.upsets.population import Drawn, Population, draw
from flow.campaign.upsets.recipe import UpsetRecipe
from flow.campaign.upsets.shards import completed_upsets, write_upsets
from flow.errors import ClaimError, InputError
from flow.fitting import fit
from flow.ir import Array
from sim.upsets import UpsetRun

Progress = Callable[[int, int], None]

FORMAT = 1
CAMPAIGN, UPSETS, RECORD = "campaign.json", "upsets.parquet", "record.json"


@dataclass(frozen=True, eq=False)
class UpsetCampaign:
    """The work of one campaign; any process can execute any of its units from this alone."""

    recipe: UpsetRecipe
    build: Build
    run: UpsetRun
    images: Array  # positions in the data set
    labels: Array
    population: Population
    drawn: tuple[Drawn, ...]

    @property
    def units(self) -> tuple[Unit, ...]:
        """The work, cut into shards."""
        return units(len(self.drawn), size=self.recipe.unit)

    @cached_property
    def identity(self) -> Mapping[str, Any]:
        """All that can change a row of the results, by name; two runs with equal ones agree."""
        recipe = self.recipe
        image_bytes = (np.ascontiguousarray(a, "<i8") for a in (self.images, self.run.x))
        upsets = [[d.upset.register, d.upset.bit, d.upset.cycle, d.upset.first] for d in self.drawn]
        return {
            "plan": self.build.plan_digest,
            "build files": _sha256(json.dumps(dict(sorted(self.build.files.items())))),
            "registers": self.population.digest(),
            "upsets": _sha256(json.dumps(upsets)),
            "images": _sha256(*image_bytes),
            "streaming": [recipe.window, recipe.follow, recipe.accept, recipe.patience],
            "unit": recipe.unit,
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the identity."""
        return _sha256(json.dumps([FORMAT, self.identity]))


def prepare_upsets(recipe: UpsetRecipe, data: tuple[Array, Array], *, cache: Path) -> UpsetCampaign:
    """Find the registers, time a clean run, and draw images and upsets by the recipe's seed.

    Raises:
        InputError: the recipe asks for more than the design or the data set has.
        ClaimError: the design has a register without a name, or a clean run fails.
    """
    build = load_build(recipe.build)
    for_upsets, for_images = np.random.default_rng(recipe.seed).spawn(2)
    x, labels = data
    if recipe.images > len(x):
        raise InputError(f"images: {recipe.images} wanted, but {recipe.data!r} has {len(x)}")
    images = np.sort(for_images.choice(len(x), recipe.images, replace=False))
    run = UpsetRun(
        recipe.build,
        fit(build.graph(), x[images], name=recipe.data),
        cache,
        window=recipe.window,
        follow=recipe.follow,
        accept=recipe.accept,
        patience=recipe.patience,
    )
    population = Population(run.registers, run.cycles, run.starts)
    drawn = draw(population, recipe.upsets, rng=for_upsets, minimum=recipe.per_register)
    return UpsetCampaign(recipe, build, run, images, np.asarray(labels[images]), population, drawn)


def run_upsets(
    recipe: UpsetRecipe,
    data: tuple[Array, Array],
    *,
    out: Path,
    cache: Path,
    resume: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Try every upset drawn and keep one row for each in ``out``; returns ``record.json``.

    ``out`` holds ``campaign.json`` and ``upsets.parquet`` (written first), one Parquet file per
    completed unit in ``shards``, and ``record.json`` (written last).

    Args:
        data: images (n, *input shape) as integers of the input edge, and labels (n,).
        out: a new or empty directory, or with ``resume`` one that this campaign began.
        cache: where compiled simulators are kept.
        progress: called with (upsets done, upsets in all).

    Raises:
        ClaimError: the clean RTL is not the model, or an upset outlived a reset.
        InputError: ``out`` holds something else or is in use, or recipe and data do not fit.
    """
    rate = rate_of(recipe.fit)
    with directory_lock(out):
        campaign = prepare_upsets(recipe, data, cache=cache)
        _claim(campaign, out, resume=resume)
        seconds = completed_upsets(out, campaign.units, campaign=campaign.digest)
        resumed, done = len(seconds), sum(u.last - u.first for u in seconds)
        pending = [unit for unit in campaign.units if unit not in seconds]
        with closing(_results(campaign, pending)) as results:
            for unit, rows, taken in results:
                write_upsets(out, unit, rows, campaign=campaign.digest, seconds=taken)
                seconds[unit] = taken
                done += unit.last - unit.first
                if progress is not None:
                    progress(done, len(campaign.drawn))
        spent = {"units_resumed": resumed, "seconds": round(sum(seconds.values()), 3)}
        record = _sizes(campaign) | spent | rate
        write_json(out / RECORD, record)
    return record


def _sizes(campaign: UpsetCampaign) -> dict[str, Any]:
    """Of which campaign the record is, and how large its parts are."""
    return {
        "name": campaign.recipe.name,
        "target": campaign.recipe.target,
        "digest": campaign.digest,
        "plan_digest": campaign.build.plan_digest,
        "seed": campaign.recipe.seed,
        "upsets": len(campaign.drawn),
        "population": len(campaign.population),
        "flip_flops": campaign.population.bits,
        "registers": len(campaign.population.registers),
        "cycles": campaign.population.cycles,
        "images": len(campaign.images),
        "units": len(campaign.units),
    }


def _results(
    campaign: UpsetCampaign, pending: Sequence[Unit]
) -> Generator[tuple[Unit, pa.Table, float], None, None]:
    return in_processes(
        partial(execute, campaign), pending, workers=min(campaign.recipe.workers, len(pending))
    )


def execute(campaign: UpsetCampaign, unit: Unit) -> tuple[Unit, pa.Table, float]:
    """The rows of ``unit``, and the seconds they took.

    Raises:
        ClaimError: the clean run differs from the model on some image.
    """
    start = perf_counter()
    upsets = tuple(drawn.upset for drawn in campaign.drawn[unit.first : unit.last])
    found = campaign.run.run(upsets)
    model = reference(campaign.build.graph(), campaign.run.x)
    wrong = (model.logits != found.clean_logits).any(axis=1) | (
        model.classes != found.clean_classes
    )
    if wrong.any():
        image = int(campaign.images[np.flatnonzero(wrong)[0]])
        raise ClaimError(
            f"{campaign.build.directory}: model and RTL do not agree on image {image} without a "
            "fault; run `bitproof simulate` on it"
        )
    window = campaign.recipe.window
    rows = outcome_rows(unit.first, upsets, found, campaign.labels, window=window)
    return unit, rows, perf_counter() - start


def _claim(campaign: UpsetCampaign, out: Path, *, resume: bool) -> None:
    """Make ``out`` this campaign's directory, or check that it is."""
    description = {
        "format": FORMAT,
        "target": campaign.recipe.target,
        "recipe": campaign.recipe.model_dump(mode="json"),
        "cycles": campaign.population.cycles,
        "identity": campaign.identity,
        "digest": campaign.digest,
    }
    if (out / CAMPAIGN).exists():
        if not resume:
            raise InputError(f"{out}: holds a campaign already; resume it or choose another folder")
        there = _identity(out)
        for what, ours in campaign.identity.items():
            if there.get(what) != ours:
                raise OtherCampaignError(
                    f"{out}: its campaign has another {what}; remove it, choose another folder or "
                    "resume with --replace"
                )
        return
    ours = {LOCK, UPSETS, SHARDS}  # a run killed before it wrote campaign.json leaves these
    strangers = [p for p in out.iterdir() if p.name not in ours and p.name[0] != "."]
    if strangers or any((out / SHARDS).glob("*")):
        raise InputError(f"{out}: not empty and no campaign; choose another folder")
    sink = io.BytesIO()
    pq.write_table(_table(campaign), sink, compression="zstd")
    write_atomic(out / UPSETS, sink.getvalue())
    (out / SHARDS).mkdir(exist_ok=True)
    write_json(out / CAMPAIGN, description)


def _identity(out: Path) -> Mapping[str, Any]:
    """Of the campaign that ``out`` holds; a damaged one is another than any."""
    try:
        identity: Mapping[str, Any] = read_upset_description(out)["identity"]
    except InputError as error:
        raise OtherCampaignError(f"{error} or resume with --replace") from None
    return identity


def _table(campaign: UpsetCampaign) -> pa.Table:
    units_of = {register.name: register.unit for register in campaign.population.registers}
    return pa.table(
        {
            "upset": pa.array(range(len(campaign.drawn)), pa.int32()),
            "unit": [units_of[d.upset.register] for d in campaign.drawn],
            "group": [d.group for d in campaign.drawn],
            "weight": [d.weight for d in campaign.drawn],
        }
    )


def read_upset_description(directory: Path) -> dict[str, Any]:
    """Read ``campaign.json`` of a campaign of register upsets.

    Raises:
        InputError: the directory holds none, or the file is damaged.
    """
    path = directory / CAMPAIGN
    try:
        record: dict[str, Any] = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: no campaign file ({error}); run the campaign") from None
    sound = isinstance(record, dict) and record.get("format") == FORMAT
    if not sound or record.get("digest") != _sha256(json.dumps([FORMAT, record.get("identity")])):
        raise InputError(f"{path}: damaged, or no campaign of upsets; use another directory")
    return record


def _sha256(*parts: str | Array) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(part.encode() if isinstance(part, str) else part.tobytes())
    return total.hexdigest()
