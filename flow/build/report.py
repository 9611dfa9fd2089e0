"""The cycle, memory and resource report of a build: formulas and counts, nothing measured."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flow.build.netlist import Netlist, netlist
from flow.build.sites import SiteTable
from flow.ir import Graph
from flow.schedule import Plan, interval, simulate_tokens, unit_cycles
from flow.schedule.resources import MODELS, Resources, resources


def report(graph: Graph, plan: Plan, sites: SiteTable) -> dict[str, Any]:
    """JSON-ready: cycles per image (by unit and for the whole), FIFOs, memories, stored bits, and
    an estimate of the ECP5 cells."""
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
        "parity_bits": sites.parity,
        "resources": estimate(netlist(graph, plan)),
    }


def estimate(net: Netlist) -> dict[str, Any]:
    """JSON-ready: expected ECP5 cells of each unit and of all; units without a model are named."""
    units = {
        unit.name: resources(unit.module, unit.parameters)
        for unit in net.units
        if unit.module in MODELS
    }
    for unit in net.units:
        if unit.memories and unit is not net.chain[0] and unit.name in units:
            units[unit.name] += Resources(lut=unit.memories[0].bits)  # on the configuration bus
    return {
        "units": {name: asdict(found) for name, found in units.items()},
        "total": asdict(sum(units.values(), Resources())),
        "not_estimated": [unit.name for unit in net.units if unit.module not in MODELS],
    }
