"""How fast: folding, cycles and buffers of a graph, gathered in a ``Plan``; never what it means."""

from flow.schedule.area import ECP5_85F, Device
from flow.schedule.budget import fastest
from flow.schedule.buffers import Timing, fifo_depths, simulate_tokens
from flow.schedule.cells import ECP5, Family, MemoryStyle, Resources
from flow.schedule.cycles import cycles, interval, unit_cycles
from flow.schedule.dataflow import INPUT, OUTPUT, Dataflow, Folding, Stream, Unit
from flow.schedule.folding import check_folding, choose_folding
from flow.schedule.folding_file import load_folding
from flow.schedule.placement import dataflow
from flow.schedule.plan import Plan, load_plan, plan_digest, save_plan
from flow.schedule.planning import make_plan

__all__ = [
    "ECP5",
    "ECP5_85F",
    "INPUT",
    "OUTPUT",
    "Dataflow",
    "Device",
    "Family",
    "Folding",
    "MemoryStyle",
    "Plan",
    "Resources",
    "Stream",
    "Timing",
    "Unit",
    "check_folding",
    "choose_folding",
    "cycles",
    "dataflow",
    "fastest",
    "fifo_depths",
    "interval",
    "load_folding",
    "load_plan",
    "make_plan",
    "plan_digest",
    "save_plan",
    "simulate_tokens",
    "unit_cycles",
]
