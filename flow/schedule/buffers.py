"""FIFO depths, confirmed by moving tokens through a model of the handshakes, cycle by cycle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from flow.errors import ClaimError
from flow.ir import Graph
from flow.schedule.cycles import cycles
from flow.schedule.dataflow import Dataflow, Folding, Unit
from flow.schedule.placement import dataflow
from flow.schedule.tokens import Queue, actor

UNLIMITED = 1 << 30  # words, while the need of a branch is measured
MEASURED = 4  # images after which no FIFO fills further


@dataclass(frozen=True, slots=True)
class Timing:
    """Cycles, counted from the first offered input word, at which each image's result is taken."""

    taken: tuple[int, ...]
    high_water: Mapping[str, int]  # the most words each FIFO held, by its name

    @property
    def first_latency(self) -> int:
        """Cycles from the first input word to the first result."""
        return self.taken[0]

    @property
    def interval(self) -> int:
        """Cycles between the last two results."""
        return self.taken[-1] - self.taken[-2]


def simulate_tokens(
    graph: Graph, folding: Mapping[str, Folding], fifo_depth: Mapping[str, int], *, images: int = 8
) -> Timing:
    """Run ``images`` back to back, input always offered and results always taken.

    Raises:
        ClaimError: no result for longer than any legal schedule can take.
    """
    return _simulate(dataflow(graph, folding), fifo_depth, images)


def fifo_depths(graph: Graph, folding: Mapping[str, Folding]) -> dict[str, int]:
    """The depth of every FIFO, by its name.

    Before a MatVec: one vector of it (and at least 2), since a MatVec takes a whole vector in its
    first row fold and nothing afterwards, so its producer must be able to work that far ahead. On a
    branch of a fork: as many words as it holds when nothing limits it; every unit takes and makes
    words at fixed places of its loop, so what does not block in one timing blocks in none.

    Raises:
        ClaimError: the token simulation misses the interval the formulas promise.
    """
    flow = dataflow(graph, folding)
    depths = {fifo.name: _vector(flow, fifo) for fifo in flow.fifos}
    branches = [name for name in depths if "_fork" in name]
    if branches:
        held = _simulate(flow, depths | dict.fromkeys(branches, UNLIMITED), MEASURED).high_water
        depths |= {name: max(depths[name], held[name]) for name in branches}
    found, promised = _simulate(flow, depths, 8).interval, max(map(cycles, flow.units))
    if found != promised:
        raise ClaimError(
            f"graph {graph.name!r}: {found} cycles per image in the token simulation where the "
            f"formulas promise {promised}"
        )
    return depths


def _vector(flow: Dataflow, fifo: Unit) -> int:
    """Words of one vector where a MatVec stands behind ``fifo``, and at least 2."""
    reader = next(unit for unit in flow.units if fifo.sinks[0] in unit.sources)
    return max(2, reader.vector) if reader.module == "matvec" else 2


def _simulate(flow: Dataflow, depth: Mapping[str, int], images: int) -> Timing:
    streams = [flow.input, *(stream for unit in flow.units for stream in unit.sinks)]
    number = {stream.name: place for place, stream in enumerate(streams)}
    actors = [actor(unit, number, depth) for unit in flow.units]
    valid, ready = [False] * len(streams), [True] * len(streams)
    valid[0], last = True, number[flow.output.name]
    patience = 4 * sum(map(cycles, flow.units)) + 64 * len(actors)
    taken: list[int] = []
    cycle = 0
    while len(taken) < images:
        if cycle - (taken[-1] if taken else 0) > patience:
            name = flow.graph.name
            raise ClaimError(f"graph {name!r}: no result for {patience} cycles: deadlock")
        for mover in actors:
            mover.offer(valid)
        for mover in reversed(actors):
            mover.accept(valid, ready)
        if valid[last]:
            taken.append(cycle)
        for mover in actors:
            mover.clock(valid, ready)
        cycle += 1
    fifos = zip(flow.units, actors, strict=True)
    held = {unit.name: cast(Queue, a).high_water for unit, a in fifos if unit.module == "fifo"}
    return Timing(tuple(taken), held)
