"""One changed bit, in the graph's own terms; where it lies in hardware is a ``FaultSite``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from flow.ir.arrays import Array
from flow.ir.types import IntType

if TYPE_CHECKING:
    from flow.ir.graph import Graph


class Kind(StrEnum):
    """What happens to the stored bit."""

    FLIP = "flip"
    STUCK0 = "stuck0"
    STUCK1 = "stuck1"
    TRANSIENT = "transient"  # a flip of what a node has computed, for one image


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """Bit ``bit`` of element ``index`` of ``parameter`` of ``node``; bit 0 is the lowest.

    A ``TRANSIENT`` one strikes no parameter but the output of ``node``, or of the input edge so
    named: ``parameter`` says what such an element is, an accumulator or a word of a stream.
    """

    node: str
    parameter: str
    index: tuple[int, ...]
    bit: int
    kind: Kind = Kind.FLIP

    def apply(self, code: int) -> int:
        """The stored code after the fault."""
        mask = 1 << self.bit
        match self.kind:
            case Kind.FLIP | Kind.TRANSIENT:
                return code ^ mask
            case Kind.STUCK0:
                return code & ~mask
            case Kind.STUCK1:
                return code | mask

    def __str__(self) -> str:
        index = ",".join(map(str, self.index))
        return f"{self.kind} {self.node}.{self.parameter}[{index}] bit {self.bit}"


def as_flips(graph: Graph, faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """The flips that leave the same stored codes as ``faults``, which name no bit twice.

    A bit stuck at the value that it stores has no flip.

    Raises:
        KeyError: the graph has no such node, or it stores no such parameter.
    """
    found = []
    for fault in faults:
        if fault.kind is not Kind.FLIP:
            op: Any = graph.node(fault.node).op
            code = int(op.stored[fault.parameter].encode(getattr(op, fault.parameter)[fault.index]))
            if fault.apply(code) == code:
                continue
            fault = replace(fault, kind=Kind.FLIP)
        found.append(fault)
    return tuple(found)


def flip_elements(values: Array, kind: IntType, faults: Iterable[Fault]) -> Array:
    """``values`` (images, *shape) of an edge of type ``kind`` with bits of their codes inverted, in
    each image alike.

    Raises:
        IndexError: the index or the bit does not exist.
    """
    codes = np.array(kind.encode(values))
    for fault in faults:
        shape = codes.shape[1:]
        inside = len(fault.index) == len(shape) and all(
            0 <= i < n for i, n in zip(fault.index, shape, strict=True)
        )
        if not inside or not 0 <= fault.bit < kind.bits:
            size = "x".join(map(str, shape))
            raise IndexError(f"{fault}: the {fault.parameter} is {size} of {kind.bits} bits")
        place: tuple[Any, ...] = (..., *fault.index)
        codes[place] ^= 1 << fault.bit
    return kind.decode(codes)


def apply_faults(op: Any, faults: Iterable[Fault]) -> Any:
    """``op`` with the stored codes of its parameters changed; two flips of one bit cancel.

    Raises:
        KeyError: ``op`` stores no such parameter.
        IndexError: the index or the bit does not exist.
    """
    changed: dict[str, Array] = {}
    for fault in faults:
        if fault.parameter not in op.stored:
            raise KeyError(f"{fault}: node stores {', '.join(op.stored) or 'nothing'}")
        kind = op.stored[fault.parameter]
        codes = changed.get(fault.parameter)
        if codes is None:
            codes = np.array(kind.encode(getattr(op, fault.parameter)))
            changed[fault.parameter] = codes
        in_range = len(fault.index) == codes.ndim and all(
            0 <= i < n for i, n in zip(fault.index, codes.shape, strict=True)
        )
        if not in_range or not 0 <= fault.bit < kind.bits:
            shape = "x".join(map(str, codes.shape))
            raise IndexError(f"{fault}: {fault.parameter} is {shape} of {kind.bits} bits")
        codes[fault.index] = fault.apply(int(codes[fault.index]))
    return replace(op, **{name: op.stored[name].decode(c) for name, c in changed.items()})
