"""Steps that are applied element by element with constants: scaling, biases, BatchNormalization."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from flow.ingest.nodes.registry import reads
from flow.ingest.nodes.residual import residual
from flow.ingest.reader import Constant, SourceNode
from flow.ingest.state import Real, State, Tensor
from flow.ingest.steps import Affine, Normalise


@reads("Mul", "Div", "Add", "Sub", inputs=2)
def elementwise(state: State, node: SourceNode) -> Tensor:
    """A tensor and a constant, one value or one per channel; or the sum or difference of two."""
    first, second = (state.tensors[name] for name in node.inputs[:2])
    if node.op in ("Add", "Sub") and isinstance(first, Real) and isinstance(second, Real):
        return residual(state, node)
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return _folded(node, first, second)
    if isinstance(first, Real) == isinstance(second, Real):
        raise node.refuse("needs one tensor and one constant")
    reverse = isinstance(second, Real)
    real = state.real(node, int(reverse))
    values = state.per_channel(node, int(not reverse), real)
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


def _folded(node: SourceNode, first: Constant, second: Constant) -> Constant:
    """Of two constants, rounded once as the file's own type has it."""
    if first.dtype != np.float32 or second.dtype != np.float32:
        raise node.refuse("of two constants that are not float32; fold it at export")
    compute = {"Mul": np.multiply, "Div": np.divide, "Add": np.add, "Sub": np.subtract}
    with np.errstate(all="ignore"):
        result = np.asarray(compute[node.op](first, second))  # numpy makes numbers of no axes
    if not np.isfinite(result).all():
        raise node.refuse("makes NaN or infinity of constants; train again")
    return result


@reads("BatchNormalization", inputs=5)
def batch_normalization(state: State, node: SourceNode) -> Tensor:
    """Inference form: gamma, beta, mean and variance are constants; epsilon is the node's own."""
    if node.integer("training_mode", 0):
        raise node.refuse("is in training mode; export the network in evaluation mode")
    real = state.real(node)
    gamma, beta, mean, variance = (
        state.per_channel(node, i, real, first=True) for i in range(1, 5)
    )
    epsilon = node.number("epsilon", 1e-5)
    spread = tuple(v + epsilon for v in variance)
    if min(spread) <= 0:
        raise node.refuse("a variance of 0 or below and no epsilon; train again")
    return real.then(Normalise(gamma, beta, mean, spread))


@reads("Identity", "Dropout", inputs=1)
def identity(state: State, node: SourceNode) -> Tensor:
    """Nothing happens at inference."""
    return state.tensors[node.inputs[0]]
