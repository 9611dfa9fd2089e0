"""Small random convolutional QONNX files, as exporters write them: NCHW, every kind of layer."""

from __future__ import annotations

import numpy as np

from tests.ingest.networks import Writer


class ImageWriter(Writer):
    """A writer that knows the shape (C, H, W) and the kind of the tensor it appends to."""

    def __init__(self, rng, shape, *, exact=False):
        super().__init__((1, *shape))
        self.rng, self.shape, self.exact, self.bipolar_values = rng, shape, exact, False

    def scale(self):
        """A scale of the file: a power of two where floats must not round at all."""
        power = 2.0 ** self.rng.integers(-3, 1)
        return power if self.exact else float(np.float32(power * self.rng.uniform(0.6, 1.4)))

    def quantized(self, x, *, kinds=("unsigned", "signed", "bipolar")):
        kind = self.rng.choice(kinds)
        self.bipolar_values = kind == "bipolar"
        if kind == "bipolar":
            return self.bipolar(x, self.scale())
        if kind == "signed":
            return self.quant(x, self.scale(), 3, signed=True, narrow=int(self.rng.integers(2)))
        return self.quant(self.node("Relu", x), self.scale(), 2, signed=False)

    def weights(self, shape):
        rng = self.rng
        values = self.constant(rng.normal(size=shape))
        if rng.random() < 0.3:
            return self.bipolar(values, self.scale())
        scale = self.scale()
        if rng.random() < 0.5:
            scale = np.array([self.scale() for _ in range(shape[0])], dtype=np.float32)
            scale = scale.reshape(-1, *[1] * (len(shape) - 1))
        return self.quant(values, scale, 3, signed=True, narrow=int(rng.integers(2)))

    def convolution(self, x, *, same=False):
        """Conv with any geometry that fits; ``same`` keeps the size."""
        rng, (channels, *sizes) = self.rng, self.shape
        groups = int(rng.choice([g for g in range(1, channels + 1) if channels % g == 0]))
        rows = channels if same else groups * int(rng.integers(1, 3))
        kernel, stride, dilation, pads = [], [], [], []
        for size in sizes:
            k, d = (3, 1) if same else (int(rng.integers(1, 4)), int(rng.integers(1, 3)))
            room = (1, 1) if same else tuple(int(n) for n in rng.integers(0, 3, 2))
            room = (0, 0) if self.bipolar_values and not same else room
            if d * (k - 1) + 1 > size + sum(room):
                k = 1
            kernel.append(k), dilation.append(d), pads.append(room)
            stride.append(1 if same else int(rng.integers(1, 3)))
        if self.bipolar_values and same:
            raise AssertionError("bipolar images cannot be padded with 0")
        inputs = [x, self.weights((rows, channels // groups, *kernel))]
        if rng.random() < 0.5:
            bias = rng.integers(-8, 9, rows) / 8 if self.exact else rng.normal(size=rows)
            inputs.append(self.constant(bias))
        self.shape = (rows, *(
            (n + sum(p) - d * (k - 1) - 1) // s + 1
            for n, p, d, k, s in zip(sizes, pads, dilation, kernel, stride, strict=True)
        ))  # fmt: skip
        self.bipolar_values = False
        options = {"kernel_shape": kernel, "strides": stride, "dilations": dilation}
        (top, bottom), (left, right) = pads
        return self.node("Conv", *inputs, pads=[top, left, bottom, right], group=groups, **options)

    def middle(self, x):
        """What may stand between a layer and a quantizer, per channel, gamma of either sign."""
        rng, channels = self.rng, self.shape[0]
        tail = (1,) * (len(self.shape) - 1)
        if rng.random() < 0.4:
            signs = rng.choice([-1.0, 0.5, 1.0, 2.0], (channels, *tail))
            x = self.node("Mul", x, self.constant(signs))
        if rng.random() < 0.5 and not self.exact:
            parts = (
                rng.normal(size=channels),
                rng.normal(size=channels),
                rng.normal(size=channels) * 2,
                rng.uniform(0.2, 4, channels),
            )
            x = self.node("BatchNormalization", x, *map(self.constant, parts), epsilon=1e-5)
        return x

    def residual(self, x):
        """x requantized plus a convolution of it, at scales of their own."""
        shape = self.shape
        y = self.middle(self.convolution(x, same=True))
        y = self.quant(y, self.scale(), 3, signed=True)
        if self.rng.random() < 0.5:
            x = self.quant(x, self.scale(), 3, signed=True)
        assert self.shape == shape
        return self.quantized(self.node("Add", *self.rng.permutation([x, y]).tolist()))

    def max_pool(self, x):
        sizes = self.shape[1:]
        kernel = [int(self.rng.integers(1, 1 + min(3, n))) for n in sizes]
        stride = self.rng.integers(1, 3, 2).tolist()
        pads = [int(self.rng.integers(0, k)) for k in [*kernel, *kernel]]
        self.shape = (self.shape[0], *(
            (n + pads[i] + pads[i + 2] - kernel[i]) // stride[i] + 1 for i, n in enumerate(sizes)
        ))  # fmt: skip
        return self.node("MaxPool", x, kernel_shape=kernel, strides=stride, pads=pads)

    def average_pool(self, x):
        sizes = self.shape[1:]
        kernel = [min(2, n) for n in sizes]
        self.shape = (self.shape[0], *(n // k for n, k in zip(sizes, kernel, strict=True)))
        x = self.node("AveragePool", x, kernel_shape=kernel, strides=kernel)
        return self.quantized(x)

    def head(self, x):
        """Global average or flatten, then perhaps a normalised quantizer, then a dense layer."""
        rng = self.rng
        ends = ["GlobalAveragePool", "ReduceMean", "flat", "flat"]
        end = ends[rng.integers(len(ends))]
        if end != "flat":
            self.shape = (self.shape[0], 1, 1)
            axes = [] if end[0] == "G" else [self.constant([2, 3], np.int64)]
            x = self.quantized(self.node(end, x, *axes))
        size = int(np.prod(self.shape))
        if rng.random() < 0.5:
            x = self.node("Flatten", x, axis=1)
        else:
            x = self.node("Reshape", x, self.constant([1, rng.choice([-1, size])], np.int64))
        self.shape = (size,)
        if rng.random() < 0.4:
            x = self.quantized(self.middle(x))
        scale = self.scale()
        weights = self.quant(self.constant(rng.normal(size=(4, size))), scale, 4, signed=True)
        return self.node("Gemm", x, weights, transB=1)


def convolutional(seed, *, exact=False):
    """A random network on an image. ``exact``: float32 rounds nowhere in it."""
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 4)), int(rng.integers(3, 7)), int(rng.integers(3, 7)))
    w = ImageWriter(rng, shape, exact=exact)
    x = w.quant("x", w.scale(), 3, signed=bool(rng.random() < 0.5))
    for _ in range(int(rng.integers(1, 4))):
        kind = rng.choice(["conv", "conv", "residual", "maxpool", "averagepool"])
        if kind == "residual" and not w.bipolar_values:
            x = w.residual(x)
        elif kind == "maxpool":
            x = w.max_pool(x)
        elif kind == "averagepool" and not w.exact:
            x = w.average_pool(x)
        else:
            x = w.quantized(w.middle(w.convolution(x)))
    return w.model(w.head(x), 4, opset=18)
