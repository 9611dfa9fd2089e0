"""What a pass changed, node by node, for people to read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

import numpy as np

from flow.ir import Graph, IntType, Op


@dataclass(frozen=True, slots=True)
class Change:
    """Pass ``name`` changed ``node``: ``what`` has its settings before and after."""

    name: str
    node: str
    what: str


def changes(name: str, before: Graph, after: Graph) -> tuple[Change, ...]:
    """Every node that differs between two graphs, in order: made, removed or with new settings."""
    old, new = ({node.name: node.op for node in graph.nodes} for graph in (before, after))
    found = []
    for node, op in new.items():
        if node not in old:
            found.append(Change(name, node, f"made, {type(op).__name__}"))
        elif what := ", ".join(_differing(old[node], op)):
            found.append(Change(name, node, what))
    return (*found, *(Change(name, node, "removed") for node in old if node not in new))


def _differing(old: Op, new: Op) -> Iterator[str]:
    if type(old) is not type(new):
        yield f"{type(old).__name__} -> {type(new).__name__}"
        return
    for field in fields(new):  # type: ignore[arg-type]
        name = field.name
        was, now = getattr(old, name), getattr(new, name)
        if isinstance(now, np.ndarray):
            if not np.array_equal(was, now):
                yield f"{name} changed"
        elif was != now:
            yield f"{name} {_text(was)} -> {_text(now)}"


def _text(value: Any) -> str:
    return str(value) if isinstance(value, IntType | StrEnum) else repr(value)
