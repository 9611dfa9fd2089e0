"""From a quantized ONNX file to the integer graph."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from pathlib import Path

import numpy as np

from flow.errors import InputError
from flow.ingest.decision import Decision, WeightDecision
from flow.ingest.explain import Explained, RefusedError, explain, explain_ops, explain_refusal
from flow.ingest.final import logits_tensor
from flow.ingest.logits import Logits, read_logits
from flow.ingest.nodes import RECOGNISERS
from flow.ingest.nodes.finn import annotated_type
from flow.ingest.nodes.qcdq import INTEGER_OPERATORS
from flow.ingest.order import input_shape_and_view
from flow.ingest.reader import Source, SourceNode, read_source
from flow.ingest.state import Reading, Real, State
from flow.ingest.steps import Affine as AffineStep
from flow.ir import Affine, Array, Edge, Graph, IntType, Node
from flow.ops import ArgMax, Compare, Decode
from flow.passes import LOWERING, Change, Pass, Policy, check_trained, run_passes, search_form


@dataclass(frozen=True, slots=True)
class Lowered:
    """The integer graph, which tensor of the file its quantized edges and logits stand for, the
    quantizers of activations and of weights in order, and what the file's logits are.

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
    logits: Logits
    explained: tuple[Explained, ...] = ()  # what became of each node of the file
    changes: tuple[Change, ...] = ()  # what the passes changed in the end


def lower(
    path: Path,
    *,
    accumulator: str = "exact",
    decode: str = "plain",
    compare: str = "count",
    input_type: str | None = None,
    input_scale: str | Fraction | None = None,
) -> Lowered:
    """Lower a QONNX file exactly, or refuse it naming the node.

    Args:
        accumulator: ``exact`` (narrowest for the trained weights) or ``fault-safe``.
        decode: ``plain`` or ``clamp``: how codes that training never uses are read.
        compare: ``count`` or ``search``: how thresholds reached are found.
        input_type: the integers the input carries, such as ``u8``; else the file's own note, else
            its first quantizer, says.
        input_scale: with ``input_type``: ``float = scale * integer``, exactly; 1 if not given.

    Raises:
        InputError: the file or a node of it cannot be represented exactly.
    """
    try:
        policy, reading, form = Policy(accumulator), Decode(decode), Compare(compare)
    except ValueError as error:
        raise InputError(f"{error}; see `bitproof lower --help`") from None
    state = State(read_source(path), policy, reading)
    _declare_input(state, input_type, input_scale)
    return _lower(state, (*LOWERING, search_form) if form is Compare.SEARCH else LOWERING)


def _lower(state: State, passes: Sequence[Pass]) -> Lowered:
    """Read every node, run ``passes``, and tell what became of each node."""
    final, nodes, dropped = logits_tensor(state.source)
    if unknown := next((node for node in nodes if node.op not in RECOGNISERS), None):
        told = explain_ops(state, RECOGNISERS)  # before minutes go into what stands in front of it
        raise RefusedError(str(_unknown(unknown)), told)
    try:
        for node in nodes:
            state.readings.append(_read(state, node))
        lowered = _finish(state, final, dropped, passes)
    except InputError as error:
        raise RefusedError(str(error), explain_refusal(state, nodes, error)) from None
    told = explain(state, final, lowered.graph)
    return replace(lowered, explained=told, changes=tuple(state.changes))


def _read(state: State, node: SourceNode) -> Reading:
    """Read one node, and note what the state gained by it."""
    before = len(state.nodes), len(state.decisions), len(state.weights)
    stated = state.input_edge
    try:
        result = RECOGNISERS[node.op].read(state, node)
    except InputError:
        raise
    except ValueError as error:  # an op or a type that cannot be, or not that large
        raise node.refuse(str(error)) from None
    state.tensors[node.outputs[0]] = result
    return Reading(
        node,
        result,
        tuple(state.nodes[before[0] :]),
        tuple(state.decisions[before[1] :]),
        tuple(state.weights[before[2] :]),
        state.input_edge if stated is None else None,
    )


def _unknown(node: SourceNode) -> InputError:
    if node.op in INTEGER_OPERATORS:
        return node.refuse("an operator on integers; export the network in QDQ form")
    if ".fpgadataflow" in node.op:
        return node.refuse(
            "a hardware layer of FINN, whose streams and folding are no part of the network; "
            "lower the file from before the conversion to hardware layers"
        )
    known = ", ".join(sorted(RECOGNISERS))
    return node.refuse(f"this op is not supported; supported are {known}")


def _declare_input(state: State, stated: str | None, scale: str | Fraction | None) -> None:
    """Take the input's integers from the caller, or from the file's own note where it has one."""
    source = state.source
    state.tensors |= dict(source.constants)
    whole_view = np.arange(prod(source.input_shape)).reshape(source.input_shape)
    state.tensors[source.input] = Real(source.input, (), whole_view)  # until it is stated
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
    image = len(shape) in (2, 3) and state.works_on_images
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


def _finish(
    state: State, final: str, dropped: tuple[SourceNode, ...], passes: Sequence[Pass]
) -> Lowered:
    logits = read_logits(state, final, dropped)
    state.nodes.append(Node("argmax", ArgMax(), (logits.compared,), "class"))
    name = _plain(state.source.properties.get("bitproof.recipe", state.source.path.stem))
    same = logits.exact and logits.compared == logits.edge
    graph = replace(
        state.graph(name, "class"),
        input_affine=_stated(state.input_affine),
        logit_affine=logits.affine if same else None,
    )
    view = state.input_view
    if view is None:
        view = np.arange(graph.input_edge.elements).reshape(state.source.input_shape)
    try:
        graph = check_trained(run_passes(graph, passes, record=state.changes))
    except ValueError as error:
        raise InputError(f"{state.source.path}: {error}") from None
    return Lowered(
        graph,
        dict(state.origin),
        tuple(state.decisions),
        tuple(state.weights),
        state.source.input_shape,
        view,
        logits,
    )


def _stated(affine: AffineStep | None) -> Affine:
    return Affine(Fraction(1)) if affine is None else Affine(affine.scale[0], affine.offset[0])


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-") or "network"
