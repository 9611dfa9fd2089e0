"""Noise for whole inputs, row after row, from a seed: on the host, or as the hardware draws it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.random import Philox

from flow.certify.noise import Noise, NoiseTable
from flow.certify.noise_lanes import lane_states, lane_words
from flow.errors import InputError


class NoiseStream(Protocol):
    """An endless sequence of rows, one per noisy input; how many are asked at once changes none."""

    def rows(self, count: int) -> Noise:
        """The next rows, (count, elements)."""
        ...


class HostNoise:
    """Rows of the words of Philox 4x64 with 10 rounds, whose key is (seed, stream)."""

    def __init__(self, table: NoiseTable, elements: int, *, seed: int, stream: int) -> None:
        if not 0 <= seed < 1 << 64:
            raise InputError(f"seed {seed}: give 0 to 2**64 - 1")
        if table.bits != 64:
            raise InputError(f"a table for words of {table.bits} bits; the host draws 64")
        self._table, self._elements = table, elements
        self._words = Philox(key=seed + (stream << 64))

    def rows(self, count: int) -> Noise:
        """The next rows, (count, elements): one 64-bit word per element, in order."""
        words = self._words.random_raw(count * self._elements)
        return self._table.draw(words.reshape(count, self._elements))


class LaneNoise:
    """Rows as ``hls/rtl/noise.sv`` draws them: element e of a row from lane ``e % lanes``."""

    def __init__(
        self, table: NoiseTable, elements: int, *, lanes: int, seed: int, stream: int
    ) -> None:
        if lanes < 1 or elements % lanes:
            raise InputError(f"{lanes} lanes do not divide the {elements} elements of an input")
        if table.bits != 32:
            raise InputError(f"a table for words of {table.bits} bits; a lane draws 32")
        self._table, self._elements = table, elements
        self._states = np.array(lane_states(seed, lanes=lanes, stream=stream), dtype=np.uint32).T

    def rows(self, count: int) -> Noise:
        """The next rows, (count, elements): each lane gives one word per beat."""
        beats = self._elements // self._states.shape[1]
        words, self._states = lane_words(self._states, count * beats)
        return self._table.draw(words.astype(np.uint64)).reshape(count, self._elements)
