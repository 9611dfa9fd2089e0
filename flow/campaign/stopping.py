"""When a campaign has seen enough: the interval of its critical share is as narrow as was asked.

Decided from the completed units in their order alone, at lengths that are fixed beforehand, so any
number of workers, kills and resumptions end at the same unit. The interval is valid however often
one looks (``flow.campaign.sequence``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flow.campaign.faultmodel import Burst, FaultModel, Multiple, Single, Stuck
from flow.campaign.outcome import Outcome
from flow.campaign.sample import floor_size
from flow.campaign.sequence import bounds
from flow.campaign.shards import Unit
from flow.campaign.statistics import Estimate
from flow.certify.stored_bits import StoredBits
from flow.ir import Graph

GROWTH = 1.05  # draws at one look to those at the next; looking more often would gain little


@dataclass(frozen=True, slots=True)
class Stopping:
    """Stop once the share of critical pairs is known to ``margin`` at ``confidence``.

    The first ``floor`` faults of the list touch every stratum and are known, not estimated; the
    others are drawn uniformly from the ``population`` of bits that are left (None: independently).
    """

    margin: float
    confidence: float
    floor: int
    population: int | None

    @classmethod
    def of(cls, model: FaultModel | None, graph: Graph) -> Stopping | None:
        """What the fault model asks for; None where all its faults are to be tried."""
        if not isinstance(model, Single | Stuck | Multiple | Burst) or not model.sequential:
            return None
        assert model.margin is not None, "the model demands it"
        if isinstance(model, Multiple | Burst):
            return cls(model.margin, model.confidence, 0, None)
        bits = StoredBits.of(graph)
        floor = floor_size(bits, model.per_stratum)
        return cls(model.margin, model.confidence, floor, len(bits) - floor)

    def terms(self) -> dict[str, Any]:
        """As JSON; ``Stopping(**terms)`` is the inverse."""
        return asdict(self)

    def estimate(self, shares: NDArray[np.float64]) -> Estimate:
        """The critical share over all faults of the model, from those of the first faults."""
        drawn = shares[self.floor :]
        found = bounds(drawn, population=self.population, confidence=self.confidence)
        if self.population is None or not self.floor:
            return found
        known, left = float(shares[: self.floor].sum()), self.population
        if len(shares) < self.floor:  # those still to come could be anything
            found, left = Estimate(0.0, 0.0, 1.0), self.population + self.floor - len(shares)
        total = self.floor + self.population
        value, lo, hi = ((known + left * m) / total for m in (found.value, found.lo, found.hi))
        return Estimate(value, lo, min(1.0, hi))


class Watch:
    """Looks at units in order; ``enough`` is the number of units that suffice, once known."""

    def __init__(
        self,
        stopping: Stopping,
        units: Sequence[Unit],
        shares_of: Callable[[Unit], NDArray[np.float64]],
    ) -> None:
        self.stopping, self.units, self._shares_of = stopping, units, shares_of
        self.enough: int | None = None
        self.seen = 0  # units
        self.interval = Estimate(0.0, 0.0, 1.0)
        self._shares: NDArray[np.float64] = np.zeros(0)
        self._next = 1

    def look(self, done: Container[Unit]) -> int | None:
        """Take in the completed units up to the first that is missing; ``enough``."""
        while self.enough is None and self.seen < len(self.units):
            unit = self.units[self.seen]
            if unit not in done:
                break
            self._shares = np.concatenate([self._shares, self._shares_of(unit)])
            self.seen += 1
            last = self.seen == len(self.units)
            if len(self._shares) >= self._next or last:
                self._decide()
        return self.enough

    def _decide(self) -> None:
        found, before = self.stopping.estimate(self._shares), self.interval
        # The true share lies in all intervals together, so in what they have in common.
        lo, hi = max(found.lo, before.lo), min(found.hi, before.hi)
        self.interval = Estimate(min(max(found.value, lo), hi), lo, hi)
        self._next = max(len(self._shares) + 1, math.ceil(GROWTH * len(self._shares)))
        if len(self._shares) > self.stopping.floor and hi - lo <= 2 * self.stopping.margin:
            self.enough = self.seen

    def record(self) -> dict[str, Any]:
        """Where it stopped and what is known there, as JSON."""
        listed = self.units[-1].last
        faults = self.units[self.seen - 1].last if self.seen else 0
        return {
            **self.stopping.terms(),
            "listed": listed,
            "faults": faults,
            "reached": self.enough is not None,
            "critical_share": asdict(self.interval),
        }


def critical_shares(table: pa.Table, images: int) -> NDArray[np.float64]:
    """For each fault of a shard, in order, the share of its images whose class it changes."""
    outcome = pc.cast(table["outcome"], pa.string())
    critical = pc.equal(outcome, str(Outcome.CRITICAL)).to_numpy(zero_copy_only=False)
    shares: NDArray[np.float64] = critical.reshape(-1, images).mean(axis=1)
    return shares


def stopping_of(identity: Mapping[str, Any]) -> Stopping | None:
    """The rule that a campaign's identity names, if it has one."""
    terms = identity.get("stopping")
    return None if terms is None else Stopping(**terms)
