"""Memory images for ``$readmemh``, from one layout rule that the fault-site table shares.

The rule says, for each bit of each word, which bit of which stored element lies there. Images read
the elements through it, and fault sites are its rows: the two cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import singledispatch
from itertools import product

import numpy as np
from numpy.typing import NDArray

from flow.ir import Array, Graph, Op
from flow.ops import Compare, MatVec, Threshold
from flow.schedule import Folding, dataflow

PADDING = -1  # in MemoryLayout.parameter: no element lies in this bit
PARITY = -2  # it makes the ones of the word even


@dataclass(frozen=True, eq=False, slots=True)
class MemoryLayout:
    """Where every stored bit of one memory lies; the arrays have shape (words, bits per word)."""

    name: str  # "<node>.<memory>"
    node: str
    parameters: tuple[str, ...]  # of the node's op
    shapes: tuple[tuple[int, ...], ...]  # of each parameter
    parameter: NDArray[np.int8]  # index into parameters, PADDING or PARITY
    element: NDArray[np.int32]  # row-major index into that parameter
    bit: NDArray[np.int8]  # of the element's code

    @property
    def words(self) -> int:
        """Words of the memory."""
        return int(self.parameter.shape[0])

    @property
    def bits(self) -> int:
        """Bits of one word."""
        return int(self.parameter.shape[1])


@singledispatch
def memory_layouts(op: Op, folding: Folding, *, node: str) -> tuple[MemoryLayout, ...]:
    """The memories of one unit that stores parameters, ``folding.pe`` lanes wide behind it."""
    raise TypeError(f"no memory layout for {type(op).__name__}; register one in {__name__}")


@memory_layouts.register
def _(op: MatVec, folding: Folding, *, node: str) -> tuple[MemoryLayout, ...]:
    """Word ``rowfold * (columns/simd) + colfold``; lane (p, s) at bit ``(p*simd + s) * bits``."""
    rows, columns = op.weights.shape
    pe, simd, bits = folding.pe, folding.simd, op.weight_type.bits
    element = np.arange(rows * columns, dtype=np.int32)
    element = element.reshape(rows // pe, pe, columns // simd, simd).transpose(0, 2, 1, 3)
    element = np.repeat(element.reshape(-1, pe * simd), bits, axis=1)
    bit = np.broadcast_to(np.tile(np.arange(bits, dtype=np.int8), pe * simd), element.shape)
    parameter = np.zeros(element.shape, dtype=np.int8)
    shapes = (op.weights.shape,)
    name = f"{node}.weights"
    return (MemoryLayout(name, node, ("weights",), shapes, parameter, element, bit),)


@memory_layouts.register
def _(op: Threshold, folding: Folding, *, node: str) -> tuple[MemoryLayout, ...]:
    """Word ``channel / lanes``; in a lane step ``s`` at bit ``s * bits``, the sign bit on top.

    By search, each lane of each stage of ``threshold_search.sv`` has a memory of its own.
    """
    if op.compare is Compare.SEARCH:
        stages = range(op.thresholds.shape[1].bit_length())
        places = product(stages, range(folding.pe))
        return tuple(_slice(op, stage, lane, folding.pe, node=node) for stage, lane in places)
    channels, steps = op.thresholds.shape
    bits, signs = op.threshold_type.bits, int(op.signs_stored)
    channel = np.arange(channels, dtype=np.int32)[:, None]
    step = np.repeat(np.arange(steps, dtype=np.int32), bits)
    element = np.concatenate([channel * steps + step, *([channel] * signs)], axis=1)
    bit = np.concatenate([np.tile(np.arange(bits), steps), np.zeros(signs)]).astype(np.int8)
    kind = np.concatenate([np.zeros(steps * bits), np.ones(signs)]).astype(np.int8)
    names = ("thresholds", "sign")[: 1 + signs]
    shapes = (op.thresholds.shape, op.sign.shape)[: 1 + signs]
    name, words = f"{node}.thresholds", channels // folding.pe
    bit, kind = (np.broadcast_to(a, element.shape).reshape(words, -1) for a in (bit, kind))
    return (MemoryLayout(name, node, names, shapes, kind, element.reshape(words, -1), bit),)


def _slice(op: Threshold, stage: int, lane: int, lanes: int, *, node: str) -> MemoryLayout:
    """Word ``fold * 2**stage + j``: the threshold that the stage probes after the decisions ``j``.

    A place whose threshold would lie behind the last one is padding. Stage 0 has the sign on top.
    """
    channels, steps = op.thresholds.shape
    below = 1 << (steps.bit_length() - 1 - stage)  # steps between two decisions' thresholds
    step = (2 * np.arange(1 << stage) + 1) * below - 1
    channel = np.arange(lane, channels, lanes)[:, None]
    inside = np.broadcast_to(step < steps, (len(channel), len(step))).reshape(-1, 1)
    bits = op.threshold_type.bits
    element = np.where(inside, (channel * steps + step).reshape(-1, 1), 0)
    element, parameter = (
        np.repeat(column, bits, axis=1) for column in (element, np.where(inside, 0, PADDING))
    )
    bit = np.where(inside, np.arange(bits), 0)
    signs = int(op.signs_stored and stage == 0)
    names = ("thresholds", "sign")[: 1 + signs]
    shapes = (op.thresholds.shape, op.sign.shape)[: 1 + signs]
    if signs:
        element, parameter, bit = (
            np.concatenate([array, np.broadcast_to(top, channel.shape)], axis=1)
            for array, top in ((element, channel), (parameter, 1), (bit, 0))
        )
    name = f"{node}.thresholds_{stage:02}_{lane:04}"
    narrow = (parameter.astype(np.int8), element.astype(np.int32), bit.astype(np.int8))
    return MemoryLayout(name, node, names, shapes, *narrow)


def with_parity(layout: MemoryLayout) -> MemoryLayout:
    """The same memory with a parity bit on top of each word."""
    more = np.zeros((layout.words, 1), dtype=np.int8)
    return replace(
        layout,
        parameter=np.concatenate([layout.parameter, more + np.int8(PARITY)], axis=1),
        element=np.concatenate([layout.element, more.astype(np.int32)], axis=1),
        bit=np.concatenate([layout.bit, more], axis=1),
    )


def graph_layouts(
    graph: Graph, folding: Mapping[str, Folding], *, parity: bool = False
) -> tuple[MemoryLayout, ...]:
    """Every memory in the order of the units, which is also that of the configuration bus."""
    layouts: list[MemoryLayout] = []
    for unit in dataflow(graph, folding).units:
        if unit.node is not None and unit.node.op.stored:
            simd = 1 if unit.module == "depthwise" else unit.sources[0].lanes
            lanes = Folding(unit.sinks[0].lanes, simd)
            layouts += memory_layouts(unit.node.op, lanes, node=unit.node.name)
    return tuple(map(with_parity, layouts) if parity else layouts)


def image_bits(op: Op, layout: MemoryLayout) -> NDArray[np.uint8]:
    """The stored bits, shape (words, bits); padding is 0, parity that of the other bits."""
    bits = np.zeros(layout.parameter.shape, dtype=np.uint8)
    for index, name in enumerate(layout.parameters):
        codes = op.stored[name].encode(getattr(op, name)).ravel()
        here = layout.parameter == index
        bits[here] = (codes[layout.element[here]] >> layout.bit[here]) & 1
    ones = np.broadcast_to(bits.sum(axis=1, keepdims=True) & 1, bits.shape)
    return np.where(layout.parameter == PARITY, ones, bits).astype(np.uint8)


def image_text(bits: NDArray[np.uint8]) -> str:
    """``$readmemh`` text, one word a line, from bits of shape (words, bits), bit 0 first."""
    digits = -(-bits.shape[1] // 4)
    packed = np.packbits(bits, axis=1, bitorder="little")[:, ::-1]
    return "".join(f"{word.tobytes().hex()[-digits:]}\n" for word in packed)


def read_image(text: str) -> list[int]:
    """The words of ``$readmemh`` text written by :func:`image_text`."""
    return [int(line, 16) for line in text.split()]


def pack(lanes: Iterable[int], bits: int) -> int:
    """Place ``lanes`` side by side, lane 0 in the low bits, two's complement."""
    return sum((int(v) & ((1 << bits) - 1)) << (i * bits) for i, v in enumerate(lanes))


def code_bits(codes: Array, bits: int) -> NDArray[np.uint8]:
    """Codes of shape (words, lanes) as word bits of shape (words, lanes * bits), lane 0 first."""
    spread = (codes[..., None] >> np.arange(bits)) & 1
    return spread.astype(np.uint8).reshape(codes.shape[0], -1)
