"""The FINN dialect: MatMul and MultiThreshold on integers held in floats."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from flow.atomic import write_atomic
from flow.errors import InputError
from flow.ir import Graph, Node
from flow.ops import ArgMax, MatVec, Threshold

DOMAIN = "finn.custom_op.general"  # where finn-base looks for MultiThreshold
Floats = NDArray[np.float32]


def export_finn(graph: Graph, path: Path) -> None:
    """Write a chain of MatVec and Threshold as MatMul and MultiThreshold, up to the logits.

    Every tensor keeps the name of its edge and holds its integers; a popcount-form product becomes
    the product of -1 and +1 it counts (``2 * count - columns``), with thresholds to match. A
    descending channel, which MultiThreshold cannot say, is its negated row.

    Raises:
        InputError: an op has no counterpart, or an integer is too large for a float32.
    """
    nodes, constants = [], []
    matrices = {n.output: n for n in graph.nodes if isinstance(n.op, MatVec)}
    readers = {n.inputs[0]: n for n in graph.nodes if isinstance(n.op, Threshold)}
    for node in graph.nodes:
        op = node.op
        if isinstance(op, MatVec):
            sign = _signs(readers.get(node.output), len(op.weights))
            weights = _floats(node, op.read * sign[:, None])
            constants.append(numpy_helper.from_array(weights.T, f"{node.name}_weights"))
            inputs = [node.inputs[0], f"{node.name}_weights"]
            nodes.append(helper.make_node("MatMul", inputs, [node.output], name=node.name))
        elif isinstance(op, Threshold):
            table = _floats(node, _thresholds(op, matrices, node.inputs[0]))
            constants.append(numpy_helper.from_array(table, f"{node.name}_thresholds"))
            nodes.append(_multi_threshold(node, op))
        elif not isinstance(op, ArgMax):
            raise InputError(
                f"node {node.name!r}: {type(op).__name__} has no form in the FINN dialect; "
                "only dense networks are exported"
            )
    shapes = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *edge.shape])
        for name, edge in graph.edges().items()
        if name != graph.output
    }
    source, result = shapes.pop(graph.input), shapes.pop(graph.logits)
    inner = [  # finn-base wants the shape of constants too
        *shapes.values(),
        *(helper.make_tensor_value_info(c.name, c.data_type, list(c.dims)) for c in constants),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, graph.name, [source], [result], constants, value_info=inner),
        opset_imports=[helper.make_opsetid("", 13), helper.make_opsetid(DOMAIN, 1)],
        ir_version=8,
    )
    write_atomic(path, model.SerializeToString(deterministic=True))


def _multi_threshold(node: Node, op: Threshold) -> onnx.NodeProto:
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
    )


def _datatype(op: Threshold) -> str:
    return f"{'INT' if op.output.signed else 'UINT'}{op.output.bits}"


def _signs(reader: Node | None, rows: int) -> NDArray[np.int64]:
    if reader is None or not isinstance(reader.op, Threshold):
        return np.ones(rows, dtype=np.int64)
    return reader.op.sign


def _thresholds(op: Threshold, matrices: Mapping[str, Node], source: str) -> NDArray[np.int64]:
    """On the product itself, of the row as exported (negated where the channel descends)."""
    table = np.array(op.thresholds)
    producer = matrices[source].op
    assert isinstance(producer, MatVec)
    if producer.popcount:
        table = 2 * table - producer.weights.shape[1]
    falling = op.sign < 0
    table[falling] = 1 - table[falling, ::-1]  # not x >= t is -x >= 1 - t
    return table


def _floats(node: Node, values: NDArray[np.int64]) -> Floats:
    if values.size and np.abs(values).max() >= 1 << 24:
        raise InputError(f"node {node.name!r}: integers of 2^24 and more are not exact in float32")
    return values.astype(np.float32)
