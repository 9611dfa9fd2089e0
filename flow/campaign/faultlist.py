"""The faults of a campaign, in arrays: a fault is a set of bits that are struck together.

A strike names its bits in the graph's terms, so one list serves every build of the graph.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from flow.campaign.elements import element_bits
from flow.certify.stored_bits import StoredBits
from flow.errors import InputError
from flow.graphfile import digest
from flow.ir import Array, Fault, Graph, Kind

Strike = tuple[Fault, ...]  # bits struck together, each once, in the order of ``StoredBits``

KINDS = tuple(Kind)  # numbered in this order in ``FaultList.kind``
NO_CHIP = -1
INDEPENDENT = ("multiple", "burst", "rate", "transients")  # their draws may repeat each other


@dataclass(frozen=True, eq=False)
class FaultList:
    """Strikes on the graph with ``graph_digest``, in a fixed order; fault number k is ``list[k]``.

    ``bits`` are what the graph stores or, for ``transient`` lists, what passes through it. Bits
    ``start[k] .. start[k + 1] - 1`` of ``position`` (numbers of ``bits``) and ``kind`` (numbers of
    ``KINDS``) belong to fault k. ``weight`` says how many bits a draw stands for, or is 1 where
    draws are independent; ``level`` is what the fault model was set to: the number of bits, or the
    rate. ``chip`` is ``NO_CHIP`` where faults are not patterns of a chip.

    Raises:
        InputError: a model that draws each bit once lists one twice, or a strike hits a bit twice.
    """

    graph_digest: str
    bits: StoredBits
    model: str
    position: Array
    kind: NDArray[np.uint8]
    start: Array
    weight: NDArray[np.float64]
    level: NDArray[np.float64]
    chip: NDArray[np.int32]

    def __post_init__(self) -> None:
        stored = (self.position >= 0) & (self.position < len(self.bits))
        if not stored.all():
            raise InputError("faults: a bit that the graph does not store; draw the list again")
        number = np.repeat(np.arange(len(self)), np.diff(self.start))
        same = number[1:] == number[:-1]
        if (np.diff(self.position)[same] <= 0).any():
            raise InputError("faults: a strike names a bit twice, or out of order; list it once")
        if self.transient and (self.kind != KINDS.index(Kind.TRANSIENT)).any():
            raise InputError("faults: transient and stored bits in one list; make a list of each")
        if self.single and self.model not in INDEPENDENT:
            order = np.sort(self.position * len(KINDS) + self.kind)
            twice = np.flatnonzero(order[1:] == order[:-1])
            if twice.size:
                fault = self.bits.fault(int(order[twice[0]]) // len(KINDS))
                raise InputError(f"faults: {fault} is listed twice; list each fault once")

    @classmethod
    def of(
        cls,
        graph: Graph,
        strikes: Sequence[Sequence[Fault]],
        *,
        model: str = "listed",
        weight: Sequence[float] | None = None,
        level: Sequence[float] | None = None,
    ) -> FaultList:
        """The list of ``strikes``; each is put in order. Without weights each stands for itself."""
        passing = any(fault.kind is Kind.TRANSIENT for strike in strikes for fault in strike)
        bits = element_bits(graph) if passing else StoredBits.of(graph)
        found = [
            sorted((bits.position(fault), KINDS.index(fault.kind)) for fault in strike)
            for strike in strikes
        ]
        sizes = np.array([len(strike) for strike in found], dtype=np.int64)
        flat = np.array([pair for strike in found for pair in strike], dtype=np.int64)
        flat = flat.reshape(-1, 2)
        return cls.assemble(
            graph,
            model=model,
            bits=bits,
            sizes=sizes,
            position=flat[:, 0],
            kind=flat[:, 1].astype(np.uint8),
            weight=None if weight is None else np.array(weight, dtype=np.float64),
            level=None if level is None else np.array(level, dtype=np.float64),
        )

    @classmethod
    def assemble(
        cls,
        graph: Graph,
        *,
        model: str,
        sizes: Array,
        position: Array,
        bits: StoredBits | None = None,
        kind: NDArray[np.uint8] | None = None,
        weight: NDArray[np.float64] | None = None,
        level: NDArray[np.float64] | None = None,
        chip: NDArray[np.int32] | None = None,
    ) -> FaultList:
        """The list whose fault k has the next ``sizes[k]`` of the bits ``position``; stored ones
        that are flipped, each with weight 1, of as many bits as it has, on no chip, unless told."""
        return cls(
            digest(graph),
            StoredBits.of(graph) if bits is None else bits,
            model,
            position,
            np.zeros(len(position), dtype=np.uint8) if kind is None else kind,
            np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            np.ones(len(sizes)) if weight is None else weight,
            sizes.astype(np.float64) if level is None else level,
            np.full(len(sizes), NO_CHIP, dtype=np.int32) if chip is None else chip,
        )

    def __len__(self) -> int:
        return len(self.start) - 1

    def __getitem__(self, number: int) -> Strike:
        """The strike of fault ``number``."""
        if not 0 <= number < len(self):
            raise IndexError(f"fault {number} of {len(self)}")
        part = range(int(self.start[number]), int(self.start[number + 1]))
        return tuple(
            replace(self.bits.fault(int(self.position[k])), kind=KINDS[self.kind[k]]) for k in part
        )

    def __iter__(self) -> Iterator[Strike]:
        return map(self.__getitem__, range(len(self)))

    def part(self, first: int, last: int) -> FaultList:
        """Faults ``first .. last - 1``, as a list of their own."""
        bits = slice(int(self.start[first]), int(self.start[last]))
        rows = slice(first, last)
        return replace(
            self,
            position=self.position[bits],
            kind=self.kind[bits],
            start=self.start[first : last + 1] - self.start[first],
            weight=self.weight[rows],
            level=self.level[rows],
            chip=self.chip[rows],
        )

    @property
    def single(self) -> bool:
        """Every fault strikes exactly one bit."""
        return bool((np.diff(self.start) == 1).all())

    @property
    def flips(self) -> bool:
        """Every bit is stored and flipped, none is stuck."""
        return not self.kind.any()

    @property
    def transient(self) -> bool:
        """The bits are those of elements that pass by, not of what is stored."""
        return bool((self.kind == KINDS.index(Kind.TRANSIENT)).any())

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the graph digest and every array, independent of any file format."""
        total = hashlib.sha256(f"{self.graph_digest} {self.model}\n".encode())
        for array, kind in (
            (self.position, "<i8"),
            (self.kind, "u1"),
            (self.start, "<i8"),
            (self.weight, "<f8"),
            (self.level, "<f8"),
            (self.chip, "<i4"),
        ):
            total.update(np.ascontiguousarray(array, dtype=kind).tobytes())
        return total.hexdigest()


def memory_name(node: str, parameter: str) -> str:
    """The memory that holds a bit in every build; sign bits lie in the words of thresholds."""
    return f"{node}.{'thresholds' if parameter == 'sign' else parameter}"
