"""A graph as text: one line per node, for people, diffs and tests."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import StrEnum

import numpy as np

from flow.ir.graph import Graph, Node, Op
from flow.ir.types import IntType


def graph_text(graph: Graph) -> str:
    """Every node as ``output : edge = Op(settings) <- inputs``, constants by shape only."""
    edges = graph.edges()
    lines = [f"graph {graph.name}", f"  {graph.input} : {graph.input_edge}"]
    for node in graph.nodes:
        inputs = ", ".join(node.inputs)
        lines.append(f"  {node.output} : {edges[node.output]} = {op_text(node)} <- {inputs}")
    return "\n".join([*lines, f"  return {graph.output}", ""])


def stored_bits(op: Op) -> int:
    """How many parameter bits ``op`` keeps in memory."""
    return sum(int(getattr(op, name).size) * kind.bits for name, kind in op.stored.items())


def op_text(node: Node) -> str:
    """``name:Op(settings)``, constants by shape only."""
    settings: list[str] = []
    if is_dataclass(node.op):
        for field in fields(node.op):
            value = getattr(node.op, field.name)
            if isinstance(value, np.ndarray):
                text = "x".join(map(str, value.shape))
            elif isinstance(value, (IntType, StrEnum)):
                text = str(value)
            elif value == field.default:
                continue
            else:
                text = repr(value)
            settings.append(f"{field.name}={text}")
    return f"{node.name}:{type(node.op).__name__}({', '.join(settings)})"
