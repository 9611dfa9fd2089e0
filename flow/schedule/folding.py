"""The least parallelism that meets a target, by an exact search over divisors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import gcd, prod

import numpy as np

from flow.errors import InputError
from flow.ir import Edge, Graph, Node
from flow.ops import Add, ArgMax, Concat, MatVec, Reshape, Window
from flow.schedule.cycles import window_cycles
from flow.schedule.dataflow import Folding
from flow.schedule.eliminate import NEVER, Table, minimise
from flow.schedule.placement import dataflow

PRODUCTS = 64  # per cycle in the largest layer, where no target is given
_AREA = 1 << 20  # of a cost: above all sums of lanes


def choose_folding(graph: Graph, *, cycles: int | None = None) -> dict[str, Folding]:
    """The legal folding of least area that needs at most ``cycles`` per image.

    Area is the sum of ``pe * simd * weight bits``; between equals the smaller sum of ``pe + simd``
    wins (short adder trees, narrow streams). Without a target the largest layer does ``PRODUCTS``
    products per cycle, or as many as the streams around it can feed. The search is exact.

    Raises:
        InputError: ``cycles`` is below 1 or below what the most parallel hardware needs, or the
            library has no unit for a node.
    """
    dataflow(graph, dict.fromkeys(matvecs(graph), Folding(1, 1)))  # refuses what cannot be built
    if cycles is not None and cycles < 1:
        raise InputError(f"cycles={cycles}: an image takes at least 1 cycle; ask for 1 or more")
    found = _search(graph, -(-_largest(graph) // PRODUCTS) if cycles is None else cycles)
    if found is None:
        least = _least(graph)
        if cycles is not None:
            raise InputError(
                f"cycles={cycles}: graph {graph.name!r} needs {least} at least; "
                f"ask for {least} or more"
            )
        found = _search(graph, least)
    assert found is not None
    return found


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
        _check_divides(name, "rows", rows, "pe", folding[name].pe)
        _check_divides(name, "columns", columns, "simd", folding[name].simd)
    dataflow(graph, folding)


def divisors(number: int) -> list[int]:
    """Every positive divisor, ascending."""
    return [d for d in range(1, number + 1) if number % d == 0]


def matvecs(graph: Graph) -> dict[str, MatVec]:
    """What is folded, by node name."""
    return {node.name: node.op for node in graph.nodes if isinstance(node.op, MatVec)}


@dataclass(slots=True)
class _Search:
    """Variables are ``<matvec>.pe``, ``<matvec>.simd``, the lanes of joins and of the input."""

    graph: Graph
    target: int
    edges: Mapping[str, Edge]
    values: dict[str, list[int]] = field(default_factory=dict)
    lanes: dict[str, str] = field(default_factory=dict)  # edge -> the variable of its lanes
    tables: list[Table] = field(default_factory=list)

    def allow(self, variables: tuple[str, ...], legal: Callable[..., bool]) -> None:
        """Only choices for which ``legal`` holds."""
        self.cost(variables, lambda *choice: 0 if legal(*choice) else NEVER)

    def cost(self, variables: tuple[str, ...], cost: Callable[..., int]) -> None:
        """Add ``cost`` of the values of ``variables``."""
        sizes = [len(self.values[v]) for v in variables]
        table = np.empty(sizes, dtype=np.int64)
        for place in np.ndindex(*sizes):
            table[place] = cost(*(self.values[v][i] for v, i in zip(variables, place, strict=True)))
        self.tables.append(Table(variables, table))

    def words(self, edge: str, variable: str) -> None:
        """A word of ``edge`` moves in each cycle."""
        elements = self.edges[edge].elements
        self.allow((variable,), lambda lanes: elements // lanes <= self.target)


def _search(graph: Graph, target: int) -> dict[str, Folding] | None:
    search = _Search(graph, target, graph.edges())
    search.values["input"] = divisors(graph.input_edge.shape[-1])
    search.lanes[graph.input] = "input"
    makers = {node.output: node for node in graph.nodes}
    for node in graph.nodes:
        op, source = node.op, search.lanes[node.inputs[0]]
        if isinstance(op, MatVec):
            _layer(search, node, op, makers.get(node.inputs[0]))
        elif isinstance(op, Window):
            search.lanes[node.output] = source  # the MatVec behind it decides
        elif isinstance(op, Add | Concat) and len(node.inputs) > 1:
            _join(search, node)
        else:
            search.lanes[node.output] = source
            search.words(node.inputs[0], source)
            if isinstance(op, Reshape):
                pixel = search.edges[node.output].shape[-1]
                search.allow((source,), lambda lanes, pixel=pixel: pixel % lanes == 0)
            if not isinstance(op, ArgMax):
                search.words(node.output, source)
    _input(search)
    total, choice = minimise(search.tables, {v: len(c) for v, c in search.values.items()})
    if total >= NEVER:
        return None
    picked = {v: search.values[v][place] for v, place in choice.items()}
    return {n: Folding(picked[f"{n}.pe"], picked[f"{n}.simd"]) for n in matvecs(graph)}


def _layer(search: _Search, node: Node, op: MatVec, before: Node | None) -> None:
    rows, columns = op.weights.shape
    pe, simd, bits = f"{node.name}.pe", f"{node.name}.simd", op.weight_type.bits
    search.values |= {pe: divisors(rows), simd: divisors(columns)}
    vectors, target = _vectors(search.edges[node.inputs[0]]), search.target

    def area(pe: int, simd: int) -> int:
        if vectors * (rows // pe) * (columns // simd) > target:
            return NEVER
        return int(pe * simd * bits * _AREA + pe + simd)

    search.cost((pe, simd), area)
    source = search.lanes[node.inputs[0]]
    if before is not None and isinstance(before.op, Window):
        image, window = search.edges[before.inputs[0]], before.op

        def behind_window(lanes: int, simd: int) -> bool:
            own = gcd(image.shape[-1], simd)
            return _fits(lanes, own) and window_cycles(image, window, own) <= target

        search.allow((source, simd), behind_window)
    else:
        search.allow((source, simd), lambda lanes, simd: _fits(lanes, simd))
    search.lanes[node.output] = pe


def _join(search: _Search, node: Node) -> None:
    sources = [search.lanes[name] for name in node.inputs]
    apart = tuple(dict.fromkeys(sources))
    name = f"{node.name}.lanes"
    search.values[name] = divisors(gcd(*(search.edges[e].shape[-1] for e in node.inputs)))
    search.allow((*apart, name), lambda *lanes: gcd(*lanes[:-1]) == lanes[-1])
    search.words(node.output, name)
    search.lanes[node.output] = name


def _input(search: _Search) -> None:
    """The input comes on the lanes its first reader wants, as placement has it."""
    graph, edge, windows = search.graph, search.graph.input, [search.graph.input_edge.shape[-1]]
    while True:
        reader = next(node for node in graph.nodes if edge in node.inputs)
        if isinstance(reader.op, MatVec):
            name = f"{reader.name}.simd"
            search.allow(("input", name), lambda lanes, simd: lanes == gcd(simd, *windows))
            return
        if isinstance(reader.op, ArgMax):
            search.allow(("input",), lambda lanes: lanes == 1)
            return
        if isinstance(reader.op, Window):
            windows.append(search.edges[edge].shape[-1])
        edge = reader.output


def _least(graph: Graph) -> int:
    """The fewest cycles that any folding reaches."""
    low, high = 1, 2
    while _search(graph, high) is None:
        low, high = high + 1, high * 2
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _search(graph, middle) else (middle + 1, high)
    return low


def _largest(graph: Graph) -> int:
    edges = graph.edges()
    return max(
        node.op.weights.size * _vectors(edges[node.inputs[0]])
        for node in graph.nodes
        if isinstance(node.op, MatVec)
    )


def _vectors(edge: Edge) -> int:
    return prod(edge.shape[:-1])


def _fits(lanes: int, simd: int) -> bool:
    return max(lanes, simd) % min(lanes, simd) == 0


def _check_divides(node: str, what: str, size: int, key: str, value: int) -> None:
    if value < 1 or size % value:
        raise InputError(
            f"node {node!r}: {size} {what} cannot be folded by {key}={value}; "
            f"choose one of {_list(divisors(size))}"
        )


def _list(values: list[str] | list[int]) -> str:
    return ", ".join(map(str, values))
