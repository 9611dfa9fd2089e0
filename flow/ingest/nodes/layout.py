"""Other axes, the same elements: of data, of weights and of constants. Nothing is computed."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from flow.ingest.nodes.levels import settled
from flow.ingest.nodes.registry import reads
from flow.ingest.order import file_view, repeated
from flow.ingest.reader import Constant, SourceNode
from flow.ingest.state import DEQUANTIZE, Codes, Real, State, Tensor, Weights
from flow.ir import Array
from flow.ops import Reshape, Transpose


@reads("Reshape", inputs=2)
def reshape(state: State, node: SourceNode) -> Tensor:
    """To a constant shape that leaves the batch whole."""
    tensor = _plain(state, node)
    wanted = [int(size) for size in state.constant(node, 1).ravel()]
    if not isinstance(tensor, Real):
        return tensor.reshape(_resolve(node, wanted, tensor.shape))
    shape = _resolve(node, wanted, (state.source.batch, *tensor.view.shape))
    if shape == (state.source.batch, *tensor.view.shape):
        return tensor
    if not shape or shape[0] != state.source.batch:
        raise node.refuse(f"makes shape {[*shape]}, which mixes the batch; keep axis 0 as it is")
    real = settled(state, node)
    if shape[1:] != (real.view.size,):
        real = _in_file_order(state, node, real)
    real = state.vector(node, real)
    return replace(real, view=real.view.reshape(shape[1:]))


def _in_file_order(state: State, node: SourceNode, real: Real) -> Real:
    """An image moved to the order of the file, so that its elements may be grouped anew."""
    shape = state.shape(real)
    if len(shape) != 3 or not np.array_equal(real.view.ravel(), file_view(shape).ravel()):
        return real
    edge = state.add("transpose", Transpose((2, 0, 1)), (real.edge,), source=node)
    steps = tuple(repeated(step, shape[0] * shape[1]) for step in real.steps)
    edge = state.add("flatten", Reshape((real.view.size,)), (edge,), source=node)
    view = np.arange(real.view.size).reshape(real.view.shape)
    return replace(real, edge=edge, steps=steps, view=view)


@reads("Flatten", inputs=1)
def flatten(state: State, node: SourceNode) -> Tensor:
    """All axes after the batch become one, the last axis fastest."""
    real = settled(state, node)
    if node.integer("axis", 1) not in (1, -real.view.ndim):
        raise node.refuse("keeps more than the batch apart; use axis=1")
    return flat(state, node, real)


@reads("Transpose", inputs=1)
def transpose(state: State, node: SourceNode) -> Tensor:
    """Axes in another order; the batch stays in front."""
    tensor = state.tensors[node.inputs[0]]
    if isinstance(tensor, Codes):
        raise node.refuse(f"moves the codes of a quantizer; {DEQUANTIZE}")
    axes = tensor.codes if isinstance(tensor, Weights) else tensor
    ndim = axes.view.ndim + 1 if isinstance(axes, Real) else axes.ndim
    order = _integers(node, "perm", list(range(ndim))[::-1])
    if sorted(order) != list(range(ndim)):
        raise node.refuse(f"perm {order} is no order of {ndim} axes")
    if isinstance(tensor, Real):
        if order[0] != 0:
            raise node.refuse("moves the batch; keep it in front")
        view = tensor.view.transpose([axis - 1 for axis in order[1:]])
        return replace(tensor, view=view)
    if isinstance(tensor, Weights):
        scale = tensor.scale.transpose(order)
        return replace(tensor, codes=tensor.codes.transpose(order), scale=scale)
    return tensor.transpose(order)


@reads("Squeeze", inputs=1)
def squeeze(state: State, node: SourceNode) -> Tensor:
    """Stated axes of size 1 go."""
    tensor = _plain(state, node)
    array = _array(tensor)
    return _with(state, node, tensor, np.squeeze(array, _axes(state, node, tensor, array.ndim)))


@reads("Unsqueeze", inputs=1)
def unsqueeze(state: State, node: SourceNode) -> Tensor:
    """Axes of size 1 come."""
    tensor = _plain(state, node)
    array = _array(tensor)
    ndim = array.ndim + len(_stated_axes(state, node))
    return _with(state, node, tensor, np.expand_dims(array, _axes(state, node, tensor, ndim)))


def flat(state: State, node: SourceNode, real: Real) -> Real:
    """A tensor with one axis after the batch, its elements in the order of the file."""
    return replace(state.vector(node, real), view=real.view.reshape(-1))


def _with(state: State, node: SourceNode, tensor: Real | Constant, array: Array) -> Tensor:
    if isinstance(tensor, Real):
        return replace(state.vector(node, tensor), view=array)
    return array


def _array(tensor: Real | Constant) -> Array:
    return tensor.view if isinstance(tensor, Real) else tensor


def _plain(state: State, node: SourceNode) -> Real | Constant:
    tensor = state.tensors[node.inputs[0]]
    if isinstance(tensor, Weights):
        raise node.refuse("quantized weights can only be transposed; reshape them before")
    if isinstance(tensor, Codes):
        raise node.refuse(f"moves the codes of a quantizer; {DEQUANTIZE}")
    return tensor


def _axes(state: State, node: SourceNode, tensor: Real | Constant, ndim: int) -> tuple[int, ...]:
    """The stated axes, of data without the batch; ``ndim`` too is without it."""
    batch = int(isinstance(tensor, Real))
    stated, ndim = _stated_axes(state, node), ndim + batch
    axes = [axis + ndim if axis < 0 else axis for axis in stated]
    if not axes or len(set(axes)) < len(axes) or not all(0 <= axis < ndim for axis in axes):
        raise node.refuse(f"axes {stated} are no axes of {ndim}; state each once")
    if batch and 0 in axes:
        raise node.refuse("moves the batch; keep it in front")
    return tuple(axis - batch for axis in axes)


def _stated_axes(state: State, node: SourceNode) -> list[int]:
    """An attribute before opset 13, a constant since."""
    if len(node.inputs) > 1 and node.inputs[1]:
        return [int(axis) for axis in state.constant(node, 1).ravel()]
    return _integers(node, "axes", [])


def _integers(node: SourceNode, attribute: str, default: list[int]) -> list[int]:
    values = node.attributes.get(attribute, default)
    if not isinstance(values, list) or not all(isinstance(value, int) for value in values):
        raise node.refuse(f"attribute {attribute!r} is {values!r} where integers are wanted")
    return values


def _resolve(node: SourceNode, wanted: list[int], shape: tuple[int, ...]) -> tuple[int, ...]:
    """ONNX's rules: 0 copies the axis of the input, one -1 takes what is left."""
    copy = not node.integer("allowzero", 0)
    sizes = [
        shape[i] if copy and size == 0 and i < len(shape) else size for i, size in enumerate(wanted)
    ]
    total, known = prod(shape), prod(size for size in sizes if size != -1)
    if sizes.count(-1) == 1 and known > 0 and total % known == 0:
        sizes[sizes.index(-1)] = total // known
    if min(sizes, default=1) < 0 or prod(sizes) != total:
        raise node.refuse(f"shape {wanted} cannot hold the elements of {[*shape]}")
    return tuple(sizes)
