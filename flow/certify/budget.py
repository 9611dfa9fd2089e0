"""What at most ``b`` flipped bits can make of every element of every edge, flips shared out.

The flips of one layer are divided among its units (output channels) by a max-plus knapsack, since
no two share a bit; flips of earlier layers may reach every element at once: ``flow.certify.
struck_edge`` has the record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial, singledispatch
from operator import itemgetter
from typing import Any

import numpy as np

from flow.certify.box import Box, product_bound, wrap_box
from flow.certify.struck_edge import NOBODY, Layer, Struck, each_box
from flow.certify.subset import EVERY_BIT, BitSubset
from flow.certify.threshold_flips import level_range
from flow.certify.weight_flips import (
    Moves,
    Rows,
    State,
    bit_steps,
    hull,
    never_struck,
    sums_of_rows,
)
from flow.errors import InputError
from flow.ir import Array, Graph
from flow.ops import (
    Add,
    Concat,
    MatVec,
    MaxPool,
    Pad,
    Reshape,
    SumPool,
    Threshold,
    Transpose,
    Window,
)


def budgeted(
    graph: Graph, box: Box, *, flips: int, subset: BitSubset = EVERY_BIT
) -> dict[str, Struck]:
    """Bounds for every edge in front of ArgMax: inputs in ``box``, at most ``flips`` bits flipped.

    Sound for every graph: where a register can wrap within a range, the range is all its values.

    Raises:
        InputError: a node has no budgeted bound; the line names it.
    """
    state = {(r, s): box for r in range(flips + 1) for s in range(flips + 1 - r)}
    start = Struck(state, np.zeros(graph.input_edge.shape, dtype=np.int64))
    return spread_flips(graph, {graph.input: start}, flips=flips, subset=subset)


def spread_flips(
    graph: Graph, known: Mapping[str, Struck], *, flips: int, subset: BitSubset = EVERY_BIT
) -> dict[str, Struck]:
    """``budgeted`` where the bounds of some first edges are ``known``, for as many flips."""
    found, edges = dict(known), graph.edges()
    for node in graph.nodes[:-1]:
        if node.output in found:
            continue
        sources = tuple(edges[name] for name in node.inputs)
        bits = subset.of(node.name, node.op)
        kept = subset.kept(node.name, node.op)
        layer = Layer(node, sources, edges[node.output], flips, bits, kept)
        try:
            found[node.output] = strike(node.op, layer, *(found[name] for name in node.inputs))
        except InputError as error:
            raise InputError(f"node {node.name!r}: {error}") from None
    return found


@singledispatch
def strike(op: Any, layer: Layer, *inputs: Struck) -> Struck:
    """Bounds on the output of ``op`` from those on its inputs."""
    raise InputError(f"no budgeted bound for {type(op).__name__}; use a campaign")


@strike.register
def _(op: MatVec, layer: Layer, *inputs: Struck) -> Struck:
    sums = struck_sums(op, layer, inputs[0])
    state = each_box(sums.state, lambda box: wrap_box(op.accumulator, box.lo, box.hi))
    return replace(sums, state=state)


@strike.register
def _(op: Threshold, layer: Layer, *inputs: Struck) -> Struck:
    (source,) = inputs
    if not layer.bits:
        return replace(source, state=each_box(source.state, partial(_levels, op)))
    if not source.channels_apart:
        source = replace(source.disowned(), unit=layer.channels)
    known: dict[tuple[int, int], Box] = {}

    def levels(box: Box, spent: int) -> Box:
        if (id(box), spent) not in known:
            known[id(box), spent] = level_range(
                op, box, flips=spent, bits=layer.bits, kept=layer.kept
            )
        return known[id(box), spent]

    found = {
        (r, own): hull([levels(source.state[r, own - spent], spent) for spent in range(own + 1)])
        for r, own in source.state
    }
    owners = source.owners | {layer.node.name}
    return Struck(found, source.unit, owners, layer.joined(source))


@strike.register
def _(op: Add, layer: Layer, *inputs: Struck) -> Struck:
    sums = scaled_sum(op, layer, *inputs)
    state = each_box(sums.state, lambda box: wrap_box(op.accumulator, box.lo, box.hi))
    return replace(sums, state=state)


@strike.register
def _(op: Concat, layer: Layer, *inputs: Struck) -> Struck:
    parts: list[Struck] = []
    first = 0
    for part in _each_alone(inputs):
        numbers = part.unit - part.unit.min() + first
        first = int(numbers.max()) + 1
        parts.append(replace(part, unit=numbers))
    state = {
        key: Box(
            op.evaluate(*(part.state[key].lo for part in parts)),
            op.evaluate(*(part.state[key].hi for part in parts)),
        )
        for key in parts[0].state
    }
    unit = np.concatenate([part.unit for part in parts], axis=-1)
    owners = NOBODY.union(*(part.owners for part in parts))
    return Struck(_shared(state, *parts), unit, owners, layer.joined(*inputs))


@strike.register(Window)
@strike.register(Reshape)
@strike.register(Transpose)
def _(op: Window | Reshape | Transpose, layer: Layer, *inputs: Struck) -> Struck:
    return inputs[0].each(op.evaluate)


@strike.register(Pad)
@strike.register(MaxPool)
def _(op: Pad | MaxPool, layer: Layer, *inputs: Struck) -> Struck:
    return _by_channel(inputs[0]).each(op.evaluate, unit=_units(layer, inputs[0]))


@strike.register
def _(op: SumPool, layer: Layer, *inputs: Struck) -> Struck:
    kind = layer.edges[0].type
    largest = op.kernel[0] * op.kernel[1] * max(abs(kind.code_lo), abs(kind.code_hi))
    if largest >= 1 << 61:
        raise InputError(f"can reach {largest}; budgets are exact below 2**61: use fewer bits")
    exact = replace(op, accumulator=replace(op.accumulator, bits=63, signed=True, declared=None))
    sums = _by_channel(inputs[0]).each(exact.evaluate, unit=_units(layer, inputs[0]))
    state = each_box(sums.state, lambda box: wrap_box(op.accumulator, box.lo, box.hi))
    return replace(sums, state=state)


def struck_sums(op: MatVec, layer: Layer, source: Struck) -> Struck:
    """Each row's exact sum, before the register keeps its low bits."""
    bound = product_bound(op, layer.edges[0])
    if bound >= 1 << 56:
        raise InputError("budgeted bounds are exact below 2**56; narrow the weights or the inputs")
    if not source.by_channel:
        source = replace(source.disowned(), unit=np.zeros_like(source.unit))
    shape, columns = source.unit.shape, op.weights.shape[1]
    flat = each_box(
        source.state, lambda box: Box(box.lo.reshape(-1, shape[-1]), box.hi.reshape(-1, shape[-1]))
    )
    unit = source.unit.reshape(-1, shape[-1])[0]
    rows = struck_rows(op, layer, bound=bound)
    share = len(op.weights) // op.groups
    parts = []
    for group in range(op.groups):
        seen = _seen_by(op, group)
        here = flat
        if op.groups > 1:
            here = each_box(flat, itemgetter((slice(None), seen)))
        own = rows.some(slice(group * share, (group + 1) * share))
        parts.append(sums_of_rows(own, here, unit=unit[seen], flips=layer.flips))
    images = len(source.state[0, 0])

    def whole(key: tuple[int, int]) -> Box:
        lo = np.concatenate([part[key].lo for part in parts], axis=-1)
        hi = np.concatenate([part[key].hi for part in parts], axis=-1)
        if op.popcount:
            lo, hi = (lo + columns) // 2, (hi + columns) // 2
        return Box(*(end.reshape(images, *layer.output.shape) for end in (lo, hi)))

    if never_struck(flat) and not layer.bits:
        state = dict.fromkeys(flat, whole((0, 0)))
    else:
        state = {key: whole(key) for key in flat}
    owners = frozenset([layer.node.name]) if layer.bits else NOBODY
    return Struck(state, layer.channels, owners, layer.joined(source))


def weight_steps(op: MatVec, layer: Layer) -> Array:
    """By how much each bit that may flip moves each stored weight, (rows, columns, bits)."""
    allowed = layer.bits.get("weights", np.zeros(0, dtype=np.int64))
    return bit_steps(op.weights, op.weight_type, allowed, layer.kept.get("weights"))


def struck_rows(op: MatVec, layer: Layer, *, bound: int) -> Rows:
    """The rows of ``op`` and the moves of those of their bits that may flip."""
    return Rows(op.read, Moves.of(weight_steps(op, layer), flips=layer.flips), bound)


def scaled_sum(op: Add, layer: Layer, *inputs: Struck) -> Struck:
    """The exact sums of an Add, before the register keeps their low bits."""
    largest = int(abs(op.offset).max())
    for multipliers, edge in zip(op.multipliers, layer.edges, strict=True):
        reach = max(abs(edge.type.code_lo), abs(edge.type.code_hi))
        largest += int(abs(multipliers).max()) * reach
    if largest >= 1 << 61:
        raise InputError(f"can reach {largest}; budgets are exact below 2**61: use fewer bits")
    parts: list[Struck] = []
    for multipliers, part in zip(op.multipliers, _each_alone(inputs), strict=True):
        owned = [p for p in parts if p.owners]
        if part.owners and owned and not (part.channels_apart and owned[0].channels_apart):
            part = part.disowned()
        parts.append(replace(part, state=each_box(part.state, _times(multipliers))))
    total = parts[0].state
    for part in parts[1:]:
        total = {
            (r, own): hull(
                [_plus(total[r, own - s], part.state[r, s]) for s in range(own + 1)]
                if part.owners
                else [_plus(total[r, own], part.state[r, own])]
            )
            for r, own in total
        }
    state = each_box(total, lambda box: Box(box.lo + op.offset, box.hi + op.offset))
    unit = next((part.unit for part in parts if part.owners), layer.channels)
    owners = NOBODY.union(*(part.owners for part in parts))
    return Struck(_shared(state, *parts), unit, owners, layer.joined(*inputs))


def _each_alone(inputs: tuple[Struck, ...]) -> list[Struck]:
    """Inputs that keep their own bits only where these reach no other input."""
    found = []
    for k, struck in enumerate(inputs):
        others = NOBODY.union(*(other.past for j, other in enumerate(inputs) if j != k))
        found.append(struck.disowned() if struck.owners & others else struck)
    return found


def _shared(state: State, *parts: Struck) -> State:
    """One box for all budgets where no flip reaches any part."""
    if all(never_struck(part.state) for part in parts):
        return dict.fromkeys(state, state[0, 0])
    return state


def _by_channel(source: Struck) -> Struck:
    return source if source.by_channel else source.disowned()


def _units(layer: Layer, source: Struck) -> Array:
    """The units of an output whose channels are those of the input."""
    if not source.by_channel:
        return layer.channels
    row = source.unit.reshape(-1, source.unit.shape[-1])[0]
    return np.broadcast_to(row, layer.output.shape)


def _levels(op: Threshold, box: Box) -> Box:
    ends = op.evaluate(box.lo), op.evaluate(box.hi)
    return Box(np.minimum(*ends), np.maximum(*ends))


def _times(multipliers: Array) -> Callable[[Box], Box]:
    def act(box: Box) -> Box:
        ends = multipliers * box.lo, multipliers * box.hi
        return Box(np.minimum(*ends), np.maximum(*ends))

    return act


def _plus(a: Box, b: Box) -> Box:
    return Box(a.lo + b.lo, a.hi + b.hi)


def _seen_by(op: MatVec, group: int) -> Array:
    """The input channels that the rows of ``group`` see, in the order of their columns."""
    share = op.weights.shape[1] // op.positions
    places = np.arange(op.positions)[:, None] * op.groups + group
    seen: Array = (places * share + np.arange(share)).ravel()
    return seen
