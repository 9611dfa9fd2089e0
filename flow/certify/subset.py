"""Which of the stored bits a claim is about: all, or those of layers or memories, or high ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flow.certify.stored_bits import StoredBits
from flow.errors import InputError
from flow.ir import Array, Fault, Graph, IntType, Op


@dataclass(frozen=True, slots=True)
class BitSubset:
    """The ``highest`` bits of each code of ``parameters``, each named ``node.parameter``, but for
    those ``barred``.

    None: all bits, all parameters. The highest bit of a signed code is its sign.
    """

    parameters: tuple[str, ...] | None = None
    highest: int | None = None
    barred: frozenset[Fault] = frozenset()

    def allows(self, fault: Fault, kind: IntType) -> bool:
        """Whether the bit that ``fault`` strikes, of a code of type ``kind``, is in the subset."""
        return fault not in self.barred and fault.bit in self.bits(
            fault.node, fault.parameter, kind
        )

    def bits(self, node: str, parameter: str, kind: IntType) -> Array:
        """The positions of the bits of one code that may flip, ascending."""
        if self.parameters is not None and f"{node}.{parameter}" not in self.parameters:
            return np.zeros(0, dtype=np.int64)
        first = 0 if self.highest is None else max(0, kind.bits - self.highest)
        return np.arange(first, kind.bits)

    def of(self, node: str, op: Op) -> dict[str, Array]:
        """For each parameter of ``op`` with a bit that may flip, the positions of such bits."""
        found = {name: self.bits(node, name, kind) for name, kind in op.stored.items()}
        return {name: bits for name, bits in found.items() if bits.size}

    def kept(self, node: str, op: Op) -> dict[str, Array]:
        """For each parameter of ``op`` with a barred bit, 1 for every bit that is not barred,
        (*shape, bits)."""
        found: dict[str, Array] = {}
        for fault in self.barred:
            if fault.node == node:
                name = fault.parameter
                if name not in found:
                    shape = (*getattr(op, name).shape, op.stored[name].bits)
                    found[name] = np.ones(shape, dtype=np.int64)
                found[name][(*fault.index, fault.bit)] = 0
        return found

    def positions(self, stored: StoredBits) -> NDArray[np.bool_]:
        """Which bits of ``stored`` are in the subset, in its order."""
        masks = [np.zeros(0, dtype=np.bool_)]
        for block in stored.blocks:
            code = np.zeros(block.bits, dtype=np.bool_)
            code[self.bits(block.node, block.parameter, IntType(block.bits))] = True
            masks.append(np.tile(code, block.size // block.bits))
        found = np.concatenate(masks)
        found[[stored.position(fault) for fault in self.barred]] = False
        return found

    def count(self, graph: Graph) -> int:
        """How many bits of ``graph`` are in the subset."""
        return int(self.positions(StoredBits.of(graph)).sum())

    def terms(self) -> dict[str, Any]:
        """The subset as JSON; empty for all bits. Single bits that are barred have no place there.

        Raises:
            ValueError: bits are barred.
        """
        if self.barred:
            raise ValueError("a claim about all but single bits has no file")
        found: dict[str, Any] = {}
        if self.parameters is not None:
            found["parameters"] = list(self.parameters)
        if self.highest is not None:
            found["highest"] = self.highest
        return found

    @classmethod
    def of_terms(cls, terms: Mapping[str, Any]) -> BitSubset:
        """The inverse of ``terms``.

        Raises:
            InputError: they are not terms of a subset.
        """
        listed, highest = terms.get("parameters"), terms.get("highest")
        names = listed is None or (
            isinstance(listed, list) and all(isinstance(name, str) for name in listed)
        )
        counted = highest is None or (type(highest) is int and highest >= 1)
        if not names or not counted or set(terms) - {"parameters", "highest"}:
            raise InputError(f"{dict(terms)} names no set of stored bits; certify again")
        return cls(None if listed is None else tuple(listed), highest)

    @classmethod
    def choose(
        cls,
        graph: Graph,
        *,
        layers: Iterable[str] = (),
        memories: Iterable[str] = (),
        highest: int | None = None,
    ) -> BitSubset:
        """The bits of ``graph`` in any of ``layers`` (nodes) or ``memories`` (of a build:
        ``node.weights``, or ``node.thresholds``, which holds the signs too); of all if none.

        Raises:
            InputError: the graph stores nothing under such a name.
        """
        held = {
            node.name: [f"{node.name}.{name}" for name in node.op.stored] for node in graph.nodes
        }
        by_memory: dict[str, list[str]] = {}
        for node in graph.nodes:
            for name in node.op.stored:
                memory = "weights" if name == "weights" else "thresholds"
                by_memory.setdefault(f"{node.name}.{memory}", []).append(f"{node.name}.{name}")
        chosen: list[str] = []
        for kind, names, table in (("layer", layers, held), ("memory", memories, by_memory)):
            for name in names:
                if name not in table:
                    raise InputError(
                        f"{kind} {name!r} stores nothing here; choose from {', '.join(table)}"
                    )
                chosen += [p for p in table[name] if p not in chosen]
        return cls(tuple(chosen) if chosen else None, highest)


EVERY_BIT = BitSubset()


def one_layer_each(graph: Graph, *, highest: int | None = None) -> dict[str, BitSubset]:
    """For every node that stores something the subset of its bits alone, by its name."""
    return {
        node.name: BitSubset.choose(graph, layers=[node.name], highest=highest)
        for node in graph.nodes
        if node.op.stored
    }
