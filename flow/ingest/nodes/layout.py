"""Nodes that give a tensor another shape: only images to vectors are read."""

from __future__ import annotations

from flow.ingest.nodes.registry import reads
from flow.ingest.order import flattened
from flow.ingest.reader import SourceNode
from flow.ingest.state import Real, State, Tensor
from flow.ops import Reshape


@reads("Flatten", inputs=1)
def flatten(state: State, node: SourceNode) -> Tensor:
    """All but the batch in one axis."""
    if node.integer("axis", 1) != 1:
        raise node.refuse("flattens the batch too; use axis=1")
    return flat(state, node, state.real(node))


@reads("Reshape", inputs=2)
def reshape(state: State, node: SourceNode) -> Tensor:
    """A flatten by another name: (batch, everything else)."""
    real = state.real(node)
    wanted = state.constant(node, 1).ravel().tolist()
    if not state.is_input(real):
        size = state.edges[real.edge].elements
        batch = wanted[0] in (0, 1) or (wanted[0] == -1 and wanted[1:] == [size])
        if len(wanted) == 2 and batch and wanted[1] in (-1, size):
            return flat(state, node, real)
    raise node.refuse(f"the shape {wanted} is not (batch, all the rest); only flatten is read")


@reads("Squeeze", inputs=1)
def squeeze(state: State, node: SourceNode) -> Tensor:
    """Height and width of 1 left out."""
    real = state.real(node)
    if len(node.inputs) > 1 and node.inputs[1]:
        axes = state.constant(node, 1).ravel().tolist()
    else:
        axes = node.attributes.get("axes", [])
    shape = () if state.is_input(real) else state.edges[real.edge].shape
    if sorted(axis % 4 for axis in axes) != [2, 3] or len(shape) != 3 or shape[:2] != (1, 1):
        raise node.refuse(f"squeezes axes {axes} of {shape}; only height and width of 1 can go")
    return flat(state, node, real)


def flat(state: State, node: SourceNode, real: Real) -> Real:
    """An image as a vector, its elements in the graph's order and its steps for each of them."""
    if state.is_input(real):
        raise node.refuse("the input is not quantized; add a QuantIdentity in front")
    shape = state.edges[real.edge].shape
    if len(shape) == 1:
        return real
    if len(shape) != 3:
        raise node.refuse(f"a tensor of shape {shape} is no image; only images are flattened")
    height, width, channels = shape
    edge = state.add("flatten", Reshape((height * width * channels,)), (real.edge,), source=node)
    steps = tuple(flattened(step, height * width) for step in real.steps)
    same = height * width == 1 or channels == 1  # the file has the same order
    image = None if same else (height, width, channels)
    return Real(edge, steps, real.quantized, image)
