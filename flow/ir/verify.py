"""What every graph keeps, whatever pass made it."""

from __future__ import annotations

import re

from flow.ir.graph import Graph, Node
from flow.ir.types import Edge, IntType

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def verify(graph: Graph) -> Graph:
    """Return ``graph`` if it is legal.

    Legal is: nodes with unique plain names in topological order, edges of known type and at least
    one element, each read by something; one output, made by the last node; ArgMax nowhere else;
    stored values within their types; registers that are no bipolar type; positive scales, one per
    class. Faults keep a graph legal; what holds only without them is in ``flow.passes.trained``.

    Raises:
        ValueError: names the node or edge and what is wrong with it.
    """
    if not graph.nodes:
        raise ValueError(f"graph {graph.name!r} has no nodes")
    edges = graph.edges()
    seen = set()
    for node in graph.nodes:
        if _NAME.fullmatch(node.name) is None:
            raise ValueError(f"node {node.name!r}: a name is lower case letters, digits and _")
        if node.name in seen:
            raise ValueError(f"node {node.name!r}: two nodes have this name")
        seen.add(node.name)
        _check_op(graph, node)
    for name, edge in edges.items():
        if min(edge.shape, default=1) < 1:
            raise ValueError(f"edge {name!r}: {edge} has no elements")
    read = {name for node in graph.nodes for name in node.inputs} | {graph.output}
    # Nothing can read the last node: that the output is made there follows.
    unused = [name for name in edges if name not in read]
    if unused:
        raise ValueError(f"edge {unused[0]!r} is read by nothing")
    _check_scales(graph, edges)
    return graph


def _check_op(graph: Graph, node: Node) -> None:
    for parameter, kind in node.op.stored.items():
        values = getattr(node.op, parameter)
        if not values.size:
            raise ValueError(f"node {node.name!r}: {parameter} of shape {values.shape} are none")
        kind.encode(values)
    register = getattr(node.op, "accumulator", None)
    if isinstance(register, IntType) and register.bipolar:
        raise ValueError(f"node {node.name!r}: a sum cannot be kept in {register}")
    if type(node.op).__name__ == "ArgMax" and node is not graph.nodes[-1]:
        raise ValueError(f"node {node.name!r}: ArgMax decides the class, as the last node")


def _check_scales(graph: Graph, edges: dict[str, Edge]) -> None:
    if graph.input_affine.scale <= 0:
        raise ValueError(f"input scale {graph.input_affine.scale} is not positive")
    if graph.logit_affine is None:
        return
    classes = edges[graph.logits].shape[-1] if edges[graph.logits].shape else 1
    if len(graph.logit_affine) != classes:
        raise ValueError(f"{len(graph.logit_affine)} logit scales for {classes} classes")
    for affine in graph.logit_affine:
        if affine.scale <= 0:
            raise ValueError(f"logit scale {affine.scale} is not positive")
