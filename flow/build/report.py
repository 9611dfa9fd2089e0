"""The cycle and memory report of a build: formulas and counts, nothing measured."""

from __future__ import annotations

from typing import Any

from flow.build.sites import SiteTable
from flow.ir import Graph
from flow.schedule import Plan, interval, simulate_tokens, unit_cycles


def report(graph: Graph, plan: Plan, sites: SiteTable) -> dict[str, Any]:
    """JSON-ready: cycles per image (by unit and for the whole), FIFOs, memories, stored bits."""
    return {
        "graph": graph.name,
        "cycles_per_image": interval(graph, plan.folding),
        "first_latency": simulate_tokens(graph, plan.folding, plan.fifo_depth).first_latency,
        "unit_cycles": unit_cycles(graph, plan.folding),
        "folding": {name: {"pe": f.pe, "simd": f.simd} for name, f in plan.folding.items()},
        "fifo_depth": dict(plan.fifo_depth),
        "memories": {m.name: {"words": m.words, "bits": m.bits} for m in sites.layouts},
        "stored_bits": len(sites),
        "padding_bits": sites.padding,
    }
