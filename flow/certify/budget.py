"""What at most ``b`` flipped bits can make of every element, flips shared out.

``state[r, s]`` bounds each element while at most ``r`` flips lie in earlier layers and at most
``s`` among the bits that decide this element alone: its row of weights, thresholds and sign. The
``s`` flips of one layer are divided among its elements by a max-plus knapsack, since no two share
a bit; the ``r`` earlier flips may reach every element at once.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np

from flow.certify.box import Box, interval_product, one_multiplier, product_bound, wrap_box
from flow.certify.threshold_flips import level_range
from flow.engine.kernels import dense
from flow.errors import InputError
from flow.ir import Array, Edge, Graph, IntType
from flow.ops import Add, MatVec, Threshold

State = dict[tuple[int, int], Box]

# Gains of single bits held at once, times eight bytes.
_HELD = 1 << 22


def budgeted(graph: Graph, x: Array, *, flips: int) -> dict[str, State]:
    """A state for every edge in front of ArgMax when at most ``flips`` stored bits are flipped.

    Sound for every chain: where a register can wrap within a range, the range is all its values.
    """
    state = {(r, s): Box(x, x) for r in range(flips + 1) for s in range(flips + 1 - r)}
    states, edges = {graph.input: state}, graph.edges()
    for node in graph.nodes[:-1]:
        try:
            state = struck_state(node.op, state, edges[node.inputs[0]], flips=flips)
        except InputError as error:
            raise InputError(f"node {node.name!r}: {error}") from None
        states[node.output] = state
    return states


@singledispatch
def struck_state(op: Any, state: State, edge: Edge, *, flips: int) -> State:
    """The state of ``op``'s output from that of its input, whose type is ``edge``."""
    raise InputError(f"no budgeted bound for {type(op).__name__}; use a campaign")


@struck_state.register
def _(op: MatVec, state: State, edge: Edge, *, flips: int) -> State:
    sums = struck_sums(op, state, edge, flips=flips)
    return {key: wrap_box(op.accumulator, box.lo, box.hi) for key, box in sums.items()}


@struck_state.register
def _(op: Threshold, state: State, edge: Edge, *, flips: int) -> State:
    found: State = {}
    for r, own in state:
        parts = [level_range(op, state[r, own - spent], flips=spent) for spent in range(own + 1)]
        found[r, own] = _hull(parts)
    return found


@struck_state.register
def _(op: Add, state: State, edge: Edge, *, flips: int) -> State:
    factor = one_multiplier(op, edge)
    found: State = {}
    for key, box in state.items():
        ends = factor * box.lo + op.offset, factor * box.hi + op.offset
        found[key] = wrap_box(op.accumulator, np.minimum(*ends), np.maximum(*ends))
    return found


def struck_sums(op: MatVec, state: State, edge: Edge, *, flips: int) -> State:
    """The state of each row's exact sum, before the register keeps its low bits."""
    if product_bound(op, edge) >= 1 << 56:
        raise InputError("budgeted bounds are exact below 2**56; narrow the weights or the inputs")
    steps = bit_steps(op.weights, op.weight_type)
    found = sums_of_rows(dense(op), steps, state, flips=flips)
    if op.popcount:
        columns = op.weights.shape[1]
        found = {
            key: Box((box.lo + columns) // 2, (box.hi + columns) // 2) for key, box in found.items()
        }
    return found


def sums_of_rows(rows: Array, steps: Array, state: State, *, flips: int) -> State:
    """Bounds on ``rows @ v`` while flips strike ``v`` (by ``state``) and the rows themselves.

    Args:
        rows: (rows, columns); steps: (rows, columns, bits), by how much each bit's flip moves the
            weight in that column. Under a clamping decode the move is a part of it, never more.
    """
    upper = _arriving(rows, state, flips)
    lower = _arriving(-rows, state, flips)
    found: State = {}
    for q in range(flips + 1):
        arriving = _hull([state[r, q - r] for r in range(q + 1)])
        up = _top_gains(steps, arriving, flips - q)
        down = _top_gains(-steps, arriving, flips - q)
        for own in range(flips - q + 1):
            found[q, own] = Box(-lower[q] - down[own], upper[q] + up[own])
    return found


def bit_steps(values: Array, kind: IntType) -> Array:
    """By how much each bit's flip moves each stored value, (*values, bits); distinct bits add."""
    flipped = kind.decode(kind.encode(values)[..., None] ^ (1 << np.arange(kind.bits)))
    moved: Array = flipped - values[..., None]
    return moved


def _arriving(rows: Array, state: State, flips: int) -> list[Array]:
    """For each budget q of earlier flips, the largest sum of each row, weights not struck."""
    best = [np.full((len(state[0, 0]), len(rows)), np.iinfo(np.int64).min)] * (flips + 1)
    for r in range(flips + 1):
        _, base = interval_product(rows, state[r, 0], bound=1 << 61)
        shared = _knapsack(rows, [state[r, s] for s in range(flips + 1 - r)])
        for s, gain in enumerate(shared):
            best[r + s] = np.maximum(best[r + s], base + gain)
    return best


def _knapsack(rows: Array, boxes: list[Box]) -> list[Array]:
    """The most that s flips, divided among the columns, add to each row's largest sum."""
    most = len(boxes) - 1
    best = [np.zeros((len(boxes[0]), len(rows)), dtype=np.int64) for _ in boxes]
    for column, weights in enumerate(rows.T):
        ends = [(box.lo[:, column, None], box.hi[:, column, None]) for box in boxes]
        if all((lo == ends[0][0]).all() and (hi == ends[0][1]).all() for lo, hi in ends):
            continue
        reach = [np.maximum(weights * lo, weights * hi) for lo, hi in ends]
        for s in range(most, 0, -1):
            for own in range(1, s + 1):
                best[s] = np.maximum(best[s], best[s - own] + (reach[own] - reach[0]))
    return best


def _top_gains(steps: Array, box: Box, most: int) -> list[Array]:
    """The largest sums of 0 .. ``most`` gains ``step * v`` of different bits of each row."""
    images, rows = len(box), len(steps)
    found = np.zeros((most + 1, images, rows), dtype=np.int64)
    if most == 0:
        return list(found)
    chunk = max(1, _HELD // max(1, steps.size))
    bits = steps.shape[1] * steps.shape[2]
    kept = min(most, bits)
    for start in range(0, images, chunk):
        part = slice(start, start + chunk)
        low, high = box.lo[part, None, :, None], box.hi[part, None, :, None]
        gains = np.maximum(np.maximum(steps * low, steps * high), 0).reshape(-1, rows, bits)
        top = np.sort(np.partition(gains, bits - kept, axis=2)[:, :, bits - kept :], axis=2)
        sums = np.cumsum(top[:, :, ::-1], axis=2)
        for own in range(1, most + 1):
            found[own, part] = sums[:, :, min(own, kept) - 1]
    return list(found)


def _hull(boxes: list[Box]) -> Box:
    return Box(
        np.minimum.reduce([box.lo for box in boxes]), np.maximum.reduce([box.hi for box in boxes])
    )
