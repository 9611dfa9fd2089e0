"""One integer grid for channels of different scales: a scale cannot leave a sum over channels."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import gcd, lcm

from flow.ingest.reader import SourceNode
from flow.ingest.state import Real, State
from flow.ingest.steps import Affine, at
from flow.ir import IntType, integers
from flow.ops import Add

_WIDEST = 32  # bits of an integer on the common grid


def on_one_grid(state: State, node: SourceNode, real: Real) -> Real:
    """The same values with one scale and no offset, channels multiplied by whole numbers; ``real``
    itself where it has one scale and one offset already.

    Float scales always have a common grid; where it takes too many bits the node is refused.
    """
    affine = real.affine
    assert affine is not None
    size = max(len(affine.scale), len(affine.offset))
    columns = [(at(affine.scale, c), at(affine.offset, c)) for c in range(size)]
    if len(set(columns)) == 1:
        return real
    step = grid([number for column in columns for number in column])
    factors = [int(scale / step) for scale, _ in columns]
    shifts = [int(offset / step) for _, offset in columns]
    kind = state.edges[real.edge].type
    ends = [m * end + o for m, o in zip(factors, shifts, strict=True) for end in (kind.lo, kind.hi)]
    bits = max(max(ends).bit_length(), (-min(ends)).bit_length()) + 1
    if bits > _WIDEST:
        raise node.refuse(
            f"its input has a scale per channel, on a common grid of {bits} bits; "
            "use one scale for the tensor"
        )
    op = Add(integers([factors]), integers(shifts), IntType.holding(min(ends), max(ends)))
    edge = state.add("add", op, (real.edge,), source=node)
    return replace(real, edge=edge, steps=(Affine((step,)),))


def grid(numbers: list[Fraction]) -> Fraction:
    """The largest positive number of which all are whole multiples; not all may be 0."""
    whole = lcm(*(number.denominator for number in numbers))
    return Fraction(gcd(*(int(number * whole) for number in numbers)), whole)
