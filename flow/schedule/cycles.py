"""Cycle counts as formulas, which simulation must meet exactly in steady state."""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch

from flow.ir import Graph, Op
from flow.ops import ArgMax, MatVec, Threshold
from flow.schedule.chain import layers
from flow.schedule.plan import Folding


@singledispatch
def cycles(op: Op, folding: Folding, *, elements: int = 0) -> int:
    """Clock cycles one vector of ``elements`` occupies ``op``; the vector is ArgMax's only size."""
    raise TypeError(f"no cycle model for {type(op).__name__}; register one in {__name__}")


@cycles.register
def _(op: MatVec, folding: Folding, *, elements: int = 0) -> int:
    rows, columns = op.weights.shape
    return int(rows // folding.pe) * int(columns // folding.simd)


@cycles.register
def _(op: Threshold, folding: Folding, *, elements: int = 0) -> int:
    return int(op.sign.size) // folding.pe


@cycles.register
def _(op: ArgMax, folding: Folding, *, elements: int = 0) -> int:
    return elements // folding.pe


def unit_cycles(graph: Graph, folding: Mapping[str, Folding]) -> dict[str, int]:
    """Cycles per image of every node, by name."""
    counts: dict[str, int] = {}
    for layer in layers(graph):
        fold = folding[layer.matvec.name]
        for node in (layer.matvec, layer.after):
            counts[node.name] = cycles(node.op, fold, elements=layer.rows)
    return counts


def interval(graph: Graph, folding: Mapping[str, Folding]) -> int:
    """Cycles from one image to the next in steady state: the slowest unit.

    Width converters never decide: they move one word per cycle, and each side moves at most as many
    words per image as the MatVec beside it takes cycles.
    """
    return max(unit_cycles(graph, folding).values())
