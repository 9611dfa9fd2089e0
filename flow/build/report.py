"""The cycle, memory and resource report of a build: formulas and counts, nothing measured."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from flow.build.netlist import Netlist, Unit, netlist
from flow.build.sites import SiteTable
from flow.ir import Graph
from flow.schedule import Dataflow, Plan, dataflow, interval, simulate_tokens, unit_cycles
from flow.schedule.cells import ECP5, Family, Resources
from flow.schedule.cycles import cycles
from flow.schedule.resources import resources


def report(graph: Graph, plan: Plan, sites: SiteTable, family: Family = ECP5) -> dict[str, Any]:
    """JSON-ready: cycles per image (by unit and for the whole), FIFOs, memories, stored bits, and
    an estimate of the cells that synthesis for ``family`` makes, by unit and by layer."""
    net, flow = netlist(graph, plan), dataflow(graph, plan.folding)
    used = estimates(net, family)
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
        "memory_style": plan.memory_style.value,
        "family": family.name,
        "layers": layers(flow, plan, used),
        "resources": {
            "units": {name: asdict(found) for name, found in used.items()},
            "total": asdict(sum(used.values(), Resources())),
        },
    }


def estimates(net: Netlist, family: Family = ECP5) -> dict[str, Resources]:
    """The cells expected of each unit, without the top of a board."""
    family = replace(family, style=net.memory_style)
    first, parity = net.chain[:1], {"Parity": 1} if net.parity else {}
    return {
        unit.name: resources(unit.module, {**unit.parameters, **parity}, family)
        + Resources(lut=0 if unit in first else _gates(unit))
        for unit in net.units
    }


def layers(flow: Dataflow, plan: Plan, used: dict[str, Resources]) -> list[dict[str, Any]]:
    """One row for each unit that computes: its parallelism, cycles per image, whether it is the
    slowest, and cells, those of the FIFO and width converter in front of it included."""
    slowest = max(map(cycles, flow.units))
    rows, waiting = [], Resources()
    for unit in flow.units:
        waiting += used[f"u_{unit.name}"]
        if unit.node is None:
            continue
        folding = plan.folding.get(unit.name)
        rows.append(
            {
                "layer": unit.name,
                "unit": unit.module,
                "pe": folding.pe if folding else unit.sinks[0].lanes,
                "simd": folding.simd if folding else unit.sources[0].lanes,
                "cycles": cycles(unit),
                **asdict(waiting),
                "slowest": cycles(unit) == slowest,
            }
        )
        waiting = Resources()
    return rows


def _gates(unit: Unit) -> int:
    """One for each bit of its widest memory: what passes it on the configuration bus."""
    return max((memory.bits for memory in unit.memories), default=0)
