"""What flips of its own bits make of each stored weight, for codes read as they are or limited.

Limited codes do not add up: two flips may move a weight that neither alone does, and a third may
move it no further. So there every choice of bits is tried, once for each stored value.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from flow.certify.weight_flips import Moves, bit_steps
from flow.ir import Array
from flow.ops import Decode, MatVec


def moves_of(op: MatVec, bits: Array, *, flips: int) -> Moves:
    """By how much up to ``flips`` flips of ``bits`` move each weight of ``op`` as read; exact."""
    if op.decode is Decode.PLAIN:
        return Moves.of(bit_steps(op.weights, op.weight_type, bits), flips=flips)
    values, place = np.unique(op.weights, return_inverse=True)
    up, down = [], []
    for most in range(1, min(flips, len(bits)) + 1):
        rise = _changes(op, values, masks(bits, most))
        up.append(rise.max(axis=1)[place].reshape(op.weights.shape))
        down.append(-rise.min(axis=1)[place].reshape(op.weights.shape))
    none = np.zeros((0, *op.weights.shape), dtype=np.int64)
    return Moves(np.array(up), np.array(down)) if up else Moves(none, none)


def masks(bits: Array, most: int) -> Array:
    """What to exclusive-or a code with for every choice of at most ``most`` of ``bits``, the
    choices of fewest bits first."""
    chosen = (some for k in range(most + 1) for some in combinations(bits.tolist(), k))
    return np.array([sum(1 << bit for bit in some) for some in chosen], dtype=np.int64)


def _changes(op: MatVec, values: Array, changed: Array) -> Array:
    """(values, masks): by how much each mask moves each stored value as read."""
    return read(op, struck_codes(op, values, changed)) - read(op, values)[:, None]


def struck_codes(op: MatVec, values: Array, changed: Array) -> Array:
    """(values, masks): each stored value with the bits of each mask flipped."""
    kind = op.weight_type
    return kind.decode(kind.encode(values)[:, None] ^ changed)


def read(op: MatVec, values: Array) -> Array:
    """Stored values as the arithmetic sees them."""
    if op.decode is Decode.PLAIN:
        return values
    return np.clip(values, op.weight_type.lo, op.weight_type.hi)


def scaled(moves: Moves, factor: int) -> Moves:
    """The moves of the weights times ``factor``."""
    own = moves if factor >= 0 else moves.negated()
    return Moves(abs(factor) * own.up, abs(factor) * own.down)


def added_up(one: Moves, other: Moves, *, flips: int) -> Moves:
    """The moves of sums of two weights, whose bits are different ones."""
    return Moves(_divided(one.up, other.up, flips), _divided(one.down, other.down, flips))


def _divided(one: Array, other: Array, flips: int) -> Array:
    """The most that 1 .. ``flips`` flips, divided among both, add."""
    none = np.zeros((1, *one.shape[1:]), dtype=np.int64)
    first, second = np.concatenate([none, one]), np.concatenate([none, other])
    most = min(flips, len(one) + len(other))
    if not most:
        return one
    parts = [
        [first[t] + second[m - t] for t in range(m + 1) if t < len(first) and m - t < len(second)]
        for m in range(1, most + 1)
    ]
    return np.maximum.accumulate(np.array([np.maximum.reduce(part) for part in parts]), axis=0)


def most_moved(moves: Moves, seen: Array, *, flips: int) -> tuple[Array, Array]:
    """(flips + 1, images, rows) twice: how far up and down that many flips of each row's weights
    move its sum over ``seen`` (images, columns), by a knapsack over the columns; exact."""
    rows, columns = moves.up.shape[1:] if moves.flips else (moves.up.shape[1], 0)
    shape = (flips + 1, len(seen), rows)
    up, down = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for column in range(columns):
        x = seen[:, column, None]
        rise, fall = moves.up[:, None, :, column], moves.down[:, None, :, column]
        more = np.maximum(rise * x, -fall * x)
        less = np.maximum(fall * x, -rise * x)
        for best, gain in ((up, more), (down, less)):
            for q in range(flips, 0, -1):
                for t in range(1, min(q, len(gain)) + 1):
                    best[q] = np.maximum(best[q], best[q - t] + gain[t - 1])
    return up, down
