"""Activation functions in front of a quantizer."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from flow.ingest.nodes.qcdq import clip_codes
from flow.ingest.nodes.registry import reads
from flow.ingest.reader import SourceNode
from flow.ingest.state import Codes, State, Tensor, fractions
from flow.ingest.steps import Clip, Leaky


@reads("Relu", inputs=1)
def relu(state: State, node: SourceNode) -> Tensor:
    """``max(x, 0)``."""
    return state.real(node).then(Clip(Fraction(0), None))


@reads("Clip", inputs=1)
def clip(state: State, node: SourceNode) -> Tensor:
    """HardTanh and ReLU6: constant limits, either may be absent; attributes before opset 11.
    Of integers: see ``clip_codes``."""
    tensor = state.tensors[node.inputs[0]]
    if isinstance(tensor, Codes | np.ndarray):
        return clip_codes(state, node, tensor)
    limits = []
    for place, attribute in ((1, "min"), (2, "max")):
        limit = None
        if len(node.inputs) > place and node.inputs[place]:
            values = state.constant(node, place)
            if values.size != 1:
                raise node.refuse(f"limits of shape {values.shape}; use one value")
            limit = fractions(values)[0]
        elif attribute in node.attributes:
            limit = node.number(attribute, 0.0)
        limits.append(limit)
    return state.real(node).then(Clip(limits[0], limits[1]))


@reads("LeakyRelu", inputs=1)
def leaky_relu(state: State, node: SourceNode) -> Tensor:
    """``alpha * x`` below 0; monotone only for an alpha of at least 0."""
    slope = node.number("alpha", 0.01)
    if slope < 0:
        raise node.refuse(f"alpha {float(slope)} is negative, so the step is not monotone")
    return state.real(node).then(Leaky(slope))
