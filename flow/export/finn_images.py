"""Image ops in the FINN dialect, channels last as in the graph: every edge keeps its integers."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from flow.errors import InputError
from flow.ir import Array, Graph, Node
from flow.ops import Add, Concat, MatVec, MaxPool, Pad, Reshape, SumPool, Transpose, Window

DOMAIN = "finn.custom_op.general"  # where finn-base looks for Im2Col and MaxPoolNHWC
EXACT = 1 << 24  # integers up to here are exact in a float32


@dataclass(slots=True)
class Written:
    """What one node of the graph became."""

    node: Node
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)  # of tensors in between

    def constant(self, suffix: str, values: Array, dtype: Any = np.float32) -> str:
        """Store an array under a name of this node."""
        name = f"{self.node.name}_{suffix}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype=dtype), name))
        return name

    def between(self, suffix: str, shape: tuple[int, ...]) -> str:
        """A tensor of this node that is no edge of the graph."""
        name = f"{self.node.name}_{suffix}"
        self.shapes[name] = shape
        return name

    def call(self, op: str, inputs: list[str], output: str, *, domain: str = "", **how: Any) -> str:
        """Append a node."""
        name = f"{self.node.name}_{len(self.nodes)}"
        made = helper.make_node(op, inputs, [output], name=name, domain=domain, **how)
        self.nodes.append(made)
        return output


def write_image_node(graph: Graph, node: Node) -> Written:
    """The nodes that compute ``node`` on its own tensors.

    Raises:
        InputError: the dialect has no such op, or float32 not its integers; the line names it.
    """
    for name in node.inputs:
        maker = graph.producer(name)
        if maker is not None and isinstance(maker.op, MatVec) and maker.op.popcount:
            raise InputError(
                f"node {node.name!r}: reads the counts of {maker.name!r}, which the FINN dialect "
                "has as products; threshold them first"
            )
    written = Written(node)
    _write(node.op, written, graph)
    return written


@singledispatch
def _write(op: Any, out: Written, graph: Graph) -> None:
    raise InputError(f"node {out.node.name!r}: {type(op).__name__} has no form in the FINN dialect")


@_write.register
def _(op: Window, out: Written, graph: Graph) -> None:
    _im2col(op, out, graph, out.node.output)


def _im2col(op: Window, out: Written, graph: Graph, output: str) -> str:
    shape = (1, *graph.edge(out.node.inputs[0]).shape)
    return out.call(
        "Im2Col",
        [out.node.inputs[0]],
        output,
        domain=DOMAIN,
        stride=list(op.stride),
        kernel_size=list(op.kernel),
        dilations=list(op.dilation),
        input_shape=str(shape).replace(" ", ""),
    )


@_write.register
def _(op: Pad, out: Written, graph: Graph) -> None:
    top, bottom, left, right = op.margins
    pads = out.constant("pads", np.array([0, top, left, 0, 0, bottom, right, 0]), np.int64)
    value = out.constant("value", np.array(op.value))
    out.call("Pad", [out.node.inputs[0], pads, value], out.node.output)


@_write.register
def _(op: MaxPool, out: Written, graph: Graph) -> None:
    if op.dilation != (1, 1):
        raise InputError(f"node {out.node.name!r}: no pool of the FINN dialect is dilated")
    how = {"kernel_shape": list(op.kernel), "strides": list(op.stride), "pads": [0, 0, 0, 0]}
    out.call("MaxPoolNHWC", [out.node.inputs[0]], out.node.output, domain=DOMAIN, **how)


@_write.register
def _(op: SumPool, out: Written, graph: Graph) -> None:
    """Windows times a matrix that adds up the taps of each channel."""
    source, window = graph.edge(out.node.inputs[0]), Window(op.kernel, op.stride)
    taps, channels = op.kernel[0] * op.kernel[1], source.shape[-1]
    _check(out.node, op.accumulator, taps * source.type.code_lo, taps * source.type.code_hi)
    windows = out.between("windows", window.out_type(source).shape)
    _im2col(window, out, graph, windows)
    matrix = out.constant("taps", np.tile(np.eye(channels), (taps, 1)))
    out.call("MatMul", [windows, matrix], out.node.output)


@_write.register
def _(op: Add, out: Written, graph: Graph) -> None:
    edges = [graph.edge(name) for name in out.node.inputs]
    pairs = list(zip(op.multipliers, edges, strict=True))
    ends = [np.array([m * e.type.code_lo, m * e.type.code_hi]) for m, e in pairs]
    low = sum(int(end.min()) for end in ends) + int(op.offset.min())
    high = sum(int(end.max()) for end in ends) + int(op.offset.max())
    _check(out.node, op.accumulator, low, high)
    total = None
    for place, (multiplier, edge) in enumerate(pairs):
        factors = out.constant(f"multipliers{place}", multiplier)
        term = out.between(f"term{place}", edge.shape)
        out.call("Mul", [out.node.inputs[place], factors], term)
        if total is not None:
            term = out.call("Add", [total, term], out.between(f"sum{place}", edge.shape))
        total = term
    assert total is not None
    out.call("Add", [total, out.constant("offset", op.offset)], out.node.output)


@_write.register
def _(op: Concat, out: Written, graph: Graph) -> None:
    axis = len(graph.edge(out.node.output).shape)
    out.call("Concat", list(out.node.inputs), out.node.output, axis=axis)


@_write.register
def _(op: Reshape, out: Written, graph: Graph) -> None:
    shape = out.constant("shape", np.array([-1, *op.shape]), np.int64)
    out.call("Reshape", [out.node.inputs[0], shape], out.node.output)


@_write.register
def _(op: Transpose, out: Written, graph: Graph) -> None:
    order = [0, *(axis + 1 for axis in op.order)]
    out.call("Transpose", [out.node.inputs[0]], out.node.output, perm=order)


def _check(node: Node, held: Any, low: int, high: int) -> None:
    if low < held.code_lo or held.code_hi < high:
        raise InputError(f"node {node.name!r}: {held} wraps, a sum of floats does not; widen it")
    if max(abs(low), abs(high)) >= EXACT:
        raise InputError(f"node {node.name!r}: sums to {max(-low, high)} are not exact in float32")
