"""The uniform words of a noise source in hardware: one xorshift generator per lane.

Marsaglia's xorshift of 128 bits (2003), shifts 11, 8 and 19: its state runs through all
``2**128 - 1`` states that are not zero. Lane ``l`` of stream ``s`` starts ``2**64 * (2**32 s + l)``
steps after the seed's own state, so lanes and streams are disjoint parts of one period, of 2**64
words each. Four words in a row are the whole state: over a random seed they are uniform together,
zero excepted. That more of them behave as independent is an assumption, as it is of any generator.
"""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
from numpy.typing import NDArray

from flow.errors import InputError

BITS = 128
PERIOD = (1 << BITS) - 1
LANES = 1 << 16  # more than any design has
STREAMS = 1 << 16
_WORD = (1 << 32) - 1
_APART = 64  # lanes start 2**64 steps apart, streams 2**32 lanes
State = tuple[int, int, int, int]  # oldest word first
Words = NDArray[np.uint32]


def seed_state(seed: int) -> State:
    """The state that the number ``seed`` stands for: 128 bits of its SHA-256, never all zero."""
    digest = hashlib.sha256(str(seed).encode()).digest()
    number = int.from_bytes(digest[:16], "little") or 1
    return _split(number)


def lane_states(seed: int, *, lanes: int, stream: int = 0) -> tuple[State, ...]:
    """Where each lane starts.

    Raises:
        InputError: seed, lanes or stream is out of range.
    """
    if seed < 0 or not 1 <= lanes <= LANES or not 0 <= stream < STREAMS:
        raise InputError(
            f"seed {seed}, {lanes} lanes, stream {stream}: give a seed of at least 0, up to "
            f"{LANES} lanes and a stream below {STREAMS}"
        )
    state = _join(seed_state(seed))
    for _ in range(stream):
        state = _times(_power(_APART + 32), state)
    found = []
    for _ in range(lanes):
        found.append(_split(state))
        state = _times(_power(_APART), state)
    return tuple(found)


def step(state: State) -> State:
    """One step; the newest word, last in the state, is the output.

    >>> step((123456789, 362436069, 521288629, 88675123))[3]
    3701687786
    """
    oldest, second, third, newest = state
    mixed = oldest ^ (oldest << 11) & _WORD
    return second, third, newest, newest ^ newest >> 19 ^ mixed ^ mixed >> 8


def lane_words(states: Words, steps: int) -> tuple[Words, Words]:
    """The next words of all lanes, (steps, lanes), and the states after them, (4, lanes)."""
    if steps == 0:
        return np.empty((0, states.shape[1]), dtype=np.uint32), states
    words = np.empty((4 + steps, states.shape[1]), dtype=np.uint32)
    words[:4] = states
    mixed = np.empty(states.shape[1], dtype=np.uint32)
    for now in range(4, 4 + steps):
        np.left_shift(words[now - 4], 11, out=mixed)
        mixed ^= words[now - 4]
        mixed ^= mixed >> 8
        words[now] = words[now - 1] >> 19
        words[now] ^= words[now - 1]
        words[now] ^= mixed
    return words[4:], words[-4:].copy()


def _join(state: State) -> int:
    return sum(word << 32 * place for place, word in enumerate(state))


def _split(number: int) -> State:
    return (
        number & _WORD,
        number >> 32 & _WORD,
        number >> 64 & _WORD,
        number >> 96,
    )


@cache
def _power(doublings: int) -> tuple[int, ...]:
    """The linear map of ``2**doublings`` steps: where each bit of the state goes."""
    if doublings == 0:
        return tuple(_join(step(_split(1 << bit))) for bit in range(BITS))
    half = _power(doublings - 1)
    return tuple(_times(half, column) for column in half)


def _times(columns: tuple[int, ...], state: int) -> int:
    found = 0
    for column in columns:
        if state & 1:
            found ^= column
        state >>= 1
    return found
