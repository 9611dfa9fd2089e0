"""The sums of rows of weights while inputs lie in ranges and some of the weights' bits flip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flow.certify.box import Box, interval_product
from flow.ir import Array, IntType

State = dict[tuple[int, int], Box]

# Gains of weights held at once, times eight bytes.
_HELD = 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """``up[m]`` is by how much at most m + 1 flips of one stored weight raise it, ``down[m]`` by
    how much they lower it; both (flips, rows, columns), 0 and more."""

    up: Array
    down: Array

    @classmethod
    def of(cls, steps: Array, *, flips: int) -> Moves:
        """From each bit's step, (rows, columns, bits): the steps of distinct bits add."""
        most = min(flips, steps.shape[-1])

        def best(worth: Array) -> Array:
            top = -np.sort(-np.maximum(worth, 0), axis=-1)[..., :most]
            sums: Array = np.moveaxis(np.cumsum(top, axis=-1), -1, 0)
            return sums

        return cls(best(steps), best(-steps))

    @property
    def flips(self) -> int:
        """Most flips of one weight that are told apart."""
        return len(self.up)

    def negated(self) -> Moves:
        """Those of the negated weights."""
        return Moves(self.down, self.up)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of a product as read, (rows, columns), and what flips make of their weights.

    ``bound`` limits ``sum |w| * |v|`` of every row. Under a clamping decode the weights move by a
    part of ``moves``, never more.
    """

    weights: Array
    moves: Moves
    bound: int

    def negated(self) -> Rows:
        """The rows whose sums have the other sign."""
        return Rows(-self.weights, self.moves.negated(), self.bound)

    def highest(self, box: Box) -> Array:
        """The largest sum of each row over a box (vectors, columns), no weight struck."""
        return interval_product(self.weights, box, bound=self.bound)[1]

    def some(self, rows: slice) -> Rows:
        """Only these rows."""
        moves = Moves(self.moves.up[:, rows], self.moves.down[:, rows])
        return Rows(self.weights[rows], moves, self.bound)

    def part(self, columns: Array) -> Rows:
        """Only these columns."""
        moves = Moves(self.moves.up[:, :, columns], self.moves.down[:, :, columns])
        return Rows(self.weights[:, columns], moves, self.bound)


def bit_steps(values: Array, kind: IntType, bits: Array, kept: Array | None = None) -> Array:
    """By how much each of ``bits`` moves each stored value if flipped, (*values, bits); nothing
    where ``kept``, for every bit of each value, is 0."""
    flipped = kind.decode(kind.encode(values)[..., None] ^ (1 << bits))
    moved: Array = flipped - values[..., None]
    return moved if kept is None else moved * kept[..., bits]


def sums_of_rows(rows: Rows, state: State, *, unit: Array, flips: int) -> State:
    """Bounds on ``rows @ v`` while flips strike ``v`` (by ``state``) and the rows themselves.

    Args:
        state: boxes (vectors, columns).
        unit: (columns,) elements of ``v`` with one number are decided by the same bits.
    """
    if never_struck(state) and not rows.moves.flips:
        box = Box(-rows.negated().highest(state[0, 0]), rows.highest(state[0, 0]))
        return dict.fromkeys(state, box)
    upper = _above(rows, state, unit, flips)
    lower = _above(rows.negated(), state, unit, flips)
    return {key: Box(-lower[key], upper[key]) for key in state}


def never_struck(state: State) -> bool:
    """Whether no flip at all reaches what ``state`` bounds."""
    return all(box is state[0, 0] for box in state.values())


def _above(rows: Rows, state: State, unit: Array, flips: int) -> dict[tuple[int, int], Array]:
    """For q earlier flips and some of the row's own, the largest sum of each row."""
    arriving = _arriving(rows, state, unit, flips)
    found: dict[tuple[int, int], Array] = {}
    ends: list[Array] = []
    last: Box | None = None
    for q in range(flips + 1):
        box = hull([state[r, q - r] for r in range(q + 1)])
        own = flips - q if rows.moves.flips else 0
        if not (box is last is state[0, 0]):  # else as many flips of the same sums are known
            ends = _struck(rows, box, arriving[q], own, alone=box is state[0, 0])
        last = box
        for spent in range(flips - q + 1):
            found[q, spent] = ends[min(spent, own)]
    return found


def _struck(rows: Rows, box: Box, arriving: Array, most: int, *, alone: bool) -> list[Array]:
    """The largest sums with 0 .. ``most`` flips of each row's weights.

    ``arriving`` bounds them without, for inputs that all lie in ``box``: both bounds hold, the gain
    at any input added to it, or the gain of the box to the sum of the box. ``alone``: that is the
    same sum.
    """
    if alone:
        return [arriving + gain for gain in top_gains(rows, box, most, together=True)]
    ends = [arriving + gain for gain in top_gains(rows, box, most, together=False)]
    if most and (box.lo != box.hi).any():
        base = rows.highest(box)
        joint = top_gains(rows, box, most, together=True)
        ends = [np.minimum(a, base + gain) for a, gain in zip(ends, joint, strict=True)]
    return ends


def _arriving(rows: Rows, state: State, unit: Array, flips: int) -> list[Array]:
    """For each budget q of earlier flips, the largest sum of each row, weights not struck."""
    clean = rows.highest(state[0, 0])
    if never_struck(state):
        return [clean] * (flips + 1)
    best = [np.full_like(clean, np.iinfo(np.int64).min) for _ in range(flips + 1)]
    for r in range(flips + 1):
        base = rows.highest(state[r, 0])
        shared = _knapsack(rows, [state[r, s] for s in range(flips + 1 - r)], unit)
        for s, gain in enumerate(shared):
            best[r + s] = np.maximum(best[r + s], base + gain)
    return best


def _knapsack(rows: Rows, boxes: list[Box], unit: Array) -> list[Array]:
    """The most that s flips, divided among the units, add to each row's largest sum."""
    shape = (len(boxes[0]), len(rows.weights))
    best = [np.zeros(shape, dtype=np.int64) for _ in boxes]
    clean = boxes[0]
    moved = np.zeros(len(unit), dtype=np.bool_)
    for box in boxes[1:]:
        moved |= ((box.lo != clean.lo) | (box.hi != clean.hi)).any(axis=0)
    for number in np.unique(unit[moved]):
        columns = np.flatnonzero((unit == number) & moved)
        own = rows.part(columns)
        reach = [own.highest(Box(box.lo[:, columns], box.hi[:, columns])) for box in boxes]
        extra = [high - reach[0] for high in reach]
        for s in range(len(boxes) - 1, 0, -1):
            for spent in range(1, s + 1):
                best[s] = np.maximum(best[s], best[s - spent] + extra[spent])
    return best


def top_gains(rows: Rows, box: Box, most: int, *, together: bool) -> list[Array]:
    """At most how much 0 .. ``most`` flips of each row's weights add to its largest sum.

    ``together``: to the sum over this very box, where flip and input are at one end of it;
    otherwise to the sum over any part of the box.
    """
    vectors, (count, columns) = len(box), rows.weights.shape
    found = np.zeros((most + 1, vectors, count), dtype=np.int64)
    if most == 0:
        return list(found)
    kept = min(rows.moves.flips, most)
    chunk = max(1, _HELD // max(1, count * columns * kept))
    for start in range(0, vectors, chunk):
        part = slice(start, start + chunk)
        gains = _gains(rows, box[part], kept, together=together)
        shares = _shares(gains).reshape(-1, count, kept * columns)
        found[1:, part] = _top_sums(shares, most)
    return list(found)


def _gains(rows: Rows, box: Box, most: int, *, together: bool) -> list[Array]:
    """What at most 1 .. ``most`` flips of each weight add, each (vectors, rows, columns)."""
    low, high = box.lo[:, None, :], box.hi[:, None, :]
    point = bool((box.lo == box.hi).all())
    loss_low = loss_high = np.int64(0)
    if together and not point:
        ends = rows.weights * low, rows.weights * high
        top = np.maximum(*ends)
        loss_low, loss_high = ends[0] - top, ends[1] - top
    found = []
    for up, down in zip(rows.moves.up[:most], rows.moves.down[:most], strict=True):
        gain = loss_low + _moved(up, down, low)
        found.append(gain if point else np.maximum(gain, loss_high + _moved(up, down, high)))
    return found


def _moved(up: Array, down: Array, x: Array) -> Array:
    """The most that a weight's moves add to its product with ``x``."""
    if (x >= 0).all():
        found: Array = up * x
        return found
    moved: Array = np.where(x >= 0, up * x, -down * x)
    return moved


def _shares(gains: list[Array]) -> Array:
    """Shares of one flip each, so that the m largest of a weight sum to its gain of m at least.

    The steps of the concave envelope of the gains, rounded up: (vectors, rows, flips, columns).
    """
    total = np.zeros_like(gains[0])
    shares = []
    for m in range(len(gains)):
        step = np.maximum.reduce(
            [-((total - gains[later]) // (later - m + 1)) for later in range(m, len(gains))]
        )
        step = np.maximum(step, 0)
        shares.append(step)
        total = total + step
    return np.stack(shares, axis=2)


def _top_sums(shares: Array, most: int) -> Array:
    """Sums of the 1 .. ``most`` largest along the last axis, (most, vectors, rows)."""
    if most == 1:
        top: Array = shares.max(axis=-1)
        return top[None]
    kept = min(most, shares.shape[-1])
    cut = shares.shape[-1] - kept
    top = np.sort(np.partition(shares, cut, axis=-1)[..., cut:] if cut else shares, axis=-1)
    sums: Array = np.moveaxis(np.cumsum(top[..., ::-1], axis=-1), -1, 0)
    asked: Array = sums[np.minimum(np.arange(most), kept - 1)]
    return asked


def hull(boxes: list[Box]) -> Box:
    """The smallest box that holds all."""
    if all(box is boxes[0] for box in boxes):
        return boxes[0]
    return Box(
        np.minimum.reduce([box.lo for box in boxes]), np.maximum.reduce([box.hi for box in boxes])
    )
