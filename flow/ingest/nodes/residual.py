"""The sum of two tensors of integers, on the coarsest grid that holds both exactly."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from flow.ingest.nodes.grid import grid
from flow.ingest.nodes.levels import settled
from flow.ingest.reader import SourceNode
from flow.ingest.state import Real, State, Tensor
from flow.ingest.steps import Affine, at
from flow.ir import IntType, integers
from flow.ops import Add


def residual(state: State, node: SourceNode) -> Tensor:
    """``scale_a * a + scale_b * b`` as ``grid * (m_a * a + m_b * b)`` with whole multipliers;
    of a difference the second scale is negative.

    Any two float scales have a rational quotient, so that such a grid exists; where their
    quotient is no small fraction the multipliers, and so the sum, are wide. A term may be the
    accumulator of a layer or another sum: its register's every value is in the range of this one.
    """
    pair = first, second = settled(state, node, 0), settled(state, node, 1)
    if node.op == "Sub":
        pair = first, second = first, second.then(Affine((Fraction(-1),)))
    affines = [_affine(state, node, place, real) for place, real in enumerate(pair)]
    same = np.array_equal(first.view, second.view)
    if state.shape(first) == state.shape(second) and not same:
        raise node.refuse("adds a flattened image to what is none; flatten both or neither")
    size = max(len(affine.scale) for affine in affines)
    columns = [[at(affine.scale, c) for affine in affines] for c in range(size)]
    grids = tuple(map(grid, columns))
    multipliers = [
        [int(at(affine.scale, c) / grid) for c, grid in enumerate(grids)] for affine in affines
    ]
    offsets = max(len(affine.offset) for affine in affines)
    offset = tuple(sum((at(a.offset, c) for a in affines), Fraction(0)) for c in range(offsets))
    kinds = [state.edges[real.edge].type for real in pair]
    ends = [  # per channel, of each product of a multiplier and a value
        [sorted((m * kind.lo, m * kind.hi)) for m, kind in zip(column, kinds, strict=True)]
        for column in zip(*multipliers, strict=True)
    ]
    low = min(sum(term[0] for term in terms) for terms in ends)
    high = max(sum(term[1] for term in terms) for terms in ends)
    op = Add(integers(multipliers), integers([0]), IntType.holding(low, high))
    output = state.add("add", op, (first.edge, second.edge), source=node)
    return Real(output, (Affine(grids, offset),), first.view)


def _affine(state: State, node: SourceNode, place: int, real: Real) -> Affine:
    affine = real.affine
    if state.is_input(real) or affine is None:
        raise node.refuse(
            f"adds {node.inputs[place]!r}, which is not quantized; add a QuantIdentity in front"
        )
    if 0 in affine.scale:
        raise node.refuse(f"adds {node.inputs[place]!r}, which has a scale of 0")
    return affine
