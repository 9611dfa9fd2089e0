"""Which units compute each op, and on how many lanes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import singledispatch
from math import gcd

from flow.errors import InputError
from flow.ir import Edge, Graph, Node, Op
from flow.ops import (
    Add,
    ArgMax,
    Compare,
    Concat,
    MatVec,
    MaxPool,
    Pad,
    Reshape,
    SumPool,
    Threshold,
    Transpose,
    Window,
)
from flow.schedule.dataflow import INPUT, OUTPUT, Dataflow, Folding, Stream, Unit


@dataclass(frozen=True, slots=True)
class Reader:
    """One input of a node."""

    node: Node
    place: int


@dataclass(slots=True)
class Site:
    """The units so far, and which stream every reader will take."""

    graph: Graph
    folding: Mapping[str, Folding]
    edges: Mapping[str, Edge]
    readers: Mapping[str, tuple[Reader, ...]]
    units: list[Unit] = field(default_factory=list)
    waiting: dict[tuple[str, int], Stream] = field(default_factory=dict)  # by reader

    def take(self, node: Node, place: int = 0, *, fifo: bool = False) -> Stream:
        """The stream of input ``place`` of ``node``, on the lanes its producer gives it.

        A branch of a fork comes behind a FIFO, so that no branch holds up another, unless the
        reader brings a ``fifo`` of its own.
        """
        stream = self.waiting.pop((node.name, place))
        return self.fifo(stream) if stream.shared and not fifo else stream

    def give(self, stream: Stream) -> None:
        """Offer ``stream`` to the readers of its edge, through a fork where there are several."""
        readers = self.readers[stream.edge]
        if len(readers) == 1:
            self.waiting[readers[0].node.name, readers[0].place] = stream
            return
        base = stream.name
        branches = tuple(
            replace(stream, name=f"{base}_fork{i}", shared=f"{base}_fork")
            for i in range(len(readers))
        )
        self.units.append(Unit("eager_fork", f"{base}_fork", None, (stream,), branches))
        for reader, branch in zip(readers, branches, strict=True):
            self.waiting[reader.node.name, reader.place] = branch

    def on(self, lanes: int, stream: Stream, node: Node) -> Stream:
        """``stream`` on another number of lanes, of which one divides the other."""
        if lanes == stream.lanes:
            return stream
        if not _fits(lanes, stream.lanes):
            raise InputError(
                f"node {node.name!r}: {lanes} lanes where {stream.edge!r} comes on {stream.lanes}; "
                "one must divide the other"
            )
        wide = replace(stream, name=f"{stream.name}_width", lanes=lanes, shared="")
        self.units.append(Unit("width", wide.name, None, (stream,), (wide,)))
        return wide

    def fifo(self, stream: Stream) -> Stream:
        """``stream`` behind a FIFO; the input as it is, whose words wait outside."""
        if stream.name == INPUT:
            return stream
        name = f"{stream.name.removesuffix('_width')}_fifo"
        behind = replace(stream, name=name, shared="")
        self.units.append(Unit("fifo", name, None, (stream,), (behind,)))
        return behind

    def behind_window(self, node: Node) -> tuple[MatVec, Folding]:
        """The MatVec that reads the windows of ``node``, and how it is folded."""
        readers = self.readers[node.output]
        op = readers[0].node.op
        if len(readers) > 1 or not isinstance(op, MatVec):
            raise InputError(
                f"node {node.name!r}: the hardware has windows in front of one MatVec only; let "
                "one read it"
            )
        return op, self.folding[readers[0].node.name]

    def lanes_for(self, edge: str) -> int:
        """How many lanes the first reader of ``edge`` would have it come on."""
        reader = self.readers[edge][0].node
        return wanted(reader.op, self, reader)


@singledispatch
def wanted(op: Op, site: Site, node: Node) -> int:
    """The lanes on which ``op`` would have its input come, where it has the choice."""
    return site.lanes_for(node.output)


@wanted.register
def _(op: MatVec, site: Site, node: Node) -> int:
    folding = site.folding[node.name]
    return folding.pe if depthwise(op) else folding.simd


@wanted.register
def _(op: ArgMax, site: Site, node: Node) -> int:
    return 1


@wanted.register
def _(op: Window, site: Site, node: Node) -> int:
    return window_lanes(site.edges[node.inputs[0]].shape[-1], *site.behind_window(node))


def window_lanes(channels: int, op: MatVec, folding: Folding) -> int:
    """Of a window of ``channels`` in front of ``op``: as many as divide a group and its SIMD."""
    if depthwise(op):
        return folding.pe
    return gcd(channels // op.groups, folding.simd)


def depthwise(op: MatVec) -> bool:
    """Whether each row sees one channel of its own."""
    rows, columns = op.weights.shape
    return bool(op.groups == rows > 1 and columns == op.positions)


@singledispatch
def place(op: Op, site: Site, node: Node) -> None:
    """Append the units of one node and offer their result to its readers.

    Raises:
        InputError: the hardware library has no unit for ``op`` there; the line names the node.
    """
    raise InputError(f"node {node.name!r}: no hardware unit computes {type(op).__name__}")


@place.register
def _(op: MatVec, site: Site, node: Node) -> None:
    """In its first row fold it takes a whole vector, in the others nothing: a FIFO in front."""
    fold, arriving = site.folding[node.name], site.take(node, fifo=True)
    if depthwise(op):
        source = site.on(fold.pe, arriving, node)
        _compute(site, node, "depthwise", (source,), fold.pe)
        return
    if not _fits(fold.simd, arriving.lanes):
        columns = range(1, op.weights.shape[1] + 1)
        legal = [s for s in columns if columns[-1] % s == 0 and _fits(s, arriving.lanes)]
        raise InputError(
            f"node {node.name!r}: simd={fold.simd} where {arriving.edge!r} comes on "
            f"{arriving.lanes} lanes and one must divide the other; choose simd from "
            f"{', '.join(map(str, legal))}"
        )
    source = site.on(fold.simd, arriving, node)
    _compute(site, node, "matvec", (site.fifo(source),), fold.pe)


@place.register
def _(op: Threshold, site: Site, node: Node) -> None:
    """Word by word, on the lanes that come."""
    source = site.take(node)
    module = "threshold_search" if op.compare is Compare.SEARCH else "threshold"
    _compute(site, node, module, (source,), source.lanes)


@place.register(Pad)
@place.register(MaxPool)
@place.register(SumPool)
def _(op: Op, site: Site, node: Node) -> None:
    """Pixel by pixel, on the lanes that come; a FIFO bridges the time in which it takes nothing."""
    source = site.fifo(site.take(node, fifo=True))
    _compute(site, node, type(op).__name__.lower(), (source,), source.lanes)


@place.register(Add)
@place.register(Concat)
def _(op: Op, site: Site, node: Node) -> None:
    """Inputs side by side, all on the lanes that divide those of each."""
    if len(node.inputs) > 2:
        raise InputError(
            f"node {node.name!r}: the hardware joins two streams at a time, not "
            f"{len(node.inputs)}; join them in pairs"
        )
    sources = tuple(site.take(node, i) for i in range(len(node.inputs)))
    lanes = gcd(*(source.lanes for source in sources))
    sources = tuple(site.on(lanes, source, node) for source in sources)
    _compute(site, node, type(op).__name__.lower(), sources, lanes)


@place.register
def _(op: Window, site: Site, node: Node) -> None:
    """On no more lanes than a pixel has, and than a MatVec behind it takes."""
    source = site.fifo(site.on(wanted(op, site, node), site.take(node, fifo=True), node))
    reader, _ = site.behind_window(node)
    groups = source.image[2] if depthwise(reader) else reader.groups
    _compute(site, node, "window", (source,), source.lanes, groups=groups)


@place.register(Reshape)
@place.register(Transpose)
def _(op: Reshape | Transpose, site: Site, node: Node) -> None:
    """The stream as it is: the same elements in the same order."""
    source, edge = site.take(node), site.edges[node.inputs[0]]
    moved = isinstance(op, Transpose) and [axis for axis in op.order if edge.shape[axis] > 1] != [
        axis for axis in range(len(edge.shape)) if edge.shape[axis] > 1
    ]
    if moved:
        raise InputError(
            f"node {node.name!r}: no hardware unit reorders the axes of {edge}; transpose in the "
            "model's weights"
        )
    shape = site.edges[node.output].shape
    source = site.on(gcd(source.lanes, shape[-1]), source, node)
    site.give(replace(source, edge=node.output, shape=shape))


@place.register
def _(op: ArgMax, site: Site, node: Node) -> None:
    """One word an image: the class above all logits."""
    source, logits = site.take(node), site.edges[node.inputs[0]]
    bits = site.edges[node.output].type.bits + logits.elements * logits.type.bits
    sink = Stream(OUTPUT, node.output, (1,), 1, bits)
    site.units.append(Unit("argmax", node.name, node, (source,), (sink,)))


def _compute(
    site: Site,
    node: Node,
    module: str,
    sources: tuple[Stream, ...],
    lanes: int,
    *,
    groups: int = 1,
) -> None:
    edge = site.edges[node.output]
    sink = Stream(node.name, node.output, edge.shape, lanes, edge.type.bits)
    site.units.append(Unit(module, node.name, node, sources, (sink,), groups))
    site.give(sink)


def dataflow(graph: Graph, folding: Mapping[str, Folding]) -> Dataflow:
    """The units of ``graph`` with the MatVecs folded as stated.

    Raises:
        InputError: a MatVec has no legal folding, two streams do not fit, or the library has no
            unit for a node; the line names it.
    """
    edges = graph.edges()
    readers: dict[str, list[Reader]] = {name: [] for name in edges}
    for node in graph.nodes:
        for at, name in enumerate(node.inputs):
            readers[name].append(Reader(node, at))
    _check(graph, readers)
    site = Site(graph, folding, edges, {name: tuple(found) for name, found in readers.items()})
    first = graph.input_edge
    lanes = gcd(site.lanes_for(graph.input), first.shape[-1])
    site.give(Stream(INPUT, graph.input, first.shape, lanes, first.type.bits))
    for node in graph.nodes:
        place(node.op, site, node)
    names = [INPUT, OUTPUT, *(unit.name for unit in site.units)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"graph {graph.name!r}: two units are called {twice!r}; rename the node")
    return Dataflow(graph, tuple(site.units))


def _fits(lanes: int, others: int) -> bool:
    return max(lanes, others) % min(lanes, others) == 0


def _check(graph: Graph, readers: Mapping[str, list[Reader]]) -> None:
    last = graph.nodes[-1]
    if not isinstance(last.op, ArgMax) or last.output != graph.output:
        raise InputError(f"graph {graph.name!r}: ends without ArgMax; add one after the logits")
    for name, found in readers.items():
        if not found and name != graph.output:
            raise InputError(f"edge {name!r}: nothing reads it; remove the node that makes it")
