"""The levels of a threshold bank whose input lies in a range while some of its bits are flipped."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from flow.certify.box import Box
from flow.ir import Array
from flow.ops import Compare, Threshold


def level_range(
    op: Threshold,
    box: Box,
    *,
    flips: int,
    bits: Mapping[str, Array],
    kept: Mapping[str, Array] = MappingProxyType({}),
) -> Box:
    """The least and largest output when at most ``flips`` bits of each channel are flipped.

    Both ends are attained: each compare form is monotone in its input whatever the thresholds
    are, and different thresholds share no bit.

    Args:
        box: inputs (batch, .., channels).
        bits: for each parameter the positions of the bits of a code that may flip.
        kept: by parameter, where some single bits may not, 1 for all that may, (*shape, bits).
    """
    allowed = bits.get("thresholds", np.zeros(0, dtype=np.int64))
    banks = threshold_reach(op, flips, allowed, kept.get("thresholds"))
    least, largest = _counts(op, box, banks, flips)
    low, high = _signed(op, op.sign, least, largest)
    if flips and "sign" in bits:
        turned_low, turned_high = _signed(op, -op.sign, *_counts(op, box, banks, flips - 1))
        if "sign" in kept:
            free = kept["sign"][:, 0] == 1
            turned_low = np.where(free, turned_low, low)
            turned_high = np.where(free, turned_high, high)
        low, high = np.minimum(low, turned_low), np.maximum(high, turned_high)
    low, high = low + op.base, high + op.base
    return Box(2 * low - 1, 2 * high - 1) if op.output.bipolar else Box(low, high)


def _signed(op: Threshold, sign: Array, least: Array, largest: Array) -> tuple[Array, Array]:
    steps = op.thresholds.shape[1]
    return np.where(sign > 0, least, steps - largest), np.where(sign > 0, largest, steps - least)


def _counts(
    op: Threshold, box: Box, banks: tuple[list[Array], list[Array]], flips: int
) -> tuple[Array, Array]:
    """The fewest thresholds reached at the low end and the most at the high end."""
    low, high = (bank[: flips + 1] for bank in banks)
    if op.compare is Compare.SEARCH:
        return _search(low, high, box.lo, flips)[0], _search(low, high, box.hi, flips)[1]
    steps = op.thresholds.shape[1]
    lost = [(box.lo[..., None] < bank).sum(axis=-1) for bank in high]
    won = [(box.hi[..., None] >= bank).sum(axis=-1) for bank in low]
    return steps - _cheapest(lost, flips), _cheapest(won, flips)


def _cheapest(within: list[Array], flips: int) -> Array:
    """How many thresholds ``flips`` buy; ``within[m]`` of them cost at most m flips each."""
    total, left = within[0].copy(), np.full_like(within[0], flips)
    for cost in range(1, flips + 1):
        bought = np.minimum(within[cost] - within[cost - 1], left // cost)
        total, left = total + bought, left - bought * cost
    return total


def _search(low: list[Array], high: list[Array], x: Array, flips: int) -> tuple[Array, Array]:
    """The least and largest result of the binary search, by the price of each result's path."""
    steps = low[0].shape[1]
    reach = flips + 1 - np.sum([x[..., None] >= bank for bank in low], axis=0)
    miss = flips + 1 - np.sum([x[..., None] < bank for bank in high], axis=0)
    least, largest = np.full(x.shape, steps), np.zeros(x.shape, dtype=np.int64)
    for result in range(steps + 1):
        price, count = np.zeros(x.shape, dtype=np.int64), 0
        for bit in reversed(range(steps.bit_length())):
            probe = count + (1 << bit) - 1
            taken = bool(result >> bit & 1)
            if probe < steps:
                price = price + (reach if taken else miss)[..., probe]
            count += taken << bit
        open_ = price <= flips
        least = np.where(open_, np.minimum(least, result), least)
        largest = np.where(open_, np.maximum(largest, result), largest)
    return least, largest


def threshold_reach(
    op: Threshold, flips: int, bits: Array, kept: Array | None = None
) -> tuple[list[Array], list[Array]]:
    """Each threshold's smallest and largest value under 0, 1 .. ``flips`` flips of ``bits``.

    With the sign bit inverted, codes are ordered as their values are: the smallest value clears
    the highest bits that are 1, the largest sets the highest that are 0.
    """
    kind = op.threshold_type
    place = op.thresholds - kind.code_lo
    low, high = [place], [(1 << kind.bits) - 1 - place]
    for bank in (low, high):
        for _ in range(flips):
            bank.append(_clear_highest(bank[-1], bits, kept))
    top = (1 << kind.bits) - 1
    return [b + kind.code_lo for b in low], [top - b + kind.code_lo for b in high]


def _clear_highest(values: Array, bits: Array, kept: Array | None) -> Array:
    cleared = values.copy()
    done = np.zeros(values.shape, dtype=np.bool_)
    for bit in bits[::-1]:
        ones = ~done & ((values >> bit & 1) == 1)
        if kept is not None:
            ones &= kept[..., bit] == 1
        cleared -= ones.astype(np.int64) << bit
        done |= ones
    return cleared
