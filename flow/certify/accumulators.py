"""What every accumulator can hold while stored bits flip: widths that no k flips overflow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flow.certify.box import Box
from flow.certify.budget import budgeted, struck_sums
from flow.certify.struck_edge import Layer
from flow.certify.subset import EVERY_BIT, BitSubset
from flow.certify.weight_flips import hull
from flow.errors import InputError
from flow.ir import Graph, IntType
from flow.ops import MatVec


@dataclass(frozen=True, slots=True)
class Reached:
    """The sums of one product, ``low`` to ``high`` over all rows, before its register wraps them.

    ``needed`` is the narrowest type that holds them; ``register`` the one there is.
    """

    node: str
    low: int
    high: int
    register: IntType

    @property
    def needed(self) -> IntType:
        return IntType.holding(self.low, self.high)

    @property
    def wraps(self) -> bool:
        """Whether some sum in the range leaves the register."""
        return self.low < self.register.code_lo or self.high > self.register.code_hi


def accumulator_ranges(
    graph: Graph, *, flips: int, subset: BitSubset = EVERY_BIT
) -> tuple[Reached, ...]:
    """The range of every product's sums, over every input and any ``flips`` flips of ``subset``.

    Both ends are reached in products of the input, for no flip and for one; behind a staircase
    the range holds every sum, and is wider where inputs depend on each other. What follows a
    register that can wrap is bounded by all of its values.

    Raises:
        InputError: a negative number of flips, or an op without bounds.
    """
    if flips < 0:
        raise InputError(f"{flips} flips: give 0 or more")
    kind, shape = graph.input_edge.type, (1, *graph.input_edge.shape)
    box = Box(np.full(shape, kind.lo), np.full(shape, kind.hi))
    reached, edges = budgeted(graph, box, flips=flips, subset=subset), graph.edges()
    found = []
    for node in graph.nodes:
        if isinstance(node.op, MatVec):
            source = node.inputs[0]
            bits = subset.of(node.name, node.op)
            layer = Layer(node, (edges[source],), edges[node.output], flips, bits)
            sums = struck_sums(node.op, layer, reached[source]).state
            whole = hull([sums[q, flips - q] for q in range(flips + 1)])
            ends = int(whole.lo.min()), int(whole.hi.max())
            found.append(Reached(node.name, *ends, node.op.accumulator))
    return tuple(found)
