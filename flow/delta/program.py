"""A graph laid out for ``delta.cpp``: all elements in one row, and who reads which of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import singledispatch
from math import prod
from typing import Any

import numpy as np

from flow.errors import InputError
from flow.ir import Array, Graph, IntType
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

PRODUCT, STAIRCASE, FOLD = range(3)
WORDS = (16, 32, 64)  # bits of the words that ``delta.cpp`` can compute in


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One node that computes: ``reads`` are the elements each of its slots sees, ``own`` the
    numbers and ``constants`` the tables that ``delta.cpp`` expects of its kind."""

    name: str
    kind: int
    out: int
    size: int
    reads: Array
    own: tuple[int, ...]
    constants: Array
    sources: tuple[int, ...] = ()
    cut: bool = False

    @property
    def head(self) -> Array:
        """The description as ``delta.cpp`` reads it."""
        low, high = int(self.reads.min()), int(self.reads.max()) + 1
        words = (self.kind, self.out, self.cut, low, high, self.reads.size, len(self.sources))
        return np.array([*words, *self.sources, *self.own], dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """The steps of ``graph`` in order (step 0 is the input and has no entry), and the elements:
    ``edges`` names the computed ones in their order, ``constants`` lie behind them. ``word`` is
    how many bits the elements are computed in: the fewest of ``WORDS`` that hold every value, every
    code, and the difference of two. Registers wrap, so sums need no more.
    """

    graph: Graph
    steps: tuple[Step, ...]
    edges: tuple[str, ...]
    constants: Array
    logits: int
    word: int

    @classmethod
    def of(cls, graph: Graph) -> Program:
        """Lay out ``graph``.

        Raises:
            InputError: it does not end in one ArgMax of a vector, or computes logits by moving
                elements only.
        """
        edges, last = graph.edges(), graph.nodes[-1]
        if not isinstance(last.op, ArgMax) or len(edges[graph.logits].shape) != 1:
            raise InputError(
                f"node {last.name!r}: flips are followed to a class; end the graph with ArgMax"
            )
        pads = sorted({n.op.value for n in graph.nodes if isinstance(n.op, Pad)})
        makers = [n for n in graph.nodes[:-1] if not isinstance(n.op, MOVES)]
        computed = (graph.input, *(n.output for n in makers))
        sizes = [edges[name].elements for name in computed]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        first = dict(zip(computed, starts.tolist(), strict=False))
        constant = {value: int(starts[-1]) + k for k, value in enumerate(pads)}
        steps = _steps(graph, first, starts, constant)
        if graph.logits not in first:
            raise InputError(f"edge {graph.logits!r}: logits that no arithmetic made; no flips")
        return cls(
            graph,
            tuple(_cuts(steps)),
            computed,
            np.array(pads, dtype=np.int64),
            first[graph.logits],
            word_of(graph),
        )

    @property
    def elements(self) -> int:
        """Elements of one image, constants included."""
        return self.steps[-1].out + self.steps[-1].size + len(self.constants)

    @property
    def classes(self) -> int:
        """Logits of an image."""
        return prod(self.graph.edge(self.graph.logits).shape)

    def number(self, node: str) -> int:
        """The step of the node called ``node``."""
        return next(k for k, step in enumerate(self.steps, start=1) if step.name == node)

    def output(self, node: str) -> tuple[int, int, IntType]:
        """Of the node called ``node``, or of the input edge of that name: the step's number, its
        first element, and the type of its elements."""
        if node == self.graph.input:
            return 0, 0, self.graph.input_edge.type
        number = self.number(node)
        kind = self.graph.type_of(self.graph.node(node).output)
        return number, self.steps[number - 1].out, kind

    def row(self, values: dict[str, Array]) -> Array:
        """(images, elements): the clean values of ``edges`` as ``delta.cpp`` wants them."""
        images = len(values[self.edges[0]])
        parts = [values[name].reshape(images, -1) for name in self.edges]
        fixed = np.broadcast_to(self.constants, (images, len(self.constants)))
        return np.ascontiguousarray(np.concatenate([*parts, fixed], axis=1), dtype=np.int64)


def word_of(graph: Graph) -> int:
    """The fewest bits of ``WORDS`` in which ``delta.cpp`` follows flips of ``graph`` exactly."""
    kinds = [edge.type for edge in graph.edges().values()]
    kinds += [kind for node in graph.nodes for kind in node.op.stored.values()]
    bits = max(kind.bits for kind in kinds) + 1
    for node in graph.nodes:  # a popcount halves the change of its sum, so that must not wrap
        if isinstance(node.op, MatVec) and node.op.popcount:
            bits = max(bits, (2 * node.op.weights.shape[1]).bit_length() + 1)
    return next((word for word in WORDS if bits <= word), WORDS[-1])


def _steps(
    graph: Graph, first: Mapping[str, int], starts: Array, constant: Mapping[int, int]
) -> list[Step]:
    """What computes each edge but the class; nodes that only move elements are in what is read.

    Elements are numbered from ``first`` of their edge, constants of padding as ``constant``.
    """
    edges, seen = graph.edges(), dict[str, Array]()
    for name in first:
        ids = np.arange(edges[name].elements) + first[name]
        seen[name] = ids.reshape(1, *edges[name].shape)
    steps: list[Step] = []
    for node in graph.nodes[:-1]:
        op, name, inputs = node.op, node.output, [seen[source] for source in node.inputs]
        if isinstance(op, MOVES):
            moved = replace(op, value=constant[op.value]) if isinstance(op, Pad) else op
            seen[name] = moved.evaluate(*inputs)
            continue
        kind, reads, own, constants = layout(op, *inputs)
        found = np.unique(np.searchsorted(starts, reads, side="right") - 1)
        sources = tuple(int(k) for k in found if k < len(first))
        reads = np.ascontiguousarray(reads.ravel(), dtype=np.int32)
        size = edges[name].elements
        steps.append(Step(node.name, kind, first[name], size, reads, own, constants, sources))
    return steps


MOVES = (Window, Pad, Concat, Reshape, Transpose)


@singledispatch
def layout(op: Any, *inputs: Array) -> tuple[int, Array, tuple[int, ...], Array]:
    """(kind, elements read by each slot, own numbers, constants) of a node that computes.

    ``inputs`` are (1, *shape) element numbers.
    """
    raise TypeError(f"no delta layout for {type(op).__name__}; register it in {__name__}")


@layout.register
def _(op: MatVec, x: Array) -> tuple[int, Array, tuple[int, ...], Array]:
    rows, width = op.weights.shape
    columns, share = width * op.groups, rows // op.groups
    group = np.tile(np.repeat(np.arange(op.groups), width // op.positions), op.positions)
    table = np.empty((columns, share), dtype=np.int64)
    for g in range(op.groups):
        table[group == g] = op.read[g * share : (g + 1) * share].T
    own = (x.size // columns, columns, rows, share, int(op.popcount), *_register(op.accumulator))
    return PRODUCT, x, own, np.concatenate([table.ravel(), group])


@layout.register
def _(op: Threshold, x: Array) -> tuple[int, Array, tuple[int, ...], Array]:
    channels, steps = op.thresholds.shape
    forms = (int(op.output.bipolar), int(op.compare is Compare.SEARCH))
    own = (channels, steps, op.base, *forms)
    return STAIRCASE, x, own, np.concatenate([op.thresholds.ravel(), op.sign])


@layout.register
def _(op: Add, *inputs: Array) -> tuple[int, Array, tuple[int, ...], Array]:
    channels = inputs[0].shape[-1]
    factors = np.broadcast_to(op.multipliers, (len(inputs), channels)).T
    offset = np.broadcast_to(op.offset, (channels,))
    own = (len(inputs), 0, *_register(op.accumulator), channels)
    return FOLD, np.stack(inputs, axis=-1), own, np.concatenate([factors.ravel(), offset])


@layout.register
def _(op: MaxPool, x: Array) -> tuple[int, Array, tuple[int, ...], Array]:
    return _pool(x, Window(op.kernel, op.stride, op.dilation), (1, 0, 0))


@layout.register
def _(op: SumPool, x: Array) -> tuple[int, Array, tuple[int, ...], Array]:
    return _pool(x, Window(op.kernel, op.stride), (0, *_register(op.accumulator)))


def _pool(
    x: Array, window: Window, own: tuple[int, ...]
) -> tuple[int, Array, tuple[int, ...], Array]:
    channels, fan = x.shape[-1], prod(window.kernel)
    reads = window.evaluate(x)
    reads = np.moveaxis(reads.reshape(*reads.shape[:-1], fan, channels), -2, -1)
    constants = np.concatenate([np.ones(channels * fan), np.zeros(channels)]).astype(np.int64)
    return FOLD, reads, (fan, *own, channels), constants


def _register(kind: IntType) -> tuple[int, int]:
    return kind.code_lo, (1 << kind.bits) - 1


def _cuts(steps: list[Step]) -> Iterator[Step]:
    """Mark the products behind which the network sees nothing from before but what they read."""
    for number, step in enumerate(steps, start=1):
        (source, *more) = step.sources or (0,)
        later = {s for after in steps[number - 1 :] for s in after.sources}
        alone = not more and all(s == source or s >= number for s in later)
        yield replace(step, cut=step.kind == PRODUCT and alone)
