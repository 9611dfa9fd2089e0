"""Larger moves of weights than intervals certify: the relaxation searched, the move widened."""

from __future__ import annotations

from functools import partial

import numpy as np

from flow.certify.affine import Reals
from flow.certify.ascent import chords, descend
from flow.certify.dual import Multipliers
from flow.certify.moved_dual import MOST_PLACES, Moved, decided, evaluate, slopes
from flow.certify.proof import SCALE_BITS, Leaf, RivalProof
from flow.certify.relaxed import Mask, Relaxed
from flow.certify.weights_box import Moves
from flow.ir import Array, Graph

_STEPS = 24  # of the search for multipliers, for each move tried
_CELLS = 1 << 21  # elements of all edges and rows held at once

Proof = tuple[RivalProof, ...]


def further(
    graph: Graph,
    x: Array,
    y: Array,
    layers: frozenset[str],
    known: Array,
    most: int,
    places: int,
) -> tuple[Array, list[Proof | None]]:
    """For each image a move of ``known`` to ``most`` steps that keeps its label, and the
    multipliers that show it; None where it is ``known`` that stands.

    Steps are ``2**-places``. Graphs with quantized logits are left as they are.
    """
    found = known.copy()
    proofs: list[Proof | None] = [None] * len(x)
    relaxed = Relaxed.of(graph)
    classes = graph.edge(graph.logits).shape[0]
    if relaxed.last is not None or places > MOST_PLACES or classes < 2:
        return found, proofs
    cells = sum(edge.elements for edge in graph.edges().values()) * (classes - 1)
    at_once = max(1, _CELLS // cells)
    for start in range(0, len(x), at_once):
        part = slice(start, start + at_once)
        search = _Widening(relaxed, x[part], y[part], layers, places)
        found[part], proofs[part] = search.run(known[part], most)
    return found, proofs


class _Widening:
    """The images of one part, each with the largest move shown so far."""

    def __init__(
        self, relaxed: Relaxed, x: Array, y: Array, layers: frozenset[str], places: int
    ) -> None:
        self.relaxed, self.x, self.y = relaxed, x, y
        self.layers, self.places = layers, places
        self.classes = relaxed.edges[relaxed.graph.logits].shape[0]
        self.proofs: list[Proof | None] = [None] * len(x)

    def run(self, known: Array, most: int) -> tuple[Array, list[Proof | None]]:
        """Widen by growing steps until a move fails, then halve the gap."""
        low, high = known.copy(), np.full(len(known), most + 1)
        stride = np.maximum(1, known // 8)
        while True:
            open_ = np.flatnonzero(high - low > 1)
            if not open_.size:
                return low, self.proofs
            gap = (high - low)[open_] // 2
            middle = low[open_] + np.minimum(gap, stride[open_])
            held = self._hold(open_, middle)
            low[open_[held]], high[open_[~held]] = middle[held], middle[~held]
            stride[open_] *= 2

    def _hold(self, images: Array, steps: Array) -> Mask:
        """Which of the images keep their labels; their multipliers are kept."""
        own = self.y[images]
        rivals = np.array([np.delete(np.arange(self.classes), label) for label in own])
        rows = np.repeat(np.arange(len(images)), self.classes - 1)
        pairs = np.stack([rows, own[rows], rivals.ravel()], axis=1)
        ask = Moved.of(self.relaxed, self.x[images], Moves(steps, self.places), self.layers, pairs)
        whole = _rounded(descend(partial(_judge, ask), chords(ask), ask.need, steps=_STEPS))
        held: Mask = np.logical_and.reduce(decided(ask, whole).reshape(rivals.shape), axis=1)
        for k in np.flatnonzero(held).tolist():
            first = k * (self.classes - 1)
            self.proofs[images[k]] = tuple(
                RivalProof(int(rival), (self._leaf(whole, first + at),))
                for at, rival in enumerate(rivals[k])
            )
        return held

    def _leaf(self, whole: dict[str, Array], row: int) -> Leaf:
        sizes = {node.name: node.inputs[0] for node in self.relaxed.nodes}
        numbers = []
        for name, unit in self.relaxed.units.items():
            if name in whole:
                numbers.append(tuple(whole[name][row].ravel().tolist()))
            else:  # it has no part in the bound
                shape = self.relaxed.edges[sizes[name]].shape
                numbers.append((0,) * unit.seen(np.zeros((1, *shape))).size)
        return Leaf(tuple(numbers))


def _judge(ask: Moved, now: Multipliers) -> tuple[Reals, Multipliers]:
    bound = evaluate(ask, now)
    return bound.value, slopes(ask, now, bound)


def _rounded(multipliers: Multipliers) -> dict[str, Array]:
    half = 1 << (SCALE_BITS - 1)
    return {name: 2 * np.rint(m * half).astype(np.int64) for name, m in multipliers.items()}
