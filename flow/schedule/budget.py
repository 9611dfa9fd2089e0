"""The fastest folding that fits a device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from flow.errors import InputError
from flow.ir import Graph
from flow.schedule.area import Device, Weights
from flow.schedule.cells import Resources
from flow.schedule.eliminate import NEVER
from flow.schedule.folding import foldings
from flow.schedule.search import Found, Local, Space, first

ROUNDS = 12  # weightings tried before the exact solver is asked
EFFORT = 60.0  # of the solver, in its own seconds, which are the same on every machine
NAMES = {"lut": "look-up tables", "ff": "flip-flops", "bram": "block RAM", "dsp": "DSP blocks"}


def fastest(graph: Graph, device: Device, budget: Resources) -> Found:
    """The folding of fewest cycles that takes at most ``budget`` of each kind; of those the one of
    least area, or where the exact solver had to decide, any.

    Raises:
        InputError: not even the smallest folding fits: by how much, and which node needs most.
    """
    space = foldings(graph, device.family)
    fits = partial(_within, space, device=device, budget=budget)
    steps = space.steps()
    found = fits(first(steps, lambda target: fits(target) is not None))
    if found is None:
        raise _too_small(graph, space, device, budget)
    return found


def _within(space: Space, target: int, *, device: Device, budget: Resources) -> Found | None:
    """Within ``target`` cycles and ``budget``: by least area under weights that rise for what is
    short, which decides nearly always; else by integer programming."""
    weights, limits = device.weights, astuple(budget)
    for _ in range(ROUNDS):
        found = space.least_area(target, weights)
        if found is None:
            return None
        used = astuple(found.total)
        if all(have <= limit for have, limit in zip(used, limits, strict=True)):
            return found
        if found.area > sum(w * limit for w, limit in zip(weights, limits, strict=True)):
            return None  # nothing that takes less of one kind makes up for the others
        weights = _raised(weights, used, limits)
    return _solved(space, target, limits)


def _raised(weights: Weights, used: tuple[int, ...], limits: tuple[int, ...]) -> Weights:
    """Dearer where too much is taken."""
    lut, ff, bram, dsp = (
        weight * min(4 * max(limit, 1), max(have, limit)) // max(limit, 1) + (have > limit)
        for weight, have, limit in zip(weights, used, limits, strict=True)
    )
    return lut, ff, bram, dsp


def _solved(space: Space, target: int, limits: tuple[int, ...]) -> Found | None:
    """The same by CP-SAT: one of the choices of each node, equal where they share a variable."""
    from ortools.sat.python import cp_model  # slow to import, and rarely needed

    model = cp_model.CpModel()
    picked = {name: [model.new_bool_var("") for _ in found] for name, found in space.values.items()}
    for literals in picked.values():
        model.add_exactly_one(literals)
    costs: list[tuple[Any, tuple[int, ...]]] = []
    for node in space.nodes:
        chosen = {place: model.new_bool_var("") for place in _allowed(node, target)}
        if not chosen:
            return None
        for axis, name in enumerate(node.variables):
            for value, literal in enumerate(picked[name]):
                model.add(sum(b for place, b in chosen.items() if place[axis] == value) == literal)
        if not node.variables:
            model.add_exactly_one(chosen.values())
        costs += [(b, tuple(map(int, node.used[place]))) for place, b in chosen.items()]
    for kind, limit in enumerate(limits):
        model.add(sum(b * cost[kind] for b, cost in costs if cost[kind]) <= limit)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers, solver.parameters.max_deterministic_time = 1, EFFORT
    if solver.solve(model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None
    places = {
        name: next(i for i, literal in enumerate(literals) if solver.value(literal))
        for name, literals in picked.items()
    }
    return space.found(0, places)


def _allowed(node: Local, target: int) -> Iterator[tuple[int, ...]]:
    return (tuple(map(int, at)) for at in np.argwhere(node.cycles <= target))


def _too_small(graph: Graph, space: Space, device: Device, budget: Resources) -> InputError:
    """Of the kind that is short by most even where nothing but it is saved; where each kind alone
    would do, of the one that is short by most where area is saved."""
    alone = []
    for at, kind in enumerate(NAMES):
        lut, ff, bram, dsp = (int(place == at) for place in range(4))
        alone.append(_share(space, (lut, ff, bram, dsp), kind, budget))
    worst, which = max(alone, key=itemgetter(0)), "the smallest folding"
    if worst[0] <= 1:
        every = [_share(space, device.weights, kind, budget) for kind in NAMES]
        worst, which = max(every, key=itemgetter(0)), "the folding of least area"
    _, kind, by_node = worst
    limit, need = int(getattr(budget, kind)), sum(by_node.values())
    most = max(by_node, key=by_node.__getitem__)
    return InputError(
        f"graph {graph.name!r}: {device.name} leaves {limit:,} {NAMES[kind]} and {which} takes "
        f"{need:,}, {need - limit:,} too many; {most!r} takes most, {by_node[most]:,}; choose a "
        "larger device or a smaller network"
    )


def _share(
    space: Space, weights: Weights, kind: str, budget: Resources
) -> tuple[float, str, dict[str, int]]:
    """How much of the budget of ``kind`` the folding of least area takes, and each node of it."""
    found = space.least_area(NEVER - 1, weights)
    assert found is not None
    by_node = {name: int(getattr(used, kind)) for name, used in found.used.items()}
    return sum(by_node.values()) / max(int(getattr(budget, kind)), 1), kind, by_node
