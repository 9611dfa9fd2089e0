"""Properties of the input for other verifiers: VNN-LIB 2.0 beside a standard ONNX file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx

from flow.atomic import write_atomic
from flow.errors import InputError
from flow.export.standard import export_onnx
from flow.ir import Array, Graph
from flow.ops import ArgMax

NETWORK = "network.onnx"


def export_vnnlib(
    graph: Graph, low: Array, high: Array, y: Array, *, directory: Path, stem: str
) -> list[Path]:
    """Write the logits of ``graph`` as ONNX, and one VNN-LIB query per image: can an input from
    ``low`` to ``high`` have another class than ``y``?

    ``sat`` refutes, ``unsat`` proves. Both files speak of the graph's own integers, carried as
    floats: inputs in steps of the grid and logits before ArgMax, whose ties the smallest index
    wins. A verifier that takes inputs for reals answers more than is asked: its ``unsat`` holds for
    the grid too, its ``sat`` only if the input it found is whole.

    Args:
        low, high: (images, *input shape), every element from one to the other.
        stem: what the names of the queries begin with.

    Returns:
        the queries, one per image.

    Raises:
        InputError: the graph does not end in ArgMax, or its integers are too large for ONNX.
    """
    last = graph.nodes[-1]
    if not isinstance(last.op, ArgMax):
        raise InputError(f"node {last.name!r}: a query is about a class; end the graph with ArgMax")
    logits = replace(graph, nodes=graph.nodes[:-1], output=last.inputs[0])
    export_onnx(logits, directory / NETWORK)
    kinds = {onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.DOUBLE: "float64"}
    kind = kinds[onnx.load(directory / NETWORK).graph.input[0].type.tensor_type.elem_type]
    written = []
    for image, (least, most, label) in enumerate(zip(low, high, y.tolist(), strict=True)):
        path = directory / f"{stem}-image-{image}.vnnlib"
        write_atomic(path, "\n".join(_query(logits, kind, least, most, label)) + "\n")
        written.append(path)
    return written


def _query(graph: Graph, kind: str, low: Array, high: Array, label: int) -> list[str]:
    """The lines of one query; the batch is the first index."""
    shape, classes = graph.input_edge.shape, graph.edge(graph.output).shape[0]
    affine = graph.input_affine
    lines = [
        f"; {graph.name}: can an input of this box have another class than {label}?",
        f"; real input = {affine.scale} * X + {affine.offset}; only whole X are inputs",
        "(vnnlib-version <2.0>)",
        "(declare-network network",
        f"  (declare-input X {kind} [1, {', '.join(map(str, shape))}])",
        f"  (declare-output Y {kind} [1, {classes}])",
        ")",
    ]
    for place, (least, most) in enumerate(
        zip(low.ravel().tolist(), high.ravel().tolist(), strict=True)
    ):
        index = _index(place, shape)
        lines.append(f"(assert (and (>= X{index} {least}.0) (<= X{index} {most}.0)))")
    beats = [
        f"({'>=' if rival < label else '>'} Y[0,{rival}] Y[0,{label}])"
        for rival in range(classes)
        if rival != label
    ]
    lines.append(f"(assert (or {' '.join(beats)}))" if len(beats) > 1 else f"(assert {beats[0]})")
    return lines


def _index(place: int, shape: tuple[int, ...]) -> str:
    found = []
    for size in reversed(shape):
        place, own = divmod(place, size)
        found.append(own)
    return "[" + ",".join(map(str, [0, *reversed(found)])) + "]"
