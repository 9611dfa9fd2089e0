"""From a quantized ONNX file to the integer graph."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from flow.errors import InputError
from flow.ingest.decision import Decision
from flow.ingest.nodes import RECOGNISERS
from flow.ingest.reader import Source, read_source
from flow.ingest.state import Real, State
from flow.ingest.steps import Affine as AffineStep
from flow.ingest.steps import at
from flow.ir import Affine, Edge, Graph, IntType, Node
from flow.ops import ArgMax, Decode
from flow.passes import Policy, run_passes

_FINAL = ("TopK", "ArgMax", "Softmax", "LogSoftmax")


@dataclass(frozen=True, slots=True)
class Lowered:
    """The integer graph, which tensor of the file its quantized edges and logits stand for, and
    the quantizers in order."""

    graph: Graph
    origin: Mapping[str, str]
    decisions: tuple[Decision, ...]


def lower(path: Path, *, accumulator: str = "exact", decode: str = "plain") -> Lowered:
    """Lower a QONNX file exactly, or refuse it naming the node.

    Args:
        accumulator: ``exact`` (narrowest for the trained weights) or ``fault-safe``.
        decode: ``plain`` or ``clamp``: how codes that training never uses are read.

    Raises:
        InputError: the file or a node of it cannot be represented exactly.
    """
    source = read_source(path)
    try:
        state = State(source, Policy(accumulator), Decode(decode))
    except ValueError as error:
        raise InputError(f"{error}; see `bitproof lower --help`") from None
    state.tensors |= dict(source.constants)
    state.tensors[source.input] = Real(source.input, ())
    _declare_input(state)
    final = source.output
    for node in source.nodes:
        if node.op in _FINAL and node.outputs[0] == source.output:
            final = node.inputs[0]
            break
        if node.op not in RECOGNISERS:
            known = ", ".join(sorted(RECOGNISERS))
            raise node.refuse(f"this op is not supported; supported are {known}")
        for place, name in enumerate(node.inputs):
            if name and name not in state.tensors:
                raise node.refuse(f"input {place} ({name!r}) was not understood")
        state.tensors[node.outputs[0]] = RECOGNISERS[node.op](state, node)
    return _finish(state, final)


def _declare_input(state: State) -> None:
    """Take the input's integers from the file's own note, where it has one."""
    text = state.source.properties.get("bitproof.input_type")
    if text is None:
        return
    try:
        kind = IntType.parse(text)
    except ValueError as error:
        raise InputError(f"{state.source.path}: bitproof.input_type: {error}") from None
    state.input_edge = Edge(state.source.input_shape, kind)
    state.input_affine = AffineStep((Fraction(1),))
    state.edges[state.source.input] = state.input_edge
    state.tensors[state.source.input] = Real(state.source.input, (state.input_affine,))


def _finish(state: State, final: str) -> Lowered:
    real = state.tensors.get(final)
    path = state.source.path
    if not isinstance(real, Real) or not state.nodes:
        raise InputError(f"{path}: output {final!r} is no result of the network")
    affine = real.affine
    if affine is None:
        raise InputError(f"{path}: output {final!r} ends in an activation; end in logits")
    classes = state.edges[real.edge].elements
    scales = {at(affine.scale, c) for c in range(classes)}
    offsets = {at(affine.offset, c) for c in range(classes)}
    if len(scales) > 1 or len(offsets) > 1 or min(scales) <= 0:
        raise InputError(
            f"{path}: logits {final!r} have different scales or biases per class; "
            "use one weight scale and no bias in the last layer"
        )
    state.origin[real.edge] = final
    nodes = (*state.nodes, Node("argmax", ArgMax(), (real.edge,), "class"))
    name = state.source.properties.get("bitproof.recipe", _plain(path))
    state.nodes = list(nodes)
    graph = replace(
        state.graph(name, "class"),
        input_affine=_stated(state.input_affine, 0),
        logit_affine=tuple(_stated(affine, c) for c in range(classes)),
    )
    try:
        return Lowered(run_passes(graph), dict(state.origin), tuple(state.decisions))
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None


def _stated(affine: AffineStep | None, channel: int) -> Affine:
    if affine is None:
        return Affine(Fraction(1))
    return Affine(at(affine.scale, channel), at(affine.offset, channel))


def _plain(path: Path) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", path.stem.lower()).strip("-") or "network"


__all__ = ["Lowered", "Source", "lower"]
