"""Small files in the dialects of other people's zoos: images in, flattened by the file itself."""

from __future__ import annotations

import numpy as np

from tests.ingest.networks import Writer

OLD = "onnx.brevitas"  # where BipolarQuant lived before QONNX had a domain of its own


def folded_flatten(w, x):
    """``x.view(x.shape[0], -1)`` as exporters of opset 9 leave it: the shape is computed."""
    batch = w.node("Gather", w.node("Shape", x), w.constant(0, np.int64), axis=0)
    shape = w.node("Unsqueeze", batch, axes=[0])
    shape = w.node("Concat", shape, w.constant([-1], np.int64), axis=0)
    return w.node("Reshape", x, shape)


def channels_last(w, x):
    return w.node("Flatten", w.node("Transpose", x, perm=[0, 2, 3, 1]))


def by_axes(w, x):
    x = w.node("Reshape", x, w.constant([0, -1, 1], np.int64))
    return w.node("Squeeze", w.node("Unsqueeze", x, axes=[1]), axes=[1, 3])


def binary(w, x):
    return w.node("BipolarQuant", x, w.constant(1.0), domain=OLD)


def zoo(seed=0, image=(1, 3, 4), sizes=(6, 4), *, flatten=folded_flatten, **properties):
    """Pixels / 255, doubled, less 1, signed; binary layers; a scaled end with a root in it."""
    rng, w = np.random.default_rng(seed), Writer((1, *image))
    x = w.node("Mul", flatten(w, "x"), w.constant(2.0))
    x = binary(w, w.node("Sub", x, w.constant([1.0])))
    columns = int(np.prod(image))
    for rows in sizes:
        weights = binary(w, w.constant(rng.choice([-1.0, 1.0], (rows, columns))))
        x = w.node("MatMul", x, w.node("Transpose", weights, perm=[1, 0]))
        if rows is sizes[-1]:
            break
        parts = rng.normal(size=(3, rows)), rng.uniform(0.2, 1, (1, rows)) * columns
        x = w.node("BatchNormalization", x, *map(w.constant, np.concatenate(parts)))
        x, columns = binary(w, x), rows
    root = w.node("Pow", w.constant([318.19666]), w.constant(0.5))
    x = w.node("Div", w.node("Sub", x, w.constant([0.4488643])), root)
    x = w.node("Add", w.node("Mul", x, w.constant([0.7341181])), w.constant([-1.1436615]))
    return w.model(x, sizes[-1], opset=9, **properties)
