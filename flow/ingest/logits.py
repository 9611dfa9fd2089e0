"""The file's logits as lines of the last integers, and whole numbers that compare as they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from math import isqrt, lcm

import numpy as np

from flow.errors import InputError
from flow.ingest.final import check_axis
from flow.ingest.reader import SourceNode
from flow.ingest.state import Real, State
from flow.ingest.steps import Affine as AffineStep
from flow.ingest.steps import Normalise, Step, at
from flow.ingest.surd import Surd, rational_root
from flow.ir import Affine
from flow.passes.common_scale import common_scale_add, edge_range
from flow.passes.order import Line, Side, least_lead, ties

_FIRST_BITS = 64  # after the point, of the first stand-in for a root; doubled until it will do

SurdLine = tuple[Surd, Surd]  # scale and offset


@dataclass(frozen=True, slots=True)
class Logits:
    """The file's logits, tensor ``tensor``: class c is ``affine[c]`` of the integers on ``edge``
    (of products, where the graph counts), and ``steps`` are how the file computes it.

    ``exact`` unless the file has square roots; ``affine`` then has rationals in their place under
    which the logits compare, ties included, as the file's do for every value the edge can carry.
    ArgMax reads ``compared``: ``edge`` itself, or an Add on it of whole numbers of that order.
    """

    tensor: str
    edge: str
    steps: tuple[Step, ...]
    affine: tuple[Affine, ...]
    exact: bool
    compared: str


def read_logits(state: State, final: str, dropped: tuple[SourceNode, ...]) -> Logits:
    """What tensor ``final`` is; adds to the graph what brings its classes to one scale.

    Raises:
        InputError: it is no tensor of logits, or needs more than 63 bits; the line names the node.
    """
    real = state.tensors.get(final)
    last = next((node for node in state.source.nodes if final in node.outputs), None)
    if last is None or not isinstance(real, Real) or not state.nodes:
        raise InputError(f"{state.source.path}: output {final!r} is no result of a layer")
    for node in dropped:
        check_axis(node, real.view.ndim + 1)
    real = _one_each(state, last, real)
    state.origin[real.edge] = final
    classes = state.edges[real.edge].elements
    lines = [_line(last, real, c) for c in range(classes)]
    low, high = edge_range(state.graph("logits", real.edge), real.edge)
    scales, exact = rational_lines(lines, low, high)
    affine = tuple(Affine(*scale) for scale in scales)
    _, whole = whole_lines(scales)
    compared = real.edge
    if len(set(whole)) > 1 or whole[0][0] <= 0:
        try:
            add = common_scale_add(whole, low, high)
        except ValueError as error:
            raise last.refuse(f"{error}; use one weight scale in the last layer") from None
        compared = state.add("logits", add, (real.edge,), source=last)
    return Logits(final, real.edge, real.steps, affine, exact, compared)


def _one_each(state: State, last: SourceNode, real: Real) -> Real:
    """The logits on an edge that is a vector, one element per class in order."""
    shape = real.view.shape
    if not shape or max(shape) != real.view.size:
        raise last.refuse(f"logits of shape {shape}; end in one logit per class")
    if (np.diff(real.view.ravel()) != 1).any():
        raise last.refuse("the logits are a flattened image; end in a dense layer or a global pool")
    if real.view.size == 1:  # whose largest is always itself: every claim about it would hold
        raise last.refuse("one logit, so nothing to choose from; end in a logit per class")
    return state.vector(last, real)


def _line(last: SourceNode, real: Real, channel: int) -> SurdLine:
    """Scale and offset of one class, exactly."""
    scale, offset = Surd.of(1), Surd.of(0)
    for step in real.steps:
        match step:
            case AffineStep():
                factor = at(step.scale, channel)
                scale, offset = scale.times(factor), offset.times(factor)
                offset = offset + Surd.of(at(step.offset, channel))
            case Normalise():
                variance = at(step.variance, channel)
                factor = at(step.gamma, channel) / variance
                centred = offset - Surd.of(at(step.mean, channel))
                scale = scale.times(factor).times_root(variance)
                offset = centred.times(factor).times_root(variance)
                offset = offset + Surd.of(at(step.beta, channel))
            case _:
                raise last.refuse("the logits end in an activation; end in a layer")
    return scale, offset


def rational_lines(
    lines: Sequence[SurdLine], low: int, high: int
) -> tuple[list[tuple[Fraction, Fraction]], bool]:
    """The lines themselves where they are rational, and True; else rational lines that compare as
    they do over ``low .. high``, ties included, and False.

    Roots that are independent over the rationals get one rational each, so that all that ties in
    the roots ties in the rationals. Whatever else differs, differs by more than the error of the
    rationals from some precision on; that it does is checked, pair by pair, at the smallest
    difference there is.
    """
    basis = _basis([Fraction(1), *(r for line in lines for part in line for r, _ in part.terms)])
    parts = [(_over(basis, scale), _over(basis, offset)) for scale, offset in lines]
    reach = max(abs(low), abs(high))
    bits = _FIRST_BITS
    while True:
        unit = Fraction(1, 1 << bits)
        root = {r: unit * isqrt((r.numerator << 2 * bits) // r.denominator) for r in basis}
        found = [(_sum(scale, root), _sum(offset, root)) for scale, offset in parts]
        if len(basis) == 1:
            return found, True
        common, whole = whole_lines(found)
        errors = [
            common * unit * (reach * sum(map(abs, scale.values())) + sum(map(abs, offset.values())))
            for scale, offset in parts
        ]
        if _compare_alike(lines, whole, errors, low, high):
            return found, False
        bits *= 2


def whole_lines(lines: Sequence[tuple[Fraction, Fraction]]) -> tuple[int, list[Line]]:
    """A positive number, and the lines times it, which are whole."""
    common = lcm(*(part.denominator for line in lines for part in line))
    return common, [(int(scale * common), int(offset * common)) for scale, offset in lines]


def _sum(parts: dict[Fraction, Fraction], values: dict[Fraction, Fraction]) -> Fraction:
    return sum((factor * values[root] for root, factor in parts.items()), Fraction(0))


def _basis(roots: Sequence[Fraction]) -> list[Fraction]:
    """One radicand for all whose roots are rational multiples of each other."""
    basis: list[Fraction] = []
    for root in dict.fromkeys(roots):
        if all(rational_root(root / known) is None for known in basis):
            basis.append(root)
    return basis


def _over(basis: Sequence[Fraction], number: Surd) -> dict[Fraction, Fraction]:
    """The number as coefficients of the roots of the basis."""
    total: dict[Fraction, Fraction] = {}
    for root, coefficient in number.terms:
        for known in basis:
            ratio = rational_root(root / known)
            if ratio is not None:
                total[known] = total.get(known, Fraction(0)) + coefficient * ratio
                break
    return total


def _compare_alike(
    lines: Sequence[SurdLine],
    whole: Sequence[Line],
    errors: Sequence[Fraction],
    low: int,
    high: int,
) -> bool:
    """Whether ``lines`` compare as the ``whole`` ones do, which are off by less than ``errors``."""
    for (scale, _), (other, _) in zip(lines, whole, strict=True):
        if scale.sign() != (other > 0) - (other < 0):
            return False
    for i, j in combinations(range(len(lines)), 2):
        one, other_side = (Side.of(whole[k][0], whole[k][0], low, high) for k in (i, j))
        gap, error = whole[i][1] - whole[j][1], errors[i] + errors[j]
        leads = least_lead(one, other_side, gap), least_lead(other_side, one, -gap)
        for lead, more in zip(leads, (gap, -gap), strict=True):
            if lead is not None and lead + more <= error:
                return False
        # a form that is 0 at the ends of a row of points is 0 along it
        for a, b in ties(one, other_side, gap):
            ends = [_at(lines[i], whole[i], a), _at(lines[j], whole[j], b)]
            if (ends[0] - ends[1]).sign() != 0:
                return False
    return True


def _at(line: SurdLine, whole: Line, place: int) -> Surd:
    """The line at a place of the Side that ``whole`` makes."""
    turned = -place if whole[0] < 0 else place
    return line[0].times(Fraction(turned)) + line[1]
