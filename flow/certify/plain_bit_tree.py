"""Trees of bits once more, part by part, for the checker alone.

A set of flips either has the bit of a split or has it not, so the two parts together are the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from flow.certify.bit_tree import BitTree, End
from flow.certify.plain_budget import label_withstands
from flow.certify.plain_cases import label_withstands_by_channel
from flow.certify.subset import EVERY_BIT, BitSubset
from flow.ir import Array, Fault, Graph, Kind

_ARGUMENTS = {End.BUDGET: label_withstands, End.CASES: label_withstands_by_channel}


def label_withstands_by_bits(
    graph: Graph,
    image: Array,
    label: int,
    flips: int,
    *,
    record: Mapping[str, Any],
    subset: BitSubset = EVERY_BIT,
) -> bool:
    """Whether the tree of ``record`` shows that no ``flips`` flips of ``subset`` take ``label``.

    Raises:
        InputError: the graph has a layer that this checker does not know.
        ValueError: it is no tree.
    """
    tree = BitTree.of_record(record)
    if tree.flips < flips:
        return False
    waiting: list[tuple[tuple[Fault, ...], frozenset[Fault]]] = [((), frozenset())]
    for step in tree.steps:
        if not waiting:
            return False
        flipped, barred = waiting.pop()
        left, own = tree.flips - len(flipped), replace(subset, barred=barred)
        if isinstance(step, End):
            if not _decided(graph, image, label, left, step, flipped, own):
                return False
        elif left < 1 or not _may_flip(graph, step, own):
            return False
        else:
            beside = barred | {step}
            waiting += [(flipped, beside), ((*flipped, step), beside)]
    return not waiting


def _decided(
    graph: Graph,
    image: Array,
    label: int,
    left: int,
    end: End,
    flipped: tuple[Fault, ...],
    subset: BitSubset,
) -> bool:
    """Whether the label stays with ``flipped`` struck and any ``left`` more of ``subset``."""
    if end is not End.EVERY:
        struck = graph.with_faults(flipped)
        return left > 0 and _ARGUMENTS[end](struck, image, label, left, subset=subset)
    if left > 1:
        return False
    sets = [flipped, *((*flipped, fault) for fault in _all(graph, subset) if left)]
    return all(int(graph.evaluate(image[None], strikes)[0]) == label for strikes in sets)


def _may_flip(graph: Graph, fault: Fault, subset: BitSubset) -> bool:
    """Whether the graph stores the bit and it is one of ``subset``."""
    node = next((node for node in graph.nodes if node.name == fault.node), None)
    if node is None or fault.parameter not in node.op.stored or fault.kind is not Kind.FLIP:
        return False
    shape = getattr(node.op, fault.parameter).shape
    inside = len(shape) == len(fault.index) and all(
        0 <= i < size for i, size in zip(fault.index, shape, strict=True)
    )
    return inside and subset.allows(fault, node.op.stored[fault.parameter])


def _all(graph: Graph, subset: BitSubset) -> list[Fault]:
    found = []
    for node in graph.nodes:
        for name, kind in node.op.stored.items():
            for index in np.ndindex(*getattr(node.op, name).shape):
                faults = (Fault(node.name, name, index, bit) for bit in range(kind.bits))
                found += [fault for fault in faults if subset.allows(fault, kind)]
    return found
