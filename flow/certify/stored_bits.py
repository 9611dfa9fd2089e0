"""Every stored bit of a graph in one canonical order: node, parameter, index, bit."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from flow.ir import Array, Fault, Graph


@dataclass(frozen=True, slots=True)
class Block:
    """The bits of one parameter; ``first`` is the position of its first bit in the whole order."""

    node: str
    parameter: str
    shape: tuple[int, ...]
    bits: int
    first: int

    @property
    def size(self) -> int:
        """Bits in this parameter."""
        return prod(self.shape) * self.bits

    def positions(self, unit: int) -> slice:
        """Where the bits of ``parameter[unit]`` lie; one unit decides one output channel."""
        share = self.size // self.shape[0]
        return slice(self.first + unit * share, self.first + (unit + 1) * share)


@dataclass(frozen=True, slots=True)
class StoredBits:
    """A numbering of all single-bit faults: ``fault(k)`` and ``position(fault)`` are inverse."""

    blocks: tuple[Block, ...]

    @classmethod
    def of(cls, graph: Graph) -> StoredBits:
        """The bits that ``graph`` stores."""
        blocks: list[Block] = []
        first = 0
        for node in graph.nodes:
            for name, kind in node.op.stored.items():
                block = Block(node.name, name, getattr(node.op, name).shape, kind.bits, first)
                blocks.append(block)
                first += block.size
        return cls(tuple(blocks))

    def __len__(self) -> int:
        return sum(block.size for block in self.blocks)

    def __iter__(self) -> Iterator[Fault]:
        """A flip of every bit, in order."""
        return map(self.fault, range(len(self)))

    def block_numbers(self, positions: Array) -> Array:
        """Which of ``blocks`` holds each of the bits numbered ``positions``."""
        firsts = [block.first for block in self.blocks]
        return np.searchsorted(firsts, positions, side="right") - 1

    def fault(self, position: int) -> Fault:
        """The flip of bit number ``position``.

        Raises:
            IndexError: there is no such bit.
        """
        if not 0 <= position < len(self):
            raise IndexError(f"bit {position} of {len(self)} stored bits")
        block = self.blocks[bisect_right([b.first for b in self.blocks], position) - 1]
        element, bit = divmod(position - block.first, block.bits)
        index = tuple(int(i) for i in np.unravel_index(element, block.shape))
        return Fault(block.node, block.parameter, index, bit)

    def faults(self, position: int) -> tuple[Fault, ...]:
        """The flip of bit number ``position``, alone; errors as ``fault``."""
        return (self.fault(position),)

    def position(self, fault: Fault) -> int:
        """The number of the bit that ``fault`` strikes.

        Raises:
            KeyError: the graph stores no such parameter.
            ValueError: the index lies outside it.
        """
        for block in self.blocks:
            if (block.node, block.parameter) == (fault.node, fault.parameter):
                element = int(np.ravel_multi_index(fault.index, block.shape))
                return block.first + element * block.bits + fault.bit
        raise KeyError(f"{fault}: the graph stores no such parameter")
