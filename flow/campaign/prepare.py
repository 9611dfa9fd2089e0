"""Everything a campaign is fixed by, gathered and digested before the first fault is tried."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.build import Build, load_build
from flow.campaign.draw import draw_faults
from flow.campaign.faultfile import load_faults
from flow.campaign.faultlist import FaultList
from flow.campaign.fit import Storage
from flow.campaign.recipe import Engine, Recipe
from flow.campaign.shards import ROW_BYTES, Unit, units
from flow.campaign.stopping import Stopping
from flow.certify.flips import SingleFlips, single_flips
from flow.errors import InputError
from flow.fitting import fit
from flow.graphfile import digest, load_graph
from flow.ir import Array, Graph

FORMAT = 1
CAMPAIGN = "campaign.json"
SHARD_BYTES = 4096  # of each shard's own description


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What the exact single-flip analysis says about a campaign's own faults and images."""

    enumeration: str  # digest of the analysis
    certified: NDArray[np.bool_]  # (images,): no single flip changes the class
    packed: NDArray[np.uint8]  # (faults, images / 8): this flip changes the class, a bit each

    def critical(self, first: int, last: int) -> NDArray[np.bool_]:
        """(faults ``first .. last - 1``, images): this flip changes the class."""
        rows = self.packed[first:last]
        return np.unpackbits(rows, axis=1, count=len(self.certified)).astype(np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class Campaign:
    """The work of one campaign; any process can execute any of its units from this alone."""

    recipe: Recipe
    graph: Graph
    build: Build | None
    faults: FaultList
    images: Array  # positions in the data set
    x: Array  # the images themselves
    labels: Array
    prediction: Prediction | None
    key: str = ""  # its digest, where that is known
    stopping: Stopping | None = None  # None: every fault of the list is tried
    storage: Storage | None = None  # of its build, where the recipe has rates
    begin: int = 0  # the number of the first of ``faults``; later in a unit taken out of a campaign

    @property
    def units(self) -> tuple[Unit, ...]:
        """The work, cut into shards."""
        return units(len(self.faults), size=self.recipe.unit)

    @property
    def pairs(self) -> int:
        """(fault, image) pairs, hence rows."""
        return len(self.faults) * len(self.images)

    def strikes(self, unit: Unit) -> FaultList:
        """The faults of ``unit``."""
        return self.faults.part(unit.first - self.begin, unit.last - self.begin)

    def critical(self, unit: Unit) -> NDArray[np.bool_]:
        """(faults of ``unit``, images): the analysis predicts another class.

        Raises:
            ValueError: there is no analysis.
        """
        if self.prediction is None:
            raise ValueError("a campaign without an analysis predicts nothing")
        return self.prediction.critical(unit.first - self.begin, unit.last - self.begin)

    def alone(self, unit: Unit) -> Campaign:
        """What it takes to execute ``unit`` and no other: small enough to send to any process."""
        prediction = self.prediction
        if prediction is not None:
            part = prediction.packed[unit.first - self.begin : unit.last - self.begin]
            prediction = replace(prediction, packed=part)
        part_of = replace(self, prediction=prediction, storage=None, begin=unit.first)
        return replace(part_of, faults=self.strikes(unit))

    def identity(self) -> Mapping[str, Any]:
        """All that can change a row of the results, by name; two runs with equal ones agree."""
        build = self.build
        files = None if build is None else _sha256(json.dumps(dict(sorted(build.files.items()))))
        image_bytes = (np.ascontiguousarray(a, "<i8") for a in (self.images, self.x, self.labels))
        stop = {} if self.stopping is None else {"stopping": self.stopping.terms()}
        return {
            "graph": digest(self.graph),
            "plan": None if build is None else build.plan_digest,
            "fault sites": None if build is None else build.sites_digest,
            "build files": files,
            "fault list": self.faults.digest,
            "images": _sha256(*image_bytes),
            "certificate": None if self.prediction is None else self.prediction.enumeration,
            "engines": list(map(str, self.recipe.engines)),
            "unit": self.recipe.unit,
            **stop,
        }

    def digest(self) -> str:
        """SHA-256 of the identity."""
        return _sha256(json.dumps([FORMAT, self.identity()]))

    def estimate(self) -> Mapping[str, int]:
        """What the results will take: rows, shards and at most so many bytes."""
        shards = len(self.units)
        most = self.pairs * ROW_BYTES + shards * SHARD_BYTES
        return {"rows": self.pairs, "shards": shards, "bytes_at_most": most}


def prepare(
    recipe: Recipe, data: tuple[Array, Array], *, flips: SingleFlips | None = None
) -> Campaign:
    """Load the network, draw faults and images by the recipe's seed, and predict every pair.

    Args:
        data: images (n, *input shape) as integers of the input edge, and their labels (n,).
        flips: an analysis of exactly the images drawn; made here where the recipe wants one.

    Raises:
        InputError: the recipe asks for more than the network or the data set has.
    """
    graph, build = _network(recipe)
    for_faults, for_images = np.random.default_rng(recipe.seed).spawn(2)
    faults, storage = _faults(recipe, graph, build, for_faults)
    x, labels = data
    if recipe.images > len(x):
        raise InputError(f"images: {recipe.images} wanted, but {recipe.data!r} has {len(x)}")
    images = np.sort(for_images.choice(len(x), recipe.images, replace=False))
    x, labels = fit(graph, x[images], name=recipe.data), np.asarray(labels[images])
    certifiable = faults.single and faults.flips
    if recipe.certify and not certifiable:
        raise InputError("faults: only single flips can be certified; leave 'certify' out")
    if flips is None and (certifiable if recipe.certify is None else recipe.certify):
        flips = single_flips(graph, x, y=labels)
    prediction = None if flips is None else _predict(flips, faults)
    stopping = Stopping.of(recipe.faults, graph)
    campaign = Campaign(
        recipe, graph, build, faults, images, x, labels, prediction, stopping=stopping
    )
    return replace(campaign, key=campaign.digest(), storage=storage)


def _network(recipe: Recipe) -> tuple[Graph, Build | None]:
    if recipe.build is None:
        assert recipe.graph is not None, "the recipe has one of the two"
        return load_graph(recipe.graph), None
    build = load_build(recipe.build)
    return build.graph(), build


def _faults(
    recipe: Recipe, graph: Graph, build: Build | None, rng: np.random.Generator
) -> tuple[FaultList, Storage | None]:
    """The list to try, and where the rates of its bits are known, these."""
    storage = None
    if recipe.fit is not None:
        assert build is not None, "the recipe demands a build for rates"
        storage = Storage.of(build, recipe.fit.rates())
    if recipe.fault_list is not None:
        faults = load_faults(recipe.fault_list, graph=graph)
    else:
        assert recipe.faults is not None, "the recipe has one of the two"
        faults = draw_faults(graph, recipe.faults, rng=rng, build=build, storage=storage)
    if storage is not None and faults.model != "single":
        raise InputError("faults: [fit] is about single upsets, drawn by strata; leave it out")
    if faults.transient and Engine.RTL in recipe.engines:
        _check_registers(build, faults)
    return faults, storage


def _check_registers(build: Build | None, faults: FaultList) -> None:
    from sim.transients import check_places  # a campaign in the model needs no simulator

    assert build is not None, "the recipe demands a build for RTL"
    struck = np.unique(faults.bits.block_numbers(faults.position))
    check_places(build, [faults.bits.blocks[k].node for k in struck])


def _predict(flips: SingleFlips, faults: FaultList) -> Prediction:
    if flips.graph_digest != faults.graph_digest:
        raise InputError("certificate: made for another graph than the campaign's; make it again")
    return Prediction(flips.enumeration(), flips.certified, flips.critical[faults.position])


def describe(campaign: Campaign) -> dict[str, Any]:
    """The file ``campaign.json``: identity, settings and the size estimate."""
    recipe = campaign.recipe
    return {
        "format": FORMAT,
        "name": recipe.name,
        "graph": None if recipe.graph is None else str(recipe.graph),
        "build": None if recipe.build is None else str(recipe.build),
        "network": campaign.graph.name,
        "data": recipe.data,
        "images": len(campaign.images),
        "faults": len(campaign.faults),
        "seed": recipe.seed,
        "fault_model": campaign.faults.model,
        "estimate": campaign.estimate(),
        "identity": campaign.identity(),
        "digest": campaign.key,
    }


def read_description(directory: Path) -> dict[str, Any]:
    """Read ``campaign.json`` of a campaign directory.

    Raises:
        InputError: the directory holds no campaign, or the file is damaged.
    """
    path = directory / CAMPAIGN
    try:
        record = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; start with `bitproof campaign run`") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: damaged ({error}); use another directory") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise InputError(f"{path}: not a campaign of format {FORMAT}; use another directory")
    if record.get("digest") != _sha256(json.dumps([FORMAT, record.get("identity")])):
        raise InputError(f"{path}: damaged (digest differs); use another directory")
    return record


def _sha256(*parts: str | NDArray[np.int64]) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(part.encode() if isinstance(part, str) else part.tobytes())
    return total.hexdigest()
