"""The least area that meets a target, by an exact search over divisors."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from flow.errors import InputError
from flow.ir import Edge, Graph
from flow.ops import MatVec
from flow.schedule.area import ECP5_85F, Device
from flow.schedule.cells import ECP5, Family
from flow.schedule.cycles import cycles as unit_cycles
from flow.schedule.dataflow import Folding
from flow.schedule.placement import dataflow, depthwise
from flow.schedule.search import Space, space

PRODUCTS = 64  # per cycle in the largest layer, where no target is given


def choose_folding(
    graph: Graph, *, cycles: int | None = None, device: Device = ECP5_85F
) -> dict[str, Folding]:
    """The legal folding of least area that needs at most ``cycles`` per image.

    Area is what the resource model says of every unit, as the sum of the shares of ``device``
    (``area.weigh``), with FIFOs as deep as ``area.expected_depth`` guesses. Without a target the
    largest layer does ``PRODUCTS`` products per cycle, or as many as the streams around it can
    feed. The search is exact.

    Raises:
        InputError: ``cycles`` is below 1 or below what the most parallel hardware needs, or the
            library has no unit for a node.
    """
    if cycles is not None and cycles < 1:
        raise InputError(f"cycles={cycles}: an image takes at least 1 cycle; ask for 1 or more")
    found = foldings(graph, device.family)
    target = -(-_largest(graph) // PRODUCTS) if cycles is None else cycles
    chosen = found.least_area(target, device.weights)
    if chosen is None:
        least = found.fewest_cycles()
        if cycles is not None:
            raise InputError(
                f"cycles={cycles}: graph {graph.name!r} needs {least} at least, however parallel: "
                f"{_slowest(graph, found, least)}; ask for {least} or more"
            )
        chosen = found.least_area(least, device.weights)
    assert chosen is not None
    return chosen.folding


def foldings(graph: Graph, family: Family = ECP5) -> Space:
    """Every legal folding of ``graph``.

    Raises:
        InputError: the library has no unit for a node.
    """
    layers = matvecs(graph)
    dataflow(graph, dict.fromkeys(layers, Folding(1, 1)))  # refuses what cannot be built
    return space(graph, {name: legal_foldings(op) for name, op in layers.items()}, family)


def _slowest(graph: Graph, found: Space, least: int) -> str:
    """Which unit takes ``least`` cycles where the folding is the fastest."""
    chosen = found.least_area(least, (0, 0, 0, 0))
    assert chosen is not None
    units = dataflow(graph, chosen.folding).units
    unit = next(unit for unit in units if unit_cycles(unit) == least)
    edge = unit.node.name if unit.node is not None else unit.sources[0].edge
    return f"{edge!r} cannot take its image faster"


def check_folding(graph: Graph, folding: Mapping[str, Folding]) -> None:
    """Refuse a folding the hardware cannot have.

    Raises:
        InputError: names the node, the value and the legal choices.
    """
    layers = matvecs(graph)
    for name in folding:
        if name not in layers:
            known = _list(list(layers))
            raise InputError(f"folding of {name!r}: no such MatVec; the graph has {known}")
    for name, op in layers.items():
        if name not in folding:
            raise InputError(f"node {name!r}: no folding; give pe and simd")
        rows, columns = op.weights.shape
        pes, simds = legal_foldings(op)
        if folding[name].pe not in pes:
            raise _illegal(name, f"{rows} rows", f"pe={folding[name].pe}", pes)
        if folding[name].simd not in simds:
            raise _illegal(name, f"{columns} columns", f"simd={folding[name].simd}", simds)
    dataflow(graph, folding)


def divisors(number: int) -> list[int]:
    """Every positive divisor, ascending."""
    return [d for d in range(1, number + 1) if number % d == 0]


def legal_foldings(op: MatVec) -> tuple[list[int], list[int]]:
    """Every PE and every SIMD that ``op`` may have. PE rows lie in one group of a grouped product;
    a depthwise one multiplies one tap of PE channels at a time."""
    rows, columns = op.weights.shape
    if depthwise(op):
        return divisors(rows), [1]
    return divisors(rows // op.groups), divisors(columns)


def matvecs(graph: Graph) -> dict[str, MatVec]:
    """What is folded, by node name."""
    return {node.name: node.op for node in graph.nodes if isinstance(node.op, MatVec)}


def _largest(graph: Graph) -> int:
    edges = graph.edges()
    return max(
        node.op.weights.size * _vectors(edges[node.inputs[0]])
        for node in graph.nodes
        if isinstance(node.op, MatVec)
    )


def _vectors(edge: Edge) -> int:
    return prod(edge.shape[:-1])


def _illegal(node: str, what: str, given: str, legal: list[int]) -> InputError:
    return InputError(
        f"node {node!r}: {what} cannot be folded by {given}; choose one of {_list(legal)}"
    )


def _list(values: list[str] | list[int]) -> str:
    return ", ".join(map(str, values))
