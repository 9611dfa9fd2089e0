"""Cycle counts as formulas, which simulation must meet exactly in steady state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from flow.ir import Graph
from flow.ops import MaxPool, SumPool, Window
from flow.schedule.dataflow import Folding, Unit
from flow.schedule.placement import dataflow


def cycles(unit: Unit) -> int:
    """Clock cycles that one image occupies ``unit``; every one of them moves a word or multiplies.

    Raises:
        TypeError: a unit of a kind that no formula is known for.
    """
    if unit.module == "matvec":
        return unit.sinks[0].words * unit.vector
    if unit.module == "depthwise":
        return unit.sources[0].words
    if unit.module in ("maxpool", "sumpool"):
        return _pool_cycles(unit)
    return max(stream.words for stream in (*unit.sources, *unit.sinks))


def unit_cycles(graph: Graph, folding: Mapping[str, Folding]) -> dict[str, int]:
    """Cycles per image of every unit that computes, by name."""
    units = dataflow(graph, folding).units
    return {unit.name: cycles(unit) for unit in units if unit.node is not None}


def interval(graph: Graph, folding: Mapping[str, Folding]) -> int:
    """Cycles from one image to the next in steady state: the slowest unit."""
    return max(map(cycles, dataflow(graph, folding).units))


def pool_window(op: MaxPool | SumPool) -> Window:
    """The windows of a pool."""
    return Window(op.kernel, op.stride, getattr(op, "dilation", (1, 1)))


def apart(window: Window, image: tuple[int, int, int]) -> bool:
    """Whether no pixel is in two windows and each window is one block, as pool.sv decides it."""
    sides = zip(window.kernel, window.stride, window.dilation, image[:2], strict=True)
    return all(d * (k - 1) + 1 == k and (s >= k or (size - k) // s == 0) for k, s, d, size in sides)


def _pool_cycles(unit: Unit) -> int:
    assert unit.node is not None
    source, window = unit.sources[0], pool_window(cast(MaxPool | SumPool, unit.node.op))
    if apart(window, source.image):
        return source.words
    return max(source.words, unit.sinks[0].words * window.kernel[0] * window.kernel[1])
