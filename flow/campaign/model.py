"""Many faults in the integer model at once.

A strike changes some nodes; what comes before is shared with the clean run, and behind it only what
really differs is computed again: see ``flow.delta``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from flow.campaign.faultlist import KINDS, FaultList
from flow.campaign.outcome import Answers, Struck
from flow.delta import Program, Together, Walker
from flow.engine import BatchedEngine
from flow.errors import ClaimError, InputError
from flow.ir import Array, Fault, Graph, Kind

ROWS = 1 << 28  # bytes of clean values that are kept between calls


def reference(graph: Graph, x: Array, faults: Sequence[Fault] = ()) -> Answers:
    """The specification: ``Graph.evaluate_all`` on images ``x`` with all ``faults`` together."""
    return Answers.of(graph.evaluate_all(x, faults)[graph.logits])


def evaluate_faults(graph: Graph, x: Array, strikes: Sequence[Sequence[Fault]]) -> Answers:
    """Each strike alone: logits (strikes, images, classes) and classes (strikes, images).

    Equal to :func:`reference` strike by strike; the first is evaluated both ways every time.

    Raises:
        ClaimError: the two differ.
    """
    return StruckModel(graph, x).struck(FaultList.of(graph, strikes)).answers()


class StruckModel:
    """``graph`` on images ``x`` (images, *input shape), to be struck; for one thread at a time."""

    def __init__(self, graph: Graph, x: Array) -> None:
        self.graph, self.x = graph, x
        self.clean = reference(graph, x)
        self._engine = BatchedEngine(graph)
        try:
            self._program: Program | None = Program.of(graph)
        except InputError:  # no class, or logits that no arithmetic made: every strike runs whole
            self._program = None
            return
        self._walker = Walker(self._program, [])
        self._size = max(1, ROWS // (8 * self._program.elements))
        self._kept = self._rows(slice(0, self._size))

    def struck(self, faults: FaultList) -> Struck:
        """Each fault alone on all images; the first is evaluated by ``Graph.evaluate`` too.

        Raises:
            ClaimError: the two differ.
        """
        found = (
            self._whole(faults) if self._program is None else self._followed(faults, self._program)
        )
        if not len(faults):
            return found
        first = found.rows[found.which[0]]
        if (first != reference(self.graph, self.x, faults[0]).logits).any():
            raise ClaimError(
                f"graph {self.graph.name!r}: {' with '.join(map(str, faults[0]))} gives other "
                "logits by delta propagation than in Graph.evaluate; report this"
            )
        return found

    def _whole(self, faults: FaultList) -> Struck:
        """By a full run for every fault."""
        images, rows = len(self.x), [self.clean.logits]
        which = np.tile(np.arange(images, dtype=np.int32), (len(faults), 1))
        first = images
        for number, strike in enumerate(faults):
            logits = self._engine.run_edges(self.x, (self.graph.logits,), strike)[self.graph.logits]
            differs = (logits != self.clean.logits).any(axis=1)
            rows.append(logits[differs])
            which[number, differs] = first + np.arange(len(rows[-1]))
            first += len(rows[-1])
        return Struck(np.concatenate(rows), which, self.clean)

    def _followed(self, faults: FaultList, program: Program) -> Struck:
        sets, images = together(self.graph, faults), len(self.x)
        which = np.empty((len(faults), images), dtype=np.int32)
        for part, values in self._parts():
            to = which[:, part]
            self._walker.many(values, sets, to=to, clean=part.start, first=images)
        rows = np.empty((images + self._walker.results, program.classes), dtype=np.int64)
        rows[:images] = self.clean.logits
        self._walker.take(rows[images:])
        return Struck(rows, which, self.clean)

    def _parts(self) -> Iterator[tuple[slice, Array]]:
        yield slice(0, self._size), self._kept
        for first in range(self._size, len(self.x), self._size):
            part = slice(first, first + self._size)
            yield part, self._rows(part)

    def _rows(self, part: slice) -> Array:
        assert self._program is not None, "only programs have rows"
        return self._program.row(self._engine.run_edges(self.x[part], self._program.edges))


def together(graph: Graph, faults: FaultList) -> Together:
    """The strikes as what becomes of stored codes; a bit stuck at what it stores is left out."""
    blocks = faults.bits.blocks
    block = faults.bits.block_numbers(faults.position)
    width = np.array([b.bits for b in blocks])[block]
    within = faults.position - np.array([b.first for b in blocks])[block]
    element, bit = np.divmod(within, width)
    strike = np.repeat(np.arange(len(faults)), np.diff(faults.start))
    if not (faults.flips or faults.transient):
        keep = _changing(graph, faults, block, element, bit)
        strike, block, element, bit = (a[keep] for a in (strike, block, element, bit))
    moved = [column[1:] != column[:-1] for column in (strike, block, element)]
    first = np.flatnonzero(np.append(len(strike) > 0, np.logical_or.reduce(moved)))
    mask = np.add.reduceat(np.left_shift(1, bit), first) if len(first) else first
    return Together(
        tuple((b.node, b.parameter) for b in blocks),
        np.searchsorted(strike[first], np.arange(len(faults) + 1)),
        block[first],
        element[first],
        mask,
    )


def _changing(graph: Graph, faults: FaultList, block: Array, element: Array, bit: Array) -> Array:
    """Where a bit does not already store what it is stuck at."""
    stored = np.zeros(len(bit), dtype=np.int64)
    for number, one in enumerate(faults.bits.blocks):
        here = np.flatnonzero(block == number)
        op = graph.node(one.node).op
        values = np.asarray(getattr(op, one.parameter)).ravel()[element[here]]
        stored[here] = (op.stored[one.parameter].encode(values) >> bit[here]) & 1
    flip = faults.kind == KINDS.index(Kind.FLIP)
    return np.flatnonzero(flip | (stored != (faults.kind == KINDS.index(Kind.STUCK1))))
