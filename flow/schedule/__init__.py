"""How fast: folding, cycles and buffers of a graph, gathered in a ``Plan``; never what it means."""

from flow.schedule.buffers import Timing, fifo_depths, simulate_tokens
from flow.schedule.chain import Layer, layers
from flow.schedule.cycles import cycles, interval, unit_cycles
from flow.schedule.folding import check_folding, choose_folding
from flow.schedule.plan import Folding, Plan, load_plan, plan_digest, save_plan
from flow.schedule.planning import make_plan

__all__ = [
    "Folding",
    "Layer",
    "Plan",
    "Timing",
    "check_folding",
    "choose_folding",
    "cycles",
    "fifo_depths",
    "interval",
    "layers",
    "load_plan",
    "make_plan",
    "plan_digest",
    "save_plan",
    "simulate_tokens",
    "unit_cycles",
]
