"""Every bit of every element that passes through a graph: what a transient upset can invert.

An accumulator is a finished sum, before thresholds: of one row at one position of one image. A
stream element is an activation, or an element of the input. Nodes that only move elements (windows,
padding, reshapes, concatenations) have none of their own.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from math import prod

import numpy as np

from flow.certify.stored_bits import Block, StoredBits
from flow.errors import InputError
from flow.ir import Array, Graph
from flow.ops import Add, MatVec, MaxPool, SumPool, Threshold


class Target(StrEnum):
    """What kind of element is struck."""

    ACCUMULATOR = "accumulator"
    STREAM = "stream"


def element_bits(
    graph: Graph, target: Target | None = None, nodes: Collection[str] | None = None
) -> StoredBits:
    """The bits of all elements of one image, numbered as stored bits are: edge by edge in the order
    of computation, a block's node being the edge's maker (the input edge makes itself) and its
    parameter the ``Target``. Numbers do not depend on ``target`` and ``nodes``, which only leave
    others out.

    Raises:
        InputError: a node has the name of the input edge, so that its faults could not be named; or
            one of ``nodes`` makes nothing of that kind.
    """
    if any(node.name == graph.input for node in graph.nodes):
        raise InputError(f"node {graph.input!r}: has the name of the input edge; rename one")
    edges = graph.edges()
    makers = [(graph.input, Target.STREAM, edges[graph.input])]
    for node in graph.nodes:
        if isinstance(node.op, MatVec | Add | SumPool):
            makers.append((node.name, Target.ACCUMULATOR, edges[node.output]))
        elif isinstance(node.op, Threshold | MaxPool):
            makers.append((node.name, Target.STREAM, edges[node.output]))
    blocks, first = [], 0
    for name, what, edge in makers:
        block = Block(name, str(what), edge.shape, edge.type.bits, first)
        first += block.size
        if target in (None, what):
            blocks.append(block)
    known = [block.node for block in blocks]
    unknown = sorted(set(nodes or ()) - set(known))
    if unknown:
        raise InputError(
            f"faults.nodes: {unknown[0]!r} makes no {target or 'element'}; known are "
            f"{', '.join(known)}"
        )
    if nodes is not None:
        blocks = [block for block in blocks if block.node in nodes]
    return StoredBits(tuple(blocks))


def spread(bits: StoredBits, numbers: Array) -> Array:
    """The positions of the bits that are number ``numbers`` among ``bits``, gaps left out."""
    sizes = np.array([prod(block.shape) * block.bits for block in bits.blocks])
    ends = np.cumsum(sizes)
    which = np.searchsorted(ends, numbers, side="right")
    firsts = np.array([block.first for block in bits.blocks])
    return np.asarray(firsts[which] + numbers - (ends - sizes)[which])
