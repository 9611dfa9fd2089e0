"""What exporters leave to be computed from constants alone, and the shape of the data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from flow.ingest.nodes.registry import reads
from flow.ingest.reader import Constant, SourceNode
from flow.ingest.state import Real, State, Tensor, Weights


@reads("Shape", inputs=1)
def shape(state: State, node: SourceNode) -> Tensor:
    """The axes of a tensor, the batch as the file declares it."""
    tensor = state.tensors[node.inputs[0]]
    if set(node.attributes) & {"start", "end"}:
        raise node.refuse("takes a part of the shape; fold it at export")
    if isinstance(tensor, Real):
        return np.array([state.source.batch, *tensor.view.shape], dtype=np.int64)
    axes = tensor.codes if isinstance(tensor, Weights) else state.constant(node, 0)
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


@reads("Pow", inputs=2)
def power(state: State, node: SourceNode) -> Tensor:
    """Of constants, rounded to float32 once: what a file that was folded before holds."""
    return folded(node, np.power, state.constant(node, 0), state.constant(node, 1))


@reads("Log", inputs=1)
def logarithm(state: State, node: SourceNode) -> Tensor:
    """Of constants: how Brevitas computes a bit width that it exports."""
    return folded(node, np.log, state.constant(node, 0))


def folded(node: SourceNode, function: Callable[..., Constant], *values: Constant) -> Constant:
    """A function of float32 constants, computed in float64 and rounded to float32 once."""
    if any(value.dtype != np.float32 for value in values):
        raise node.refuse("of constants other than float32; fold it at export")
    with np.errstate(all="ignore"):
        exact = function(*(value.astype(np.float64) for value in values))
    result = np.asarray(exact, dtype=np.float32)  # of no axes numpy makes a number of its own
    if not np.isfinite(result).all():
        raise node.refuse("makes NaN or infinity of constants; train again")
    return result
