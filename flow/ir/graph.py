"""Nodes on named edges. Everything is frozen: a pass returns a new graph and edits nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Protocol, runtime_checkable

from flow.ir.arrays import Array
from flow.ir.fault import Fault, Kind, apply_faults, flip_elements
from flow.ir.types import Edge, IntType


@runtime_checkable
class Op(Protocol):
    """What a layer computes, exactly, on integers; constants and types, never a schedule."""

    @property
    def stored(self) -> Mapping[str, IntType]:
        """The parameters kept in memory, by attribute name, with the type of their codes."""
        ...

    def evaluate(self, *inputs: Any, **none: Any) -> Array:
        """The output for one int64 array of shape (batch, *edge shape) per input edge."""
        ...

    def out_type(self, *inputs: Any, **none: Any) -> Edge:
        """The edge this op produces; raises ``ValueError`` for edges it cannot take."""
        ...


@dataclass(frozen=True, slots=True)
class Node:
    """``output = op(*inputs)``."""

    name: str
    op: Op
    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True, slots=True)
class Affine:
    """How integers relate to the source file's floats: ``float = scale * integer + offset``."""

    scale: Fraction
    offset: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in topological order, from one typed input edge to one output edge.

    ``input_affine`` and ``logit_affine`` (one entry per class, or none where the last layer was
    reduced to an order-equivalent one) tie the integers to the file the graph was lowered from.
    """

    name: str
    input: str
    input_edge: Edge
    nodes: tuple[Node, ...]
    output: str
    input_affine: Affine = Affine(Fraction(1))
    logit_affine: tuple[Affine, ...] | None = None

    def edges(self) -> dict[str, Edge]:
        """Every edge by name, computed from the input edge onward; illegal graphs raise."""
        edges = {self.input: self.input_edge}
        for node in self.nodes:
            for name in node.inputs:
                if name not in edges:
                    raise ValueError(
                        f"node {node.name!r}: input {name!r} is produced by no earlier node"
                    )
            if node.output in edges:
                raise ValueError(f"node {node.name!r}: edge {node.output!r} is produced twice")
            try:
                edges[node.output] = node.op.out_type(*(edges[name] for name in node.inputs))
            except ValueError as error:
                raise ValueError(f"node {node.name!r}: {error}") from error
        if self.output not in edges:
            raise ValueError(f"output {self.output!r} is produced by no node")
        return edges

    def edge(self, name: str) -> Edge:
        """Shape and type carried by edge ``name``."""
        edges = self.edges()
        if name not in edges:
            raise KeyError(f"no edge named {name!r}; this graph has {', '.join(edges)}")
        return edges[name]

    def type_of(self, name: str) -> IntType:
        """The integer type carried by edge ``name``."""
        return self.edge(name).type

    def node(self, name: str) -> Node:
        """The node called ``name``."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(
            f"no node named {name!r}; this graph has {', '.join(n.name for n in self.nodes)}"
        )

    def producer(self, edge: str) -> Node | None:
        """The node that makes edge ``edge``; None for the input."""
        return next((node for node in self.nodes if node.output == edge), None)

    @property
    def logits(self) -> str:
        """The edge of integer logits: what ArgMax reads, or the output of a graph without one."""
        last = self.nodes[-1]
        return last.inputs[0] if type(last.op).__name__ == "ArgMax" else self.output

    def map(self, rewrite: Callable[[Node], Node]) -> Graph:
        """A graph with ``rewrite`` applied to each node."""
        return replace(self, nodes=tuple(map(rewrite, self.nodes)))

    def with_faults(self, faults: Iterable[Fault]) -> Graph:
        """The same graph with stored codes changed by ``faults``; transient ones change none."""
        by_node: dict[str, list[Fault]] = {}
        for fault in faults:
            if fault.kind is not Kind.TRANSIENT:
                by_node.setdefault(self.node(fault.node).name, []).append(fault)
        if not by_node:
            return self
        return self.map(
            lambda node: (
                replace(node, op=apply_faults(node.op, by_node[node.name]))
                if node.name in by_node
                else node
            )
        )

    def evaluate_all(self, x: Array, faults: Iterable[Fault] = ()) -> dict[str, Array]:
        """Every edge's integers for a batch ``x`` of shape (batch, *input shape).

        A transient fault inverts a bit of what its node has computed, once that is complete; every
        image of the batch has its own flip.

        Raises:
            ValueError: the shape differs from the input edge or a value leaves its declared range.
        """
        faults = tuple(faults)
        passing = self.transients(faults)
        edges = self.edges() if passing else {}
        if x.shape[1:] != self.input_edge.shape:
            raise ValueError(f"input of shape {x.shape[1:]} where {self.input_edge} is wanted")
        if x.dtype.kind not in "iu" or not self.input_edge.type.contains(x):
            raise ValueError(f"input values must be integers within {self.input_edge.type}")
        values: dict[str, Array] = {self.input: x.astype("int64")}
        if self.input in passing:
            kind = edges[self.input].type
            values[self.input] = flip_elements(values[self.input], kind, passing[self.input])
        for node in self.with_faults(faults).nodes:
            found = node.op.evaluate(*(values[name] for name in node.inputs))
            if node.output in passing:
                found = flip_elements(found, edges[node.output].type, passing[node.output])
            values[node.output] = found
        return values

    def transients(self, faults: Iterable[Fault]) -> dict[str, list[Fault]]:
        """The transient ones of ``faults``, by the edge whose elements they strike.

        Raises:
            KeyError: no node is named so.
        """
        passing: dict[str, list[Fault]] = {}
        for fault in faults:
            if fault.kind is Kind.TRANSIENT:
                at_input = fault.node == self.input
                edge = self.input if at_input else self.node(fault.node).output
                passing.setdefault(edge, []).append(fault)
        return passing

    def evaluate(self, x: Array, faults: Iterable[Fault] = ()) -> Array:
        """Run the graph on integers; the reference every engine and the hardware must equal."""
        return self.evaluate_all(x, faults)[self.output]
