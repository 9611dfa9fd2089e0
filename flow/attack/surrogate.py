"""First-order gains of every stored bit: exact integers forward, straight through backward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flow.attack.gradient import Reals, gradients
from flow.attack.loss import Loss
from flow.certify.stored_bits import Block, StoredBits
from flow.certify.struck import flipped, struck_outputs
from flow.engine import BatchedEngine
from flow.ir import Array, Fault, Graph
from flow.ops import Decode, MatVec, Threshold


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
            node.name: np.maximum(1.0, _deviation(clean[node.inputs[0]]))
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

        To first order in the output of the bit's own node. What the flip does to that output is
        exact, but for a weight that acts at many places, whose accumulators are taken not to wrap:
        its gain is ``dL/dw * (flipped - w)``.
        """
        graph = self.engine.graph.with_faults(flips)
        edges = self.engine.run_all(self.x, flips)
        bits = StoredBits.of(graph)
        gains = np.zeros(len(bits))
        _, at_logits = self._loss(edges[graph.logits])
        pulls = gradients(graph, edges, at_logits, self.spread)
        for block in bits.blocks:
            node = graph.node(block.node)
            if node.output in pulls:
                before, after = edges[node.inputs[0]], edges[node.output]
                found = block_gains(block, node.op, before, after, pulls[node.output])
                gains[block.first : block.first + block.size] = found
        return gains

    def _loss(self, logits: Array) -> tuple[float, Reals]:
        leaf = torch.from_numpy(logits).to(torch.float64).requires_grad_()
        loss = self.loss(leaf, torch.from_numpy(self.y))
        (gradient,) = torch.autograd.grad(loss, leaf)
        return float(loss.detach()), gradient.numpy()


def block_gains(block: Block, op: Any, before: Array, after: Array, pull: Reals) -> Reals:
    """The gain of every bit of one parameter; ``pull`` is the gradient at the output ``after``."""
    if isinstance(op, MatVec) and (before.ndim > 2 or op.groups > 1):
        return _weight_gains(op, before, pull).ravel()
    x, y = (a.reshape(-1, a.shape[-1]) for a in (before, after))
    at = pull.reshape(y.shape)
    gains = []
    for unit in range(y.shape[1]):
        struck = struck_outputs(op, x, unit=unit)[block.parameter]
        gains.append((struck - y[:, unit]) @ at[:, unit])
    return np.concatenate(gains)


def _weight_gains(op: MatVec, x: Array, pull: Reals) -> Reals:
    """(rows, columns, bits): ``dL/dw * (flipped - w)`` of a product at many places."""
    rows, columns = op.weights.shape
    share = rows // op.groups
    taps = x.reshape(-1, op.positions, op.groups, columns // op.positions).astype(np.float64)
    at = pull.reshape(-1, op.groups, share)
    slope = np.empty((rows, columns))
    for group in range(op.groups):
        seen = taps[:, :, group].reshape(len(taps), -1)
        slope[group * share : (group + 1) * share] = at[:, group].T @ seen
    codes = flipped(op.weights, op.weight_type)
    if op.decode is Decode.CLAMP:
        codes = np.clip(codes, op.weight_type.lo, op.weight_type.hi)
    return slope[..., None] * (codes - op.read[..., None]) * (0.5 if op.popcount else 1.0)


def _deviation(values: Array) -> Reals:
    """The standard deviation of each channel, over images and places."""
    found: Reals = values.reshape(-1, values.shape[-1]).std(axis=0)
    return found


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
