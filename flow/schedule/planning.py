"""From a graph to its plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from flow.graphfile import digest
from flow.ir import Graph
from flow.schedule.area import ECP5_85F, Device
from flow.schedule.buffers import fifo_depths
from flow.schedule.cells import MemoryStyle
from flow.schedule.dataflow import Folding
from flow.schedule.folding import check_folding, choose_folding
from flow.schedule.plan import Plan


def make_plan(
    graph: Graph,
    *,
    cycles: int | None = None,
    folding: Mapping[str, Folding] | None = None,
    parity: bool = False,
    memory_style: MemoryStyle = MemoryStyle.AUTO,
    device: Device = ECP5_85F,
) -> Plan:
    """A legal plan that needs at most ``cycles`` per image, or one with the ``folding`` given.

    With ``parity`` each word of a parameter memory is protected, at no cycle's cost.
    ``memory_style`` says what these memories are made of, for ``device`` too.

    Its steady state is ``interval(graph, plan.folding)`` cycles per image, confirmed by the token
    simulation. A folding is chosen for the least area of ``device``.

    Raises:
        InputError: the hardware cannot have the graph, the folding or target is illegal, or there
            is parity for constants.
    """
    device = replace(device, family=replace(device.family, style=memory_style))
    if folding is None:
        folding = choose_folding(graph, cycles=cycles, device=device)
    check_folding(graph, folding)
    return Plan(digest(graph), dict(folding), fifo_depths(graph, folding), parity, memory_style)
