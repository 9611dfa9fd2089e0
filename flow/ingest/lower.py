"""From a quantized ONNX file to the integer graph."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from pathlib import Path

import numpy as np

from flow.errors import InputError
from flow.ingest.decision import Decision, WeightDecision
from flow.ingest.final import logits_tensor
from flow.ingest.nodes import RECOGNISERS
from flow.ingest.nodes.finn import annotated_type
from flow.ingest.order import input_shape_and_view
from flow.ingest.reader import Source, SourceNode, read_source
from flow.ingest.state import Real, State
from flow.ingest.steps import Affine as AffineStep
from flow.ingest.steps import at
from flow.ir import Affine, Array, Edge, Graph, IntType, Node
from flow.ops import ArgMax, Decode
from flow.passes import Policy, check_trained, run_passes

_OF_IMAGES = (
    "Conv", "Pad", "MaxPool", "AveragePool", "GlobalAveragePool", "ReduceMean",
    "Im2Col", "MaxPoolNHWC", "QuantAvgPool2d",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lowered:
    """The integer graph, which tensor of the file its quantized edges and logits stand for, and
    the quantizers of activations and of weights in order.

    The file's input tensor has ``input_shape`` without the batch, and ``input_view`` says which
    element of the graph's input stands where in it. The graph's input is that tensor channels last
    where the file works on images or quantizes the input as it comes; else it is a vector in
    row-major order, the last axis of the file fastest.
    """

    graph: Graph
    origin: Mapping[str, str]
    decisions: tuple[Decision, ...]
    weights: tuple[WeightDecision, ...]
    input_shape: tuple[int, ...]
    input_view: Array


def lower(
    path: Path,
    *,
    accumulator: str = "exact",
    decode: str = "plain",
    input_type: str | None = None,
    input_scale: str | Fraction | None = None,
) -> Lowered:
    """Lower a QONNX file exactly, or refuse it naming the node.

    Args:
        accumulator: ``exact`` (narrowest for the trained weights) or ``fault-safe``.
        decode: ``plain`` or ``clamp``: how codes that training never uses are read.
        input_type: the integers the input carries, such as ``u8``; else the file's own note, else
            its first quantizer, says.
        input_scale: with ``input_type``: ``float = scale * integer``, exactly; 1 if not given.

    Raises:
        InputError: the file or a node of it cannot be represented exactly.
    """
    try:
        policy, reading = Policy(accumulator), Decode(decode)
    except ValueError as error:
        raise InputError(f"{error}; see `bitproof lower --help`") from None
    source = read_source(path)
    state = State(source, policy, reading)
    state.tensors |= dict(source.constants)
    view = np.arange(prod(source.input_shape)).reshape(source.input_shape)  # until it is stated
    state.tensors[source.input] = Real(source.input, (), view)
    _declare_input(state, input_type, input_scale)
    final, nodes = logits_tensor(source)
    if unknown := next((node for node in nodes if node.op not in RECOGNISERS), None):
        raise _unknown(unknown)  # before minutes go into what stands in front of it
    for node in nodes:
        try:
            state.tensors[node.outputs[0]] = RECOGNISERS[node.op].read(state, node)
        except InputError:
            raise
        except ValueError as error:  # an op or a type that cannot be, or not that large
            raise node.refuse(str(error)) from None
    return _finish(state, final)


def _unknown(node: SourceNode) -> InputError:
    if ".fpgadataflow" in node.op:
        return node.refuse(
            "a hardware layer of FINN, whose streams and folding are no part of the network; "
            "lower the file from before the conversion to hardware layers"
        )
    known = ", ".join(sorted(RECOGNISERS))
    return node.refuse(f"this op is not supported; supported are {known}")


def _declare_input(state: State, stated: str | None, scale: str | Fraction | None) -> None:
    """Take the input's integers from the caller, or from the file's own note where it has one."""
    text, where = stated, "input type"
    if text is None:
        if scale is not None:
            raise InputError("an input scale without an input type; state both")
        text, where = state.source.properties.get("bitproof.input_type"), "bitproof.input_type"
    noted = annotated_type(state.source.annotation)
    if text is None and noted is not None:
        text, where = str(noted), "annotation of the input"
    if text is None:
        return
    try:
        kind = IntType.parse(text)
    except ValueError as error:
        raise InputError(f"{state.source.path}: {where}: {error}") from None
    _check_note(state.source, noted, kind, _scale(scale))
    shape = state.source.input_shape
    image = len(shape) == 3 and any(node.op in _OF_IMAGES for node in state.source.nodes)
    whole, view = input_shape_and_view(state.source) if image else ((prod(shape),), None)
    state.input_edge, state.input_view = Edge(whole, kind), view
    state.input_affine = AffineStep((_scale(scale),))
    state.edges[state.source.input] = state.input_edge
    if view is None:
        view = np.arange(prod(shape)).reshape(shape)
    state.tensors[state.source.input] = Real(
        state.source.input, (state.input_affine,), view, quantized=True
    )


def _check_note(source: Source, noted: IntType | None, kind: IntType, scale: Fraction) -> None:
    """Refuse a statement that contradicts what the file notes of its input."""
    if noted is None:
        return
    inside = noted.lo <= kind.lo and kind.hi <= noted.hi and noted.bipolar == kind.bipolar
    if not inside or scale != 1:
        raise InputError(
            f"{source.path}: the input is annotated {source.annotation}, which is {noted} with a "
            f"scale of 1, not {kind} with {scale}; state that, or correct the annotation"
        )


def _scale(text: str | Fraction | None) -> Fraction:
    try:
        scale = Fraction(1 if text is None else text)
    except (ValueError, ZeroDivisionError):
        raise InputError(f"input scale {text!r} is no fraction; write 1/255 or 0.5") from None
    if scale <= 0:
        raise InputError(f"input scale {text!r} is 0 or below; use a positive fraction")
    return scale


def _finish(state: State, final: str) -> Lowered:
    affine, real = _logits(state, final)
    classes = state.edges[real.edge].elements
    state.origin[real.edge] = final
    state.nodes.append(Node("argmax", ArgMax(), (real.edge,), "class"))
    name = _plain(state.source.properties.get("bitproof.recipe", state.source.path.stem))
    graph = replace(
        state.graph(name, "class"),
        input_affine=_stated(state.input_affine, 0),
        logit_affine=tuple(_stated(affine, c) for c in range(classes)),
    )
    view = state.input_view
    if view is None:
        view = np.arange(graph.input_edge.elements).reshape(state.source.input_shape)
    try:
        graph = check_trained(run_passes(graph))
    except ValueError as error:
        raise InputError(f"{state.source.path}: {error}") from None
    return Lowered(
        graph,
        dict(state.origin),
        tuple(state.decisions),
        tuple(state.weights),
        state.source.input_shape,
        view,
    )


def _logits(state: State, final: str) -> tuple[AffineStep, Real]:
    """The affine meaning of the last integers, one positive scale and one bias for all classes."""
    real = state.tensors.get(final)
    last = next((node for node in state.source.nodes if final in node.outputs), None)
    if last is None or not isinstance(real, Real) or not state.nodes:
        raise InputError(f"{state.source.path}: output {final!r} is no result of a layer")
    edge = state.edges[real.edge]
    if real.view.ndim != 1:
        raise last.refuse(f"logits of shape {real.view.shape}; end in one logit per class")
    if (np.diff(real.view) != 1).any():
        raise last.refuse("the logits are a flattened image; end in a dense layer or a global pool")
    if edge.elements == 1:  # whose largest is always itself: every claim about it would hold
        raise last.refuse("one logit, so nothing to choose from; end in a logit per class")
    affine = real.affine
    if affine is None:
        raise last.refuse("the logits end in an activation or BatchNormalization; end in a layer")
    scales = {at(affine.scale, c) for c in range(edge.elements)}
    offsets = {at(affine.offset, c) for c in range(edge.elements)}
    if len(scales) > 1 or len(offsets) > 1:
        raise last.refuse(
            "the logits have different scales or biases per class; "
            "use one weight scale and no bias in the last layer"
        )
    if min(scales) <= 0:
        raise last.refuse("the logits have a scale of 0 or below; use a positive one")
    return affine, real


def _stated(affine: AffineStep | None, channel: int) -> Affine:
    if affine is None:
        return Affine(Fraction(1))
    return Affine(at(affine.scale, channel), at(affine.offset, channel))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-") or "network"
