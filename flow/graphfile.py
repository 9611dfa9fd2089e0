"""A graph on disk: readable JSON, and one ``.safetensors`` file beside it with the constants.

The digest is SHA-256 over the canonical JSON and every array's bytes; damage in either file is
refused. The format is versioned: ``format`` 1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from flow.atomic import write_atomic
from flow.errors import InputError
from flow.ir import Affine, Array, Edge, Graph, IntType, Node, Op
from flow.ir.verify import verify
from flow.ops import OPS

FORMAT = 1


def save_graph(graph: Graph, path: Path) -> str:
    """Write ``path`` and its ``.safetensors`` twin, constants first; return the digest."""
    record, arrays = _describe(graph)
    blob = save_arrays(arrays, metadata={"format": str(FORMAT)})
    record["digest"] = digest(graph)
    record["constants"] = {"file": _twin(path).name, "sha256": hashlib.sha256(blob).hexdigest()}
    write_atomic(_twin(path), blob)
    write_atomic(path, json.dumps(record, indent=1) + "\n")
    return str(record["digest"])


def load_graph(path: Path) -> Graph:
    """Read a graph written by :func:`save_graph`.

    Raises:
        InputError: a file is missing, damaged, of another format or does not describe a graph.
    """
    try:
        record = json.loads(path.read_text())
        blob = _twin(path).read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{error.filename}: no such file; make it with `bitproof lower`") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not a graph file ({error}); lower the model again") from None
    _check_format(record, path)
    try:
        if hashlib.sha256(blob).hexdigest() != record["constants"]["sha256"]:
            raise InputError(f"{_twin(path)}: damaged (SHA-256 differs); lower the model again")
        graph = verify(_rebuild(record, load_arrays(blob)))
        found = digest(graph)
    except InputError:
        raise
    except SafetensorError as error:
        raise InputError(f"{_twin(path)}: damaged ({error}); lower the model again") from None
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise InputError(f"{path}: damaged ({error}); lower the model again") from None
    if found != record.get("digest"):
        raise InputError(f"{path}: damaged (digest differs); lower the model again")
    return graph


def _check_format(record: object, path: Path) -> None:
    found = record.get("format") if isinstance(record, dict) else None
    if not isinstance(found, int) or isinstance(found, bool):
        raise InputError(f"{path}: not a graph file (no format); lower the model again")
    if found > FORMAT:
        raise InputError(
            f"{path}: graph format {found} is newer than {FORMAT}; use the bitproof that wrote it"
        )
    if found < FORMAT:
        raise InputError(
            f"{path}: graph format {found} is older than {FORMAT}; lower the model again"
        )


def digest(graph: Graph) -> str:
    """SHA-256 of the canonical form: everything that can change a value, clean or faulty."""
    record, arrays = _describe(graph)
    total = hashlib.sha256(json.dumps(record, sort_keys=True, separators=(",", ":")).encode())
    for name in sorted(arrays):
        total.update(name.encode())
        total.update(np.ascontiguousarray(arrays[name], dtype="<i8").tobytes())
    return total.hexdigest()


def _twin(path: Path) -> Path:
    return path.with_suffix(".safetensors")


def _describe(graph: Graph) -> tuple[dict[str, Any], dict[str, Array]]:
    """The graph as JSON-ready values, its arrays aside in the narrowest lossless dtype."""
    arrays: dict[str, Array] = {}
    nodes = []
    for node in graph.nodes:
        settings: dict[str, Any] = {}
        for field in fields(node.op):  # type: ignore[arg-type]
            value = getattr(node.op, field.name)
            if isinstance(value, np.ndarray):
                key = f"{node.name}.{field.name}"
                arrays[key] = _narrow(value)
                settings[field.name] = {"array": key, "shape": list(value.shape)}
            elif isinstance(value, IntType):
                settings[field.name] = {"type": str(value)}
            else:
                settings[field.name] = str(value) if isinstance(value, StrEnum) else value
        nodes.append(
            {
                "name": node.name,
                "op": type(node.op).__name__,
                "inputs": list(node.inputs),
                "output": node.output,
                "settings": settings,
            }
        )
    record = {
        "format": FORMAT,
        "name": graph.name,
        "input": graph.input,
        "input_shape": list(graph.input_edge.shape),
        "input_type": str(graph.input_edge.type),
        "input_affine": _affine_text(graph.input_affine),
        "output": graph.output,
        "logit_affine": None
        if graph.logit_affine is None
        else [_affine_text(a) for a in graph.logit_affine],
        "nodes": nodes,
    }
    return record, arrays


def _rebuild(record: Mapping[str, Any], arrays: Mapping[str, Array]) -> Graph:
    logits = record["logit_affine"]
    graph = Graph(
        name=record["name"],
        input=record["input"],
        input_edge=Edge(tuple(record["input_shape"]), IntType.parse(record["input_type"])),
        nodes=tuple(_rebuild_node(entry, arrays) for entry in record["nodes"]),
        output=record["output"],
        input_affine=_affine(record["input_affine"]),
        logit_affine=None if logits is None else tuple(map(_affine, logits)),
    )
    graph.edges()
    return graph


def _rebuild_node(entry: Mapping[str, Any], arrays: Mapping[str, Array]) -> Node:
    if entry["op"] not in OPS:
        raise ValueError(f"unknown op {entry['op']!r}; known are {', '.join(OPS)}")
    settings: dict[str, Any] = {}
    for name, value in entry["settings"].items():
        if isinstance(value, dict):
            settings[name] = (
                IntType.parse(value["type"]) if "type" in value else arrays[value["array"]]
            )
        else:
            settings[name] = tuple(value) if isinstance(value, list) else value
    op: Op = OPS[entry["op"]](**settings)
    return Node(entry["name"], op, tuple(entry["inputs"]), entry["output"])


def _narrow(values: Array) -> Array:
    for dtype in (np.int8, np.int16, np.int32):
        bounds = np.iinfo(dtype)
        if not values.size or (bounds.min <= values.min() and values.max() <= bounds.max):
            return values.astype(dtype)
    return values


def _affine_text(affine: Affine) -> list[str]:
    return [str(affine.scale), str(affine.offset)]


def _affine(texts: list[str]) -> Affine:
    scale, offset = map(Fraction, texts)
    return Affine(scale, offset)
