"""The smallest whole numbers that compare as given ones do, whatever integers they are made of.

A *line* is a scale and an offset of whole numbers, ``y(a) = scale * a + offset``; there is one for
every class, and each ``a`` is any integer of ``low .. high`` by itself. Replaced scales and offsets
serve as well when no two lines, at no two integers, compare differently, ties included.

For two lines the points ``(a, b)`` at which one leads are the lattice points of a box below a
straight line. The smallest value that *another* linear form takes on them is found along the
Euclidean algorithm of the line's slope, so that a range of a million integers costs a few dozen
steps and nothing is sampled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import gcd

Line = tuple[int, int]  # scale, offset
WIDEST = 63  # bits of a logit; an int64 holds the difference of any two
_EVERY = 64  # sizes of the largest scale that are tried in each octave


@dataclass(frozen=True, slots=True)
class Side:
    """One line of a pair, turned so that it rises: a scale of 1 or more over ``low .. high``."""

    scale: int
    step: int  # the replaced scale, turned alike
    low: int
    high: int

    @classmethod
    def of(cls, scale: int, step: int, low: int, high: int) -> Side:
        """A falling line rises over the negated range; a level one is a single point."""
        if scale == 0:
            return cls(1, 0, 0, 0)
        return cls(scale, step, low, high) if scale > 0 else cls(-scale, -step, -high, -low)


def smallest_lines(lines: Sequence[Line], low: int, high: int) -> list[Line]:
    """Lines that compare as ``lines`` do over ``low .. high``, of small whole numbers.

    Scales are those given, shrunk to a common size and rounded; for scales tried, offsets are found
    whenever any exist. Every size up to 64 is tried, then 64 sizes of each octave, so that the
    result is never larger than the lines given, and the smallest of its kind where that is at most
    64. Equal scales stay equal: then the scale is the number of different fractions of offset.

    Raises:
        ValueError: a logit would need more than 63 bits.
    """
    largest = max((abs(scale) for scale, _ in lines), default=0) or 1
    for size in _sizes(largest):
        if size * (high - low) >> WIDEST:
            break
        steps = [_shrunk(scale, size, largest) for scale, _ in lines]
        offsets = _offsets(lines, steps, low, high)
        if offsets is not None:
            found = _shifted(list(zip(steps, offsets, strict=True)), low, high)
            if _bits(*line_range(found, low, high)) <= WIDEST:
                return found
    raise ValueError(f"its logits need more than {WIDEST} bits to keep their order")


def _sizes(largest: int) -> Iterator[int]:
    start = 1
    while start < largest:
        yield from range(start, min(2 * start, largest), max(1, start // _EVERY))
        start *= 2
    yield largest


def line_range(lines: Sequence[Line], low: int, high: int) -> tuple[int, int]:
    """The smallest and the largest value of any of the lines over ``low .. high``."""
    ends = [scale * end + offset for scale, offset in lines for end in (low, high)]
    return min(ends), max(ends)


def _shrunk(scale: int, size: int, largest: int) -> int:
    if scale == 0:
        return 0
    rounded = max(1, (2 * abs(scale) * size + largest) // (2 * largest))
    return rounded if scale > 0 else -rounded


def _shifted(lines: list[Line], low: int, high: int) -> list[Line]:
    """The same differences between the lines, where the values take the fewest bits."""
    offsets = [offset for _, offset in lines]
    ends = min(offsets), max(offsets)

    least, most = line_range(lines, low, high)
    best = min((ends[0], sum(ends) // 2), key=lambda shift: _bits(least - shift, most - shift))
    return [(scale, offset - best) for scale, offset in lines]


def _bits(least: int, most: int) -> int:
    """The bits of the narrowest type that holds both."""
    if least >= 0:
        return most.bit_length()
    return max((-least - 1).bit_length(), max(most, 0).bit_length()) + 1


def _offsets(lines: Sequence[Line], steps: Sequence[int], low: int, high: int) -> list[int] | None:
    """Offsets under which ``steps`` compare as ``lines``; None where there are none.

    Each pair bounds the difference of its two offsets; such bounds have a common integer solution
    or a cycle that contradicts itself, and longest paths tell which.
    """
    classes = range(len(lines))
    bounds: dict[tuple[int, int], int] = {}  # least offset of the first less that of the second
    for i in classes:
        for j in range(i):
            pair = pair_bounds(lines[i], lines[j], (steps[i], steps[j]), low, high)
            if pair is None:
                return None
            for ends, bound in zip(((i, j), (j, i)), pair, strict=True):
                if bound is not None:
                    bounds[ends] = bound
    offsets = [0] * len(lines)
    for _ in classes:
        moved = False
        for (i, j), bound in bounds.items():
            if offsets[i] < offsets[j] + bound:
                offsets[i], moved = offsets[j] + bound, True
        if not moved:
            return offsets
    return None if len(lines) > 1 else offsets


def pair_bounds(
    first: Line, second: Line, steps: tuple[int, int], low: int, high: int
) -> tuple[int | None, int | None] | None:
    """The least offset difference, first less second and second less first, that keeps the order
    of two lines with their scales replaced by ``steps``; None where no difference does."""
    one = Side.of(first[0], steps[0], low, high)
    other = Side.of(second[0], steps[1], low, high)
    gap = first[1] - second[1]
    leads = least_lead(one, other, gap), least_lead(other, one, -gap)
    ahead, behind = (None if lead is None else 1 - lead for lead in leads)
    for a, b in ties(one, other, gap):
        tie = one.step * a - other.step * b
        ahead = -tie if ahead is None else max(ahead, -tie)
        behind = tie if behind is None else max(behind, tie)
    if ahead is not None and behind is not None and ahead + behind > 0:
        return None
    return ahead, behind


def least_lead(one: Side, other: Side, gap: int) -> int | None:
    """The least ``one.step * a - other.step * b`` where ``one.scale * a + gap`` is above
    ``other.scale * b``; None where it never is."""
    first = max(one.low, -((gap - 1 - other.scale * other.low) // one.scale))
    last = min(one.high, (other.scale * (other.high + 1) - gap) // one.scale)
    leads = []
    if first <= last:  # where the highest b still below lies within the box
        start = one.scale * first + gap - 1
        most = _peak(last - first + 1, -one.step, other.step, one.scale, start, other.scale)
        leads.append(one.step * first - most)
    beyond = max(first, last + 1)
    if beyond <= one.high:  # above every b of the box
        leads.append(one.step * beyond - other.step * other.high)
    return min(leads, default=None)


def ties(one: Side, other: Side, gap: int) -> tuple[tuple[int, int], ...]:
    """The two outermost points ``(a, b)`` at which ``one.scale * a + gap == other.scale * b``: none
    where nothing ties, one twice where only it does."""
    common = gcd(one.scale, other.scale)
    if gap % common:
        return ()
    period = other.scale // common
    place = -gap // common * pow(one.scale // common, -1, period)
    first = max(one.low, -((gap - other.scale * other.low) // one.scale))
    last = min(one.high, (other.scale * other.high - gap) // one.scale)
    first += (place - first) % period
    last -= (last - place) % period
    if first > last:
        return ()
    return tuple((a, (one.scale * a + gap) // other.scale) for a in (first, last))


def _peak(count: int, a: int, b: int, c: int, d: int, m: int) -> int:
    """The largest ``a * x + b * ((c * x + d) // m)`` for ``0 <= x < count``; ``c >= 0``, ``m > 0``.

    Whole parts of ``c / m`` and ``d / m`` move out of the quotient. What is left changes only where
    the quotient steps, and as a function of the quotient it is the same problem with ``c`` and
    ``m`` exchanged.
    """
    whole, c = divmod(c, m)
    a += b * whole
    whole, d = divmod(d, m)
    top = (c * (count - 1) + d) // m
    best = max(0, a * (count - 1) + b * top)
    if top and a < 0 < b:  # at the first x of each quotient above 0
        best = max(best, b + _peak(top, b, a, m, m - d + c - 1, c))
    elif top and b < 0 < a:  # at the last x of each quotient below the top
        best = max(best, _peak(top, b, a, m, m - d - 1, c))
    return b * whole + best
