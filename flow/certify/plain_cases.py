"""The cases by the channel struck first, once more in Python integers, for the checker alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from flow.certify.plain_budget import kept, label_withstands, spread_flips, start
from flow.certify.plain_ops import Held
from flow.certify.subject import WHOLE, Part
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
    part: Part = WHOLE,
) -> bool:
    """Whether ``label`` is kept in every case of ``part``: a first layer struck, and one channel
    of it. Where budgets alone show it there are no cases.

    Any set of flips is in one of the cases, so all of them together are the claim.

    Raises:
        InputError: the graph has a layer that this checker does not know.
    """
    if label_withstands(graph, image, label, flips, subset=subset, radius=radius):
        return True
    cases = _cases(graph, image, label, flips, subset, radius)
    return all(holds() for holds in part.share(cases))


def _cases(
    graph: Graph, image: Array, label: int, flips: int, subset: BitSubset, radius: int
) -> Iterator[Callable[[], bool]]:
    """Whether the label is kept, case by case; the last layer is one case."""
    chains = _chains(graph, subset)
    for first, (names, edge) in enumerate(chains):
        if edge == graph.logits:
            own = _only(graph, subset, names)
            yield partial(label_withstands, graph, image, label, flips, subset=own, radius=radius)
            continue
        later = [name for group, _ in chains[first:] for name in group]
        allowed = _only(graph, subset, later)
        held, _ = spread_flips(graph, start(graph, image, flips, radius), flips, allowed, to=edge)
        fewer = {name: _fewer(held[name], flips) for name in _up_to(graph, edge)}
        for unit in sorted(set(held[edge].unit)):
            known = {**fewer, edge: _struck(held[edge], unit, flips)}
            yield partial(_case_holds, graph, known, label, flips - 1, allowed)


def _case_holds(
    graph: Graph, known: dict[str, Held], label: int, flips: int, allowed: BitSubset
) -> bool:
    return kept(graph, spread_flips(graph, known, flips, allowed), label, flips)


def _up_to(graph: Graph, edge: str) -> list[str]:
    """The input and every edge made before ``edge``, and it."""
    names = [graph.input]
    for node in graph.nodes:
        names.append(node.output)
        if node.output == edge:
            break
    return names


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
    return BitSubset(parameters, subset.highest, subset.barred)


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
