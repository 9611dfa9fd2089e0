"""Signs and comparisons, as Keras and Larq write binarisation in plain ONNX. Exact at 0: Sign has
three values, and only what a file does to its 0 makes it two."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from onnx import TensorProto

from flow.ingest.nodes.levels import reachable
from flow.ingest.nodes.registry import reads
from flow.ingest.reader import Constant, SourceNode
from flow.ingest.state import Real, State, Tensor
from flow.ingest.steps import Affine, Stair

_ONE = Fraction(1)
_NOT = Affine((-_ONE,), (_ONE,))
_FLOATS: dict[int, type] = {TensorProto.FLOAT: np.float32, TensorProto.DOUBLE: np.float64}
_WHOLE: dict[int, type] = {
    TensorProto.INT8: np.int8,
    TensorProto.INT32: np.int32,
    TensorProto.INT64: np.int64,
    TensorProto.UINT8: np.uint8,
    TensorProto.BOOL: np.bool_,
}


@reads("Sign", inputs=1)
def sign(state: State, node: SourceNode) -> Tensor:
    """-1, 0 or +1."""
    tensor = state.tensors[node.inputs[0]]
    if isinstance(tensor, Real):
        return tensor.then(Stair(-1, closed=True, open=True))
    return np.sign(state.constant(node, 0))


@reads("Greater", "GreaterOrEqual", "Less", "LessOrEqual", inputs=2)
def compare(state: State, node: SourceNode) -> Tensor:
    """1 where it holds, else 0; of the data and a constant, either one first."""
    first, second = (state.tensors[name] for name in node.inputs[:2])
    if isinstance(first, Real) == isinstance(second, Real):
        raise node.refuse("compares other than one tensor with one constant")
    reverse = isinstance(second, Real)
    real = state.real(node, int(reverse))
    values = state.per_channel(node, int(not reverse), real)
    moved = real.then(Affine((_ONE,), tuple(-v for v in values)))
    above = node.op.startswith("Greater") != reverse  # data > constant, or data >= it
    holds_at_0 = node.op.endswith("OrEqual")
    strict = holds_at_0 != above
    stair = Stair(0, closed=not strict, open=strict)
    return moved.then(stair) if above else moved.then(stair).then(_NOT)


@reads("Not", inputs=1)
def negation(state: State, node: SourceNode) -> Tensor:
    """1 where a comparison gave 0."""
    real = state.real(node)
    _of_values(state, node, real, {0, 1})
    return real.then(_NOT)


@reads("Where", inputs=3)
def where(state: State, node: SourceNode) -> Tensor:
    """One constant where a comparison holds, another where not."""
    real = state.real(node)
    _of_values(state, node, real, {0, 1})
    yes, no = (state.per_channel(node, place, real) for place in (1, 2))
    size = max(len(yes), len(no))
    pairs = zip(yes * (size // len(yes)), no * (size // len(no)), strict=True)
    return real.then(Affine(tuple(y - n for y, n in pairs), no))


@reads("Cast", inputs=1)
def cast(state: State, node: SourceNode) -> Tensor:
    """To a type that holds every value as it is; nothing else is exact."""
    kind, tensor = node.integer("to"), state.tensors[node.inputs[0]]
    known = _FLOATS | _WHOLE
    if kind not in known:
        raise node.refuse(f"casts to type {kind}; use float32, or an integer type that fits")
    if not isinstance(tensor, Real):
        return _same(node, state.constant(node, 0), known[kind])
    if kind in _WHOLE:
        allowed = {0, 1} if kind == TensorProto.BOOL else range(-128, 128)
        allowed = range(128) if kind == TensorProto.UINT8 else allowed
        _of_values(state, node, tensor, allowed)
    return tensor


def _same(node: SourceNode, values: Constant, kind: type) -> Constant:
    cast: Constant = values.astype(kind)
    if (cast != values).any():
        raise node.refuse("changes the constants that it casts; fold it at export")
    return cast


def _of_values(state: State, node: SourceNode, real: Real, allowed: set[int] | range) -> None:
    """Refuse data that is not what a comparison or a sign made, all of it ``allowed``."""
    if any(isinstance(step, Stair) for step in real.steps):
        shape = state.shape(real)
        found = {
            v for c in range(shape[-1] if shape else 1) for v in reachable(node, real.steps, c)
        }
        if all(v.denominator == 1 and int(v) in allowed for v in found):
            return
    raise node.refuse("of data that no comparison made; compare it with a constant first")
