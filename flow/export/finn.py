"""The FINN dialect: MatMul, MultiThreshold and image ops on integers held in floats."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from flow.atomic import write_atomic
from flow.engine.kernels import dense
from flow.errors import InputError
from flow.export.finn_images import DOMAIN, EXACT, write_image_node
from flow.ir import Graph, IntType, Node
from flow.ops import Add, ArgMax, Compare, MatVec, Threshold
from flow.passes.accumulators import never_wraps

Floats = NDArray[np.float32]


def export_finn(graph: Graph, path: Path) -> None:
    """Write MatVec and Threshold as MatMul and MultiThreshold, up to the logits; an Add that scales
    them is a Mul and an Add, and image ops are those of ``finn_images``, channels last. Groups are
    blocks of a whole matrix.

    Every threshold's tensor keeps the name of its edge and holds its integers. A product keeps the
    name too: in popcount form it is the product of -1 and +1 that is counted
    (``2 * count - columns``), with thresholds to match; a descending channel, which MultiThreshold
    cannot say, is its negated row.

    Raises:
        InputError: an op has no counterpart, or an integer is too large for a float32.
    """
    edges = graph.edges()
    if graph.logits == graph.output:
        raise InputError(
            f"graph {graph.name!r}: does not end in ArgMax; only classifiers are exported"
        )
    nodes, constants = [], []
    between: dict[str, tuple[int, ...]] = {}
    for node in graph.nodes:
        op = node.op
        if isinstance(op, MatVec):
            reader = _only_reader(graph, node)
            weights = _weights(node, op, edges[node.inputs[0]].type, reader)
            constants.append(numpy_helper.from_array(weights.T, f"{node.name}_weights"))
            inputs = [node.inputs[0], f"{node.name}_weights"]
            nodes.append(helper.make_node("MatMul", inputs, [node.output], name=node.name))
        elif isinstance(op, Threshold):
            table = _exact_floats(node, _thresholds(graph, node, op))
            constants.append(numpy_helper.from_array(table, f"{node.name}_thresholds"))
            nodes.append(_multi_threshold(node, op, len(edges[node.output].shape)))
        elif isinstance(op, Add) and len(node.inputs) == 1:
            scale, offset = _scaling(graph, node, op)
            constants.append(numpy_helper.from_array(scale, f"{node.name}_multipliers"))
            constants.append(numpy_helper.from_array(offset, f"{node.name}_offset"))
            nodes.extend(_multiply_and_add(node))
        elif not isinstance(op, ArgMax):
            written = write_image_node(graph, node)
            nodes += written.nodes
            constants += written.constants
            between |= written.shapes
    model = _model(graph, nodes, constants, between)
    write_atomic(path, model.SerializeToString(deterministic=True))


def _model(
    graph: Graph,
    nodes: list[onnx.NodeProto],
    constants: list[onnx.TensorProto],
    between: Mapping[str, tuple[int, ...]],
) -> onnx.ModelProto:
    shapes = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *edge.shape])
        for name, edge in graph.edges().items()
        if name == graph.logits or name != graph.output
    }
    source, result = shapes.pop(graph.input), shapes.pop(graph.logits)
    for node in graph.nodes:
        if isinstance(node.op, Add) and len(node.inputs) == 1:
            between = {**between, _product(node): graph.edge(node.output).shape}
    for name, shape in between.items():
        shapes[name] = helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *shape])
    inner = [  # finn-base wants the shape of constants too
        *shapes.values(),
        *(helper.make_tensor_value_info(c.name, c.data_type, list(c.dims)) for c in constants),
    ]
    made = helper.make_graph(nodes, graph.name, [source], [result], constants, value_info=inner)
    for name in {node.input[0] for node in nodes if node.op_type == "Im2Col"}:
        kind = graph.type_of(name)  # Im2Col asks for it
        text = "BIPOLAR" if kind.bipolar else f"{'INT' if kind.signed else 'UINT'}{kind.bits}"
        entry = onnx.StringStringEntryProto(key="finn_datatype", value=text)
        made.quantization_annotation.append(
            onnx.TensorAnnotation(tensor_name=name, quant_parameter_tensor_names=[entry])
        )
    return helper.make_model(
        made,
        opset_imports=[helper.make_opsetid("", 13), helper.make_opsetid(DOMAIN, 1)],
        ir_version=8,
    )


def _multi_threshold(node: Node, op: Threshold, axes: int) -> onnx.NodeProto:
    scale, bias = (2.0, 2.0 * op.base - 1) if op.output.bipolar else (1.0, float(op.base))
    return helper.make_node(
        "MultiThreshold",
        [node.inputs[0], f"{node.name}_thresholds"],
        [node.output],
        name=node.name,
        domain=DOMAIN,
        out_dtype="BIPOLAR" if op.output.bipolar else _datatype(op),
        out_scale=scale,
        out_bias=bias,
        **({"data_layout": "NHWC"} if axes == 3 else {}),
    )


def _product(node: Node) -> str:
    return f"{node.output}_product"


def _multiply_and_add(node: Node) -> list[onnx.NodeProto]:
    product = _product(node)
    return [
        helper.make_node(
            "Mul", [node.inputs[0], f"{node.name}_multipliers"], [product], name=f"{node.name}_mul"
        ),
        helper.make_node("Add", [product, f"{node.name}_offset"], [node.output], name=node.name),
    ]


def _scaling(graph: Graph, node: Node, op: Add) -> tuple[Floats, Floats]:
    """Multipliers and offset on what the file has in front: the product itself, not its count."""
    producer = next((n.op for n in graph.nodes if n.output == node.inputs[0]), None)
    counts = isinstance(producer, MatVec) and producer.popcount
    kind = graph.type_of(node.inputs[0])
    largest = int(abs(op.multipliers).max()) * max(abs(kind.code_lo), abs(kind.code_hi))
    largest += int(abs(op.offset).max())
    if (2 if counts else 1) * largest >= EXACT:  # of a product a count is half, and exact
        raise InputError(
            f"node {node.name!r}: logits to {largest} are not exact in float32; "
            "use one weight scale in the last layer"
        )
    scale, offset = op.multipliers / 1, op.offset / 1
    if isinstance(producer, MatVec) and counts:
        scale = scale / 2
        offset = offset + scale[0] * producer.weights.shape[1]
    return scale.astype(np.float32), offset.astype(np.float32)


def _datatype(op: Threshold) -> str:
    return f"{'INT' if op.output.signed else 'UINT'}{op.output.bits}"


def _only_reader(graph: Graph, node: Node) -> Node | None:
    readers = [other for other in graph.nodes if node.output in other.inputs]
    if len(readers) > 1:
        raise InputError(
            f"node {node.name!r}: read by {len(readers)} nodes; only chains have a FINN dialect"
        )
    return readers[0] if readers else None


def _weights(node: Node, op: MatVec, x: IntType, reader: Node | None) -> Floats:
    """The rows as exported; refuses sums that a float32 or a plain product does not have."""
    if not never_wraps(op, x):
        raise InputError(
            f"node {node.name!r}: {op.accumulator} wraps, a MatMul does not; widen the accumulator"
        )
    magnitude = int(abs(op.read).sum(axis=1).max()) * max(abs(x.lo), abs(x.hi))
    if magnitude >= EXACT:
        raise InputError(f"node {node.name!r}: sums to {magnitude} are not exact in float32")
    if reader is not None and isinstance(reader.op, Threshold):
        return _exact_floats(node, dense(op) * reader.op.sign[:, None])
    return _exact_floats(node, dense(op))


def _thresholds(graph: Graph, node: Node, op: Threshold) -> NDArray[np.int64]:
    """On the product itself, of the row as exported (negated where the channel descends)."""
    producer = next((n.op for n in graph.nodes if n.output == node.inputs[0]), None)
    falling = op.sign < 0
    if not isinstance(producer, MatVec) and falling.any():
        raise InputError(
            f"node {node.name!r}: descending channels need a MatVec in front to be negated"
        )
    if op.compare is Compare.SEARCH and (np.diff(op.thresholds, axis=1) < 0).any():
        raise InputError(f"node {node.name!r}: a search of unsorted thresholds is no count")
    table = np.array(op.thresholds)
    if isinstance(producer, MatVec) and producer.popcount:
        table = 2 * table - producer.weights.shape[1]
    table[falling] = 1 - table[falling, ::-1]  # not x >= t is -x >= 1 - t
    return table


def _exact_floats(node: Node, values: NDArray[np.int64]) -> Floats:
    if values.size and abs(values).max() > EXACT:
        raise InputError(f"node {node.name!r}: integers above {EXACT} are not exact in float32")
    return values.astype(np.float32)
