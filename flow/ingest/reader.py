"""A network file as nodes and exact constants; what is no such file is refused in one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx.external_data_helper import load_external_data_for_model

from flow.errors import InputError
from flow.ingest.hdf5 import is_hdf5, model_of_hdf5

Constant = NDArray[Any]
_LARGEST = 1 << 28  # elements of a tensor; beyond it a file is damaged, not large
_OLDEST = 7  # opset; before it constants broadcast by other rules
_NEWEST = 24  # opset; what later ones change is not known here
_DOMAINS = ("", "ai.onnx", "qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")


@dataclass(frozen=True, slots=True)
class SourceNode:
    """One node of the file."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def number(self, attribute: str, default: float) -> Fraction:
        """A float attribute as the float32 it is stored as, exactly."""
        value = np.float32(self._attribute(attribute, float, default))
        if not np.isfinite(value):
            raise self.refuse(f"attribute {attribute!r} is {value}, no finite number")
        return Fraction(float(value))

    def integer(self, attribute: str, default: int | None = None) -> int:
        """An integer attribute; without a default it must be there."""
        return int(self._attribute(attribute, int, default))

    def integers(self, attribute: str, default: Sequence[int]) -> tuple[int, ...]:
        """A list of integers, of as many as the default has."""
        values = self._attribute(attribute, list, list(default))
        whole = all(isinstance(value, int) for value in values)
        if not whole or len(values) != len(default):
            raise self.refuse(f"attribute {attribute!r} is {values}, not {len(default)} integers")
        return tuple(values)

    def text(self, attribute: str, default: str) -> str:
        """A text attribute."""
        return str(self._attribute(attribute, str, default))

    def _attribute(self, name: str, kind: type, default: Any) -> Any:
        value = self.attributes.get(name, default)
        if not isinstance(value, kind):
            raise self.refuse(f"attribute {name!r} is {value!r} where {kind.__name__} is wanted")
        return value

    def refuse(self, reason: str) -> InputError:
        """The error that names this node and op; ``reason`` says why and what to do."""
        op = self.op if self.op.isprintable() else repr(self.op)
        return InputError(f"node {self.name!r} ({op}): {reason}")


@dataclass(frozen=True, slots=True)
class Source:
    """A file, read: nodes in topological order, constants, one input with its shape, one output."""

    path: Path
    nodes: tuple[SourceNode, ...]
    constants: Mapping[str, Constant]
    input: str
    batch: int  # as declared; 1 where it is left open
    input_shape: tuple[int, ...]  # without the batch
    output: str
    properties: Mapping[str, str]
    annotation: str = ""  # of the input: FINN's name of a type of integers, such as UINT8
    order: tuple[SourceNode, ...] = ()  # every node of the file, constants too


def read_source(path: Path) -> Source:
    """Read and check an ONNX file, or an HDF5 file as the ONNX file it stands for.

    Raises:
        InputError: missing, not ONNX, cyclic, of dynamic shape, with NaN or absent constants.
    """
    model = load_model(path)
    graph = model.graph
    _check_model(path, model)
    constants = {_text(tensor.name): _array(path, tensor) for tensor in graph.initializer}
    inputs = [value for value in graph.input if _text(value.name) not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise InputError(
            f"{path}: {len(inputs)} inputs and {len(graph.output)} outputs; a network with one of "
            "each is wanted"
        )
    nodes, order = [], []
    for node in _in_order(path, graph, {*constants, _text(inputs[0].name), ""}):
        order.append(node)
        if node.op == "Constant":
            constants[node.outputs[0]] = _constant(node)
        else:
            nodes.append(node)
    return Source(
        path,
        tuple(nodes),
        constants,
        _text(inputs[0].name),
        *_shape(path, inputs[0]),
        _text(graph.output[0].name),
        {_text(entry.key): _text(entry.value) for entry in model.metadata_props},
        _annotation(graph, inputs[0].name),
        tuple(order),
    )


def _in_order(path: Path, graph: onnx.GraphProto, known: set[str]) -> Iterator[SourceNode]:
    """The nodes, each of which reads what is ``known`` or made before it, and makes something."""
    for place, proto in enumerate(graph.node):
        node = _node(path, proto, place)
        for name in node.inputs:
            if name not in known:
                raise node.refuse(
                    f"reads {name!r}, which no earlier node or initializer makes; "
                    "the graph is cyclic, unsorted or incomplete"
                )
        made = set(node.outputs) - {""}
        if not node.outputs or not node.outputs[0] or made & known:
            raise node.refuse(f"makes {list(node.outputs)}: nothing, or what is made already")
        known |= made
        yield node


def _check_model(path: Path, model: onnx.ModelProto) -> None:
    """Refuse what is no plain network: no nodes, functions, sparse constants, unknown opsets."""
    if not model.graph.node:
        raise InputError(f"{path}: not an ONNX model (no nodes)")
    if model.functions:
        raise InputError(
            f"{path}: has {len(model.functions)} functions of its own; inline them "
            "(onnx.inliner.inline_local_functions)"
        )
    if model.graph.sparse_initializer:
        name = _text(model.graph.sparse_initializer[0].values.name)
        raise InputError(f"{path}: constant {name!r} is sparse; export dense constants")
    for opset in model.opset_import:
        if opset.domain not in ("", "ai.onnx"):
            continue
        if opset.version < _OLDEST:
            raise InputError(f"{path}: opset {opset.version}; export opset {_OLDEST} or later")
        if opset.version > _NEWEST:
            raise InputError(f"{path}: opset {opset.version}; export opset {_NEWEST} or earlier")


def load_model(path: Path) -> onnx.ModelProto:
    """The file as ONNX, with the constants that it keeps in files beside it.

    Raises:
        InputError: missing, neither ONNX nor HDF5, or with constants outside its folder.
    """
    if is_hdf5(path):
        return model_of_hdf5(path)
    try:
        model = onnx.load(str(path), format="protobuf", load_external_data=False)
        _check_places(path, model.graph)
        load_external_data_for_model(model, str(path.parent))
    except FileNotFoundError as error:
        raise InputError(f"{error.filename or path}: no such file") from None
    except InputError:
        raise
    except (DecodeError, OSError, ValueError, onnx.checker.ValidationError) as error:
        raise InputError(f"{path}: not a readable ONNX file ({_line(error)})") from None
    return model


def _check_places(path: Path, graph: onnx.GraphProto) -> None:
    """Refuse constants in files outside the folder of ``path``, also by way of a link."""
    folder = path.parent.resolve()
    tensors = list(graph.initializer)
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        tensors += [attribute.t, *attribute.tensors]
        for inner in (attribute.g, *attribute.graphs):
            _check_places(path, inner)
    for tensor in tensors:
        for place in (e.value for e in tensor.external_data if e.key == "location"):
            if not (folder / _text(place)).resolve().is_relative_to(folder):
                raise InputError(
                    f"{path}: constant {_text(tensor.name)!r} is kept in {_text(place)!r}, outside "
                    "the file's folder; put it beside the file"
                )


def _node(path: Path, proto: onnx.NodeProto, place: int) -> SourceNode:
    domain, op = _text(proto.domain), _text(proto.op_type)
    name = _text(proto.name) or f"{op}_{place}"
    try:
        attributes = {_text(a.name): onnx.helper.get_attribute_value(a) for a in proto.attribute}
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: node {name!r}: unreadable attribute ({_line(error)})") from None
    if any(isinstance(value, onnx.GraphProto) for value in attributes.values()):
        raise InputError(
            f"{path}: node {name!r} ({op}): has a subgraph; fold its condition at export, only "
            "networks without control flow are read"
        )
    readable = {k: _text(v) if isinstance(v, bytes) else v for k, v in attributes.items()}
    inputs, outputs = tuple(map(_text, proto.input)), tuple(map(_text, proto.output))
    kind = op if domain in _DOMAINS else f"{domain}.{op}"
    return SourceNode(name, kind, inputs, outputs, readable)


def _annotation(graph: onnx.GraphProto, tensor: str) -> str:
    """What FINN's tools noted of a tensor."""
    for note in graph.quantization_annotation:
        for entry in note.quant_parameter_tensor_names:
            if note.tensor_name == tensor and entry.key == "finn_datatype":
                return _text(entry.value)
    return ""


def _constant(node: SourceNode) -> Constant:
    """The value of a Constant node: a tensor, numbers or one number."""
    for name, kind in (
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
    ):
        if isinstance(stated := node.attributes.get(name), int | float | list):
            array: Constant = np.array(stated, dtype=kind)
            if not np.isfinite(array).all():
                raise node.refuse("holds NaN or infinity; train again")
            return array
    value = node.attributes.get("value")
    if not isinstance(value, onnx.TensorProto):
        raise node.refuse("only tensors and numbers are understood; run qonnx-cleanup on the file")
    return _array(Path(node.name), value)


def _array(path: Path, tensor: onnx.TensorProto) -> Constant:
    if any(size < 0 for size in tensor.dims) or np.prod(tensor.dims, dtype=object) > _LARGEST:
        raise InputError(f"{path}: constant {tensor.name!r} has impossible shape {[*tensor.dims]}")
    try:
        array: Constant = onnx.numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise InputError(
            f"{path}: constant {tensor.name!r} is unreadable ({_line(error)})"
        ) from None
    if array.dtype.kind not in "fiub":
        raise InputError(f"{path}: constant {tensor.name!r} is no array of numbers")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"{path}: constant {tensor.name!r} holds NaN or infinity; train again")
    return array


def _text(value: str | bytes) -> str:
    """A name as text; protobuf hands out bytes where a damaged file has no text."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _line(error: Exception) -> str:
    """The first line of what a library says, or the kind of error where it says nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _shape(path: Path, value: onnx.ValueInfoProto) -> tuple[int, tuple[int, ...]]:
    """The batch, 1 where it is left open, and the other axes, which must be stated."""
    name, dims = _text(value.name), value.type.tensor_type.shape.dim
    sizes = [dim.dim_value if dim.dim_value > 0 else 0 for dim in dims]
    if len(sizes) < 2 or min(sizes[1:]) < 1:
        stated = [
            size or _text(dim.dim_param) or "?" for size, dim in zip(sizes, dims, strict=True)
        ]
        raise InputError(
            f"{path}: input {name!r} has shape [{', '.join(map(str, stated))}]; export a fixed "
            "shape, batch first; the batch alone may stay open"
        )
    if prod(sizes[1:]) > _LARGEST:
        raise InputError(f"{path}: input {name!r} has impossible shape {sizes}")
    return max(sizes[0], 1), tuple(sizes[1:])
