"""Standard ONNX that a float engine executes to the graph's own integers, on every edge."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import singledispatchmethod
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import helper, numpy_helper

from flow.atomic import write_atomic
from flow.engine.kernels import dense
from flow.errors import InputError
from flow.ir import Array, Edge, Graph, IntType, Node
from flow.ops import (
    Add,
    ArgMax,
    Compare,
    Concat,
    MatVec,
    MaxPool,
    Pad,
    Reshape,
    SumPool,
    Threshold,
    Transpose,
    Window,
)
from flow.passes.accumulators import trained_range

SINGLE, DOUBLE = 1 << 24, 1 << 53  # integers below are exact in a float32, in a float64
OPSET = 17


def export_onnx(graph: Graph, path: Path) -> None:
    """Write ``graph`` in operators of ONNX alone; each edge keeps its name and its integers.

    Edges are floats: float32 where no sum, threshold or register reaches 2**24, else float64, below
    2**53. Weights of 8 bits are int8 or uint8 behind a Cast. A register that
    the ranges do not prove wide enough wraps in the file as in the graph.

    Raises:
        InputError: a node's integers reach 2**53, or it searches unsorted thresholds.
    """
    edges = graph.edges()
    bounds = {
        node.name: _bound(node, [edges[name] for name in node.inputs]) for node in graph.nodes
    }
    for name, bound in bounds.items():
        if bound >= DOUBLE:
            raise InputError(
                f"node {name!r}: integers to {bound} are not exact in a float64; narrow the weights"
            )
    wide = max([_reach(graph.input_edge.type), *bounds.values()]) >= SINGLE
    file = _File(edges, np.dtype(np.float64 if wide else np.float32))
    for node in graph.nodes:
        file.write(node.op, node)
    write_atomic(path, file.model(graph).SerializeToString(deterministic=True))


def _reach(kind: IntType) -> int:
    return max(abs(kind.code_lo), abs(kind.code_hi))


def _bound(node: Node, inputs: list[Edge]) -> int:
    """What no integer or partial sum of the node exceeds, the register it is kept in included."""
    op: Any = node.op
    x = max(_reach(edge.type) for edge in inputs)
    if isinstance(op, MatVec):  # the register's span is in the sums that wrap it
        total = max(sum(map(abs, row)) for row in op.read.tolist()) * x
        total += int(op.weights.shape[1])
        return int(total + (1 << op.accumulator.bits))
    if isinstance(op, Add):
        scaled = [max(map(abs, row)) * x for row in op.multipliers.tolist()]
        offset = max(map(abs, op.offset.tolist()))
        return int(sum(scaled) + offset + (1 << op.accumulator.bits))
    if isinstance(op, SumPool):
        return int(prod(op.kernel) * x + (1 << op.accumulator.bits))
    if isinstance(op, Threshold):
        steps = int(op.thresholds.shape[1])
        return 2 * max(x, _reach(op.threshold_type), _reach(op.output), steps)
    return x


@dataclass(slots=True)
class _File:
    """The nodes and constants written so far."""

    edges: dict[str, Edge]
    dtype: np.dtype[Any]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def model(self, graph: Graph) -> onnx.ModelProto:
        """The file of what was written: one input, one output, all shapes but the batch stated."""
        kind = helper.np_dtype_to_tensor_dtype(self.dtype)
        infos = {
            name: helper.make_tensor_value_info(name, kind, ["N", *edge.shape])
            for name, edge in self.edges.items()
        }
        source, result = infos.pop(graph.input), infos.pop(graph.output)
        made = helper.make_graph(
            self.nodes, graph.name, [source], [result], self.constants, value_info=[*infos.values()]
        )
        return helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)

    def constant(self, values: ArrayLike, dtype: Any = np.int64) -> str:
        """The name of a new constant."""
        name = f"export/constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype=dtype), name))
        return name

    def number(self, values: ArrayLike) -> str:
        """The name of a new constant of the type that edges have."""
        return self.constant(values, self.dtype)

    def call(self, op: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Write a node of ``op``; the name of what it gives."""
        name = f"export/{op}{len(self.nodes)}"
        output = output or f"{name}_made"
        self.nodes.append(helper.make_node(op, [*inputs], [output], name=name, **attributes))
        return output

    def cast(self, x: str, output: str | None = None) -> str:
        """``x`` in the type that edges have."""
        return self.call("Cast", x, output=output, to=self.tensor_type)

    @property
    def tensor_type(self) -> int:
        """ONNX's number of the type that edges have."""
        kind: int = helper.np_dtype_to_tensor_dtype(self.dtype)
        return kind

    def keep(self, node: Node, total: str, kind: IntType, low: int, high: int) -> None:
        """``total``, known to lie in low..high, as a register of type ``kind`` keeps it."""
        if kind.code_lo <= low and high <= kind.code_hi:
            self.call("Identity", total, output=node.output)
            return
        span = 1 << kind.bits  # a power of two: its quotients are exact in floats
        shifted = self.call("Sub", total, self.number(kind.code_lo))
        turns = self.call("Floor", self.call("Mul", shifted, self.number(1 / span)))
        self.call("Sub", total, self.call("Mul", turns, self.number(span)), output=node.output)

    def windows(self, x: str, op: Window) -> str:
        """(N, OH, OW, KH, KW, C), by index: any kernel, stride and dilation."""
        height, width, _ = self.edges[x].shape
        rows, columns = (
            _places(size, op.kernel[i], op.stride[i], op.dilation[i])
            for i, size in enumerate((height, width))
        )
        x = self.call("Gather", x, self.constant(rows), axis=1)
        x = self.call("Gather", x, self.constant(columns), axis=3)
        return self.call("Transpose", x, perm=[0, 1, 3, 2, 4, 5])

    def weights(self, values: Array) -> str:
        """In bytes where they fit, behind a Cast: a DequantizeLinear there lets onnxruntime round
        the other factor too (its MatMul of weights in n bits), which is not exact."""
        for kind in (np.int8, np.uint8):
            info = np.iinfo(kind)
            if info.min <= values.min() and values.max() <= info.max:
                return self.cast(self.constant(values, kind))
        return self.number(values)

    @singledispatchmethod
    def write(self, op: Any, node: Node) -> None:
        """Write what ``node`` computes, its output under the edge's own name."""
        raise InputError(f"node {node.name!r}: {type(op).__name__} has no form in standard ONNX")

    @write.register
    def _(self, op: MatVec, node: Node) -> None:
        total = self.call("MatMul", node.inputs[0], self.weights(dense(op).T))
        if op.popcount:
            total = self.call("Add", total, self.number(op.weights.shape[1]))
            total = self.call("Mul", total, self.number(0.5))
        low, high = trained_range(op, self.edges[node.inputs[0]].type)
        self.keep(node, total, op.accumulator, low, high)

    @write.register
    def _(self, op: Threshold, node: Node) -> None:
        if op.compare is Compare.SEARCH and (np.diff(op.thresholds, axis=1) < 0).any():
            raise InputError(f"node {node.name!r}: a search of unsorted thresholds is no count")
        last = self.constant([-1])
        x = self.call("Unsqueeze", node.inputs[0], last)
        reached = self.cast(self.call("GreaterOrEqual", x, self.number(op.thresholds)))
        count = self.call("ReduceSum", reached, last, keepdims=0)
        factor = op.sign * (2 if op.output.bipolar else 1)
        offset = op.base + np.where(op.sign > 0, 0, op.thresholds.shape[1])
        offset = 2 * offset - 1 if op.output.bipolar else offset
        level = self.call("Mul", count, self.number(factor))
        self.call("Add", level, self.number(offset), output=node.output)

    @write.register
    def _(self, op: ArgMax, node: Node) -> None:
        self.cast(self.call("ArgMax", node.inputs[0], axis=-1, keepdims=0), output=node.output)

    @write.register
    def _(self, op: Window, node: Node) -> None:
        shape = self.constant([-1, *self.edges[node.output].shape])
        self.call("Reshape", self.windows(node.inputs[0], op), shape, output=node.output)

    @write.register
    def _(self, op: Pad, node: Node) -> None:
        top, bottom, left, right = op.margins
        widths = self.constant([0, top, left, 0, 0, bottom, right, 0])
        self.call("Pad", node.inputs[0], widths, self.number(op.value), output=node.output)

    @write.register
    def _(self, op: MaxPool, node: Node) -> None:
        x = self.windows(node.inputs[0], Window(op.kernel, op.stride, op.dilation))
        self.call("ReduceMax", x, output=node.output, axes=[3, 4], keepdims=0)

    @write.register
    def _(self, op: SumPool, node: Node) -> None:
        x = self.windows(node.inputs[0], Window(op.kernel, op.stride))
        total = self.call("ReduceSum", x, self.constant([3, 4]), keepdims=0)
        kind, count = self.edges[node.inputs[0]].type, prod(op.kernel)
        self.keep(node, total, op.accumulator, count * kind.lo, count * kind.hi)

    @write.register
    def _(self, op: Add, node: Node) -> None:
        total = self.number(op.offset)
        for factors, name in zip(op.multipliers, node.inputs, strict=True):
            total = self.call("Add", total, self.call("Mul", name, self.number(factors)))
        bound = _bound(node, [self.edges[name] for name in node.inputs])
        bound -= 1 << op.accumulator.bits
        self.keep(node, total, op.accumulator, -bound, bound)

    @write.register
    def _(self, op: Concat, node: Node) -> None:
        self.call("Concat", *node.inputs, output=node.output, axis=-1)

    @write.register
    def _(self, op: Reshape, node: Node) -> None:
        shape = self.constant([-1, *op.shape])
        self.call("Reshape", node.inputs[0], shape, output=node.output)

    @write.register
    def _(self, op: Transpose, node: Node) -> None:
        order = [0, *(axis + 1 for axis in op.order)]
        self.call("Transpose", node.inputs[0], output=node.output, perm=order)


def _places(size: int, kernel: int, stride: int, dilation: int) -> Array:
    """The indices that the windows of one axis read: (windows, kernel)."""
    last = size - dilation * (kernel - 1)
    return np.arange(0, last, stride)[:, None] + dilation * np.arange(kernel)
