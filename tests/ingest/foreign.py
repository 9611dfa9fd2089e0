"""Small files in the dialects of other people's zoos: images in, flattened by the file itself."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

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


def _twice_signed(w, x):
    return w.node("Sign", w.node("Add", w.node("Sign", x), w.constant(0.1)))


def _chosen(w, x):
    holds = w.node("GreaterOrEqual", x, w.constant(0.0))
    return w.node("Where", holds, w.constant([1.0]), w.constant([-1.0]))


def _cast(w, x):
    one = w.node("Cast", w.node("Greater", x, w.constant(0.0)), to=TensorProto.FLOAT)
    return w.node("Sub", w.node("Mul", one, w.constant(2.0)), w.constant(1.0))


def _not_less(w, x):
    return _as_floats(w, w.node("Not", w.node("Less", x, w.constant(0.0))))


def _reversed(w, x):
    return _as_floats(w, w.node("LessOrEqual", w.constant(0.0), x))


def _as_floats(w, x):
    return w.node("Where", x, w.constant(0.75), w.constant(-0.75))


def _ternary(w, x):
    return w.node("Sign", x)


SIGNS = [_twice_signed, _chosen, _cast, _not_less, _reversed, _ternary]  # how files binarise


def larq(seed, *, signs=SIGNS):
    """A binarised network as Larq and tf2onnx leave it: NHWC, each Conv between Transposes, the
    pool in front of BatchNormalization, weights of -1 and +1 or scaled by a normalisation."""
    rng = np.random.default_rng(seed)
    size, channels = int(rng.integers(6, 9)), int(rng.integers(1, 4))
    w = Writer((1, size, size, channels))
    x = w.node("Transpose", "x", perm=[0, 3, 1, 2])
    for _ in range(int(rng.integers(1, 3))):
        rows, k = int(rng.integers(2, 5)), int(rng.integers(1, min(4, size)))
        weights = rng.choice([-1.0, 1.0], (rows, channels, k, k))
        parts = [weights]
        if rng.random() < 0.3:
            scale = np.float32(rng.uniform(0.01, 0.1, (rows, 1, 1, 1)))
            parts = [weights * rng.choice([1, 1, 0], weights.shape) * scale, rng.normal(size=rows)]
            parts[0][:, 0, 0, 0] = scale.ravel()
        x, size = w.node("Conv", x, *map(w.constant, parts), kernel_shape=[k, k]), size - k + 1
        if size >= 4 and rng.random() < 0.6:
            x, size = w.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), size // 2
        if rng.random() < 0.6:
            moments = rng.normal(size=(3, rows)), rng.uniform(1, 300, (1, rows))
            x = w.node("BatchNormalization", x, *map(w.constant, np.concatenate(moments)))
        x = w.node("Transpose", x, perm=[0, 2, 3, 1])
        x, channels = rng.choice(signs)(w, x), rows
        last, x = x, w.node("Transpose", x, perm=[0, 3, 1, 2])
    columns = size * size * channels
    x = w.node("Reshape", last, w.constant([-1, columns], np.int64))
    x = w.node("MatMul", x, w.constant(rng.choice([-1.0, 1.0], (columns, 5))))
    if rng.random() < 0.5:
        x = w.node("Add", w.node("Mul", x, w.constant(rng.normal(size=5))), w.constant(0.125))
    x = rng.choice(signs)(w, x)
    x = w.node("MatMul", x, w.constant(rng.choice([-1.0, 1.0], (5, 4))))
    return w.model(w.node("Softmax", x), 4, opset=15)
