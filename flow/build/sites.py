"""The fault-site table: every stored bit of a build, and which ``Fault`` it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flow.build.images import PADDING, PARITY, MemoryLayout, graph_layouts
from flow.ir import Fault, Graph
from flow.schedule import Plan
from flow.schedule.cells import MemoryStyle

MEMORY, CONFIGURATION = "memory", "configuration"  # in the column ``storage``


@dataclass(frozen=True, slots=True, order=True)
class FaultSite:
    """Bit ``bit`` of word ``word`` of ``memory``; ``fault`` is None for padding (masked always) and
    for ``parity`` (masked, but detected). A bit of ``configuration`` is a constant of the circuit:
    radiation can change it and the configuration port cannot."""

    memory: str
    word: int
    bit: int
    fault: Fault | None
    parity: bool = False
    configuration: bool = False


@dataclass(frozen=True, eq=False)
class SiteTable:
    """All memories of a build, addressed both ways: memory, word, bit <-> ``Fault``."""

    layouts: tuple[MemoryLayout, ...]
    configuration: bool = False  # what is stored are constants (memory style rom)

    def __len__(self) -> int:
        """Bits that store a parameter."""
        return sum(int((layout.parameter >= 0).sum()) for layout in self.layouts)

    @property
    def padding(self) -> int:
        """Bits of partly used words, counted apart."""
        return sum(int((layout.parameter == PADDING).sum()) for layout in self.layouts)

    @property
    def parity(self) -> int:
        """Bits that protect the others of their word, counted apart."""
        return sum(int((layout.parameter == PARITY).sum()) for layout in self.layouts)

    def __iter__(self) -> Iterator[FaultSite]:
        """Every bit, padding included, by memory, word and bit."""
        for layout in self.layouts:
            for word in range(layout.words):
                for bit in range(layout.bits):
                    yield self.at(layout.name, word, bit)

    def at(self, memory: str, word: int, bit: int) -> FaultSite:
        """The site at an address.

        Raises:
            KeyError: no such memory.
            IndexError: no such word or bit.
        """
        layout = self._by_memory[memory]
        if not (0 <= word < layout.words and 0 <= bit < layout.bits):
            raise IndexError(f"{memory} has {layout.words} words of {layout.bits} bits")
        which = int(layout.parameter[word, bit])
        if which in (PADDING, PARITY):
            parity, configuration = which == PARITY, self.configuration
            return FaultSite(memory, word, bit, None, parity, configuration)
        place = np.unravel_index(int(layout.element[word, bit]), layout.shapes[which])
        index = tuple(int(i) for i in place)
        fault = Fault(layout.node, layout.parameters[which], index, int(layout.bit[word, bit]))
        return FaultSite(memory, word, bit, fault, configuration=self.configuration)

    def site(self, fault: Fault) -> FaultSite:
        """Where ``fault`` lies; the kind of fault does not matter.

        Raises:
            KeyError: the build stores no such bit.
        """
        found = self._places.get((fault.node, fault.parameter))
        if found is not None:
            shape, memory, place = found
            width = place.size // int(np.prod(shape))
            inside = len(fault.index) == len(shape) and all(
                0 <= i < n for i, n in zip(fault.index, shape, strict=True)
            )
            if inside and 0 <= fault.bit < width:
                at = int(np.ravel_multi_index(fault.index, shape)) * width + fault.bit
                layout = self.layouts[memory[at]]
                word, bit = divmod(int(place[at]), layout.bits)
                return FaultSite(layout.name, word, bit, fault, configuration=self.configuration)
        raise KeyError(f"{fault}: this build stores no such bit")

    def table(self) -> pa.Table:
        """The table by columns; node, parameter, index and bit are null where a bit is padding or
        parity, which ``use`` says; ``storage`` is ``memory`` or ``configuration``.

        ``index0`` and ``index1`` are the element's index (``index1`` null for one-dimensional
        parameters), ``code_bit`` the bit of its code.
        """
        storage = CONFIGURATION if self.configuration else MEMORY
        return pa.concat_tables([_columns(layout, storage) for layout in self.layouts])

    def digest(self) -> str:
        """SHA-256 over the layout of every memory, independent of any file format."""
        total = hashlib.sha256(CONFIGURATION.encode() if self.configuration else b"")
        for layout in self.layouts:
            heading = (layout.name, layout.node, layout.parameters, layout.shapes)
            total.update(repr((heading, layout.words, layout.bits)).encode())
            for array in (layout.parameter, layout.element, layout.bit):
                total.update(np.ascontiguousarray(array, dtype="<i4").tobytes())
        return total.hexdigest()

    @cached_property
    def _by_memory(self) -> Mapping[str, MemoryLayout]:
        return {layout.name: layout for layout in self.layouts}

    @cached_property
    def _places(
        self,
    ) -> Mapping[tuple[str, str], tuple[tuple[int, ...], NDArray[np.int64], NDArray[np.int64]]]:
        """By node and parameter: its shape, then of each element bit, element by element, the
        number of its memory and the flat address there."""
        shapes: dict[tuple[str, str], tuple[int, ...]] = {}
        parts: dict[tuple[str, str], list[NDArray[np.int64]]] = {}
        for number, layout in enumerate(self.layouts):
            element, code_bit = layout.element.ravel(), layout.bit.ravel()
            for which, parameter in enumerate(layout.parameters):
                here = np.flatnonzero(layout.parameter.ravel() == which)
                rows = (element[here], code_bit[here], np.full(here.size, number), here)
                shapes[layout.node, parameter] = layout.shapes[which]
                parts.setdefault((layout.node, parameter), []).append(np.array(rows, np.int64))
        places = {}
        for name, found in parts.items():
            element, code_bit, memory, place = np.concatenate(found, axis=1)
            order = np.lexsort((code_bit, element))
            places[name] = (shapes[name], memory[order], place[order])
        return places


def site_table(graph: Graph, plan: Plan) -> SiteTable:
    """The fault-site table of the build of ``graph`` by ``plan``."""
    layouts = graph_layouts(graph, plan.folding, parity=plan.parity)
    return SiteTable(layouts, plan.memory_style is MemoryStyle.ROM)


def _columns(layout: MemoryLayout, storage: str) -> pa.Table:
    word, bit = np.indices(layout.parameter.shape).reshape(2, -1)
    which, element = layout.parameter.ravel(), layout.element.ravel()
    padding = which < 0
    index0, index1 = np.zeros_like(element), np.zeros_like(element)
    flat = padding.copy()
    for number, shape in enumerate(layout.shapes):
        here = which == number
        first, *rest = np.unravel_index(element[here], shape)
        index0[here] = first
        if rest:
            index1[here] = rest[0]
        else:
            flat |= here
    names = pa.array(layout.parameters)
    return pa.table(
        {
            "memory": pa.array([layout.name]).take(pa.array(np.zeros(word.size, np.int32))),
            "word": pa.array(word.astype(np.int32)),
            "bit": pa.array(bit.astype(np.int32)),
            "node": pa.array([layout.node]).take(
                pa.array(np.zeros(word.size, np.int32), mask=padding)
            ),
            "parameter": names.take(pa.array(which.astype(np.int32), mask=padding)),
            "index0": pa.array(index0, mask=padding),
            "index1": pa.array(index1, mask=flat),
            "code_bit": pa.array(layout.bit.ravel(), mask=padding),
            "use": pa.array(["parity", "padding", "parameter"]).take(
                pa.array(np.minimum(which, 0).astype(np.int32) + 2)
            ),
            "storage": pa.array([storage]).take(pa.array(np.zeros(word.size, np.int32))),
        }
    )
