"""Which stored bits to protect: the smallest sets that keep a share of critical faults away.

A critical fault is a (bit, image) pair: the flip of the bit changes the class of the image. Every
fault belongs to one bit, so what a set of bits keeps away is the sum of its parts, exactly, and
smallest sets of single flips need no search among combinations. A protected bit never reads wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import numpy as np
from numpy.typing import NDArray

from flow.build.sites import SiteTable
from flow.certify.flips import SingleFlips
from flow.certify.k_flips import largest_k
from flow.certify.stored_bits import StoredBits
from flow.certify.subset import BitSubset
from flow.ir import Array, Graph

_Choice = tuple[int, list[int]]  # its cost, and its numbers in order


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Stored bits that are protected together: one bit, a word, or a memory."""

    name: str
    bits: Array  # their numbers, ascending


@dataclass(frozen=True, slots=True, eq=False)
class Protection:
    """``parts`` to protect: ``bits`` of them together keep ``removed`` of ``faults`` away."""

    parts: tuple[Part, ...]
    bits: int
    removed: int
    faults: int


def ranking(flips: SingleFlips) -> Array:
    """The numbers of all stored bits, the most critical first, ties in the order of storage."""
    return np.argsort(-flips.class_changes, kind="stable")


def words(table: SiteTable, bits: StoredBits) -> tuple[Part, ...]:
    """The memory words of a build that store something."""
    blocks = {(block.node, block.parameter): block for block in bits.blocks}
    found: list[Part] = []
    for layout in table.layouts:
        here = [blocks[layout.node, name] for name in layout.parameters]
        first, width = (np.array([getattr(b, key) for b in here]) for key in ("first", "bits"))
        which = np.maximum(layout.parameter, 0)
        number = first[which] + layout.element * width[which] + layout.bit
        for word, row in enumerate(number):
            stored = np.sort(row[layout.parameter[word] >= 0])
            if stored.size:
                found.append(Part(f"{layout.name} word {word}", stored))
    return tuple(found)


def memories(bits: StoredBits) -> tuple[Part, ...]:
    """The memories of every build; signs lie in the words of thresholds."""
    spans: dict[str, list[Array]] = {}
    for block in bits.blocks:
        memory = "weights" if block.parameter == "weights" else "thresholds"
        span = np.arange(block.first, block.first + block.size)
        spans.setdefault(f"{block.node}.{memory}", []).append(span)
    return tuple(Part(name, np.concatenate(parts)) for name, parts in spans.items())


def fewest_bits(flips: SingleFlips, share: Fraction) -> Array:
    """The fewest bits without whose flips at most ``1 - share`` of all critical faults are left.

    None is left out that is needed and none is in that is not: they are the most critical ones.
    """
    order, changes = ranking(flips), flips.class_changes
    kept = np.concatenate([[0], np.cumsum(changes[order])])
    return np.sort(order[: int(np.searchsorted(kept, ceil(share * int(kept[-1]))))])


def fewest_parts(flips: SingleFlips, parts: Sequence[Part], share: Fraction) -> Protection:
    """The fewest of disjoint ``parts`` that keep ``share`` of all critical faults away."""
    gains = _gains(flips, parts)
    order = np.argsort(-gains, kind="stable")
    kept = np.concatenate([[0], np.cumsum(gains[order])])
    count = int(np.searchsorted(kept, ceil(share * int(flips.class_changes.sum()))))
    return _protection(flips, [parts[k] for k in sorted(order[:count].tolist())])


def smallest_parts(flips: SingleFlips, parts: Sequence[Part], share: Fraction) -> Protection:
    """The disjoint ``parts`` with the fewest bits in all that keep ``share`` of all critical faults
    away: a knapsack, solved exactly by keeping every choice that no cheaper one outdoes.

    Time grows with the number of such choices: meant for memories, not for words.
    """
    target = ceil(share * int(flips.class_changes.sum()))
    states: list[tuple[int, int, tuple[int, ...]]] = [(0, 0, ())]  # bits, faults kept away, parts
    for number, (part, gain) in enumerate(zip(parts, _gains(flips, parts).tolist(), strict=True)):
        more = [(cost + len(part.bits), kept + gain, (*of, number)) for cost, kept, of in states]
        states = _undominated([*states, *more], target)
    _, _, chosen = next(state for state in states if state[1] >= target)
    return _protection(flips, [parts[k] for k in chosen])


def critical_bits(flips: SingleFlips) -> Array:
    """The bits whose flip takes its class from an image that is classified correctly.

    Protecting them all certifies every correct image against any one flip, and each of them is
    needed: this is the one smallest such set.
    """
    right = np.packbits(flips.correct)
    return np.flatnonzero((flips.critical & right).any(axis=1))


@dataclass(frozen=True, slots=True)
class Lifted:
    """Memories that, protected, leave ``certified`` of ``correct`` images certified for ``flips``
    flips of the others; ``subset`` is what may still flip."""

    memories: tuple[str, ...]
    bits: int
    flips: int
    correct: int
    certified: int
    tried: int  # sets of memories that were bounded
    subset: BitSubset


def lift(
    graph: Graph, x: Array, *, y: Array, flips: int, share: Fraction = Fraction(1)
) -> Lifted | None:
    """The memories with the fewest bits in all whose protection certifies ``share`` of the correct
    images for any ``flips`` flips of the bits that are left, as far as budgets of flips tell.

    What is certified holds; a smaller set may do, which these bounds cannot see. Memories that
    cannot all stay unprotected are found one such group at a time, and the cheapest set is taken
    that leaves no group whole, until it suffices. None: only all memories together do.

    Raises:
        InputError: as ``largest_k``.
    """
    parts = memories(StoredBits.of(graph))
    right = graph.evaluate(x) == y
    trial = _Trial(graph, x[right], y[right], flips, parts)
    target = ceil(share * len(trial.y))
    every, groups = frozenset(range(len(parts))), list[frozenset[int]]()
    while True:
        chosen = cheapest_hitting(groups, [len(part.bits) for part in parts])
        left = every - chosen
        if not left:
            return None
        if (count := trial.certified(left)) >= target:
            names, bits = trial.names(chosen), sum(len(parts[k].bits) for k in chosen)
            subset = trial.subset(left)
            return Lifted(names, bits, flips, len(trial.y), count, trial.tried, subset)
        for k in sorted(left):  # what is not needed for them to be too many
            if len(left) > 1 and trial.certified(left - {k}) < target:
                left -= {k}
        groups.append(left)


@dataclass(slots=True, eq=False)
class _Trial:
    """Which of the correct images ``x`` are certified for ``flips`` flips of some ``parts``."""

    graph: Graph
    x: Array
    y: Array
    flips: int
    parts: Sequence[Part]
    tried: int = 0

    def names(self, numbers: Iterable[int]) -> tuple[str, ...]:
        """Of the parts with these ``numbers``, in the order of storage."""
        return tuple(self.parts[k].name for k in sorted(numbers))

    def subset(self, left: frozenset[int]) -> BitSubset:
        """The bits of the parts ``left`` unprotected."""
        return BitSubset.choose(self.graph, memories=self.names(left))

    def certified(self, left: frozenset[int]) -> int:
        """How many images stay certified where only the parts ``left`` flip."""
        self.tried += 1
        subset = self.subset(left)
        most = min(self.flips, subset.count(self.graph))
        held = largest_k(self.graph, self.x, y=self.y, most=most, subset=subset)
        return int((held >= most).sum())


def cheapest_hitting(groups: Sequence[frozenset[int]], costs: Sequence[int]) -> frozenset[int]:
    """The cheapest set of numbers with at least one of every group, by branch and bound."""
    best = _extended(groups, costs, (0, []), None)
    assert best is not None, "all numbers of all groups together hit them"
    return frozenset(best[1])


def _extended(
    groups: Sequence[frozenset[int]], costs: Sequence[int], chosen: _Choice, best: _Choice | None
) -> _Choice | None:
    """``best``, or the cheapest choice with all of ``chosen`` that hits every group, where it comes
    before."""
    if best is not None and chosen >= best:
        return best
    cost, numbers = chosen
    missed = next((group for group in groups if group.isdisjoint(numbers)), None)
    if missed is None:
        return chosen
    for number in sorted(missed, key=lambda k: (costs[k], k)):
        more = cost + costs[number], sorted([*numbers, number])
        best = _extended(groups, costs, more, best)
    return best


def _gains(flips: SingleFlips, parts: Iterable[Part]) -> NDArray[np.int64]:
    changes = flips.class_changes
    return np.array([changes[part.bits].sum() for part in parts], dtype=np.int64)


def _protection(flips: SingleFlips, parts: Sequence[Part]) -> Protection:
    bits = sum(len(part.bits) for part in parts)
    removed = int(_gains(flips, parts).sum())
    return Protection(tuple(parts), bits, removed, int(flips.class_changes.sum()))


def _undominated(
    states: list[tuple[int, int, tuple[int, ...]]], target: int
) -> list[tuple[int, int, tuple[int, ...]]]:
    """By rising cost, only those that keep more away than all cheaper ones, up to the first that
    keeps enough."""
    found: list[tuple[int, int, tuple[int, ...]]] = []
    for state in sorted(states, key=lambda s: (s[0], -s[1], s[2])):
        if not found or state[1] > found[-1][1]:
            found.append(state)
            if state[1] >= target:
                break
    return found
