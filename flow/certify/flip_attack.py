"""Sets of flips that take an image's label: the worst of one layer, read off its bound, and greedy.

Nothing here proves anything; every set returned has been run in the graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from flow.certify.effect import standing
from flow.certify.flips import single_flips
from flow.certify.margins import last_product
from flow.certify.stored_bits import StoredBits
from flow.certify.subset import EVERY_BIT, BitSubset
from flow.certify.weight_flips import Moves, bit_steps
from flow.engine.kernels import dense
from flow.ir import Array, Fault, Graph, Node
from flow.ops import Add, MatVec, Threshold

Flips = tuple[Fault, ...]
_ENUMERATED = 4  # flips chosen one after the other, each by trying all


def fewest_flips(
    graph: Graph, image: Array, *, label: int, most: int, subset: BitSubset = EVERY_BIT
) -> Flips:
    """A set of at most ``most`` flips of ``subset`` that changes the image's class; () where none
    is found. Small rather than smallest."""
    values = graph.evaluate_all(image[None])

    def broken(flips: int) -> Flips:
        sets = worst_sets(graph, values, label=label, flips=flips, subset=subset)
        return next((s for s in sets if _breaks(graph, image, label, s)), ())

    found = broken(most) if most else ()
    fewest, enough = 0, len(found)
    while fewest + 1 < enough:  # more flips nearly always do what fewer did
        half = (fewest + enough) // 2
        if better := broken(half):
            found, enough = better, half
        else:
            fewest = half
    fewer = len(found) - 1 if found else most
    return greedy_flips(graph, image, label=label, most=fewer, subset=subset) or found


def greedy_flips(
    graph: Graph, image: Array, *, label: int, most: int, subset: BitSubset = EVERY_BIT
) -> Flips:
    """At most ``most`` flips that change the class, each the worst one there is after those before,
    or all after some step the worst of their channels; empty where this finds none."""
    x, y = image[None], np.array([label])
    stored = StoredBits.of(graph)
    allowed = np.flatnonzero(subset.positions(stored))
    found: Flips = ()
    taken: Flips = ()
    while len(taken) < min(most, _ENUMERATED):
        seen = single_flips(graph.with_faults(taken), x, y=y, score=_closeness)
        order = allowed[np.argsort(-seen.rises[allowed], kind="stable")]
        ranked = [f for f in _one_each(stored, order, most) if f not in taken]
        if not ranked:
            break
        for count in range(1, most - len(taken) + 1):
            if _breaks(graph, image, label, taken + tuple(ranked[:count])):
                found = taken + tuple(ranked[:count])
                most = len(found) - 1  # only fewer are of interest from here on
                break
        taken += (ranked[0],)
    return found


def _one_each(stored: StoredBits, order: Array, most: int) -> list[Fault]:
    """The first bits in ``order``, one of each channel of each parameter."""
    chosen: dict[tuple[str, str, int], Fault] = {}
    for position in order[: 40 * most]:
        fault = stored.fault(int(position))
        chosen.setdefault((fault.node, fault.parameter, fault.index[0]), fault)
        if len(chosen) > most:
            break
    return list(chosen.values())


def worst_sets(
    graph: Graph,
    values: Mapping[str, Array],
    *,
    label: int,
    flips: int,
    subset: BitSubset = EVERY_BIT,
) -> Iterator[Flips]:
    """For every rival class the flips that bring it furthest ahead within the last layer, and
    within the weights of the layer before it: the choices that make the bounds as low as they are.

    Args:
        values: every edge of one image, (1, *edge shape).
    """
    end = last_product(graph)
    if end is None:
        return
    last, add = end
    classes = graph.edge(graph.logits).shape[0]
    scale = np.ones(classes, dtype=np.int64)
    if add is not None and isinstance(add.op, Add):
        scale = np.broadcast_to(add.op.multipliers[0], classes)
    for rival in range(classes):
        if rival != label:
            yield _of_last(last, values[last.inputs[0]][0], scale, label, rival, flips, subset)
            yield from _of_hidden(graph, last, values, scale, label, rival, flips, subset)


def _breaks(graph: Graph, image: Array, label: int, flips: Flips) -> bool:
    return bool(flips) and int(graph.evaluate(image[None], flips)[0]) != label


def _closeness(logits: Array, labels: Array) -> NDArray[np.float64]:
    """Higher where the label is less ahead."""
    behind: NDArray[np.float64] = -standing(logits, labels).astype(np.float64)
    return behind


def _of_last(
    last: Node,
    inputs: Array,
    scale: Array,
    label: int,
    rival: int,
    flips: int,
    subset: BitSubset,
) -> Flips:
    """The flips of both rows that raise rival minus label most."""
    op = last.op
    assert isinstance(op, MatVec)
    bits = subset.of(last.name, op).get("weights", np.zeros(0, dtype=np.int64))
    steps = bit_steps(op.weights[[rival, label]], op.weight_type, bits)
    factor = np.array([scale[rival], -scale[label]])
    gains = factor[:, None, None] * steps * inputs[:, None]
    best = np.argsort(-gains, axis=None, kind="stable")[:flips]
    best = best[gains.ravel()[best] > 0]
    rows, columns, places = np.unravel_index(best, gains.shape)
    return tuple(
        Fault(last.name, "weights", ((rival, label)[row], int(column)), int(bits[place]))
        for row, column, place in zip(rows, columns, places, strict=True)
    )


def _of_hidden(
    graph: Graph,
    last: Node,
    values: Mapping[str, Array],
    scale: Array,
    label: int,
    rival: int,
    flips: int,
    subset: BitSubset,
) -> Iterator[Flips]:
    """The flips of weights in front of the last staircase, divided among its neurons."""
    act = graph.producer(last.inputs[0])
    node = None if act is None else graph.producer(act.inputs[0])
    if act is None or node is None or not isinstance(node.op, MatVec):
        return
    op, level = node.op, act.op
    flat = len(graph.edge(node.inputs[0]).shape) == 1 and op.groups == 1
    bits = subset.of(node.name, op).get("weights", np.zeros(0, dtype=np.int64))
    if not flat or not isinstance(level, Threshold) or not bits.size:
        return
    x, a, y = (values[name][0] for name in (node.inputs[0], node.output, act.output))
    steps = bit_steps(op.weights, op.weight_type, bits) * x[:, None]
    moves = Moves.of(steps.reshape(len(a), 1, -1), flips=flips)
    assert isinstance(last.op, MatVec)
    weights = scale[:, None] * dense(last.op)
    worth = weights[rival] - weights[label]
    signed = [(1, m + 1, part) for m, part in enumerate(moves.up[:, :, 0])]
    signed += [(-1, m + 1, part) for m, part in enumerate(moves.down[:, :, 0])]
    best: list[tuple[int, tuple[tuple[int, int, int], ...]]] = [(0, ())] * (flips + 1)
    half = 2 if op.popcount else 1
    rises = [
        (sign, m, worth * (level.evaluate((a + sign * part // half)[None])[0] - y))
        for sign, m, part in signed
    ]
    for neuron in range(len(a)):
        options = [(m, int(gain[neuron]), sign) for sign, m, gain in rises if gain[neuron] > 0]
        for s in range(flips, 0, -1):
            for m, gain, sign in options:
                if m <= s and best[s - m][0] + gain > best[s][0]:
                    best[s] = best[s - m][0] + gain, (*best[s - m][1], (neuron, m, sign))
    yield tuple(
        Fault(node.name, "weights", (neuron, int(column)), int(bits[place]))
        for neuron, m, sign in best[flips][1]
        for column, place in _largest(sign * steps[neuron], m)
    )


def _largest(gains: Array, count: int) -> list[tuple[int, int]]:
    order = np.argsort(-gains, axis=None, kind="stable")[:count]
    order = order[gains.ravel()[order] > 0]
    return list(zip(*np.unravel_index(order, gains.shape), strict=True))
