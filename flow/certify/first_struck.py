"""What budgets leave open, case by case: by the channel that the first flips strike.

Order the layers that hold bits. Any set of flips has a first layer that it strikes, and there some
channel. With that channel struck, everything before it is clean, the other channels of its layer
are clean but for what is left of the budget, and so is all that follows. One case for each channel,
each with a flip less to be spent anywhere, covers every set; nothing is lost to a channel that only
might be struck. Cases run side by side as images do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from flow.certify.box import Box
from flow.certify.budget import budgeted, spread_flips
from flow.certify.margins import logits_apart, sums_apart
from flow.certify.struck_edge import Struck, each_box
from flow.certify.subset import EVERY_BIT, BitSubset
from flow.certify.weight_flips import State
from flow.ir import Array, Graph, Node
from flow.ops import Add, Threshold

_CASES = 128  # run side by side


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes whose bits decide the channels of ``edge`` one by one."""

    nodes: tuple[str, ...]
    edge: str


def groups(graph: Graph, subset: BitSubset = EVERY_BIT) -> tuple[Group, ...]:
    """All nodes with bits of ``subset``, each with those that follow it channel by channel."""
    found: list[Group] = []
    done: set[str] = set()
    for node in graph.nodes[:-1]:
        if node.name not in done and subset.of(node.name, node.op):
            nodes, edge = [node.name], node.output
            while (after := _only_reader(graph, edge)) is not None:
                if subset.of(after.name, after.op):
                    nodes.append(after.name)
                edge = after.output
            done.update(nodes)
            found.append(Group(tuple(nodes), edge))
    return tuple(found)


def withstands_by_channel(
    graph: Graph, box: Box, *, label: int, flips: int, subset: BitSubset = EVERY_BIT
) -> bool:
    """Whether no ``flips`` flips of ``subset`` take ``label`` from any input of ``box``, one image.

    Sound, and never looser than the budget alone but for the cases it is split into. True says
    nothing about the clean image if no bit may flip.
    """
    parts = groups(graph, subset)
    return all(
        _holds(graph, box, label, flips, group, _of(graph, subset, parts[first:]))
        for first, group in enumerate(parts)
    )


def _holds(
    graph: Graph, box: Box, label: int, flips: int, group: Group, allowed: BitSubset
) -> bool:
    """Whether the label is kept by all flips that strike ``group`` and then ``allowed`` ones."""
    if group.edge == graph.logits:
        own = _of(graph, allowed, (group,))
        return _kept(graph, budgeted(graph, box, flips=flips, subset=own), label, flips, own)
    whole = budgeted(graph, box, flips=flips, subset=allowed)
    place = next(k for k, node in enumerate(graph.nodes) if node.output == group.edge)
    units = np.unique(whole[group.edge].unit)
    for start in range(0, len(units), _CASES):
        chosen = units[start : start + _CASES]
        known = {
            name: _repeated(whole[name], len(chosen), flips - 1)
            for name in (graph.input, *(node.output for node in graph.nodes[: place + 1]))
        }
        known[group.edge] = _struck(whole[group.edge], chosen, flips)
        found = spread_flips(graph, known, flips=flips - 1, subset=allowed)
        if not _kept(graph, found, label, flips - 1, allowed):
            return False
    return True


def _kept(
    graph: Graph, found: Mapping[str, Struck], label: int, flips: int, subset: BitSubset
) -> bool:
    y = np.full(len(found[graph.logits].state[0, 0]), label)
    held = logits_apart(found[graph.logits], y, flips=flips)
    held |= sums_apart(graph, found, y, flips=flips, subset=subset)
    return bool(held.all())


def _struck(edge: Struck, chosen: Array, flips: int) -> Struck:
    """One case for each of the ``chosen`` units: a flip of its own bits is already spent."""
    mask = edge.unit == chosen.reshape(-1, *(1,) * edge.unit.ndim)
    own = [edge.state[0, s] for s in range(flips + 1)]

    def box(s: int) -> Box:
        return Box(
            np.where(mask, own[s + 1].lo, own[s].lo), np.where(mask, own[s + 1].hi, own[s].hi)
        )

    boxes = [box(s) for s in range(flips)]
    state = {(r, s): boxes[s] for r in range(flips) for s in range(flips - r)}
    return replace(edge, state=state)


def _repeated(edge: Struck, cases: int, flips: int) -> Struck:
    """The same bounds in every case, of budgets up to ``flips``."""

    def repeat(box: Box) -> Box:
        shape = (cases, *box.lo.shape[1:])
        return Box(np.broadcast_to(box.lo, shape), np.broadcast_to(box.hi, shape))

    state: State = {key: box for key, box in edge.state.items() if sum(key) <= flips}
    return replace(edge, state=each_box(state, repeat))


def _of(graph: Graph, subset: BitSubset, parts: tuple[Group, ...]) -> BitSubset:
    names = {name for group in parts for name in group.nodes}
    kept = [
        f"{node.name}.{parameter}"
        for node in graph.nodes
        if node.name in names
        for parameter in subset.of(node.name, node.op)
    ]
    return BitSubset(tuple(kept), subset.highest, subset.barred)


def _only_reader(graph: Graph, edge: str) -> Node | None:
    """The Threshold, or Add of one input, that alone reads ``edge``."""
    readers: Iterator[Node] = (node for node in graph.nodes if edge in node.inputs)
    found = list(readers)
    if len(found) != 1 or len(found[0].inputs) != 1 or not isinstance(found[0].op, Threshold | Add):
        return None
    return found[0]
