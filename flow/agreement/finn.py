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
        for name in (graph.input, *(made for node in model.graph.node for made in node.output)):
            model.set_tensor_shape(name, [len(x), *model.get_tensor_shape(name)[1:]])
        found = execute_onnx(model, {graph.input: x.astype(np.float32)}, True)
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
