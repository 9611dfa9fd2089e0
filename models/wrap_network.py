"""A small network on ``digits`` whose accumulators wrap when one stored bit flips.

Hand-chosen and fitted in integers alone, so it is the same graph on every machine. Each of 25 units
sums the ink of one 4x4 window with weights of at least 0: no sum is negative, so its narrowest
register is unsigned; a flipped sign bit takes the sum below 0, and the register wraps to the top.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from flow.ir import Array, Edge, Graph, IntType, Node
from flow.ops import ArgMax, MatVec, Threshold
from flow.passes import run_passes
from flow.passes.narrow_accumulators import narrow_accumulators
from models.data import Dataset

PIXEL = IntType(5, declared=(0, 16))
STORED = IntType(8, True)
LEVEL = IntType(3)
WIDE = IntType(32, True)
EPOCHS = 20


def wrap_network(data: Dataset) -> Graph:
    """The network for the ``digits`` data, its accumulators as narrow as its weights allow."""
    ink = MatVec(_windows(), STORED, WIDE)
    top = int(ink.weights[0].sum()) * PIXEL.hi
    steps = [-(-top * k // (LEVEL.hi + 1)) for k in range(1, LEVEL.hi + 1)]
    units = len(ink.weights)
    table = np.tile(steps, (units, 1))
    levels = Threshold(table, WIDE, np.ones(units, dtype=int), 0, LEVEL)
    seen = levels.evaluate(ink.evaluate(data.train_x.reshape(len(data.train_x), -1)))
    classes = MatVec(_perceptron(seen, data.train_y), STORED, WIDE)
    nodes = (
        Node("ink", ink, ("x",), "ink_sum"),
        Node("act", levels, ("ink_sum",), "level"),
        Node("fc", classes, ("level",), "logits"),
        Node("argmax", ArgMax(), ("logits",), "class"),
    )
    graph = Graph("wrap-digits", "x", Edge((64,), PIXEL), nodes, "class")
    return run_passes(graph, (narrow_accumulators,))


def _windows() -> Array:
    """(25, 64): a 4x4 window of weights 1 3 3 1 each way, at each of 5x5 places."""
    weights = np.zeros((5, 5, 8, 8), dtype=np.int64)
    for top, left in product(range(5), repeat=2):
        weights[top, left, top : top + 4, left : left + 4] = np.outer([1, 3, 3, 1], [1, 3, 3, 1])
    return weights.reshape(25, 64)


def _perceptron(x: Array, y: Array) -> Array:
    """(classes, inputs): the summed weights of a perceptron over all its steps, within s8."""
    classes = int(y.max()) + 1
    weights = np.zeros((classes, x.shape[1]), dtype=np.int64)
    total = np.zeros_like(weights)
    for _ in range(EPOCHS):
        for image, label in zip(x, y, strict=True):
            guess = int((weights @ image).argmax())
            if guess != label:
                weights[label] += image
                weights[guess] -= image
            total += weights
    largest = int(np.abs(total).max())
    scaled: Array = (total * STORED.code_hi * 2 + largest) // (2 * largest)
    return scaled
