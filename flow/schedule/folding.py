"""The least parallelism that meets a target, by an exact search over divisors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import gcd, prod

import numpy as np

from flow.errors import InputError
from flow.ir import Edge, Graph, Node
from flow.ops import Add, ArgMax, Concat, MatVec, MaxPool, Reshape, SumPool, Window
from flow.schedule.cycles import apart, pool_window
from flow.schedule.dataflow import Folding
from flow.schedule.eliminate import NEVER, Table, minimise
from flow.schedule.placement import dataflow, depthwise, window_lanes

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
            if isinstance(op, MaxPool | SumPool):
                _pool(search, node, op, source)
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
    search.values[pe], search.values[simd] = legal_foldings(op)
    vectors, target = _vectors(search.edges[node.inputs[0]]), search.target

    def area(pe: int, simd: int) -> int:
        if vectors * (rows // pe) * (columns // simd) > target:
            return NEVER
        return int(pe * simd * bits * _AREA + pe + simd)

    search.cost((pe, simd), area)
    source = search.lanes[node.inputs[0]]
    if before is not None and isinstance(before.op, Window):
        image, windows = (search.edges[e] for e in (before.inputs[0], before.output))
        words = max(image.elements, windows.elements)

        def behind_window(lanes: int, pe: int, simd: int) -> bool:
            own = window_lanes(image.shape[-1], op, Folding(pe, simd))
            return _fits(lanes, own) and words // own <= target

        search.allow((source, pe, simd), behind_window)
    else:
        read_by = pe if depthwise(op) else simd
        search.allow((source, read_by), _fits)
    search.lanes[node.output] = pe


def _pool(search: _Search, node: Node, op: MaxPool | SumPool, lanes: str) -> None:
    """Windows that share pixels are read one after the other."""
    height, width, _ = search.edges[node.inputs[0]].shape
    if not apart(pool_window(op), (height, width, 1)):
        words = search.edges[node.output].elements * op.kernel[0] * op.kernel[1]
        search.allow((lanes,), lambda lanes: words // lanes <= search.target)


def _join(search: _Search, node: Node) -> None:
    sources = [search.lanes[name] for name in node.inputs]
    apart = tuple(dict.fromkeys(sources))
    name = f"{node.name}.lanes"
    search.values[name] = divisors(gcd(*(search.edges[e].shape[-1] for e in node.inputs)))
    search.allow((*apart, name), lambda *lanes: gcd(*lanes[:-1]) == lanes[-1])
    search.words(node.output, name)
    search.lanes[node.output] = name


def _input(search: _Search) -> None:
    """The input comes on the lanes its first reader wants, as ``placement.wanted`` has it."""
    graph, edge, divide = search.graph, search.graph.input, search.graph.input_edge.shape[-1]
    channels = 0  # of the window in front, if there is one
    while True:
        reader = next(node for node in graph.nodes if edge in node.inputs)
        if isinstance(reader.op, ArgMax):
            search.allow(("input",), lambda lanes: lanes == 1)
            return
        if isinstance(reader.op, MatVec):
            break
        if isinstance(reader.op, Window):
            channels = search.edges[edge].shape[-1]
        edge = reader.output
    op = reader.op

    def wished(lanes: int, pe: int, simd: int) -> bool:
        own = window_lanes(channels, op, Folding(pe, simd)) if channels else simd
        return lanes == gcd(divide, pe if depthwise(op) else own)

    search.allow(("input", f"{reader.name}.pe", f"{reader.name}.simd"), wished)


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


def _illegal(node: str, what: str, given: str, legal: list[int]) -> InputError:
    return InputError(
        f"node {node!r}: {what} cannot be folded by {given}; choose one of {_list(legal)}"
    )


def _list(values: list[str] | list[int]) -> str:
    return ", ".join(map(str, values))
