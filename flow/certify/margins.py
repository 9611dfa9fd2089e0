"""Whether a label stays ahead of every rival while flips strike: logits compared, or their sums."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from flow.certify.box import product_bound
from flow.certify.budget import scaled_sum, struck_rows, struck_sums, weight_steps
from flow.certify.struck_edge import Layer, Struck, each_box
from flow.certify.subset import BitSubset
from flow.certify.weight_flips import Moves, Rows, State, sums_of_rows
from flow.ir import Array, Graph, IntType, Node
from flow.ops import Add, MatVec

Held = NDArray[np.bool_]


def logits_apart(logits: Struck, y: Array, *, flips: int) -> Held:
    """(budget, image): whether the label's logit beats each rival's under 0 .. ``flips`` flips.

    The flips of the two logits are shared out where they strike different bits.
    """
    source = logits if logits.channels_apart else logits.disowned()
    return np.array([_apart(source.state, y, budget) for budget in range(flips + 1)])


def sums_apart(
    graph: Graph, reached: Mapping[str, Struck], y: Array, *, flips: int, subset: BitSubset
) -> Held:
    """As ``logits_apart``, the last product fused with the comparison where no logit can wrap."""
    held = np.zeros((flips + 1, len(y)), dtype=np.bool_)
    end = last_product(graph)
    if end is None:
        return held
    last, add = end
    op, edges = last.op, graph.edges()
    assert isinstance(op, MatVec)
    edge, classes = edges[last.inputs[0]], len(op.weights)
    scale, offset = np.ones(classes, dtype=np.int64), np.zeros(classes, dtype=np.int64)
    if add is not None:
        assert isinstance(add.op, Add)
        scale = np.broadcast_to(add.op.multipliers[0], classes)
        offset = np.broadcast_to(add.op.offset, classes)
    bound = 2 * int(abs(scale).max()) * product_bound(op, edge)
    if bound + 2 * int(abs(offset).max()) >= 1 << 56:
        return held
    fits = _never_wraps(graph, reached, end, flips, subset)
    layer = _layer(graph, last, flips, subset)
    plain = struck_rows(op, layer, bound=bound)
    steps = scale[:, None, None] * weight_steps(op, layer)
    weights = scale[:, None] * plain.weights
    if op.popcount:  # twice the logit is a product again
        offset = 2 * offset + scale * op.weights.shape[1]
    source = reached[last.inputs[0]]
    for label in np.unique(y):
        images, rivals = np.flatnonzero(y == label), np.delete(np.arange(classes), label)
        own = np.broadcast_to(steps[label], (len(rivals), *steps[label].shape))
        both = np.concatenate([own, -steps[rivals]], axis=2)
        rows = Rows(weights[label] - weights[rivals], Moves.of(both, flips=flips), bound)
        part = each_box(source.state, itemgetter(images))
        least = sums_of_rows(rows, part, unit=source.unit, flips=flips)
        for budget in range(flips + 1):
            worst = np.minimum.reduce([least[q, budget - q].lo for q in range(budget + 1)])
            lead = worst + (offset[label] - offset[rivals])
            held[budget, images] = (lead >= (rivals < label)).all(axis=1) & fits[budget, images]
    return held


def _apart(logits: State, y: Array, budget: int) -> Held:
    rows, rival = np.arange(len(y)), np.arange(logits[0, 0].lo.shape[1])
    held = np.ones(len(y), dtype=np.bool_)
    for q in range(budget + 1):
        for own in range(budget - q + 1):
            lead = logits[q, own].lo[rows, y][:, None] - logits[q, budget - q - own].hi
            ahead = (lead >= (rival < y[:, None])) | (rival == y[:, None])
            held &= ahead.all(axis=1)
    return held


def last_product(graph: Graph) -> tuple[Node, Node | None] | None:
    """The MatVec on a vector whose sums the class is chosen by, and the Add that scales them."""
    node, add = graph.producer(graph.logits), None
    if node is not None and isinstance(node.op, Add) and len(node.inputs) == 1:
        node, add = graph.producer(node.inputs[0]), node
    if node is None or not isinstance(node.op, MatVec) or node.op.groups != 1:
        return None
    return (node, add) if len(graph.edge(node.output).shape) == 1 else None


def _never_wraps(
    graph: Graph,
    reached: Mapping[str, Struck],
    end: tuple[Node, Node | None],
    flips: int,
    subset: BitSubset,
) -> Held:
    """(budget, image): whether no logit, nor the Add behind it, can leave its register."""
    last, add = end
    assert isinstance(last.op, MatVec)
    sums = struck_sums(last.op, _layer(graph, last, flips, subset), reached[last.inputs[0]])
    fits = _stays(sums.state, last.op.accumulator, flips)
    if add is not None:
        assert isinstance(add.op, Add)
        scaled = scaled_sum(add.op, _layer(graph, add, flips, subset), sums)
        fits &= _stays(scaled.state, add.op.accumulator, flips)
    return fits


def _layer(graph: Graph, node: Node, flips: int, subset: BitSubset) -> Layer:
    edges = graph.edges()
    sources = tuple(edges[name] for name in node.inputs)
    bits, kept = subset.of(node.name, node.op), subset.kept(node.name, node.op)
    return Layer(node, sources, edges[node.output], flips, bits, kept)


def _stays(state: State, kind: IntType, flips: int) -> Held:
    found = []
    for budget in range(flips + 1):
        boxes = [state[q, budget - q] for q in range(budget + 1)]
        low = np.minimum.reduce([box.lo for box in boxes]).min(axis=1)
        high = np.maximum.reduce([box.hi for box in boxes]).max(axis=1)
        found.append((low >= kind.code_lo) & (high <= kind.code_hi))
    return np.array(found)
