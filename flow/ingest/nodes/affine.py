"""Steps that are applied element by element with constants: scaling, biases, BatchNormalization."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from flow.ingest.nodes.registry import reads
from flow.ingest.reader import Constant, SourceNode
from flow.ingest.state import Real, State, Tensor, fractions
from flow.ingest.steps import Affine, Normalise


@reads("Mul", "Div", "Add", "Sub")
def elementwise(state: State, node: SourceNode) -> Tensor:
    """A tensor and a constant, one value or one per channel."""
    first, second = (state.tensors[name] for name in node.inputs)
    if isinstance(first, Real) == isinstance(second, Real):
        raise node.refuse("needs one tensor and one constant; adds of two tensors are not read yet")
    reverse = isinstance(second, Real)
    real = second if isinstance(second, Real) else first
    values = per_channel(
        state, node, state.constant(node, 0 if reverse else 1), state.real(node, int(reverse))
    )
    assert isinstance(real, Real)
    one, zero = Fraction(1), Fraction(0)
    match node.op:
        case "Mul":
            return real.then(Affine(values))
        case "Add":
            return real.then(Affine((one,), values))
        case "Sub":
            scale = (-one,) if reverse else (one,)
            return real.then(Affine(scale, values if reverse else tuple(-v for v in values)))
    if reverse or zero in values:
        raise node.refuse("division by a tensor or by 0 is no monotone step")
    return real.then(Affine(tuple(1 / v for v in values)))


@reads("BatchNormalization")
def batch_normalization(state: State, node: SourceNode) -> Tensor:
    """Inference form: gamma, beta, mean and variance are constants; epsilon is the node's own."""
    gamma, beta, mean, variance = (fractions(state.constant(node, i)) for i in range(1, 5))
    epsilon = Fraction(float(np.float32(node.attributes.get("epsilon", 1e-5))))
    spread = tuple(v + epsilon for v in variance)
    if min(spread) <= 0:
        raise node.refuse("a variance of 0 or below and no epsilon; train again")
    return state.real(node).then(Normalise(gamma, beta, mean, spread))


@reads("Identity", "Dropout")
def identity(state: State, node: SourceNode) -> Tensor:
    """Nothing happens at inference."""
    return state.tensors[node.inputs[0]]


def per_channel(
    state: State, node: SourceNode, values: Constant, real: Real
) -> tuple[Fraction, ...]:
    """A constant that broadcasts along the channels, as one value or one per channel."""
    shape = state.input_edge.shape if state.is_input(real) and state.input_edge else ()
    channels = state.edges[real.edge].shape[-1] if real.edge in state.edges else shape[-1:]
    if values.size == 1 or values.size == channels:
        return fractions(values)
    raise node.refuse(
        f"a constant of shape {values.shape} for {channels} channels; use one value, or one each"
    )
