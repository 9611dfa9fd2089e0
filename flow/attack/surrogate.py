"""First-order gains of every stored bit: exact integers forward, straight through backward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flow.attack.loss import Loss
from flow.certify.stored_bits import StoredBits
from flow.certify.struck import struck_outputs
from flow.engine import BatchedEngine
from flow.engine.kernels import dense
from flow.ir import Array, Fault, Graph
from flow.ops import Add, ArgMax, MatVec, Threshold

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Surrogate:
    """The loss of ``graph`` on one batch, and what each flip is expected to add to it.

    A staircase has no useful derivative; each step is replaced by a ramp of width ``2 * spread``,
    the spread being the standard deviation of the clean input of its channel, fixed throughout.
    """

    engine: BatchedEngine
    x: Array
    y: Array
    loss: Loss
    spread: Mapping[str, Reals]

    @classmethod
    def of(cls, engine: BatchedEngine, x: Array, y: Array, loss: Loss) -> Surrogate:
        """A surrogate whose ramps fit the clean activations of ``x``."""
        clean = engine.run_all(x)
        spread = {
            node.name: np.maximum(1.0, clean[node.inputs[0]].std(axis=0))
            for node in engine.graph.nodes
            if isinstance(node.op, Threshold)
        }
        return cls(engine, x, y, loss, spread)

    def exact_loss(self, flips: tuple[Fault, ...]) -> float:
        """The loss of the integer graph under ``flips``."""
        logits = self.engine.graph.logits
        return self._loss(self.engine.run_edges(self.x, (logits,), flips)[logits])[0]

    def gains(self, flips: tuple[Fault, ...]) -> Reals:
        """For every stored bit, in order, the expected rise of the loss if it is flipped next.

        To first order in the output of the bit's own node and exact in what the flip does to that
        output; for a weight whose accumulator does not wrap this is ``dL/dw * (flipped - w)``.
        """
        graph = self.engine.graph.with_faults(flips)
        edges = self.engine.run_all(self.x, flips)
        bits = StoredBits.of(graph)
        gains = np.zeros(len(bits))
        _, gradient = self._loss(edges[graph.logits])
        for node in reversed(graph.nodes):
            if isinstance(node.op, ArgMax):
                continue
            before, after = edges[node.inputs[0]], edges[node.output]
            for unit in range(after.shape[1]):
                struck = struck_outputs(node.op, before, unit=unit)
                for block in bits.blocks:
                    if block.node == node.name:
                        moved = struck[block.parameter] - after[:, unit]
                        gains[block.positions(unit)] = moved @ gradient[:, unit]
            gradient = pull_back(node.op, before, gradient, spread=self.spread.get(node.name))
        return gains

    def _loss(self, logits: Array) -> tuple[float, Reals]:
        leaf = torch.from_numpy(logits).to(torch.float64).requires_grad_()
        loss = self.loss(leaf, torch.from_numpy(self.y))
        (gradient,) = torch.autograd.grad(loss, leaf)
        return float(loss.detach()), gradient.numpy()


@singledispatch
def pull_back(op: Any, x: Array, gradient: Reals, *, spread: Reals | None) -> Reals:
    """The loss's gradient at the input of ``op``, from that at its output, channels last."""
    raise TypeError(f"no gradient for {type(op).__name__}; register one in {__name__}")


@pull_back.register
def _(op: MatVec, x: Array, gradient: Reals, *, spread: Reals | None) -> Reals:
    slope = 0.5 if op.popcount else 1.0
    pulled: Reals = slope * (gradient @ dense(op))
    return pulled


@pull_back.register
def _(op: Add, x: Array, gradient: Reals, *, spread: Reals | None) -> Reals:
    pulled: Reals = gradient * op.multipliers[0]
    return pulled


@pull_back.register
def _(op: Threshold, x: Array, gradient: Reals, *, spread: Reals | None) -> Reals:
    if spread is None:
        raise ValueError("a staircase needs the spread of its inputs")
    height = 2 if op.output.bipolar else 1
    slope = np.zeros(x.shape)
    for step in range(op.thresholds.shape[1]):
        # Between T - 1 and T lies the step; half-way makes the ramp symmetric.
        slope += np.abs(x - op.thresholds[:, step] + 0.5) <= spread
    pulled: Reals = gradient * op.sign * height * slope / (2 * spread)
    return pulled


def by_layer(graph: Graph, gains: Reals) -> list[NDArray[np.int64]]:
    """For each node that stores bits, the bits with a gain above 0, best first, ties in order."""
    bits = StoredBits.of(graph)
    layers: dict[str, list[NDArray[np.int64]]] = {}
    for block in bits.blocks:
        place = np.arange(block.first, block.first + block.size)
        layers.setdefault(block.node, []).append(place[gains[place] > 0])
    ranked = []
    for parts in layers.values():
        admitted = np.concatenate(parts)
        ranked.append(admitted[np.argsort(-gains[admitted], kind="stable")])
    return ranked
