"""The compiled walker: every stored bit of an image flipped in turn, and the logits it leads to."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_double, c_int, c_int32, c_int64, c_uint8, c_void_p
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from flow.delta.program import Program
from flow.ir import Array, IntType
from flow.native import library
from flow.ops import Decode, MatVec

SOURCE = Path(__file__).with_name("delta.cpp")
PARAMETERS = {"weights": 0, "thresholds": 1, "sign": 2}


@dataclass(frozen=True, slots=True, eq=False)
class Strikes:
    """What every flip makes of every image: ``result`` (images, flips) numbers rows of ``logits``
    (results, classes); ``image`` says whose each row is, ``clean`` which row is an image's own."""

    result: NDArray[np.int32]
    logits: Array
    image: Array
    clean: Array


class Walker:
    """Flips stored bits of ``program``'s graph; for one thread at a time.

    Exact: sums wrap, and thresholds that a flip has unsorted count or search as in
    ``Graph.evaluate``.

    Raises:
        InputError: there is no g++.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self._code = code()
        network = c_void_p(
            self._code.delta_network(
                program.word, program.elements, program.logits, program.classes
            )
        )
        finalize(self, self._code.delta_free_network, network)
        for step in program.steps:
            constants = np.ascontiguousarray(step.constants, dtype=np.int64)
            self._code.delta_node(
                network, _long(step.head), step.reads.ctypes.data_as(POINTER(c_int32)),
                _long(constants),
            )  # fmt: skip
        self._runner = c_void_p(self._code.delta_runner(network))
        finalize(self, self._code.delta_free_runner, self._runner)
        self._flips = list(_flips(program))

    def strike(self, values: dict[str, Array]) -> Strikes:
        """Every flip, in the order of ``StoredBits``, on every image.

        Args:
            values: the clean integers of ``program.edges``, (images, *shape) each.
        """
        rows = self.program.row(values)
        total = sum(flips.size for _, _, flips, _ in self._flips)
        result = np.empty((len(rows), total), dtype=np.int32)
        first, clean, parts = 0, [], []
        for k, row in enumerate(rows):
            self._code.delta_image(self._runner, _long(row))
            at = 0
            for parameter, number, flips, bits in self._flips:
                to = result[k, at : at + flips.size]
                self._code.delta_strike(
                    self._runner, parameter, number, _long(flips), bits,
                    to.ctypes.data_as(POINTER(c_int32)),
                )  # fmt: skip
                at += flips.size
            part = self._take()
            result[k] += np.int32(first)
            clean.append(first)
            parts.append(part)
            first += len(part)
        sizes = [len(part) for part in parts]
        image = np.repeat(np.arange(len(rows)), sizes)
        logits = np.concatenate(parts) if parts else np.empty((0, self.program.classes), np.int64)
        return Strikes(result, logits, image, np.array(clean, dtype=np.int64))

    def _take(self) -> Array:
        size = self._code.delta_results(self._runner)
        logits = np.empty(size, dtype=np.int64)
        self._code.delta_take(self._runner, _long(logits))
        return logits.reshape(-1, self.program.classes)


def _flips(program: Program) -> Any:
    """(parameter, step, what each flip does, bits) of every stored parameter, in order."""
    for node in program.graph.nodes:
        op: Any = node.op
        for name, kind in op.stored.items():
            values = getattr(op, name)
            flipped = kind.decode(kind.encode(values)[..., None] ^ (1 << np.arange(kind.bits)))
            if isinstance(op, MatVec):
                flipped = _read(op, flipped, kind) - op.read[..., None]
            effects = np.ascontiguousarray(flipped.ravel(), dtype=np.int64)
            yield PARAMETERS[name], program.number(node.name), effects, kind.bits


def _read(op: MatVec, values: Array, kind: IntType) -> Array:
    return np.clip(values, kind.lo, kind.hi) if op.decode is Decode.CLAMP else values


def _long(values: Array) -> Any:
    return values.ctypes.data_as(POINTER(c_int64))


@cache
def code() -> ctypes.CDLL:
    """``delta.cpp``, compiled, its functions typed."""
    found = library(SOURCE)
    long, ids, byte = POINTER(c_int64), POINTER(c_int32), POINTER(c_uint8)
    for name, result, arguments in (
        ("network", c_void_p, (c_int, c_int32, c_int32, c_int32)),
        ("node", None, (c_void_p, long, ids, long)),
        ("free_network", None, (c_void_p,)),
        ("runner", c_void_p, (c_void_p,)),
        ("free_runner", None, (c_void_p,)),
        ("image", None, (c_void_p, long)),
        ("strike", None, (c_void_p, c_int, c_int, long, c_int32, ids)),
        ("results", c_int64, (c_void_p,)),
        ("take", None, (c_void_p, long)),
        ("tally", None, (c_void_p, ids, c_int64, c_int64, byte, long, POINTER(c_double))),
    ):  # fmt: skip
        function = getattr(found, f"delta_{name}")
        function.restype, function.argtypes = result, arguments
    return found
