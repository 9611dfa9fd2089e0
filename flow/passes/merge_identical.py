"""Equal ops on equal inputs are computed, and stored, once."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import fields, replace

import numpy as np

from flow.ir import Graph, Op
from flow.passes.rewire import reading


def merge_identical(graph: Graph) -> Graph:
    """Keep the first of nodes with the same constants and inputs; its output serves all readers.

    Values of the remaining edges stay. The bits that the others stored are gone, so a fault in
    what is kept now reaches all readers.
    """
    first: dict[Hashable, str] = {}
    same: dict[str, str] = {}
    nodes = []
    for old in graph.nodes:
        node = reading(old, same)
        key = (_contents(node.op), node.inputs)
        if key in first:  # never the last node: what reads the first one comes after it
            same[node.output] = first[key]
            continue
        first.setdefault(key, node.output)
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes)) if same else graph


def _contents(op: Op) -> Hashable:
    """Everything that decides what ``op`` computes, faults included."""
    values: list[Hashable] = [type(op).__name__]
    for field in fields(op):  # type: ignore[arg-type]
        value = getattr(op, field.name)
        array = isinstance(value, np.ndarray)
        values.append((value.shape, value.tobytes()) if array else value)
    return tuple(values)
