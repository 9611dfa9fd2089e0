"""FIFO depths, confirmed by moving tokens through a model of the handshakes, cycle by cycle.

Every unit of the RTL library is one pipeline with a single enable (advance while the output
register is free or taken), so one small model covers them all: a loop of ``steps`` per vector, the
first ``takes`` of which take a word, each ``every``-th of which makes one, ``stages`` cycles later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flow.errors import ClaimError
from flow.ir import Graph
from flow.schedule.chain import layers
from flow.schedule.cycles import interval
from flow.schedule.plan import Folding

MATVEC_STAGES = 3  # the latencies in the headers of hls/rtl: a word made is offered so much later
THRESHOLD_STAGES = 2
STAGES = 1  # width and argmax


@dataclass(frozen=True, slots=True)
class Timing:
    """Cycles, counted from the first offered input word, at which each image's result is taken."""

    taken: tuple[int, ...]
    high_water: Mapping[str, int]  # the most words each FIFO held, by edge

    @property
    def first_latency(self) -> int:
        """Cycles from the first input word to the first result."""
        return self.taken[0]

    @property
    def interval(self) -> int:
        """Cycles between the last two results."""
        return self.taken[-1] - self.taken[-2]


@dataclass(slots=True)
class _Unit:
    steps: int
    takes: int
    every: int
    stages: int
    step: int = 0
    pipe: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pipe = [False] * self.stages

    def valid(self) -> bool:
        return self.pipe[-1]

    def ready(self, accepted: bool) -> bool:
        return (not self.pipe[-1] or accepted) and self.step < self.takes

    def clock(self, offered: bool, accepted: bool) -> None:
        if self.pipe[-1] and not accepted:
            return
        works = offered or self.step >= self.takes
        self.pipe = [works and (self.step + 1) % self.every == 0, *self.pipe[:-1]]
        if works:
            self.step = (self.step + 1) % self.steps


@dataclass(slots=True)
class _Fifo:
    depth: int
    edge: str
    held: int = 0
    high_water: int = 0

    def valid(self) -> bool:
        return self.held > 0

    def ready(self, accepted: bool) -> bool:
        return self.held < self.depth

    def clock(self, offered: bool, accepted: bool) -> None:
        taken = accepted and self.held > 0
        self.held += int(offered and self.held < self.depth) - int(taken)
        self.high_water = max(self.high_water, self.held)


def simulate_tokens(
    graph: Graph, folding: Mapping[str, Folding], fifo_depth: Mapping[str, int], *, images: int = 8
) -> Timing:
    """Run ``images`` back to back, input always offered and results always taken.

    Raises:
        ClaimError: no result for longer than any legal schedule can take.
    """
    units = _units(graph, folding, fifo_depth)
    patience = 4 * sum(unit.steps * unit.stages for unit in units if isinstance(unit, _Unit)) + 64
    taken: list[int] = []
    cycle = 0
    while len(taken) < images:
        if cycle - (taken[-1] if taken else 0) > patience:
            raise ClaimError(f"graph {graph.name!r}: no result for {patience} cycles: deadlock")
        offered = [True, *(unit.valid() for unit in units)]
        accepted = [True] * (len(units) + 1)
        for place in reversed(range(len(units))):
            accepted[place] = units[place].ready(accepted[place + 1])
        if offered[-1]:
            taken.append(cycle)
        for place, unit in enumerate(units):
            unit.clock(offered[place], accepted[place + 1])
        cycle += 1
    fifos = {unit.edge: unit.high_water for unit in units if isinstance(unit, _Fifo)}
    return Timing(tuple(taken), fifos)


def fifo_depths(graph: Graph, folding: Mapping[str, Folding]) -> dict[str, int]:
    """The depth of the FIFO before each MatVec but the first, by edge.

    The rule is one vector of the reader (and at least 2): a MatVec takes a whole vector in its
    first row fold and nothing afterwards, so its producer must be able to work that far ahead.

    Raises:
        ClaimError: the token simulation misses the interval the formulas promise.
    """
    depths = {
        layer.matvec.inputs[0]: max(2, layer.columns // folding[layer.matvec.name].simd)
        for layer in layers(graph)[1:]
    }
    found, promised = simulate_tokens(graph, folding, depths).interval, interval(graph, folding)
    if found != promised:
        raise ClaimError(
            f"graph {graph.name!r}: {found} cycles per image in the token simulation where the "
            f"formulas promise {promised}"
        )
    return depths


def _units(
    graph: Graph, folding: Mapping[str, Folding], fifo_depth: Mapping[str, int]
) -> list[_Unit | _Fifo]:
    units: list[_Unit | _Fifo] = []
    chain = layers(graph)
    for layer, reader in zip(chain, [*chain[1:], None], strict=True):
        fold = folding[layer.matvec.name]
        words, beats = layer.columns // fold.simd, layer.rows // fold.pe
        units.append(_Unit(words * beats, words, words, MATVEC_STAGES))
        if reader is None:
            units.append(_Unit(beats, beats, beats, STAGES))
            break
        simd, edge = folding[reader.matvec.name].simd, layer.after.output
        units.append(_Unit(1, 1, 1, THRESHOLD_STAGES))
        if simd > fold.pe:
            units.append(_Unit(simd // fold.pe, simd // fold.pe, simd // fold.pe, STAGES))
        elif simd < fold.pe:
            units.append(_Unit(fold.pe // simd, 1, 1, STAGES))
        units.append(_Fifo(fifo_depth[edge], edge))
    return units
