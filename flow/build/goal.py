"""What a build should reach, and the plan that reaches it."""

from __future__ import annotations

import tomllib
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import TypedDict, Unpack

from flow.build.boards import BOARDS, load_board
from flow.build.netlist import Netlist, netlist
from flow.build.report import estimates
from flow.errors import InputError
from flow.ir import Graph
from flow.schedule import (
    ECP5_85F,
    Device,
    Family,
    MemoryStyle,
    Plan,
    Resources,
    fastest,
    load_folding,
    make_plan,
)
from flow.schedule.cells import FAMILIES, check_style
from flow.schedule.folding import foldings
from flow.schedule.resources import resources

FILLED = 85  # percent of the tables and flip-flops of a device that a build may take
CLOCK_MHZ = 100.0  # where neither a board nor the user says
TRIES = 6
WIRES = Resources(lut=62, ff=43)  # of the serial line: uart_rx and uart_tx, whatever the network


@dataclass(frozen=True, slots=True)
class Goal:
    """One of ``cycles``, ``fps`` and ``folding`` at most; none of them on a board means the
    fastest that fits it."""

    cycles: int | None = None
    fps: float | None = None
    clock_mhz: float | None = None  # of ``fps``; of the board, or ``CLOCK_MHZ``
    folding: Path | None = None
    board: str | None = None
    parity: bool = False
    dsp: bool = True
    memory_style: MemoryStyle = MemoryStyle.AUTO


class _Kept(TypedDict):
    """What of a goal goes into its plan as it is."""

    parity: bool
    memory_style: MemoryStyle


def plan_for(graph: Graph, goal: Goal) -> tuple[Plan, Family]:
    """The plan of least area that reaches ``goal``, and the family its cells are estimated for.

    A build for a board takes at most ``FILLED`` percent of its tables and flip-flops, and all of
    its block RAM and DSP blocks at most, its UART top included.

    Raises:
        InputError: more than one target, one that cannot be met (what can), a board too small (by
            how much, and which layer needs most), or an illegal folding.
    """
    _check(goal)
    device = device_of(goal)
    kept = _Kept(parity=goal.parity, memory_style=goal.memory_style)
    if goal.folding is not None:
        plan = make_plan(graph, folding=load_folding(goal.folding), **kept)
    elif goal.board is not None and goal.cycles is None and goal.fps is None:
        return _fastest(graph, device, **kept), device.family
    else:
        cycles = _cycles(graph, goal, device.family)
        plan = make_plan(graph, cycles=cycles, device=device, **kept)
    if goal.board is not None:
        _fits(graph, plan, device)
    return plan, device.family


def device_of(goal: Goal) -> Device:
    """The device of the goal's board, or the ECP5-85F.

    Raises:
        InputError: there is no such board, it says nothing of its device, or that lacks the memory
            that is asked for.
    """
    device = ECP5_85F
    if goal.board is not None:
        board = load_board(goal.board)
        settings = tomllib.loads((BOARDS / board.name / "board.toml").read_text())
        if "resources" not in settings:
            raise InputError(f"board {board.name!r}: its board.toml has no [resources]; add them")
        found = settings["resources"]
        capacity = Resources(*(int(found[kind]) for kind in ("lut", "ff", "bram", "dsp")))
        device = Device(board.device, capacity, FAMILIES[board.family])
    check_style(goal.memory_style, device.family)
    dsp = goal.dsp and device.family.dsp
    return replace(device, family=replace(device.family, dsp=dsp, style=goal.memory_style))


def serial_top(graph: Graph, net: Netlist, family: Family) -> Resources:
    """What the UART top takes beside the accelerator."""
    argmax = net.units[-1].parameters
    bridge = {
        "Elements": graph.input_edge.elements,
        "Lanes": net.input.lanes,
        "InBits": graph.input_edge.type.bits,
        "Classes": argmax["Classes"],
        "ClassBits": (int(argmax["Classes"]) - 1).bit_length(),
        "LogitBits": argmax["LogitBits"],
        "CfgBits": net.cfg_bits,
    }
    return resources("uart_bridge", bridge, family) + WIRES


def _check(goal: Goal) -> None:
    wishes = {"--cycles": goal.cycles, "--fps": goal.fps, "--folding": goal.folding}
    given = [name for name, value in wishes.items() if value is not None]
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)} exclude each other; give one of them")
    if goal.clock_mhz is not None and goal.fps is None:
        raise InputError("--clock is the clock of --fps; give --fps too")
    for name, number in (("--fps", goal.fps), ("--clock", goal.clock_mhz)):
        if number is not None and not 0 < number < float("inf"):
            raise InputError(f"{name} {number:g} must be above 0")


def _clock(goal: Goal) -> float:
    if goal.clock_mhz is not None:
        return goal.clock_mhz
    return CLOCK_MHZ if goal.board is None else load_board(goal.board).clock_hz / 1e6


def _cycles(graph: Graph, goal: Goal, family: Family) -> int | None:
    """At most so many per image; a rate is turned into the cycles that it leaves."""
    if goal.fps is None:
        return goal.cycles
    clock = _clock(goal)
    left, least = int(clock * 1e6 // goal.fps), foldings(graph, family).fewest_cycles()
    if left < least:
        raise InputError(
            f"--fps {goal.fps:g}: at {clock:g} MHz that leaves {left} cycles per image and graph "
            f"{graph.name!r} needs {least} at least; ask for {clock * 1e6 / least:.6g} or less, or "
            f"for a clock of {goal.fps * least / 1e6:.6g} MHz or more"
        )
    return left


def _fastest(graph: Graph, device: Device, **kept: Unpack[_Kept]) -> Plan:
    """The search guesses FIFO depths and knows no UART top: what it did not see is taken from its
    budget until the whole fits."""
    allowed = _allowed(device)
    budget, plan = allowed, None
    for _ in range(TRIES):
        found = fastest(graph, device, budget)
        plan = make_plan(graph, folding=found.folding, **kept)
        total = _total(graph, plan, device.family)
        kinds = list(zip(astuple(allowed), astuple(total), astuple(found.total), strict=True))
        if all(have <= limit for limit, have, _ in kinds):
            return plan
        budget = Resources(*(max(0, limit - max(0, have - seen)) for limit, have, seen in kinds))
    assert plan is not None
    _fits(graph, plan, device)
    return plan


def _allowed(device: Device) -> Resources:
    lut, ff, bram, dsp = astuple(device.capacity)
    return Resources(lut * FILLED // 100, ff * FILLED // 100, bram, dsp)


def _total(graph: Graph, plan: Plan, family: Family) -> Resources:
    net = netlist(graph, plan)
    return sum(estimates(net, family).values(), serial_top(graph, net, family))


def _fits(graph: Graph, plan: Plan, device: Device) -> None:
    allowed, total = astuple(_allowed(device)), astuple(_total(graph, plan, device.family))
    kinds = ("look-up tables", "flip-flops", "block RAM", "DSP blocks")
    for place, (kind, have, limit) in enumerate(zip(kinds, total, allowed, strict=True)):
        if have > limit:
            used = estimates(netlist(graph, plan), device.family)
            most = max(used, key=lambda name: astuple(used[name])[place])
            raise InputError(
                f"graph {graph.name!r}: {device.name} leaves {limit:,} {kind} and this folding "
                f"takes {have:,}, {have - limit:,} too many; {most.removeprefix('u_')!r} takes "
                f"most, {astuple(used[most])[place]:,}; fold more or leave out the target"
            )
