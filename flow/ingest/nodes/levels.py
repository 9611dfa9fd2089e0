"""Comparisons and signs become thresholds where a layer or a pool wants integers."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from flow.ingest.invert import invert
from flow.ingest.nodes.quant import apply_quantizer, span
from flow.ingest.quantizer import Quantizer
from flow.ingest.reader import SourceNode
from flow.ingest.state import Real, State
from flow.ingest.steps import Stair, Step, forward
from flow.ingest.surd import Surd


def settled(state: State, node: SourceNode, place: int = 0) -> Real:
    """The data at an input of ``node``; where a comparison or a sign made it, its few values are
    quantized first: two of equal size as -1 and +1, others as whole steps of their distance."""
    real = state.real(node, place)
    if not any(isinstance(step, Stair) for step in real.steps):
        return real
    quantizer = _quantizer(state, node, real)
    done = apply_quantizer(state, node, real, quantizer, tensor=node.inputs[place])
    state.tensors[node.inputs[place]] = done
    return done


def reachable(node: SourceNode, steps: tuple[Step, ...], channel: int) -> list[Fraction]:
    """The values that ``steps`` can end in, ascending: one of them is a stair."""
    first = next(i for i, step in enumerate(steps) if isinstance(step, Stair))
    stair = steps[first]
    assert isinstance(stair, Stair)
    values = {Surd.of(level) for level in stair.levels}
    for step in steps[first + 1 :]:
        values = {forward(step, value, channel) for value in values}
    if any(radicand != 1 for value in values for radicand, _ in value.terms):
        raise node.refuse("its input is a sign that was normalised; normalise in front of the sign")
    return sorted(sum((c for _, c in value.terms), Fraction(0)) for value in values)


def _quantizer(state: State, node: SourceNode, real: Real) -> Quantizer:
    shape = state.shape(real)
    channels = shape[-1] if shape else 1
    values = reachable(node, real.steps, 0)
    if any(reachable(node, real.steps, c) != values for c in range(1, channels)):
        raise node.refuse("its input has other values in each channel; use one scale for all")
    if len(values) == 1:
        raise node.refuse(f"its input is always {float(values[0]):g}; remove the layer")
    step = values[1] - values[0]
    if any(b - a != step for a, b in pairwise(values)):
        raise node.refuse(f"values {[*map(float, values)]} lie unevenly; use even levels")
    if len(values) == 2 and values[0] == -values[1]:
        return _bipolar(values[1])
    ratio = values[0] / step
    low = int(ratio) if ratio.denominator == 1 else 0
    table = (tuple(values[1:]),)
    q = Quantizer((step,), (low - ratio,), low, low + len(values) - 1, table=table)
    return _bipolar(step) if _never_zero(state, real, q, values) else q


def _bipolar(scale: Fraction) -> Quantizer:
    return Quantizer((scale,), (Fraction(0),), 0, 1, bipolar=True)


def _never_zero(state: State, real: Real, q: Quantizer, values: list[Fraction]) -> bool:
    """Whether no integer at all gives the 0 of -1, 0 and +1."""
    if len(values) != 3 or values[1] or state.is_input(real):
        return False
    low, high = span(state, real.edge)
    thresholds, _ = invert(real.steps, q, channels=state.shape(real)[-1], low=low, high=high)
    return bool((thresholds[:, 0] == thresholds[:, 1]).all())
