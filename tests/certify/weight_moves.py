"""A graph whose weights are real: evaluated in fractions, and the moves that hurt it most."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from flow.engine.kernels import dense
from flow.ir import IntType
from flow.ops import Add, ArgMax, MatVec, SumPool, Threshold
from flow.ops.window import slide


def evaluate_moved(graph, x, moves, *, logits=False):
    """Classes (or logits) of images ``x``, fractions ``moves[layer]`` added to its weights."""
    values = {graph.input: x.astype(object)}
    for node in graph.nodes:
        op, inputs = node.op, [values[name] for name in node.inputs]
        if isinstance(op, MatVec):
            weights = dense(op).astype(object)
            if node.name in moves:
                weights = weights + spread(op, moves[node.name])
            total = inputs[0] @ weights.T
            if op.popcount:
                total = (total + op.weights.shape[1]) * Fraction(1, 2)
            found = register(op.accumulator, total)
        elif isinstance(op, Add):
            total = sum(m.astype(object) * v for m, v in zip(op.multipliers, inputs, strict=True))
            found = register(op.accumulator, total + op.offset.astype(object))
        elif isinstance(op, SumPool):
            total = slide(inputs[0], op.kernel, op.stride, (1, 1)).sum(axis=(3, 4))
            found = register(op.accumulator, total)
        elif isinstance(op, Threshold):
            floors = np.vectorize(lambda v: v // 1, otypes=[np.int64])(inputs[0])
            found = op.evaluate(floors).astype(object)
        elif isinstance(op, ArgMax):
            rows = inputs[0]
            if logits:
                return rows
            return np.array([max(range(len(row)), key=lambda c: (row[c], -c)) for row in rows])
        else:
            found = op.evaluate(*inputs)
        values[node.output] = found
    return values[graph.output]


def register(kind, total):
    return (total - kind.code_lo) % (1 << kind.bits) + kind.code_lo


def spread(op, move):
    """Moves of stored weights where they act, (rows, inputs)."""
    unit = 1
    for value in np.ravel(move):
        unit = max(unit, Fraction(value).denominator)
    whole = np.array([int(Fraction(v) * unit) for v in np.ravel(move)]).reshape(np.shape(move))
    held = replace(op, weights=whole, weight_type=IntType(40, True), popcount=False, decode="plain")
    return dense(held).astype(object) * Fraction(1, unit)


def corner_moves(op, epsilon, rng):
    """Every weight at one end of its range."""
    return np.where(rng.random(op.weights.shape) < 0.5, epsilon, -epsilon)


def worst_moves(graph, x, label, rival, layer, epsilon):
    """The moves of a dense layer that pull every row of it as ``rival`` would have it.

    ``x`` is one image. Exact where nothing but one Threshold and the last product lie behind: each
    row's sum is pushed to the end at which it helps the rival more.
    """
    clean = graph.evaluate_all(x[None])
    node = graph.node(layer)
    values = clean[node.inputs[0]][0]
    outward = np.sign(values) + (values == 0)
    rows = node.op.weights.shape[0]
    moves = np.empty(node.op.weights.shape, dtype=object)
    for row in range(rows):
        trials = []
        for sign in (1, -1):
            alone = np.full(node.op.weights.shape, Fraction(0), dtype=object)
            alone[row] = [sign * int(s) * epsilon for s in outward]
            logits = evaluate_moved(graph, x[None], {layer: alone}, logits=True)[0]
            trials.append((logits[rival] - logits[label], sign))
        sign = max(trials)[1]
        moves[row] = [sign * int(s) * epsilon for s in outward]
    return moves
