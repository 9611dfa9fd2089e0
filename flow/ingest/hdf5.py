"""Keras weight files of the AAAI 2021 verification benchmark, as the QONNX file they stand for.

The file holds float weights alone; the number formats are those of the benchmark's own code
(github.com/mlech26l/qnn_robustness_benchmarks, arXiv 2012.08185): pixels are 8-bit codes that mean
``pixel / 256``, weights have 6 bits with 5 behind the point, biases and activations 6 bits with 4;
hidden layers are unsigned, the last is signed, and every sum is rounded half up and saturates. So
the outputs are 6-bit codes and can tie.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from flow.errors import InputError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_DOMAIN = "qonnx.custom_op.general"
_DENSE = re.compile(r"quantized_dense(_\d+)?")
_NOTHING = re.compile(r"(dropout|flatten)(_\d+)?")  # layers that compute nothing at inference
_BITS, _PIXEL_BITS = 6, 8
_WEIGHT, _ACTIVATION = 2.0**-5, 2.0**-4  # what one step of a code means; a bias has the latter

Floats = NDArray[np.float32]


def is_hdf5(path: Path) -> bool:
    """Whether a file starts as HDF5 files do."""
    try:
        with path.open("rb") as file:
            return file.read(len(SIGNATURE)) == SIGNATURE
    except OSError:
        return False


def model_of_hdf5(path: Path) -> onnx.ModelProto:
    """The network of a weight file: ``Quant`` of pixels, weights, biases and sums, ``MatMul``.

    Weights and biases are rounded half away from zero, as the benchmark's integer encoding does.

    Raises:
        InputError: not HDF5, a layer other than the benchmark's, or layers that do not fit.
    """
    try:
        with h5py.File(path, "r") as file:
            layers = list(_layers(path, file.get("model_weights", file)))
    except OSError as error:
        raise InputError(
            f"{path}: not a readable HDF5 file ({str(error).splitlines()[0]})"
        ) from None
    if not layers:
        raise InputError(f"{path}: no layer in it; give the weights of a trained network")
    for (name, kernel, _), (after, following, _) in pairwise(layers):
        if kernel.shape[1] != following.shape[0]:
            raise InputError(
                f"{path}: layer {after!r} takes {following.shape[0]} values where {name!r} "
                f"makes {kernel.shape[1]}; list the layers in their order"
            )
    return _Network(layers).model()


def _layers(path: Path, file: Any) -> Iterator[tuple[str, Floats, Floats]]:
    """Name, kernel (inputs, outputs) and bias of every dense layer, in order."""
    names = file.attrs.get("layer_names")
    if names is None:
        raise InputError(f"{path}: no Keras weights (no 'layer_names'); save them by save_weights")
    for name in map(_text, names):
        if _NOTHING.fullmatch(name):
            continue
        if not _DENSE.fullmatch(name):
            raise InputError(
                f"{path}: layer {name!r}: only the 'quantized_dense' layers of the AAAI 2021 "
                "benchmark are read from HDF5; export other networks to QONNX"
            )
        weights = {part.rsplit("/", 1)[-1]: part for part in map(_text, _listed(file, name))}
        if set(weights) != {"kernel:0", "bias:0"}:
            raise InputError(
                f"{path}: layer {name!r}: weights {sorted(weights)}; kernel and bias wanted"
            )
        kernel, bias = (_array(path, name, file, weights[key]) for key in ("kernel:0", "bias:0"))
        if kernel.ndim != 2 or bias.shape != kernel.shape[1:] or not kernel.size:
            raise InputError(
                f"{path}: layer {name!r}: a kernel of shape {kernel.shape} and a bias of shape "
                f"{bias.shape}; (inputs, outputs) and (outputs,) are wanted"
            )
        yield name, kernel, bias


def _listed(file: Any, name: str) -> Any:
    group = file.get(name)
    return [] if group is None else group.attrs.get("weight_names", [])


def _array(path: Path, layer: str, file: Any, part: str) -> Floats:
    found = file[layer].get(part)
    if not isinstance(found, h5py.Dataset) or found.dtype != np.float32:
        raise InputError(f"{path}: layer {layer!r}: {part!r} is no array of float32")
    values: Floats = found[()]
    if not np.isfinite(values).all():
        raise InputError(f"{path}: layer {layer!r}: {part!r} holds NaN or infinity; train again")
    return values


def _text(name: str | bytes) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)


class _Network:
    """Collects the nodes and constants of the QONNX form."""

    def __init__(self, layers: list[tuple[str, Floats, Floats]]) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._sizes = len(layers[0][1]), layers[-1][1].shape[1]
        pixels = self._quant("pixels", "x", 1.0, _PIXEL_BITS, signed=False, mode="ROUND")
        x = self._node("Mul", "scaled", pixels, self._constant("of_256", 2.0**-_PIXEL_BITS))
        for name, kernel, bias in layers:
            last = name == layers[-1][0]
            w = self._constant(f"{name}_kernel", kernel)
            b = self._constant(f"{name}_bias", bias)
            w = self._quant(f"{name}_w", w, _WEIGHT, _BITS, signed=True, mode="HALF_UP")
            b = self._quant(f"{name}_b", b, _ACTIVATION, _BITS, signed=True, mode="HALF_UP")
            x = self._node("MatMul", name, x, w)
            x = self._node("Add", f"{name}_sum", x, b)
            # half a step more and rounded down: half up, also below zero
            x = self._node("Add", f"{name}_half", x, self._constant(f"{name}_h", _ACTIVATION / 2))
            x = self._quant(f"{name}_y", x, _ACTIVATION, _BITS, signed=last, mode="FLOOR")
        self._output = x

    def model(self) -> onnx.ModelProto:
        info, (inputs, outputs) = helper.make_tensor_value_info, self._sizes
        graph = helper.make_graph(
            self._nodes,
            "quantized_model",
            [info("x", TensorProto.FLOAT, [1, inputs])],
            [info(self._output, TensorProto.FLOAT, [1, outputs])],
            self._constants,
        )
        sets = [helper.make_opsetid("", 13), helper.make_opsetid(_DOMAIN, 1)]
        return helper.make_model(graph, opset_imports=sets, ir_version=8)

    def _constant(self, name: str, value: float | Floats) -> str:
        self._constants.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def _node(self, op: str, name: str, *inputs: str, **attributes: Any) -> str:
        node = helper.make_node(op, list(inputs), [f"{name}_out"], name=name, **attributes)
        self._nodes.append(node)
        return f"{name}_out"

    def _quant(self, name: str, x: str, scale: float, bits: int, *, signed: bool, mode: str) -> str:
        parts = [self._constant(f"{name}_{i}", v) for i, v in enumerate((scale, 0.0, bits))]
        options = {"signed": int(signed), "narrow": 0, "rounding_mode": mode}
        return self._node("Quant", name, x, *parts, domain=_DOMAIN, **options)
