"""Boxes of images in which so few elements move that every input can be run."""

from __future__ import annotations

from itertools import product

import numpy as np

from flow.certify.ranges import Ranges


def few_move(graph, x, seed, most=600):
    """Ranges that let some elements move, and limit some, and at most ``most`` inputs a radius of
    2 leaves; the images ``x`` lie within them."""
    rng = np.random.default_rng(seed)
    kind, shape = graph.input_edge.type, graph.input_edge.shape
    values = 2 if kind.bipolar else min(5, kind.hi - kind.lo + 1)
    count = int(np.log(most) / np.log(values))
    mask = np.zeros(shape, dtype=np.int64)
    size = mask.size
    mask.flat[rng.permutation(size)[: int(rng.integers(1, min(size, count) + 1))]] = 1
    if rng.random() < 0.5:
        return Ranges(mask=mask)
    low, high = np.full(shape, kind.lo), np.full(shape, kind.hi)
    if not kind.bipolar:
        low, high = low + rng.integers(0, 2, shape), high - rng.integers(0, 2, shape)
    return Ranges(mask, np.minimum(low, x.min(axis=0)), np.maximum(high, x.max(axis=0)))


def every_point(box):
    """All inputs of a box of one image; a bipolar element takes its two ends only."""
    low, high = box.lo.ravel().tolist(), box.hi.ravel().tolist()
    points = np.array(list(product(*(range(a, b + 1) for a, b in zip(low, high, strict=True)))))
    return points.reshape(-1, *box.lo.shape[1:])


def points_of(graph, box):
    """All inputs of a box of one image that the graph's input type has."""
    points = every_point(box)
    if graph.input_edge.type.bipolar:
        points = points[(points.reshape(len(points), -1) != 0).all(axis=1)]
    return points
