"""What flips can make of one edge: boxes by budget, and whose bits decide which elements.

``state[r, s]`` bounds each element while at most ``r`` flips lie in earlier layers and at most
``s`` among the bits that decide only the elements of its own *unit*: one output channel at every
position, whose row of weights, thresholds and sign they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from flow.certify.box import Box
from flow.certify.weight_flips import State, hull
from flow.ir import Array, Edge, Node

NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Struck:
    """What flips can make of one edge; boxes are (batch, *edge shape).

    ``unit`` numbers the elements: the bits of ``owners`` (nodes) that decide elements of one
    number decide no element of another. ``past`` are all nodes before here with bits to flip.
    """

    state: State
    unit: Array
    owners: frozenset[str] = NOBODY
    past: frozenset[str] = NOBODY

    @property
    def by_channel(self) -> bool:
        """Whether an element's unit depends on its channel alone."""
        return bool((self.unit == self.unit.reshape(-1, self.unit.shape[-1])[0]).all())

    @property
    def channels_apart(self) -> bool:
        """Whether each channel is one unit, and no two are the same."""
        row = self.unit.reshape(-1, self.unit.shape[-1])[0]
        return self.by_channel and len(np.unique(row)) == len(row)

    def disowned(self) -> Struck:
        """The same bounds with all flips counted as earlier ones, which may reach everything."""
        if not self.owners:
            return self
        most = max(r for r, _ in self.state)
        total = [hull([self.state[r, q - r] for r in range(q + 1)]) for q in range(most + 1)]
        state = {(r, s): total[r] for r, s in self.state}
        return replace(self, state=state, owners=NOBODY)

    def each(self, act: Callable[[Array], Array], *, unit: Array | None = None) -> Struck:
        """After an op that moves elements or is monotone, rising, in each."""
        state = each_box(self.state, lambda box: Box(act(box.lo), act(box.hi)))
        return replace(self, state=state, unit=act(self.unit[None])[0] if unit is None else unit)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A node with its edges, and the bits of it that may flip: their positions in a code, and by
    parameter ``kept``, where single bits may not, 1 for all that may."""

    node: Node
    edges: tuple[Edge, ...]
    output: Edge
    flips: int
    bits: dict[str, Array]
    kept: Mapping[str, Array] = field(default_factory=dict)

    @property
    def channels(self) -> Array:
        """A unit for each channel of the output."""
        return np.broadcast_to(np.arange(self.output.shape[-1]), self.output.shape)

    def joined(self, *inputs: Struck) -> frozenset[str]:
        """All nodes before the output with bits to flip, this one among them."""
        own = frozenset([self.node.name]) if self.bits else NOBODY
        return own.union(*(struck.past for struck in inputs))


def each_box(state: State, act: Callable[[Box], Box]) -> State:
    """``act`` on every box, once where budgets share it."""
    known: dict[int, Box] = {}
    for box in state.values():
        if id(box) not in known:
            known[id(box)] = act(box)
    return {key: known[id(box)] for key, box in state.items()}
