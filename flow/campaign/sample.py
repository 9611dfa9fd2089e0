"""Which single-bit faults a campaign tries: every kind of stored bit, drawn at random within it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from flow.certify.stored_bits import StoredBits
from flow.errors import InputError
from flow.ir import Array, Fault, Graph


@dataclass(frozen=True, slots=True, order=True)
class Stratum:
    """Bit ``bit`` of every element of one parameter of one node: ``size`` stored bits."""

    node: str
    parameter: str
    bit: int
    size: int


def strata(graph: Graph) -> tuple[Stratum, ...]:
    """All stored bits of ``graph``, divided by node, parameter and bit position."""
    return tuple(
        Stratum(block.node, block.parameter, bit, block.size // block.bits)
        for block in StoredBits.of(graph).blocks
        for bit in range(block.bits)
    )


def sample_size(population: int, *, margin: float, confidence: float, share: float = 0.5) -> int:
    """Faults to draw so that an estimated share is within ``margin`` at ``confidence``.

    Leveugle et al., "Statistical fault injection" (DATE 2009), equation for a finite population;
    ``share`` 0.5 is the worst case.

    >>> sample_size(10**9, margin=0.01, confidence=0.95)
    9604
    """
    if not (population >= 1 and 0 < margin < 1 and 0 < confidence < 1 and 0 < share < 1):
        raise ValueError("margin, confidence and share lie between 0 and 1, population from 1 up")
    spread = float(norm.ppf((1 + confidence) / 2)) ** 2 * share * (1 - share)
    return math.ceil(population * spread / (margin**2 * (population - 1) + spread))


def allocate(sizes: Sequence[int], *, count: int, minimum: int) -> Array:
    """How many faults to draw from strata of ``sizes``: ``count`` in all, or what minima need.

    Each stratum gives at least ``minimum`` (all it has, where it has fewer), the rest is shared in
    proportion to size by largest remainder.
    """
    available = np.asarray(sizes, dtype=np.int64)
    if count > available.sum():
        raise InputError(
            f"faults: {count} wanted, but the graph stores {available.sum()} bits; ask for fewer"
        )
    drawn: Array = np.minimum(available, minimum)
    left = count - int(drawn.sum())
    if left > 0:
        room = available - drawn
        share, remainder = np.divmod(left * room, room.sum())
        share[np.argsort(-remainder, kind="stable")[: left - int(share.sum())]] += 1
        drawn += share
    return drawn


def sample_faults(
    graph: Graph, count: int, *, rng: np.random.Generator, minimum: int = 2
) -> tuple[Fault, ...]:
    """At least ``count`` distinct single-bit flips that touch every stratum of ``graph``.

    Every memory, every parameter and every bit position is hit ``minimum`` times or more (or
    wholly), so weights and thresholds, sign bits included, are all covered. Order: as stored.

    Raises:
        InputError: the graph stores fewer than ``count`` bits.
    """
    groups = strata(graph)
    bits = StoredBits.of(graph)
    drawn = allocate([group.size for group in groups], count=count, minimum=minimum)
    first = {(block.node, block.parameter): block for block in bits.blocks}
    positions: list[int] = []
    for group, amount in zip(groups, drawn, strict=True):
        block = first[group.node, group.parameter]
        elements = rng.choice(group.size, int(amount), replace=False)
        positions.extend(block.first + block.bits * int(e) + group.bit for e in elements)
    return tuple(map(bits.fault, sorted(positions)))
