"""Activation functions in front of a quantizer."""

from __future__ import annotations

from fractions import Fraction

from flow.ingest.nodes.registry import reads
from flow.ingest.reader import SourceNode
from flow.ingest.state import State, Tensor, fractions
from flow.ingest.steps import Clip, Leaky


@reads("Relu")
def relu(state: State, node: SourceNode) -> Tensor:
    """``max(x, 0)``."""
    return state.real(node).then(Clip(Fraction(0), None))


@reads("Clip")
def clip(state: State, node: SourceNode) -> Tensor:
    """HardTanh and ReLU6: limits as constants, either may be absent."""
    limits = []
    for place in (1, 2):
        name = node.inputs[place] if len(node.inputs) > place else ""
        limits.append(fractions(state.constant(node, place))[0] if name else None)
    return state.real(node).then(Clip(limits[0], limits[1]))


@reads("LeakyRelu")
def leaky_relu(state: State, node: SourceNode) -> Tensor:
    """``alpha * x`` below 0; monotone only for an alpha of at least 0."""
    slope = Fraction(float(node.attributes.get("alpha", 0.01)))
    if slope < 0:
        raise node.refuse(f"alpha {float(slope)} is negative, so the step is not monotone")
    return state.real(node).then(Leaky(slope))
