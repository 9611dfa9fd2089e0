"""Graph in, graph out; one idea per file; ``evaluate`` of the fault-free graph is preserved."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from flow.ir import Graph
from flow.ir.verify import verify
from flow.passes.accumulators import Policy
from flow.passes.narrow_accumulators import narrow_accumulators
from flow.passes.narrow_thresholds import narrow_thresholds
from flow.passes.popcount_form import popcount_form
from flow.passes.trained import check_trained, is_trained

Pass = Callable[[Graph], Graph]
LOWERING: tuple[Pass, ...] = (popcount_form, narrow_thresholds)


def run_passes(graph: Graph, passes: Iterable[Pass] = LOWERING) -> Graph:
    """Apply ``passes`` in order and check the graph after each.

    A graph that was as trained (``check_trained``) before a pass must be so after it.

    Raises:
        ValueError: the graph, or what a pass made of it, is not legal.
    """
    trained = is_trained(verify(graph))
    for one in passes:
        graph = verify(one(graph))
        if trained:
            check_trained(graph)
    return graph


__all__ = [
    "LOWERING",
    "Policy",
    "check_trained",
    "is_trained",
    "narrow_accumulators",
    "narrow_thresholds",
    "popcount_form",
    "run_passes",
]
