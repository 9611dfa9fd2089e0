"""Small dense QONNX files, made without a trainer: random floats where training would put them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

QONNX = "qonnx.custom_op.general"


class Writer:
    """Collects nodes and constants; every method returns the name of the tensor it made."""

    def __init__(self, inputs=(1, 8)):
        self.nodes, self.constants = [], []
        self.input = list(inputs)

    def constant(self, value, dtype=np.float32):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def node(self, op, *inputs, domain="", name=None, outputs=None, **attributes):
        name = name or f"{op}_{len(self.nodes)}"
        outputs = outputs or [f"{name}_out"]
        node = helper.make_node(op, list(inputs), outputs, name=name, domain=domain, **attributes)
        self.nodes.append(node)
        return outputs[0]

    def quant(self, x, scale, bits, *, signed, narrow=0, zero=0.0, mode="ROUND", **more):
        parts = [self.constant(v) for v in (scale, zero, bits)]
        options = {"signed": int(signed), "narrow": narrow, "rounding_mode": mode} | more
        return self.node("Quant", x, *parts, domain=QONNX, **options)

    def bipolar(self, x, scale=1.0):
        return self.node("BipolarQuant", x, self.constant(scale), domain=QONNX)

    def model(self, output, outputs=10, *, opset=13, qonnx=1, **properties):
        info = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            "test",
            [info("x", TensorProto.FLOAT, self.input)],
            [info(output, TensorProto.FLOAT, [1, outputs])],
            self.constants,
        )
        sets = [helper.make_opsetid("", opset), helper.make_opsetid(QONNX, qonnx)]
        model = helper.make_model(graph, opset_imports=sets, ir_version=10 if opset > 20 else 8)
        helper.set_model_props(model, {f"bitproof.{k}": v for k, v in properties.items()})
        return model


def dense(seed=0, sizes=(8, 6, 6, 4), *, bits=1, layer="gemm", **properties):
    """A network of binary (``bits`` = 1) or few-bit weights and activations as an onnx model.

    ``layer``: ``gemm`` with the weights as rows, or ``matmul`` with them transposed in front.
    """
    rng, w = np.random.default_rng(seed), Writer((1, sizes[0]))
    x = w.quant("x", 1.0, 5, signed=False)
    for place, (columns, rows) in enumerate(pairwise(sizes)):
        weights = w.constant(rng.normal(size=(rows, columns)))
        scale = float(np.float32(rng.uniform(0.1, 0.4)))
        few = {"signed": True, "narrow": 1}
        q = w.bipolar(weights) if bits == 1 else w.quant(weights, scale, bits, **few)
        if layer == "gemm":
            x = w.node("Gemm", x, q, transB=1)
        else:
            x = w.node("MatMul", x, w.node("Transpose", q, perm=[1, 0]))
        if place == len(sizes) - 2:
            break
        spread = columns * (60 if place == 0 else 1)
        parts = (
            rng.normal(size=rows),  # both signs of gamma
            rng.normal(size=rows),
            rng.normal(size=rows) * spread**0.5,
            rng.uniform(0.2, 1, rows) * spread,
        )
        x = w.node("BatchNormalization", x, *map(w.constant, parts), epsilon=1e-5)
        x = (
            w.bipolar(x)
            if bits == 1
            else w.quant(w.node("Relu", x), 2.08 / 2**bits, bits, signed=False)
        )
    return w.model(x, sizes[-1], **properties)


def save(model, folder):
    """The model as a file."""
    path = folder / "net.onnx"
    onnx.save(model, str(path))
    return path
