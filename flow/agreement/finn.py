"""finn-base as an independent opinion on the FINN-dialect file."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from flow.agreement.record import Agreement
from flow.ir import Array, Graph
from flow.ops import MatVec, Threshold


def agree_finn(path: Path, graph: Graph, x: Array) -> Agreement:
    """Execute the exported file ``path`` with finn-base and compare every integer, none excused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # finn-base uses what onnx has since renamed
        from finn.core.modelwrapper import ModelWrapper
        from finn.core.onnx_exec import execute_onnx

        model = ModelWrapper(str(path))
        # finn-base's Im2Col mixes the images of a batch up; alone, an image is right
        alone = any(node.op_type == "Im2Col" for node in model.graph.node)
        size = 1 if alone else max(1, len(x))
        for name in (graph.input, *(made for node in model.graph.node for made in node.output)):
            model.set_tensor_shape(name, [size, *model.get_tensor_shape(name)[1:]])
        wanted = [node.output for node in graph.nodes if isinstance(node.op, Threshold)]
        parts: dict[str, list[Array]] = {name: [] for name in (*wanted, graph.logits)}
        for start in range(0, max(1, len(x)), size):
            part = x[start : start + size].astype(np.float32)
            values = execute_onnx(model, {graph.input: part}, True)
            for name, kept in parts.items():
                kept.append(values[name])
        found = {name: np.concatenate(kept) for name, kept in parts.items()}
    expected = graph.evaluate_all(x)
    wrong = elements = tensors = 0
    for node in graph.nodes:
        if isinstance(node.op, Threshold):
            tensors += 1
            elements += expected[node.output].size
            wrong += int((found[node.output] != expected[node.output]).sum())
    logits = found[graph.logits]
    producer = next(node.op for node in graph.nodes if node.output == graph.logits)
    if isinstance(producer, MatVec) and producer.popcount:
        logits = (logits + producer.weights.shape[1]) / 2
    wrong_logits = int((logits != expected[graph.logits]).sum())
    wrong_classes = int((logits.argmax(axis=1) != expected[graph.output]).sum())
    return Agreement("finn-base", len(x), tensors, elements, 0, wrong, wrong_logits, wrong_classes)
