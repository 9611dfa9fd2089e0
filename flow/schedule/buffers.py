"""FIFO depths, confirmed by moving tokens through a model of the handshakes, cycle by cycle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flow.errors import ClaimError
from flow.ir import Graph
from flow.schedule.cycles import cycles
from flow.schedule.dataflow import Dataflow, Folding
from flow.schedule.movers import Wiring, movers
from flow.schedule.placement import dataflow
from flow.schedule.tokens import Actor, move

UNLIMITED = 1 << 30  # words, while the need is measured
MEASURED = 6  # images after which no FIFO needs more
CONFIRMED = 8  # images after which results come steadily


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
    return _simulate(dataflow(graph, folding), fifo_depth, images)[0]


def fifo_depths(graph: Graph, folding: Mapping[str, Folding]) -> dict[str, int]:
    """The depth of every FIFO, by its name: what it needs, and at least 2.

    The need is measured with words offered evenly, an image per promised interval, and FIFOs that
    take everything. Every unit takes and makes words at fixed places of its loop, so in hardware
    that is offered words earlier, or that stalls less, no word comes later: with these depths
    nothing falls behind the promise, and what does not block here blocks in no timing.

    Raises:
        ClaimError: the token simulation misses the interval the formulas promise.
    """
    flow = dataflow(graph, folding)
    promised = max(map(cycles, flow.units))
    free = {fifo.name: UNLIMITED for fifo in flow.fifos}
    _, need = _simulate(flow, free, MEASURED, pace=(promised, flow.input.words))
    depths = {name: max(2, words) for name, words in need.items()}
    found = _simulate(flow, depths, CONFIRMED)[0].interval
    if found != promised:
        raise ClaimError(
            f"graph {graph.name!r}: {found} cycles per image in the token simulation where the "
            f"formulas promise {promised}"
        )
    return depths


def _simulate(
    flow: Dataflow, depth: Mapping[str, int], images: int, *, pace: tuple[int, int] = (0, 1)
) -> tuple[Timing, dict[str, int]]:
    """The timing, and what each FIFO needs."""
    actors, streams, output = _wire(flow, depth)
    patience = 4 * sum(map(cycles, flow.units)) + 64 * len(actors)
    moved = move(
        actors, streams=streams, output=output, images=images, patience=patience, pace=pace
    )
    if len(moved.taken) < images:
        raise ClaimError(f"graph {flow.graph.name!r}: no result for {patience} cycles: deadlock")
    names = [fifo.name for fifo in flow.fifos]
    high_water = dict(zip(names, moved.high_water, strict=True))
    return Timing(moved.taken, high_water), dict(zip(names, moved.need, strict=True))


def _wire(flow: Dataflow, depth: Mapping[str, int]) -> tuple[list[Actor], int, int]:
    """All actors, how many streams there are, and which one is the output; the input is 0."""
    outer = [flow.input, *(stream for unit in flow.units for stream in unit.sinks)]
    number = {stream.name: place for place, stream in enumerate(outer)}
    actors: list[Actor] = []
    streams = len(outer)
    for unit in flow.units:
        sources = tuple(number[stream.name] for stream in unit.sources)
        sinks = tuple(number[stream.name] for stream in unit.sinks)
        actors += movers(Wiring(unit, sources, sinks, depth, streams))
        streams += 1  # one of its own for each unit
    return actors, streams, number[flow.output.name]
