"""Which single-bit faults a campaign tries: every kind of stored bit, drawn at random within it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from flow.certify.stored_bits import StoredBits
from flow.errors import InputError
from flow.ir import Array, Graph


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


def allocate(
    sizes: Sequence[int],
    *,
    count: int,
    minimum: int,
    weights: NDArray[np.float64] | None = None,
) -> Array:
    """How many faults to draw from strata of ``sizes``: ``count`` in all, or what minima need.

    Each stratum gives at least ``minimum`` (all it has, where it has fewer), the rest is shared in
    proportion to size by largest remainder, or to ``weights``, no stratum giving more than it has.
    """
    available = np.asarray(sizes, dtype=np.int64)
    if count > available.sum():
        raise InputError(
            f"faults: {count} wanted, but the graph has {available.sum()} such bits; ask for fewer"
        )
    drawn: Array = np.minimum(available, minimum)
    left = count - int(drawn.sum())
    if left > 0 and weights is not None and (weights > 0).any():
        return _by_weight(available, drawn, left, weights)
    if left > 0:
        room = available - drawn
        share, remainder = np.divmod(left * room, room.sum())
        share[np.argsort(-remainder, kind="stable")[: left - int(share.sum())]] += 1
        drawn += share
    return drawn


def _by_weight(available: Array, drawn: Array, left: int, weights: NDArray[np.float64]) -> Array:
    """``drawn`` and ``left`` more, in proportion to ``weights`` among strata with bits left."""
    drawn = drawn.copy()
    while left > 0:
        room = available - drawn
        share = np.where(room > 0, weights, 0.0)
        if not share.any():  # what nothing upsets comes last
            share = room.astype(np.float64)
        exact = left * share / share.sum()
        step = np.minimum(np.floor(exact).astype(np.int64), room)
        if not step.any():  # fewer than there are strata
            step[np.argsort(-exact, kind="stable")[:left]] = 1
        drawn += step
        left -= int(step.sum())
    return drawn


def sample_bits(
    bits: StoredBits,
    count: int,
    *,
    rng: np.random.Generator,
    minimum: int = 2,
    weights: NDArray[np.float64] | None = None,
) -> Array:
    """At least ``count`` distinct numbers of stored bits that touch every stratum, ascending.

    Every memory, every parameter and every bit position is hit ``minimum`` times or more (or
    wholly), so weights and thresholds, sign bits included, are all covered. Draws beyond that are
    in proportion to the strata's sizes, or to ``weights`` in the order of ``strata``.

    Raises:
        InputError: there are fewer than ``count`` bits.
    """
    groups = [(block, bit) for block in bits.blocks for bit in range(block.bits)]
    sizes = [block.size // block.bits for block, _ in groups]
    drawn = allocate(sizes, count=count, minimum=minimum, weights=weights)
    found = [
        block.first + bit + block.bits * rng.choice(size, int(amount), replace=False)
        for (block, bit), size, amount in zip(groups, sizes, drawn, strict=True)
    ]
    return np.sort(np.concatenate(found))


def floor_size(bits: StoredBits, minimum: int) -> int:
    """How many bits there are when every stratum gives ``minimum``, or all it has."""
    return sum(b.bits * min(b.size // b.bits, minimum) for b in bits.blocks)


def shuffled_bits(bits: StoredBits, count: int, *, rng: np.random.Generator, minimum: int) -> Array:
    """Numbers of stored bits of which any beginning is a sample: ``minimum`` of each stratum as
    :func:`sample_bits` draws them, then up to ``count`` of all others in random order."""
    floor = sample_bits(bits, 0, rng=rng, minimum=minimum)
    others = np.setdiff1d(np.arange(len(bits)), floor, assume_unique=True)
    return np.concatenate([floor, rng.permutation(others)[:count]])


def bit_weights(bits: StoredBits, positions: Array) -> NDArray[np.float64]:
    """How many stored bits each of the distinct ``positions`` stands for: those of its stratum,
    shared among the draws from it."""
    where = bits.block_numbers(positions)
    per_element = np.array([block.bits for block in bits.blocks])
    firsts = np.array([block.first for block in bits.blocks])
    strata = np.cumsum(per_element)
    stratum = (strata - per_element)[where] + (positions - firsts[where]) % per_element[where]
    sizes = np.repeat([b.size // b.bits for b in bits.blocks], per_element)
    return np.asarray(sizes[stratum] / np.bincount(stratum, minlength=len(sizes))[stratum])
