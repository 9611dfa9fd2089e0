"""How fast: folding, cycles and buffers of a graph, gathered in a ``Plan``; never what it means."""

from flow.schedule.buffers import Timing, fifo_depths, simulate_tokens
from flow.schedule.cycles import cycles, interval, unit_cycles
from flow.schedule.dataflow import INPUT, OUTPUT, Dataflow, Folding, Stream, Unit
from flow.schedule.folding import check_folding, choose_folding
from flow.schedule.placement import dataflow
from flow.schedule.plan import Plan, load_plan, plan_digest, save_plan
from flow.schedule.planning import make_plan

__all__ = [
    "INPUT",
    "OUTPUT",
    "Dataflow",
    "Folding",
    "Plan",
    "Stream",
    "Timing",
    "Unit",
    "check_folding",
    "choose_folding",
    "cycles",
    "dataflow",
    "fifo_depths",
    "interval",
    "load_plan",
    "make_plan",
    "plan_digest",
    "save_plan",
    "simulate_tokens",
    "unit_cycles",
]
