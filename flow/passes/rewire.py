"""Who reads an edge, and taking nodes out of a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from flow.ir import Graph, Node


def readers(graph: Graph) -> dict[str, list[Node]]:
    """The nodes that read each edge; the output edge of the graph may have none."""
    found: dict[str, list[Node]] = {name: [] for name in graph.edges()}
    for node in graph.nodes:
        for name in node.inputs:
            found[name].append(node)
    return found


def reading(node: Node, same: Mapping[str, str]) -> Node:
    """``node`` with the edges named in ``same`` replaced by their equals."""
    inputs = tuple(same.get(name, name) for name in node.inputs)
    return node if inputs == node.inputs else replace(node, inputs=inputs)


def without_unread(graph: Graph) -> Graph:
    """``graph`` without the nodes that nothing reads; the same object if there are none."""
    needed = {graph.output}
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if node.output in needed:
            needed.update(node.inputs)
            kept.append(node)
    if len(kept) == len(graph.nodes):
        return graph
    return replace(graph, nodes=tuple(reversed(kept)))
