"""Whether float32 rounding alone can explain an element that a float engine decided otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import singledispatch
from math import isqrt

from flow.ingest.decision import Decision
from flow.ingest.steps import Affine, Clip, Leaky, Normalise, Step, at
from flow.ir import Array, Graph
from flow.ops import MatVec

UNIT = Fraction(1, 1 << 23)  # twice the unit roundoff of float32: room for fused and ordered sums
Ranged = tuple[Fraction, Fraction]  # a value and how far off float32 may have it


def is_excused(
    graph: Graph,
    decision: Decision,
    values: Mapping[str, Array],
    place: tuple[int, ...],
    found: float,
) -> bool:
    """Whether the exact value lies within float32's error of every decision point in between.

    Args:
        values: the graph's integers on every edge; ``place`` indexes them: image first.
        found: what the float engine made of the element.
    """
    channel = place[-1]
    value, error = _sum_error(graph, decision, values, place)
    for step in decision.steps:
        value, error = float_step(step, value, error, channel)
    exact = int(decision.codes(values[decision.output])[place])
    other = decision.code_of(found, channel, values[decision.output].shape[-1])
    if other is None or other == exact:
        return False
    for code in range(min(exact, other) + 1, max(exact, other) + 1):
        bound = decision.quantizer.bound(code, channel)
        point = sum((c for r, c in bound.at.terms if r == 1), Fraction(0))
        if abs(value - point) > error + 4 * UNIT * (abs(value) + abs(point)):
            return False
    return True


def _sum_error(
    graph: Graph, decision: Decision, values: Mapping[str, Array], place: tuple[int, ...]
) -> Ranged:
    """The integer in front of the steps, and the error of a float32 sum of its products."""
    value = Fraction(int(values[decision.source][place]))
    producer = next((n for n in graph.nodes if n.output == decision.source), None)
    if producer is None or not isinstance(producer.op, MatVec):
        return value, Fraction(0)
    op = producer.op
    if op.popcount:  # the file's product is 2 * count - columns
        value = 2 * value - op.weights.shape[1]
    magnitude = int(abs(op.read[place[-1]]) @ abs(values[producer.inputs[0]][place[:-1]]))
    return value, magnitude * op.weights.shape[1] * UNIT


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
