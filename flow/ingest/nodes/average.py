"""Averages over windows as exact sums, whatever of each window is padding."""

from __future__ import annotations

from fractions import Fraction
from math import lcm, prod

import numpy as np

from flow.ingest.nodes.convolution import Geometry, padded
from flow.ingest.nodes.image import Image
from flow.ingest.reader import SourceNode
from flow.ingest.state import Real, State
from flow.ingest.steps import Affine, at
from flow.ir import Array, IntType, integers
from flow.ops import Add, Reshape, SumPool


def average(
    state: State, node: SourceNode, image: Image, where: Geometry, *, padding: bool
) -> Real:
    """The average of every window; ``padding``: the margins count, as zeros, in its divisor.

    Where all windows see as many elements the divisor joins the chain. Where they do not, each
    place is multiplied by its share of a common divisor: ``sum / 2`` and ``sum / 4`` become
    ``2 * sum`` and ``sum``, both over 4. What the windows overhang never counts.
    """
    real, kind = image.real, state.edges[image.real.edge].type
    affine, taps = real.affine, prod(where.kernel)
    assert affine is not None
    seen = _windows(image, where, margins=False)
    divisors = _windows(image, where, margins=True) if padding else seen
    if not seen.all():
        raise node.refuse("a window holds nothing but padding; pad less")
    zero = _zero(node, affine) if padding and any(where.margins) else None
    fill = zero if zero is not None and kind.lo <= zero <= kind.hi else kind.lo
    if kind.bipolar:
        fill = -1
    edge = padded(state, node, real.edge, where.padding, value=Fraction(fill))
    op = SumPool(where.kernel, where.stride, IntType.holding(taps * kind.lo, taps * kind.hi))
    edge = state.add("sumpool", op, (edge,), source=node)
    common = lcm(*divisors.ravel().tolist())
    shares = common // divisors
    # of the sum without the padding; and of the zeros that count where a zero point is on the grid
    shifts = -shares * ((taps - seen) * fill + (0 if zero is None else seen * zero))
    # the offset of each value is in the mean once: scale * sum / count + offset
    offset = affine.offset if zero is None else (Fraction(0),)
    mean = Affine(tuple(scale / common for scale in affine.scale), offset)
    if shares.max() == 1 and shifts.min() == shifts.max():
        shift = Affine((Fraction(1),), (Fraction(int(shifts[0, 0])),))
        return image.result(state, edge, *([shift] if shifts[0, 0] else []), mean)
    edge = _weighted(state, node, edge, shares, shifts)
    return image.result(state, edge, mean)


def _zero(node: SourceNode, affine: Affine) -> int:
    """The integer that means 0, in every channel."""
    size = max(len(affine.scale), len(affine.offset))
    zeros = {-at(affine.offset, c) / at(affine.scale, c) for c in range(size)}
    zero = zeros.pop()
    if zeros or zero.denominator != 1:
        raise node.refuse(
            "averages padding whose 0 is no integer on its input's grid; use a whole zero point"
        )
    return int(zero)


def _windows(image: Image, where: Geometry, *, margins: bool) -> Array:
    """How many elements each window sees, (OH, OW): of the image, or of it and its margins."""
    counts = []
    for axis in (0, 1):
        size, kernel, stride = image.shape[axis], where.kernel[axis], where.stride[axis]
        before, after = where.margins[2 * axis : 2 * axis + 2]
        total = before + size + after + where.overhang[axis]
        starts = np.arange(0, total - kernel + 1, stride)
        low, high = (0, before + size + after) if margins else (before, before + size)
        counts.append(np.minimum(starts + kernel, high) - np.maximum(starts, low))
    seen: Array = np.multiply.outer(np.maximum(counts[0], 0), np.maximum(counts[1], 0))
    return seen


def _weighted(state: State, node: SourceNode, edge: str, shares: Array, offsets: Array) -> str:
    """``shares * x + offsets`` with one of each per place of an image."""
    shape, kind = state.edges[edge].shape, state.edges[edge].type
    factors, shifts = (np.repeat(a.ravel(), shape[-1]) for a in (shares, offsets))
    ends = [
        m * end + o
        for m, o in zip(shares.ravel().tolist(), offsets.ravel().tolist(), strict=True)
        for end in (kind.code_lo, kind.code_hi)
    ]
    op = Add(integers(factors[None]), integers(shifts), IntType.holding(min(ends), max(ends)))
    flat = state.add("flatten", Reshape((prod(shape),)), (edge,), source=node)
    scaled = state.add("add", op, (flat,), source=node)
    return state.add("reshape", Reshape(shape), (scaled,), source=node)
