"""The compiled walker: every stored bit of an image flipped in turn, and the logits it leads to."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from ctypes import POINTER, Structure, byref, c_double, c_int, c_int32, c_int64, c_uint8, c_void_p
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
PASSING = 3  # no parameter: what a node has computed


@dataclass(frozen=True, slots=True, eq=False)
class Strikes:
    """What every flip makes of every image: ``result`` (images, flips) numbers rows of ``logits``
    (results, classes); ``image`` says whose each row is, ``clean`` which row is an image's own."""

    result: NDArray[np.int32]
    logits: Array
    image: Array
    clean: Array


@dataclass(frozen=True, slots=True, eq=False)
class Sets:
    """Flips of one node that strike together: set k are the entries ``start[k]`` to
    ``start[k + 1]``, each the bits ``mask`` of the code of one ``element`` (row-major) of the
    parameter number ``parameter`` of ``parameters``. No set names an element twice.
    """

    node: str
    parameters: tuple[str, ...]
    start: Array
    parameter: Array
    element: Array
    mask: Array

    def __len__(self) -> int:
        return len(self.start) - 1

    def across(self) -> Together:
        """The same, named as flips of many nodes are."""
        blocks = tuple((self.node, name) for name in self.parameters)
        return Together(blocks, self.start, self.parameter, self.element, self.mask)


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """Flips of any nodes that strike together: as ``Sets``, but ``block`` numbers pairs of node and
    parameter among ``blocks``. These, and the entries of each set, are in the order of the nodes.

    A name that is no stored parameter stands for what the node, or the input, makes of an image.
    """

    blocks: tuple[tuple[str, str], ...]
    start: Array
    block: Array
    element: Array
    mask: Array

    def __len__(self) -> int:
        return len(self.start) - 1


class _Sets(Structure):
    _fields_ = (
        *((name, c_int64) for name in ("count", "ordered")),
        *((name, c_void_p) for name in ("start", "node", "parameter", "element", "value")),
        *((name, c_void_p) for name in ("row", "column")),
    )


class _Numbers(Structure):
    _fields_ = (
        ("to", c_void_p),
        ("stride", c_int64),
        *((name, c_int32) for name in ("clean", "first")),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Strike:
    """``size`` strikes: single flips of a ``parameter`` of one step with their ``effects``, or
    ``sets`` whose arrays ``kept`` keeps alive."""

    size: int
    step: int = -1
    parameter: int = -1
    bits: int = 0
    effects: Array | None = None
    sets: _Sets | None = None
    kept: tuple[Any, ...] = ()


class Walker:
    """Flips stored bits of ``program``'s graph, each alone, or ``sets`` of them; for one thread at
    a time.

    Exact: sums wrap, and thresholds that a flip has unsorted count or search as in
    ``Graph.evaluate``.

    Raises:
        InputError: there is no g++.
    """

    def __init__(self, program: Program, sets: Sequence[Sets] | None = None) -> None:
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
        every = _flips(program) if sets is None else (_together(program, one) for one in sets)
        self._strikes = list(every)

    def strike(self, values: dict[str, Array]) -> Strikes:
        """Every flip, in the order of ``StoredBits``, or every set, on every image.

        Args:
            values: the clean integers of ``program.edges``, (images, *shape) each.
        """
        rows = self.program.row(values)
        total = sum(strike.size for strike in self._strikes)
        result = np.empty((len(rows), total), dtype=np.int32)
        first, clean, parts = 0, [], []
        for k, row in enumerate(rows):
            self._code.delta_image(self._runner, _long(row))
            at = 0
            for strike in self._strikes:
                to = result[k, at : at + strike.size].ctypes.data_as(POINTER(c_int32))
                self._strike(strike, to)
                at += strike.size
            part = self._take()
            result[k] += np.int32(first)
            clean.append(first)
            parts.append(part)
            first += len(part)
        sizes = [len(part) for part in parts]
        image = np.repeat(np.arange(len(rows)), sizes)
        logits = np.concatenate(parts) if parts else np.empty((0, self.program.classes), np.int64)
        return Strikes(result, logits, image, np.array(clean, dtype=np.int64))

    def _strike(self, strike: _Strike, to: Any) -> None:
        if strike.sets is not None:
            self._code.delta_strike_sets(self._runner, byref(strike.sets), to)
        if strike.effects is not None:
            effects = _long(strike.effects)
            self._code.delta_strike(
                self._runner, strike.parameter, strike.step, effects, strike.bits, to
            )

    def many(
        self, rows: Array, sets: Together, *, to: NDArray[np.int32], clean: int, first: int
    ) -> None:
        """Every one of ``sets`` on images laid out by ``Program.row``, screened many at a time.

        ``to`` (sets, images), with images side by side, gets numbers of rows of logits: ``clean``
        and on for images that a set leaves as they were, ``first`` and on for what :meth:`take`
        gives, which grows from call to call.
        """
        strike = _together(self.program, sets)
        assert strike.sets is not None, "made of sets"
        assert to.strides[1] == to.itemsize, "images lie side by side"
        stride = to.strides[0] // to.itemsize
        numbers = _Numbers(to.ctypes.data, stride, clean, first)
        args = (_long(rows), len(rows), byref(strike.sets), byref(numbers))
        self._code.delta_many(self._runner, *args)

    @property
    def results(self) -> int:
        """Rows of logits that :meth:`take` would give."""
        return int(self._code.delta_results(self._runner)) // self.program.classes

    def take(self, to: Array) -> None:
        """Move the logits of all results so far to ``to`` (results, classes)."""
        self._code.delta_take(self._runner, _long(to))

    def _take(self) -> Array:
        logits = np.empty((self.results, self.program.classes), dtype=np.int64)
        self.take(logits)
        return logits


def _flips(program: Program) -> Iterator[_Strike]:
    """What each flip of every stored parameter does, in order."""
    for node in program.graph.nodes:
        for name, kind in node.op.stored.items():
            codes = kind.encode(getattr(node.op, name))[..., None] ^ (1 << np.arange(kind.bits))
            changed = _changed(node.op, name, codes, np.arange(codes.size) // kind.bits)
            effects = np.ascontiguousarray(changed, dtype=np.int64)
            step = program.number(node.name)
            yield _Strike(effects.size, step, PARAMETERS[name], kind.bits, effects)


def _together(program: Program, sets: Sets | Together) -> _Strike:
    """What the flips of each set do."""
    if isinstance(sets, Sets):
        sets = sets.across()
    value = np.zeros(len(sets.element), dtype=np.int64)
    absolute = np.array(sets.element, dtype=np.int64)
    names = ("node", "parameter", "row", "column")
    node, parameter, row, column = (np.zeros(len(sets.element), dtype=np.int32) for _ in names)
    for number, (name, stored) in enumerate(sets.blocks):
        here = sets.block == number
        if not here.any():
            continue
        element = sets.element[here]
        if stored not in PARAMETERS:
            node[here], first, value[here] = _inverted(program, name, sets.mask[here])
            parameter[here] = PASSING
            absolute[here] += first
            continue
        op = program.graph.node(name).op
        old = np.asarray(getattr(op, stored)).ravel()[element]
        codes = op.stored[stored].encode(old) ^ sets.mask[here]
        value[here] = _changed(op, stored, codes, element)
        parameter[here], node[here] = PARAMETERS[stored], program.number(name)
        if isinstance(op, MatVec):
            row[here], column[here] = _place(op, element)
    start = np.ascontiguousarray(sets.start, dtype=np.int64)
    kept = (start, node, parameter, absolute, value, row, column)
    arrays = _Sets(len(sets), _ordered(sets), *(array.ctypes.data for array in kept))
    return _Strike(len(sets), sets=arrays, kept=kept)


def _place(op: MatVec, element: Array) -> tuple[Array, Array]:
    """Row and column, among those of all groups, of weights."""
    rows, width = op.weights.shape
    row, within = np.divmod(element, width)
    position, channel = np.divmod(within, width // op.positions)
    group = row // (rows // op.groups)
    return row, (position * op.groups + group) * (width // op.positions) + channel


def _ordered(sets: Together) -> bool:
    """Within each set, the elements of each block ascend."""
    inside = np.ones(len(sets.element), dtype=bool)
    inside[sets.start[:-1][sets.start[:-1] < len(inside)]] = False  # the first of a set
    rises = (np.diff(sets.element) > 0) | (np.diff(sets.block) != 0)
    return bool(rises[inside[1:]].all())


def _inverted(program: Program, name: str, mask: Array) -> tuple[int, int, Array]:
    """How ``delta.cpp`` inverts the bits ``mask`` of codes that the node or input ``name`` makes:
    the node's number, its first element, and what values are combined with.

    An exclusive or on values is one on codes as long as the mask is sign-extended; the only code of
    a bipolar value is its sign.
    """
    number, first, kind = program.output(name)
    if kind.bipolar:
        return number, first, np.full(len(mask), -2)
    top = (mask >> (kind.bits - 1)) & 1 if kind.signed else np.zeros_like(mask)
    return number, first, mask - np.left_shift(top, kind.bits)


def _changed(op: Any, name: str, codes: Array, element: Array) -> Array:
    """What ``delta.cpp`` is told of elements that hold ``codes`` now: new values, of weights the
    difference to the old ones; flat."""
    kind = op.stored[name]
    values: Array = kind.decode(codes).ravel()
    if isinstance(op, MatVec):
        values = _read(op, values, kind) - op.read.ravel()[element]
    return values


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
        ("strike_sets", None, (c_void_p, c_void_p, ids)),
        ("many", None, (c_void_p, long, c_int64, c_void_p, c_void_p)),
        ("results", c_int64, (c_void_p,)),
        ("take", None, (c_void_p, long)),
        ("tally", None, (c_void_p, ids, c_int64, c_int64, byte, long, POINTER(c_double))),
    ):  # fmt: skip
        function = getattr(found, f"delta_{name}")
        function.restype, function.argtypes = result, arguments
    return found
