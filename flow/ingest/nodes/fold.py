"""What exporters leave to be computed from constants alone, and the shape of the data."""

from __future__ import annotations

import numpy as np

from flow.ingest.nodes.registry import reads
from flow.ingest.reader import SourceNode
from flow.ingest.state import Real, State, Tensor, Weights


@reads("Shape", inputs=1)
def shape(state: State, node: SourceNode) -> Tensor:
    """The axes of a tensor, the batch as the file declares it."""
    tensor = state.tensors[node.inputs[0]]
    if set(node.attributes) & {"start", "end"}:
        raise node.refuse("takes a part of the shape; fold it at export")
    if isinstance(tensor, Real):
        return np.array([state.source.batch, *tensor.view.shape], dtype=np.int64)
    axes = tensor.codes if isinstance(tensor, Weights) else tensor
    return np.array(axes.shape, dtype=np.int64)


@reads("Gather", inputs=2)
def gather(state: State, node: SourceNode) -> Tensor:
    """Entries of a constant."""
    values, places = state.constant(node, 0), state.constant(node, 1)
    axis = node.integer("axis", 0)
    if places.dtype.kind not in "iu" or not -values.ndim <= axis < values.ndim:
        raise node.refuse("gathers along no axis of a constant; fold it at export")
    size = values.shape[axis]
    if places.size and not -size <= places.min() <= places.max() < size:
        raise node.refuse(f"gathers beyond {size} entries")
    return np.take(values, places, axis=axis)


@reads("Concat", inputs=1)
def concat(state: State, node: SourceNode) -> Tensor:
    """Constants one after the other."""
    parts = [state.constant(node, place) for place in range(len(node.inputs))]
    return np.concatenate(parts, axis=node.integer("axis"))


@reads("Pow", inputs=2)
def power(state: State, node: SourceNode) -> Tensor:
    """Of constants, rounded to float32 once: what a file that was folded before holds."""
    base, exponent = state.constant(node, 0), state.constant(node, 1)
    if base.dtype != np.float32 or exponent.dtype != np.float32:
        raise node.refuse("a power of other than float32 constants; fold it at export")
    with np.errstate(all="ignore"):
        result = np.power(base.astype(np.float64), exponent.astype(np.float64)).astype(np.float32)
    if not np.isfinite(result).all():
        raise node.refuse("makes NaN or infinity of constants; train again")
    return result
