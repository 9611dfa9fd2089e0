"""The units of the streaming hardware and the streams between them, derived from graph and folding.

This record says what stands where and how wide it is; ``cycles`` and ``tokens`` say how fast it
moves, ``flow/build`` how it is spelled. Every one of them reads the same units.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import cast

from flow.ir import Graph, Node
from flow.ops import MatVec

INPUT, OUTPUT = "input", "output"  # streams that are the top's own ports; no node is named so


@dataclass(frozen=True, slots=True)
class Folding:
    """``pe`` rows and ``simd`` columns of a MatVec are computed in one cycle."""

    pe: int
    simd: int


@dataclass(frozen=True, slots=True)
class Stream:
    """The elements of an edge in words of ``lanes``; element c of a pixel is in lane c % lanes.

    Pixels come in raster order; a vector is an image of one pixel.
    """

    name: str  # of its signals
    edge: str  # the edge of the graph that it carries
    shape: tuple[int, ...]  # of that edge
    lanes: int
    element_bits: int
    shared: str = ""  # the fork whose word it is, beside those of the other branches

    @property
    def words(self) -> int:
        """For one image."""
        return prod(self.shape) // self.lanes

    @property
    def image(self) -> tuple[int, int, int]:
        """Height, width, and words of one pixel."""
        height, width = self.shape[:2] if len(self.shape) == 3 else (1, 1)
        return height, width, self.shape[-1] // self.lanes

    @property
    def bits(self) -> int:
        """Of one word."""
        return self.lanes * self.element_bits


@dataclass(frozen=True, slots=True)
class Unit:
    """One instance of a library module, between the streams it reads and those it writes."""

    module: str  # stem of its file in hls/rtl
    name: str
    node: Node | None  # the node it computes; None for one that only moves words
    sources: tuple[Stream, ...]
    sinks: tuple[Stream, ...]
    groups: int = 1  # of channels, that a window gives one after the other

    @property
    def matvec(self) -> MatVec:
        """What a unit of module ``matvec`` computes."""
        assert self.node is not None
        return cast(MatVec, self.node.op)

    @property
    def vector(self) -> int:
        """Words of one input vector of a unit of module ``matvec``."""
        return int(self.matvec.weights.shape[1]) // self.sources[0].lanes


@dataclass(frozen=True, slots=True)
class Dataflow:
    """All units, each after those it reads from; the last writes class and logits."""

    graph: Graph
    units: tuple[Unit, ...]

    @property
    def input(self) -> Stream:
        """What carries the images in."""
        return self.units[0].sources[0]

    @property
    def output(self) -> Stream:
        """What carries class and logits out, one word an image."""
        return self.units[-1].sinks[0]

    @property
    def fifos(self) -> tuple[Unit, ...]:
        """Every FIFO, whose depth the plan states."""
        return tuple(unit for unit in self.units if unit.module == "fifo")
