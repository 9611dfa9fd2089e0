"""The levels of one threshold bank under flips, in Python integers, for the checker alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flow.certify.plain_rows import Interval
from flow.ir import IntType
from flow.ops import Compare, Threshold

Bits = Mapping[str, Sequence[int]]  # by parameter, the bits of a code that may flip
Barred = frozenset[tuple[str, tuple[int, ...], int]]  # parameter, index, bit: single ones that not


def levels(
    op: Threshold,
    channel: int,
    ends: Interval,
    flips: int,
    bits: Bits,
    barred: Barred = frozenset(),
) -> Interval:
    """The least and the largest level of one channel whose input lies between ``ends``.

    A flipped sign leaves one flip less for the thresholds. Bits ``barred`` stay as they are.
    """
    thresholds: list[int] = op.thresholds[channel].tolist()
    steps, found, sign = len(thresholds), [], int(op.sign[channel])
    free = [
        [b for b in bits.get("thresholds", ()) if ("thresholds", (channel, step), b) not in barred]
        for step in range(steps)
    ]
    turns = flips and "sign" in bits and ("sign", (channel,), 0) not in barred
    for turned in (False, True) if turns else (False,):
        left = flips - turned
        counts = _reachable(op, thresholds, ends, left, free)
        ascending = (sign > 0) != turned
        for count in counts:
            level = op.base + (count if ascending else steps - count)
            found.append(2 * level - 1 if op.output.bipolar else level)
    return min(found), max(found)


def _reachable(
    op: Threshold, thresholds: list[int], ends: Interval, flips: int, free: Sequence[Sequence[int]]
) -> list[int]:
    """The smallest count at the low end and the largest at the high end."""
    low, high = ends
    kind = op.threshold_type
    own = list(zip(thresholds, free, strict=True))
    over = [_price(kind, value, low, bits, above=True) for value, bits in own]
    under = [_price(kind, value, high, bits, above=False) for value, bits in own]
    if op.compare is Compare.COUNT:
        return [len(over) - _affordable(over, flips), _affordable(under, flips)]
    hit_low = [_price(kind, value, low, bits, above=False) for value, bits in own]
    miss_high = [_price(kind, value, high, bits, above=True) for value, bits in own]
    return [
        min(_searched(hit_low, over, flips)),
        max(_searched(under, miss_high, flips)),
    ]


def _affordable(prices: Sequence[int], flips: int) -> int:
    count = 0
    for price in sorted(prices):
        flips -= price
        if flips < 0:
            break
        count += 1
    return count


def _price(kind: IntType, value: int, limit: int, free: Sequence[int], *, above: bool) -> int:
    """The fewest flips of the bits ``free`` that move a threshold above ``limit``, or not above it.

    The dearest bit first is the best choice whatever the number of flips; a price above any
    budget where no code will do.
    """
    position, goal = value - kind.code_lo, limit - kind.code_lo
    for price in range(len(free) + 1):
        if (position > goal) if above else (position <= goal):
            return price
        wrong = [b for b in free if (position >> b & 1) != above]
        if not wrong:
            break
        position ^= 1 << wrong[-1]
    return 1 << 30


def _searched(hit: list[int], miss: list[int], flips: int) -> list[int]:
    """Every result of the binary search whose probes can be bent with ``flips`` flips."""
    open_ = [(0, 0)]
    jump = 1
    while jump * 2 <= len(hit):
        jump *= 2
    while jump:
        following = []
        for found, spent in open_:
            probe = found + jump - 1
            if probe >= len(hit):
                following.append((found, spent))
                continue
            following.append((found + jump, spent + hit[probe]))
            following.append((found, spent + miss[probe]))
        open_ = [(found, spent) for found, spent in following if spent <= flips]
        jump //= 2
    return [found for found, _ in open_]
