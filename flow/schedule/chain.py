"""The shape of graph the streaming hardware has: one chain of layers that ends in ArgMax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flow.errors import InputError
from flow.ir import Graph, Node
from flow.ops import ArgMax, MatVec, Threshold


@dataclass(frozen=True, slots=True)
class Layer:
    """A MatVec and what reads its accumulators: a Threshold, or ArgMax in the last layer."""

    matvec: Node
    after: Node

    @property
    def op(self) -> MatVec:
        """The MatVec's op."""
        return cast(MatVec, self.matvec.op)

    @property
    def rows(self) -> int:
        """Rows of the weight matrix."""
        return int(self.op.weights.shape[0])

    @property
    def columns(self) -> int:
        """Columns of the weight matrix."""
        return int(self.op.weights.shape[1])


def layers(graph: Graph) -> tuple[Layer, ...]:
    """The layers of ``graph`` in stream order.

    Raises:
        InputError: the graph is not MatVec, Threshold, MatVec, ..., MatVec, ArgMax on vectors.
    """
    nodes = graph.nodes
    if len(graph.input_edge.shape) != 1:
        raise InputError(
            f"node {nodes[0].name!r}: its input of shape {graph.input_edge.shape} is no vector; "
            "the hardware takes vectors so far"
        )
    edge = graph.input
    for place, node in enumerate(nodes):
        wanted = MatVec if place % 2 == 0 else ArgMax if place == len(nodes) - 1 else Threshold
        if not isinstance(node.op, wanted) or node.inputs != (edge,):
            raise InputError(
                f"node {node.name!r}: {type(node.op).__name__} of {', '.join(node.inputs)} where "
                f"{wanted.__name__} of {edge} is wanted; the hardware takes a chain of MatVec and "
                "Threshold that ends in MatVec and ArgMax"
            )
        edge = node.output
    if len(nodes) < 2 or len(nodes) % 2:
        raise InputError(f"graph {graph.name!r}: ends without ArgMax; add one after the logits")
    return tuple(Layer(*nodes[i : i + 2]) for i in range(0, len(nodes), 2))
