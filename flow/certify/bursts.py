"""Runs of adjacent bits of a memory word, as an upset of neighbouring cells flips them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from flow.build.sites import SiteTable
from flow.delta import Sets
from flow.errors import InputError
from flow.ir import Array, Fault


@dataclass(frozen=True, eq=False)
class Bursts:
    """Every run of ``length`` adjacent bits of one word of a build's memories, all of them flipped;
    the whole word where it is narrower. Numbered by memory, word and lowest bit.

    Padding and parity bits in a run change nothing that is computed.
    """

    sites: SiteTable
    length: int

    def __post_init__(self) -> None:
        if self.length < 1:
            raise InputError(f"bursts of {self.length} bits: give 1 or more")

    def __len__(self) -> int:
        return int(self._starts[-1])

    def faults(self, number: int) -> tuple[Fault, ...]:
        """The stored bits that burst ``number`` flips; none where it strikes padding alone.

        Raises:
            IndexError: there is no such burst.
        """
        name, word, low = self.place(number)
        bits = self._bits_of(name)
        span = range(low, min(low + self.length, bits))
        sites = [self.sites.at(name, word, bit) for bit in span]
        return tuple(site.fault for site in sites if site.fault is not None)

    def place(self, number: int) -> tuple[str, int, int]:
        """Memory, word and lowest bit of burst ``number``; errors as ``faults``."""
        if not 0 <= number < len(self):
            raise IndexError(f"burst {number} of {len(self)}")
        which = bisect_right(self._starts.tolist(), number) - 1
        layout = self.sites.layouts[which]
        word, low = divmod(number - int(self._starts[which]), self._runs(layout.bits))
        return layout.name, word, low

    def terms(self) -> dict[str, Any]:
        """What the claim about these bursts needs besides, as JSON."""
        return {"burst": {"length": self.length, "sites": self.sites.digest()}}

    def sets(self) -> list[Sets]:
        """The bursts of each memory, in order, as ``flow.delta`` strikes them."""
        found = []
        for layout in self.sites.layouts:
            runs = self._runs(layout.bits)
            width = min(self.length, layout.bits)
            column = np.arange(runs)[:, None] + np.arange(width)
            which = layout.parameter[:, column].astype(np.int64).reshape(-1)
            element = layout.element[:, column].astype(np.int64).reshape(-1)
            mask = np.int64(1) << layout.bit[:, column].astype(np.int64).reshape(-1)
            number = np.repeat(np.arange(layout.words * runs), width)
            used = which >= 0
            arrays = (number[used], which[used], element[used], mask[used])
            found.append(_merged(layout.node, layout.parameters, layout.words * runs, arrays))
        return found

    @cached_property
    def _starts(self) -> Array:
        sizes = [layout.words * self._runs(layout.bits) for layout in self.sites.layouts]
        return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)

    def _runs(self, bits: int) -> int:
        return max(1, bits - self.length + 1)

    def _bits_of(self, memory: str) -> int:
        return next(layout.bits for layout in self.sites.layouts if layout.name == memory)


def _merged(
    node: str, parameters: Sequence[str], count: int, arrays: tuple[Array, Array, Array, Array]
) -> Sets:
    """One entry for all bits of one element in one set: set number, parameter, element, bit."""
    order = np.lexsort(arrays[2::-1])
    number, which, element, mask = (array[order] for array in arrays)
    new = np.ones(len(number), dtype=np.bool_)
    if len(new):
        keys = (number, which, element)
        new[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    at = np.flatnonzero(new)
    masks = np.bitwise_xor.reduceat(mask, at) if len(at) else mask
    start = np.searchsorted(number[at], np.arange(count + 1))
    return Sets(node, tuple(parameters), start, which[at], element[at], masks)
