"""Graph in, graph out; one idea per file; ``evaluate`` of the fault-free graph is preserved."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from flow.ir import Graph
from flow.ir.verify import verify
from flow.passes.accumulators import Policy
from flow.passes.changes import Change, changes
from flow.passes.common_scale import common_scale
from flow.passes.merge_adds import merge_adds
from flow.passes.merge_identical import merge_identical
from flow.passes.merge_layout import merge_layout
from flow.passes.narrow_accumulators import narrow_accumulators
from flow.passes.narrow_thresholds import narrow_thresholds
from flow.passes.popcount_form import popcount_form
from flow.passes.remove_channels import remove_channels
from flow.passes.search_form import search_form
from flow.passes.trained import check_trained, is_trained
from flow.passes.trim_levels import trim_levels

Pass = Callable[[Graph], Graph]
LOWERING: tuple[Pass, ...] = (popcount_form, narrow_thresholds, common_scale)
OPTIMISE: dict[str, Pass] = {
    "merge-layout": merge_layout,
    "merge-adds": merge_adds,
    "merge-identical": merge_identical,
    "trim-levels": trim_levels,
    "remove-channels": remove_channels,
}  # asked for by name, in this order: each may drop stored bits, or move what a bit means


def run_passes(
    graph: Graph, passes: Iterable[Pass] = LOWERING, *, record: list[Change] | None = None
) -> Graph:
    """Apply ``passes`` in order and check the graph after each; ``record`` takes what changed.

    A graph that was as trained (``check_trained``) before a pass must be so after it.

    Raises:
        ValueError: the graph, or what a pass made of it, is not legal.
    """
    trained = is_trained(verify(graph))
    for one in passes:
        before, graph = graph, verify(one(graph))
        if trained:
            check_trained(graph)
        if record is not None:
            record += changes(one.__name__, before, graph)
    return graph


__all__ = [
    "LOWERING",
    "OPTIMISE",
    "Change",
    "Policy",
    "changes",
    "check_trained",
    "common_scale",
    "is_trained",
    "merge_adds",
    "merge_identical",
    "merge_layout",
    "narrow_accumulators",
    "narrow_thresholds",
    "popcount_form",
    "remove_channels",
    "run_passes",
    "search_form",
    "trim_levels",
]
