"""Whether float32 rounding alone can explain an element that a float engine decided otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import singledispatch
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from flow.ingest.decision import Decision, WeightDecision
from flow.ingest.logits import Logits
from flow.ingest.rounding import reaches, round_exactly
from flow.ingest.steps import Affine, Clip, Leaky, Normalise, Rounded, Stair, Step, at
from flow.ir import Array, Graph, Op
from flow.ops import Add, Concat, MatVec, Reshape, SumPool
from flow.ops.window import slide

UNIT = Fraction(1, 1 << 23)  # twice the unit roundoff of float32: room for fused and ordered sums
Ranged = tuple[Fraction, Fraction]  # a value and how far off float32 may have it


def is_excused(
    graph: Graph,
    decision: Decision,
    values: Mapping[str, Array],
    place: tuple[int, ...],
    found: float,
) -> bool:
    """Whether the chain, evaluated exactly, gives the graph's code, and its value lies within
    float32's error of every decision point up to the code that the float engine found.

    Args:
        values: the graph's integers on every edge; ``place`` indexes them: image first.
        found: what the float engine made of the element.
    """
    channel, quantizer = place[-1], decision.quantizer
    whole = int(file_integers(graph, decision.source, values)[place])
    ours = int(decision.codes(file_integers(graph, decision.output, values))[place])
    other = decision.code_of(found, channel)
    if other is None or other == ours or decision.code(whole, channel) != ours:
        return False
    value = Fraction(whole)
    error = sum_error(graph, decision.source, values, place)
    for step in decision.steps:
        value, error = float_step(step, value, error, channel)
    zero = Fraction(0) if quantizer.bipolar else at(quantizer.zero_point, channel)
    reach = abs(value) + abs(zero * at(quantizer.scale, channel))
    error += 4 * UNIT * reach  # of the quantizer's own division and addition
    return all(
        abs(value - sum(c for r, c in quantizer.bound(code, channel).at.terms if r == 1)) <= error
        for code in range(min(ours, other) + 1, max(ours, other) + 1)
    )


def is_excused_weight(decision: WeightDecision, place: tuple[int, ...], found: float) -> bool:
    """The same for a constant: its exact quotient rounds to our code and lies within the error of
    the point between that and the neighbouring code that the float engine found."""
    q, shape = decision.quantizer, decision.values.shape
    scale, zero = (
        Fraction(np.broadcast_to(a, shape)[place].item()) for a in (decision.scale, decision.zero)
    )
    ours = int(decision.codes[place])
    if q.bipolar or np.float32(found) not in _neighbours(decision, place):
        return False
    quotient = Fraction(decision.values[place].item()) / scale
    exact = min(max(round_exactly(quotient + zero, q.rounding), q.low), q.high)
    upper = ours + 1 if found > float(decision.meaning()[place]) else ours
    point, _ = reaches(upper, q.rounding)
    error = 4 * UNIT * (abs(quotient) + abs(zero))
    return exact == ours and abs(quotient + zero - point) <= error


def _neighbours(decision: WeightDecision, place: tuple[int, ...]) -> NDArray[np.float32]:
    q = decision.quantizer
    shape = decision.values.shape
    scale, zero = (
        np.broadcast_to(a, shape)[place].astype(np.float32) for a in (decision.scale, decision.zero)
    )
    near = [int(decision.codes[place]) + step for step in (-1, 1)]
    codes = np.array([code for code in near if q.low <= code <= q.high], dtype=np.float32)
    neighbours: NDArray[np.float32] = (codes - zero) * scale
    return neighbours


def file_integers(graph: Graph, edge: str, values: Mapping[str, Array]) -> Array:
    """The integers that the file's own tensor has where the graph has ``values[edge]``: a count of
    agreeing positions stands for a product of -1 and +1."""
    op = _producer(graph, edge)
    found = values[edge]
    return 2 * found - op.weights.shape[1] if op is not None and op.popcount else found


def sum_error(
    graph: Graph, edge: str, values: Mapping[str, Array], place: tuple[int, ...]
) -> Fraction:
    """How far off a float32 sum of terms may be, in units of the integers; 0 where none is."""
    node = graph.producer(edge)
    if node is None:
        return Fraction(0)
    if isinstance(node.op, Reshape):
        element = np.ravel_multi_index(place[1:], node.op.shape)
        inner = map(int, np.unravel_index(element, graph.edge(node.inputs[0]).shape))
        return sum_error(graph, node.inputs[0], values, (place[0], *inner))
    if isinstance(node.op, Concat):
        channel = place[-1]
        for name in node.inputs:
            if channel < graph.edge(name).shape[-1]:
                return sum_error(graph, name, values, (*place[:-1], channel))
            channel -= graph.edge(name).shape[-1]
    sample = [values[name][place[0]] for name in node.inputs]
    magnitude, terms = float_terms(node.op, sample, place[1:])
    error = magnitude * terms * UNIT
    if isinstance(node.op, Add):  # its terms may be sums themselves
        column = place[-1] if node.op.multipliers.shape[1] > 1 else 0
        factors = node.op.multipliers[:, column].tolist()
        for name, factor in zip(node.inputs, factors, strict=True):
            error += abs(factor) * sum_error(graph, name, values, place)
    return error


@singledispatch
def float_terms(op: Op, sample: Sequence[Array], place: tuple[int, ...]) -> tuple[int, int]:
    """What a float engine sums where ``op`` has its element ``place`` of one sample: the sum of
    magnitudes, and how many roundings; 0 for an op that sums nothing."""
    return 0, 0


@float_terms.register
def _(op: MatVec, sample: Sequence[Array], place: tuple[int, ...]) -> tuple[int, int]:
    rows, columns = op.weights.shape
    group = place[-1] // (rows // op.groups)
    seen = sample[0][place[:-1]].reshape(op.positions, op.groups, -1)[:, group].ravel()
    return int(abs(op.read[place[-1]]) @ abs(seen)), columns + 2  # of the factors and products too


@float_terms.register
def _(op: SumPool, sample: Sequence[Array], place: tuple[int, ...]) -> tuple[int, int]:
    window = slide(abs(sample[0])[None], op.kernel, op.stride, (1, 1))[0]
    seen = window[place[0], place[1], :, :, place[2]]
    return int(seen.sum()), seen.size + 3  # and of the division


@float_terms.register
def _(op: Add, sample: Sequence[Array], place: tuple[int, ...]) -> tuple[int, int]:
    columns = op.multipliers[:, place[-1] if op.multipliers.shape[1] > 1 else 0]
    return sum(abs(int(m) * int(x[place])) for m, x in zip(columns, sample, strict=True)), 4


def logit_error(
    graph: Graph, logits: Logits, values: Mapping[str, Array], place: tuple[int, ...]
) -> Fraction:
    """How far off float32 may have a logit of the file."""
    value = Fraction(int(file_integers(graph, logits.edge, values)[place]))
    error = sum_error(graph, logits.edge, values, place)
    for step in logits.steps:
        value, error = float_step(step, value, error, place[-1])
    return error


def _producer(graph: Graph, edge: str) -> MatVec | None:
    node = graph.producer(edge)
    return node.op if node is not None and isinstance(node.op, MatVec) else None


@singledispatch
def float_step(step: Step, value: Fraction, error: Fraction, channel: int) -> Ranged:
    """The exact value after ``step`` (roots to 2^-80), and its error in float32."""
    raise TypeError(f"no error bound for {type(step).__name__}; register one in {__name__}")


@float_step.register
def _(step: Affine, value: Fraction, error: Fraction, channel: int) -> Ranged:
    scale, offset = at(step.scale, channel), at(step.offset, channel)
    size = abs(scale * value) + abs(offset)
    return scale * value + offset, abs(scale) * error + 3 * UNIT * size


@float_step.register
def _(step: Normalise, value: Fraction, error: Fraction, channel: int) -> Ranged:
    variance, mean = at(step.variance, channel), at(step.mean, channel)
    root = Fraction(isqrt((variance.numerator << 160) // variance.denominator), 1 << 80)
    slope = at(step.gamma, channel) / root
    beta = at(step.beta, channel)
    size = abs(slope) * (abs(value) + abs(mean)) + abs(beta)
    return slope * (value - mean) + beta, abs(slope) * error + 6 * UNIT * size


@float_step.register
def _(step: Clip, value: Fraction, error: Fraction, channel: int) -> Ranged:
    if step.low is not None:
        value = max(value, step.low)
    return (value if step.high is None else min(value, step.high)), error


@float_step.register
def _(step: Leaky, value: Fraction, error: Fraction, channel: int) -> Ranged:
    steepest = max(step.slope, Fraction(1))
    return (value if value >= 0 else step.slope * value), 2 * steepest * error


@float_step.register
def _(step: Stair, value: Fraction, error: Fraction, channel: int) -> Ranged:
    level = step.base + sum(value > 0 or (value == 0 and not strict) for strict in step.strict)
    return Fraction(level), Fraction(len(step.strict) if abs(value) <= error else 0)


@float_step.register
def _(step: Rounded, value: Fraction, error: Fraction, channel: int) -> Ranged:
    whole = round_exactly(value, step.rounding)
    ends = [round_exactly(value + side, step.rounding) for side in (-error, error)]
    return Fraction(whole), Fraction(max(abs(end - whole) for end in ends))
