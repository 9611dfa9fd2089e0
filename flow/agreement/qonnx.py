"""qonnx's execution of the source file against the graph lowered from it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.agreement.float_error import is_excused
from flow.agreement.record import Agreement
from flow.ingest.lower import Lowered
from flow.ir import Affine, Array

Floats = NDArray[np.floating[Any]]


def agree_qonnx(path: Path, lowered: Lowered, x: Array) -> Agreement:
    """Execute the file ``path`` with qonnx and compare every quantizer output with the graph.

    Where float32 decided an element otherwise and is excused, the run continues from the graph's
    tensor, so that one rounding is not counted again in later layers.
    """
    graph = lowered.graph
    expected = graph.evaluate_all(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # qonnx converts one-element arrays to numbers
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx
        from qonnx.transformation.change_batchsize import ChangeBatchSize
        from qonnx.transformation.infer_shapes import InferShapes

        model = ModelWrapper(str(path)).transform(ChangeBatchSize(len(x))).transform(InferShapes())
        affine = graph.input_affine
        start = (float(affine.scale) * x + float(affine.offset)).astype(np.float32)
        context = execute_onnx(model, {model.graph.input[0].name: start}, True)
        elements = excused = wrong = 0
        for decision in lowered.decisions:
            exact = decision.meaning(expected[decision.output])
            tensor = lowered.origin[decision.output]
            found = context[tensor]
            elements += exact.size
            differing = np.argwhere(found != exact)
            for place in map(tuple, differing):
                excuse = is_excused(graph, decision, expected, place, float(found[place]))
                excused, wrong = excused + excuse, wrong + (not excuse)
            if len(differing):
                context = _continue(execute_onnx, model, context, tensor, exact)
    logits, affines = context[lowered.origin[graph.logits]], graph.logit_affine
    assert affines is not None
    integers = _integers(logits, affines)
    return Agreement(
        "qonnx",
        len(x),
        len(lowered.decisions),
        elements,
        excused,
        wrong,
        int((integers != expected[graph.logits]).sum()),
        int((logits.argmax(axis=1) != expected[graph.output]).sum()),
    )


def _continue(execute: Any, model: Any, context: Any, tensor: str, exact: Floats) -> Any:
    """Run what follows ``tensor`` again, with the exact values in its place."""
    nodes = list(model.graph.node)
    place = next(i for i, node in enumerate(nodes) if tensor in node.output)
    held = {**context, tensor: exact.astype(np.float32)}
    if place + 1 == len(nodes):
        return held
    return execute(model, held, True, start_node=nodes[place + 1])


def _integers(logits: Floats, affines: tuple[Affine, ...]) -> Array:
    """The integers that float logits stand for: exact division by the stated scale."""
    scale = np.array([float(a.scale) for a in affines])
    offset = np.array([float(a.offset) for a in affines])
    integers: Array = np.rint((logits.astype(np.float64) - offset) / scale).astype(np.int64)
    return integers
