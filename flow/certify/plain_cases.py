"""The cases by the channel struck first, once more in Python integers, for the checker alone."""

from __future__ import annotations

from dataclasses import replace

from flow.certify.plain_budget import kept, label_withstands, spread_flips, start
from flow.certify.plain_ops import Held
from flow.certify.subset import EVERY_BIT, BitSubset
from flow.ir import Array, Graph
from flow.ops import Add, Threshold


def label_withstands_by_channel(
    graph: Graph,
    image: Array,
    label: int,
    flips: int,
    *,
    subset: BitSubset = EVERY_BIT,
    radius: int = 0,
) -> bool:
    """Whether ``label`` is kept in every case: a first layer struck, and one channel of it.

    Any set of flips is in one of the cases, so all of them together are the claim.

    Raises:
        InputError: the graph has a layer that this checker does not know.
    """
    if label_withstands(graph, image, label, flips, subset=subset, radius=radius):
        return True
    chains = _chains(graph, subset)
    for first, (names, edge) in enumerate(chains):
        later = [name for group, _ in chains[first:] for name in group]
        allowed = _only(graph, subset, later)
        if edge == graph.logits:
            own = _only(graph, subset, names)
            if not label_withstands(graph, image, label, flips, subset=own, radius=radius):
                return False
            continue
        held, _ = spread_flips(graph, start(graph, image, flips, radius), flips, allowed)
        before = [graph.input]
        for node in graph.nodes:
            before.append(node.output)
            if node.output == edge:
                break
        fewer = {name: _fewer(held[name], flips) for name in before}
        for unit in sorted(set(held[edge].unit)):
            fewer[edge] = _struck(held[edge], unit, flips)
            reached = spread_flips(graph, fewer, flips - 1, allowed)
            if not kept(graph, reached, label, flips - 1):
                return False
    return True


def _chains(graph: Graph, subset: BitSubset) -> list[tuple[list[str], str]]:
    """Nodes with bits in order, each with the thresholds and scales that alone read it."""
    found: list[tuple[list[str], str]] = []
    taken: set[str] = set()
    for node in graph.nodes[:-1]:
        if node.name in taken or not subset.of(node.name, node.op):
            continue
        names, edge = [node.name], node.output
        while True:
            readers = [later for later in graph.nodes if edge in later.inputs]
            if len(readers) != 1 or len(readers[0].inputs) != 1:
                break
            if not isinstance(readers[0].op, Threshold | Add):
                break
            names.append(readers[0].name)
            edge = readers[0].output
        taken.update(names)
        found.append((names, edge))
    return found


def _only(graph: Graph, subset: BitSubset, names: list[str]) -> BitSubset:
    parameters = tuple(
        f"{node.name}.{parameter}"
        for node in graph.nodes
        if node.name in names
        for parameter in subset.of(node.name, node.op)
    )
    return BitSubset(parameters, subset.highest)


def _fewer(held: Held, flips: int) -> Held:
    """What is known of budgets of one flip less."""
    return replace(held, table=[line[: flips - r] for r, line in enumerate(held.table[:flips])])


def _struck(held: Held, unit: int, flips: int) -> Held:
    """One flip of the unit's own bits is spent."""
    own = held.table[0]
    cells = [
        [own[s + (number == unit)][k] for k, number in enumerate(held.unit)] for s in range(flips)
    ]
    return replace(held, table=[[cells[s] for s in range(flips - r)] for r in range(flips)])
