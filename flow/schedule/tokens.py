"""How each unit of the library moves words, cycle by cycle; values play no part.

Every cycle has three steps: ``offer`` says from the front to the back which streams carry a word,
``accept`` from the back to the front which of them can move, ``clock`` moves them. That is how the
handshakes of the RTL settle, since valid never waits for ready.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from flow.schedule.dataflow import Unit

MATVEC_STAGES = 3  # the latencies in the headers of hls/rtl: a word made is offered so much later
THRESHOLD_STAGES = 2
STAGES = 1  # width and argmax

Flags = list[bool]  # one for every stream


class Actor(Protocol):
    """A unit as a mover of words. Streams are numbers into the lists of flags."""

    def offer(self, valid: Flags) -> None:
        """Set ``valid`` of the streams it writes."""

    def accept(self, valid: Flags, ready: Flags) -> None:
        """Set ``ready`` of the streams it reads."""

    def clock(self, valid: Flags, ready: Flags) -> None:
        """Move on by one cycle."""


@dataclass(slots=True)
class Loop:
    """One pipeline with a single enable: it moves while its output register is free or taken.

    A loop of ``steps``, the first ``takes`` of which take a word of every source, each ``every``-th
    of which makes a word that is offered ``stages`` cycles later.
    """

    sources: tuple[int, ...]
    sink: int
    steps: int
    takes: int
    every: int
    stages: int
    step: int = 0
    pipe: int = 0  # bit 0 is the youngest word

    def offer(self, valid: Flags) -> None:
        valid[self.sink] = bool(self.pipe >> (self.stages - 1))

    def accept(self, valid: Flags, ready: Flags) -> None:
        moves = (not valid[self.sink] or ready[self.sink]) and self.step < self.takes
        whole = moves and all(valid[source] for source in self.sources)
        for source in self.sources:
            # one source may be ready early; several move together
            ready[source] = moves if len(self.sources) == 1 else whole

    def clock(self, valid: Flags, ready: Flags) -> None:
        if valid[self.sink] and not ready[self.sink]:
            return
        works = self.step >= self.takes or all(valid[source] for source in self.sources)
        made = works and (self.step + 1) % self.every == 0
        self.pipe = (self.pipe << 1 | made) & ((1 << self.stages) - 1)
        if works:
            self.step = (self.step + 1) % self.steps


@dataclass(slots=True)
class Queue:
    """A FIFO of ``depth`` words."""

    source: int
    sink: int
    depth: int
    held: int = 0
    high_water: int = 0

    def offer(self, valid: Flags) -> None:
        valid[self.sink] = self.held > 0

    def accept(self, valid: Flags, ready: Flags) -> None:
        ready[self.source] = self.held < self.depth

    def clock(self, valid: Flags, ready: Flags) -> None:
        self.held += (valid[self.source] and ready[self.source]) - (
            valid[self.sink] and ready[self.sink]
        )
        self.high_water = max(self.high_water, self.held)


Numbers = tuple[int, ...]
Maker = Callable[[Unit, Numbers, Numbers, Mapping[str, int]], Actor]


def actor(unit: Unit, number: Mapping[str, int], depth: Mapping[str, int]) -> Actor:
    """The mover of ``unit``; ``number`` has every stream by name, ``depth`` every FIFO by name."""
    sources = tuple(number[stream.name] for stream in unit.sources)
    sinks = tuple(number[stream.name] for stream in unit.sinks)
    return MAKERS[unit.module](unit, sources, sinks, depth)


def _matvec(unit: Unit, sources: Numbers, sinks: Numbers, depth: Mapping[str, int]) -> Actor:
    vector = unit.vector
    steps = len(unit.matvec.weights) // unit.sinks[0].lanes * vector
    return Loop(sources, sinks[0], steps, vector, vector, MATVEC_STAGES)


def _threshold(unit: Unit, sources: Numbers, sinks: Numbers, depth: Mapping[str, int]) -> Actor:
    return Loop(sources, sinks[0], 1, 1, 1, THRESHOLD_STAGES)


def _argmax(unit: Unit, sources: Numbers, sinks: Numbers, depth: Mapping[str, int]) -> Actor:
    beats = unit.sources[0].words
    return Loop(sources, sinks[0], beats, beats, beats, STAGES)


def _width(unit: Unit, sources: Numbers, sinks: Numbers, depth: Mapping[str, int]) -> Actor:
    before, after = unit.sources[0].lanes, unit.sinks[0].lanes
    if after > before:
        ratio = after // before
        return Loop(sources, sinks[0], ratio, ratio, ratio, STAGES)
    return Loop(sources, sinks[0], before // after, 1, 1, STAGES)


def _fifo(unit: Unit, sources: Numbers, sinks: Numbers, depth: Mapping[str, int]) -> Actor:
    return Queue(sources[0], sinks[0], depth[unit.name])


MAKERS: Mapping[str, Maker] = {
    "matvec": _matvec,
    "threshold": _threshold,
    "argmax": _argmax,
    "width": _width,
    "fifo": _fifo,
}
