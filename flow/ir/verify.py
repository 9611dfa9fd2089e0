"""What every graph keeps, whatever pass made it."""

from __future__ import annotations

import re

from flow.ir.graph import Graph

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def verify(graph: Graph) -> Graph:
    """Return ``graph`` if it is legal: typed edges, unique legal names, every edge of use.

    Raises:
        ValueError: names the node and what is wrong with it.
    """
    edges = graph.edges()
    seen = set()
    for node in graph.nodes:
        if _NAME.fullmatch(node.name) is None:
            raise ValueError(f"node {node.name!r}: a name is lower case letters, digits and _")
        if node.name in seen:
            raise ValueError(f"node {node.name!r}: two nodes have this name")
        seen.add(node.name)
        for parameter, kind in node.op.stored.items():
            kind.encode(getattr(node.op, parameter))
    read = {name for node in graph.nodes for name in node.inputs} | {graph.output}
    unused = [name for name in edges if name not in read]
    if unused:
        raise ValueError(f"edge {unused[0]!r} is read by nothing")
    return graph
