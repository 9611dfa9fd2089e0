"""Every choice of lanes around each node with its cycles and area: what the search adds up.

Variables are ``<matvec>.pe``, ``<matvec>.simd``, the lanes of the input, and those of nodes that
change them. A node's units depend on a few of them only: they are placed for each choice by the
same code that places the whole, on a site that holds this node alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import gcd

import numpy as np

from flow.errors import InputError
from flow.ir import Array, Graph, Node
from flow.ops import Add, Concat, MatVec, Reshape, Window
from flow.schedule.area import Weights, expected
from flow.schedule.cells import Family, Resources
from flow.schedule.cycles import cycles
from flow.schedule.dataflow import INPUT, Folding, Stream, Unit
from flow.schedule.eliminate import NEVER, Table, minimise
from flow.schedule.placement import Reader, Site, place, window_lanes

Choice = Mapping[str, int]  # a value for each variable


@dataclass(frozen=True, eq=False, slots=True)
class Local:
    """One node: for each choice of its variables the cycles of its slowest unit, ``NEVER`` where it
    cannot be built, and what its units take, by kind along the last axis."""

    node: str
    variables: tuple[str, ...]
    cycles: Array
    used: Array


@dataclass(frozen=True, slots=True)
class Found:
    """A folding, its area, and what the units of each node are expected to take."""

    area: int
    folding: dict[str, Folding]
    used: Mapping[str, Resources]

    @property
    def total(self) -> Resources:
        """Of all nodes."""
        return sum(self.used.values(), Resources())


@dataclass(frozen=True, eq=False, slots=True)
class Space:
    """All foldings of a graph: the values of each variable, and each node's part."""

    graph: Graph
    values: Mapping[str, list[int]]
    nodes: tuple[Local, ...]

    def least_area(self, target: int, weights: Weights) -> Found | None:
        """A folding of least area within ``target`` cycles; None if there is none."""
        worth = np.array(weights, dtype=np.int64)
        tables = [
            Table(node.variables, np.where(node.cycles <= target, node.used @ worth, NEVER))
            for node in self.nodes
        ]
        total, choice = minimise(tables, {v: len(found) for v, found in self.values.items()})
        return None if total >= NEVER else self.found(total, choice)

    def found(self, area: int, places: Mapping[str, int]) -> Found:
        """The folding that a place among the values of each variable means, and what it takes."""
        picked = {v: self.values[v][at] for v, at in places.items()}
        layers = [node.name for node in self.graph.nodes if isinstance(node.op, MatVec)]
        folding = {name: Folding(picked[f"{name}.pe"], picked[f"{name}.simd"]) for name in layers}
        used = {
            node.node: Resources(*map(int, node.used[tuple(places[v] for v in node.variables)]))
            for node in self.nodes
        }
        return Found(area, folding, used)

    def fewest_cycles(self) -> int:
        """Of any folding."""
        return first(self.steps(), lambda target: self.least_area(target, (0, 0, 0, 0)) is not None)

    def steps(self) -> list[int]:
        """Every number of cycles that some unit may need, ascending."""
        steps = np.unique(np.concatenate([node.cycles.ravel() for node in self.nodes]))
        return [int(step) for step in steps if step < NEVER]


def first(ascending: Sequence[int], holds: Callable[[int], bool]) -> int:
    """The first for which ``holds``, which then holds for all that follow; else the last."""
    low, high = 0, len(ascending) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(ascending[middle]) else (middle + 1, high)
    return ascending[low]


@dataclass(slots=True)
class _Builder:
    graph: Graph
    site: Site
    family: Family
    values: dict[str, list[int]] = field(default_factory=dict)
    lanes: dict[str, str] = field(default_factory=dict)  # edge -> the variable of its lanes
    nodes: list[Local] = field(default_factory=list)

    def local(
        self, node: str, variables: Sequence[str], units: Callable[[Choice], list[Unit] | None]
    ) -> None:
        """Add what ``units`` places for every choice; None where it cannot."""
        names = tuple(dict.fromkeys(variables))
        sizes = [len(self.values[v]) for v in names]
        slowest = np.full(sizes, NEVER, dtype=np.int64)
        used = np.zeros((*sizes, 4), dtype=np.int64)
        for at in np.ndindex(*sizes):
            found = units({v: self.values[v][i] for v, i in zip(names, at, strict=True)})
            if found is None:
                continue
            slowest[at] = max(map(cycles, found), default=0)
            for taken in expected(found, self.site.edges, self.family):
                used[at] += (taken.lut, taken.ff, taken.bram, taken.dsp)
        self.nodes.append(Local(node, names, slowest, used))

    def stream(self, edge: str, lanes: int, *, reader: Node, at: int) -> Stream:
        """What input ``at`` of ``reader`` would be on ``lanes``."""
        found = self.site.edges[edge]
        shared = edge if len(self.site.readers[edge]) > 1 else ""
        name = INPUT if edge == self.graph.input and not shared else f"{reader.name}_{at}"
        return Stream(name, edge, found.shape, lanes, found.type.bits, shared)

    def placed(
        self, node: Node, lanes: Sequence[int], folding: Mapping[str, Folding]
    ) -> list[Unit]:
        """The units of ``node`` on inputs of so many ``lanes``."""
        site = self.site
        site.units, site.waiting, site.folding = [], {}, folding
        for at, edge in enumerate(node.inputs):
            site.waiting[node.name, at] = self.stream(edge, lanes[at], reader=node, at=at)
        place(node.op, site, node)
        return site.units


def space(graph: Graph, legal: Mapping[str, tuple[list[int], list[int]]], family: Family) -> Space:
    """Every folding of ``graph`` whose PE and SIMD are among ``legal``."""
    edges = graph.edges()
    readers = {
        name: tuple(Reader(n, i) for n in graph.nodes for i, e in enumerate(n.inputs) if e == name)
        for name in edges
    }
    builder = _Builder(graph, Site(graph, {}, edges, readers), family)
    for name, (pes, simds) in legal.items():
        builder.values[f"{name}.pe"], builder.values[f"{name}.simd"] = pes, simds
    _input(builder)
    for node in graph.nodes:
        _node(builder, node)
    return Space(graph, builder.values, tuple(builder.nodes))


def _node(builder: _Builder, node: Node) -> None:
    op, sources = node.op, [builder.lanes[name] for name in node.inputs]
    edges = builder.site.edges
    if isinstance(op, MatVec):
        _layer(builder, node, op, sources[0])
    elif isinstance(op, Window):
        reader = builder.site.readers[node.output][0].node.name
        _place(builder, node, sources, reader)
        builder.lanes[node.output] = sources[0]  # the MatVec behind it looks at its own folding
    elif len(sources) > 1 or (isinstance(op, Reshape) and _mixes(op, edges[node.inputs[0]].shape)):
        _join(builder, node, sources)
    else:
        _place(builder, node, sources)
        builder.lanes[node.output] = sources[0]


def _mixes(op: Reshape, shape: tuple[int, ...]) -> bool:
    """Whether words of a pixel before may not be words of a pixel behind."""
    return op.shape[-1] % shape[-1] != 0


def _layer(builder: _Builder, node: Node, op: MatVec, source: str) -> None:
    makers = {made.output: made for made in builder.graph.nodes}
    before = makers.get(node.inputs[0])
    builder.lanes[node.output] = f"{node.name}.pe"
    if before is None or not isinstance(before.op, Window):
        _place(builder, node, [source], node.name)
        return
    channels = builder.site.edges[before.inputs[0]].shape[-1]

    def units(choice: Choice) -> list[Unit] | None:
        folding = Folding(choice[f"{node.name}.pe"], choice[f"{node.name}.simd"])
        return _tried(builder, node, [window_lanes(channels, op, folding)], {node.name: folding})

    builder.local(node.name, (f"{node.name}.pe", f"{node.name}.simd"), units)


def _place(builder: _Builder, node: Node, sources: Sequence[str], layer: str | None = None) -> None:
    """``node`` on the lanes that come, with the folding of ``layer`` where it matters."""
    own = () if layer is None else (f"{layer}.pe", f"{layer}.simd")

    def units(choice: Choice) -> list[Unit] | None:
        folding = {layer: Folding(*(choice[v] for v in own))} if layer is not None else {}
        return _tried(builder, node, [choice[v] for v in sources], folding)

    builder.local(node.name, (*sources, *own), units)


def _join(builder: _Builder, node: Node, sources: Sequence[str]) -> None:
    """On the lanes that divide those of each input, and a pixel behind."""
    name, pixel = f"{node.name}.lanes", builder.site.edges[node.output].shape[-1]
    widest = gcd(*(max(builder.values[v]) for v in sources), pixel)
    builder.values[name] = [lanes for lanes in range(1, widest + 1) if widest % lanes == 0]
    divide = () if isinstance(node.op, Add | Concat) else (pixel,)

    def units(choice: Choice) -> list[Unit] | None:
        coming = [choice[v] for v in sources]
        if gcd(*coming, *divide) != choice[name]:
            return None
        return _tried(builder, node, coming, {})

    builder.local(node.name, (*sources, name), units)
    builder.lanes[node.output] = name


def _tried(
    builder: _Builder, node: Node, lanes: Sequence[int], folding: Mapping[str, Folding]
) -> list[Unit] | None:
    """None where lanes do not fit: that a node has no unit at all is refused before the search."""
    shapes = [builder.site.edges[name].shape[-1] for name in node.inputs]
    if not isinstance(node.op, MatVec) and any(c % n for c, n in zip(shapes, lanes, strict=True)):
        return None
    try:
        return builder.placed(node, lanes, folding)
    except InputError:
        return None


def _input(builder: _Builder) -> None:
    """The input comes on the lanes its first reader wants, as ``placement.wanted`` has it."""
    graph, edge = builder.graph, builder.graph.input
    shape = builder.site.edges[edge].shape
    builder.values["input"] = [n for n in range(1, shape[-1] + 1) if shape[-1] % n == 0]
    builder.lanes[edge] = "input"
    reader = edge
    while True:
        node = builder.site.readers[reader][0].node
        if isinstance(node.op, MatVec) or node.output == graph.output:
            break
        reader = node.output
    own = (f"{node.name}.pe", f"{node.name}.simd") if isinstance(node.op, MatVec) else ()

    def units(choice: Choice) -> list[Unit] | None:
        site = builder.site
        site.folding = {node.name: Folding(*(choice[v] for v in own))} if own else {}
        if choice["input"] != gcd(site.lanes_for(edge), shape[-1]):
            return None
        site.units, site.waiting = [], {}
        site.give(Stream(INPUT, edge, shape, choice["input"], site.edges[edge].type.bits))
        return site.units

    builder.local(edge, ("input", *own), units)
