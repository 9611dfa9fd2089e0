"""Branch and bound on bits: flipped or not, until bounds or enumeration decide every part.

The bound of a part is that of budgets on the graph with the flipped bits struck and the others
barred; with one flip left to spend every flip may also be run. So it is exact, given the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic

import numpy as np

from flow.certify.bit_tree import BitStep, BitTree, End
from flow.certify.box import Box
from flow.certify.effect import standing
from flow.certify.first_struck import withstands_by_channel
from flow.certify.flips import single_flips
from flow.certify.k_flips import withstood
from flow.certify.stored_bits import StoredBits
from flow.certify.subset import EVERY_BIT, BitSubset
from flow.ir import Array, Fault, Graph
from flow.ops import MatVec, Threshold

_PATIENCE = 8  # after so many open parts in a row, of every eighth as many the bound is asked


@dataclass(frozen=True, slots=True)
class Branched:
    """``tree``: no flips take the label; ``witness``: these do; neither: the time was over.

    ``parts`` were looked at.
    """

    tree: BitTree | None
    witness: tuple[Fault, ...] | None
    parts: int


@dataclass(slots=True, eq=False)
class _Struck:
    """The graph with some bits flipped, and the bits to split at next, worst first."""

    graph: Graph
    flipped: tuple[Fault, ...]
    order: list[Fault] | None = None


@dataclass(slots=True, eq=False)
class _Part:
    """Flips of ``struck``, none of the first ``past`` bits of its order, nor of ``barred``."""

    struck: _Struck
    barred: frozenset[Fault]
    past: int = 0
    waits: int = 0  # parts to split before the bound is asked again
    failed: int = 0  # bounds that left it open since the last flip

    @property
    def spent(self) -> bool:
        """Whether no bit is left to split at: then bounds are exact."""
        return self.struck.order is not None and self.past >= len(self.struck.order)


class BitSearch:
    """Decides images of one graph for a number of flips of one subset."""

    def __init__(self, graph: Graph, *, flips: int, subset: BitSubset = EVERY_BIT) -> None:
        self.graph, self.flips, self.subset = graph, flips, subset
        self.stored = StoredBits.of(graph)
        self.allowed = subset.positions(self.stored)

    def decide(self, image: Array, label: int, *, until: float) -> Branched:
        """Whether at most ``flips`` flips take ``label`` from ``image``, which has it.

        Args:
            until: when to give up, by ``monotonic``.
        """
        steps: list[BitStep] = []
        waiting = [_Part(_Struck(self.graph, ()), frozenset())]
        parts = 0
        while waiting:
            if monotonic() >= until:
                return Branched(None, None, parts)
            part = waiting.pop()
            parts += 1
            end, witness = self._end(part, image, label)
            if witness is not None:
                return Branched(None, witness, parts)
            if end is not None:
                steps.append(end)
                continue
            fault = self._next(part, image, label)
            steps.append(fault)
            waiting += self._split(part, fault)
        return Branched(BitTree(self.flips, tuple(steps)), None, parts)

    def _end(
        self, part: _Part, image: Array, label: int
    ) -> tuple[End | None, tuple[Fault, ...] | None]:
        """What decides the part, or flips in it that take the label; neither while it is open."""
        graph, left = part.struck.graph, self.flips - len(part.struck.flipped)
        x, y = image[None], np.array([label])
        if not part.past and int(graph.evaluate(x)[0]) != label:
            return None, part.struck.flipped
        if part.waits and not part.spent:
            return None, None
        own = BitSubset(self.subset.parameters, self.subset.highest, self._barred(part))
        if withstood(graph, x, y=y, flips=left, subset=own)[0] >= left:
            return End.BUDGET, None
        if left > 1:
            if withstands_by_channel(graph, Box(x, x), label=label, flips=left, subset=own):
                return End.CASES, None
            part.failed += 1
            part.waits = part.failed // _PATIENCE
            return None, None
        found = single_flips(graph, x, y=y)
        broken = np.flatnonzero(found.class_changes.astype(bool) & own.positions(self.stored))
        if broken.size:
            return None, (*part.struck.flipped, self.stored.fault(int(broken[0])))
        return End.EVERY, None

    def _barred(self, part: _Part) -> frozenset[Fault]:
        skipped = (part.struck.order or [])[: part.past]
        return part.barred.union(skipped, part.struck.flipped)

    def _next(self, part: _Part, image: Array, label: int) -> Fault:
        """The bit to split at: in the order of what it does to the image where bits are as here."""
        if part.struck.order is None:
            order = self._worst_first(part.struck.graph, image, label)
            gone = self._barred(part)
            part.struck.order = [fault for fault in order if fault not in gone]
        return part.struck.order[part.past]

    def _split(self, part: _Part, fault: Fault) -> list[_Part]:
        """The part without the flip, then, to be looked at first, the one with it."""
        flipped = (*part.struck.flipped, fault)
        struck = _Struck(self.graph.with_faults(flipped), flipped)
        without = _Part(
            part.struck, part.barred, part.past + 1, max(0, part.waits - 1), part.failed
        )
        return [without, _Part(struck, self._barred(part))]

    def _worst_first(self, graph: Graph, image: Array, label: int) -> list[Fault]:
        """All bits that may flip: by how far each alone lets a rival up, then by how far it moves
        the sum or the threshold that it is part of."""
        x, y = image[None], np.array([label])
        seen = single_flips(graph, x, y=y, score=lambda a, b: -standing(a, b).astype(np.float64))
        moved = _displacements(graph, image)
        order = np.lexsort((-moved, -seen.rises))
        return [self.stored.fault(int(k)) for k in order[self.allowed[order]]]


def _displacements(graph: Graph, image: Array) -> Array:
    """For every stored bit, in order, by how much it moves a sum or a threshold at most."""
    values = graph.evaluate_all(image[None])
    found = []
    for node in graph.nodes:
        for name, kind in node.op.stored.items():
            codes = getattr(node.op, name)
            steps = kind.decode(kind.encode(codes)[..., None] ^ (1 << np.arange(kind.bits)))
            moved = np.abs(steps - codes[..., None])
            if isinstance(node.op, MatVec):
                moved = moved * _largest_seen(node.op, values[node.inputs[0]])
            elif isinstance(node.op, Threshold) and name == "sign":
                moved = moved * 0 + np.abs(values[node.inputs[0]]).max()
            found.append(moved.reshape(-1))
    return np.concatenate(found)


def _largest_seen(op: MatVec, v: Array) -> Array:
    """The largest magnitude that each weight meets, (rows, columns, 1)."""
    most = np.abs(v).reshape(-1, v.shape[-1]).max(axis=0)
    rows, columns = op.weights.shape
    share = columns // op.positions
    by_group = most.reshape(op.positions, op.groups, share).transpose(1, 0, 2).reshape(-1, columns)
    return np.repeat(by_group, rows // op.groups, axis=0)[..., None]
