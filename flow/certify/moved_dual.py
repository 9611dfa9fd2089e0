"""Lagrangian bounds on a rival's lead while weights move: ``flow.certify.dual`` with a charge.

A moved layer makes ``(W + D) v`` of what it reads. Where its sums have coefficients ``p``, the
moves add ``p . D v``, and with every ``|D| <= epsilon``

    p . D v  <=  epsilon sum_rc | sum_at p[at, r] z[at, c] |  +  sum_at,c P |v - z|,

``P = epsilon sum_r |p[at, r]|``, for any fixed ``z``: a weight of a convolution has one move at all
places, so what is known of v may cancel. ``z`` is 0 where a layer acts at one place only, else
what the layer reads of the unmoved network. Over an interval ``|v - z|`` is ``v - z``, ``z - v``,
or at most the larger end, so the charge is linear again. ``P`` is rounded up, nothing else is
rounded: all numbers are whole over ``2**grid`` and below ``2**52`` of them, which float64 adds
exactly. Staircases read the floor of real sums, so a level ends where the next begins.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flow.certify.affine import Reals, values
from flow.certify.box import Box
from flow.certify.dual import Multipliers, pulled_by
from flow.certify.ladder import Ladder
from flow.certify.proof import SCALE_BITS
from flow.certify.relaxed import EXACT, Mask, Relaxed
from flow.certify.units import Stairs, Unit
from flow.certify.weights_box import Moves, free_weights, moved_reach
from flow.ir import Array, Node
from flow.ops import MatVec

MOST_PLACES, _MOST_STEPS, _HALF = 12, 1 << 25, 26


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """Can ``rivals`` beat ``labels`` while weights of ``layers`` move? One pair per row.

    ``lows`` and ``highs`` are the ends of every edge in true units; ``centres`` the ``z`` of each
    moved layer; ``whole`` the edges that hold integers whatever moves.
    """

    relaxed: Relaxed
    layers: frozenset[str]
    moves: Moves
    lows: dict[str, Reals]
    highs: dict[str, Reals]
    cut: dict[str, Mask]
    centres: dict[str, Reals]
    whole: frozenset[str]
    labels: Array
    rivals: Array

    @classmethod
    def of(
        cls, relaxed: Relaxed, x: Array, moves: Moves, layers: frozenset[str], pairs: Array
    ) -> Moved:
        """``pairs`` (rows, 3) name an image of ``x``, its label and a rival."""
        boxes, cut = moved_reach(relaxed.graph, x, moves, layers)
        clean = relaxed.graph.evaluate_all(x)
        images, labels, rivals = pairs.T
        unit = float(1 << moves.places)
        centres = {}
        for node in relaxed.nodes:
            if node.name in layers:
                z = clean[node.inputs[0]].astype(np.float64)
                single = len(relaxed.edges[node.output].shape) == 1
                centres[node.name] = (np.zeros_like(z) if single else z)[images]
        return cls(
            relaxed,
            layers,
            Moves(moves.steps[images], moves.places),
            {name: box.lo[images] / unit for name, box in boxes.items()},
            {name: box.hi[images] / unit for name, box in boxes.items()},
            {name: mask[images] for name, mask in cut.items()},
            centres,
            _whole(relaxed, layers),
            labels,
            rivals,
        )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def grid(self) -> int:
        """All numbers of a bound are whole over two to this."""
        return SCALE_BITS + self.moves.places

    @property
    def need(self) -> Reals:
        """A bound below this decides: 0 of a rival that wins ties, else the least above 0."""
        return np.where(self.rivals < self.labels, 0.0, 1.0 / (1 << self.grid))

    def lead(self) -> Reals:
        """The coefficients of what is compared: rival less label."""
        rows = np.arange(len(self))
        pull = np.zeros((len(self), *self.relaxed.edges[self.relaxed.end].shape))
        pull[rows, self.rivals], pull[rows, self.labels] = 1.0, -1.0
        return pull

    def ends(self, name: str) -> tuple[Reals, Reals]:
        """The interval of every element of an edge."""
        return self.lows[name], self.highs[name]

    def seen(self, name: str) -> Any:
        """The ends of what the unit called ``name`` reads, a box of real numbers."""
        return Box(*self.ends(self.relaxed.graph.node(name).inputs[0]))  # type: ignore[arg-type]

    def unit(self, name: str) -> Unit:
        """The unit called ``name`` on real numbers."""
        unit = self.relaxed.units[name]
        return RealStairs(unit.ladder) if isinstance(unit, Stairs) else unit


@dataclass(frozen=True, slots=True, eq=False)
class RealStairs(Stairs):
    """A Threshold that reads real sums: level k holds from ``first[k]`` to below ``first[k+1]``."""

    ladder: Ladder

    def highest(self, gain: Reals, cost: Reals, box: Any) -> tuple[Reals, Reals, Reals]:
        """As ``Ladder.highest`` over real numbers between the ends of ``box``."""
        low, high, table = box.lo, box.hi, self.ladder
        best = np.full(gain.shape, -np.inf)
        x, worth = low.copy(), np.zeros(gain.shape)
        for first, last, value in zip(table.first.T, table.last.T, table.value.T, strict=True):
            start, stop = np.maximum(first, low), np.minimum(last + 1.0, high)
            end = np.where(cost > 0, start, stop)
            met = (start <= stop) & (start < last + 1.0)
            here = np.where(met, gain * value - cost * np.where(met, end, 0.0), -np.inf)
            better = here > best
            best = np.where(better, here, best)
            x, worth = np.where(better, end, x), np.where(better, value, worth)
        return best, x, worth

    def slope(self, gain: Reals, box: Any) -> Reals:
        """The chord's slope, of intervals of at least 1."""
        low, high = (self.ladder.levels(np.floor(end).astype(np.int64)) for end in (box.lo, box.hi))
        found: Reals = gain * (high - low) / np.maximum(box.hi - box.lo, 1.0)
        return found


@dataclass(slots=True, eq=False)
class Bound:
    """``value``, and where its parts have their maxima, for the way down."""

    value: Reals
    at: dict[str, Reals] = field(default_factory=dict)
    levels: dict[str, Reals] = field(default_factory=dict)
    kept: dict[str, Reals] = field(default_factory=dict)
    pushes: dict[str, Charge] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Charge:
    """What moves add at most: ``slope * v + constant``; ``sign`` of the sums' coefficients, and of
    what each weight multiplies at ``z`` (None where z is 0); per element ``turn * v + rest``."""

    slope: Reals
    constant: Reals
    sign: Reals
    shared: Reals | None
    turn: Reals
    rest: Reals


def evaluate(ask: Moved, multipliers: Multipliers) -> Bound:
    """The bound for ``multipliers``; exact where they are even over ``2**SCALE_BITS`` and
    ``size`` is within reach."""
    relaxed, pulls = ask.relaxed, {ask.relaxed.end: ask.lead()}
    bound = Bound(np.zeros(len(ask)))
    for node in reversed(relaxed.nodes):
        pull = pulls.pop(node.output, None)
        if pull is None:
            continue
        if node.name in relaxed.units:
            unit, cost = ask.unit(node.name), multipliers[node.name]
            best, at, level = unit.highest(pull, cost, ask.seen(node.name))
            bound.value = bound.value + _flat(best)
            bound.at[node.name], bound.levels[node.name] = at, level
            _add(pulls, node.inputs[0], unit.back(cost))
            continue
        if node.name in ask.cut:
            pull = _without_cut(ask, node, pull, bound)
        parts, constant = pulled_by(relaxed, node, pull)
        bound.value = bound.value + constant
        if node.name in ask.layers:
            charge = charged(ask, node, pull)
            bound.pushes[node.name] = charge
            bound.value = bound.value + charge.constant
            parts = [parts[0] + charge.slope]
        for name, part in zip(node.inputs, parts, strict=True):
            _add(pulls, name, part)
    pull = pulls.get(relaxed.graph.input)
    if pull is not None:
        bound.value = bound.value + _flat(pull * ask.lows[relaxed.graph.input])
    return bound


def _without_cut(ask: Moved, node: Node, pull: Reals, bound: Bound) -> Reals:
    low, high = ask.ends(node.output)
    kept, cut = np.where(pull >= 0, high, low), ask.cut[node.name]
    bound.value = bound.value + _flat(np.where(cut, pull * kept, 0.0))
    bound.kept[node.name] = kept
    return np.where(cut, 0.0, pull)


def charged(ask: Moved, node: Node, pull: Reals) -> Charge:
    """What the moves of one layer add to ``pull . sums``, as the module's header has it."""
    name, free = node.inputs[0], _free(node)
    pull = pull / _halves(node)
    digits = 1 + (0 if name in ask.whole else ask.moves.places)
    weight = times_epsilon(np.abs(pull) @ free, ask, digits)
    z, (low, high) = ask.centres[node.name], ask.ends(name)
    turn = np.where(low >= z, 1.0, np.where(high <= z, -1.0, 0.0))
    turn = np.where(low == high, np.where(z == low, 0.0, turn), turn)
    rest = np.where(turn == 0, np.maximum(high - z, z - low), -turn * z)
    constant, shared = _flat(weight * rest), None
    if pull.ndim > 2:
        rows = pull.reshape(len(pull), -1, pull.shape[-1]).transpose(0, 2, 1)
        met = (rows @ z.reshape(len(z), -1, z.shape[-1])) * free
        shared = np.sign(met)
        constant = constant + times_epsilon(_flat(np.abs(met)), ask, 0)
    return Charge(turn * weight, constant, np.sign(pull), shared, turn, rest)


def times_epsilon(amount: Reals, ask: Moved, digits: int) -> Reals:
    """``amount`` times each row's epsilon, rounded up to whole numbers over
    ``2**(grid - digits)``; exact before that."""
    steps = ask.moves.steps.reshape(-1, *[1] * (amount.ndim - 1))
    whole = np.rint(np.minimum(amount * 2.0**ask.grid, 2.0**61)).astype(np.int64)
    places = ask.moves.places + digits
    high, low = whole >> _HALF, whole & ((1 << _HALF) - 1)
    found = high * steps * (1 << (_HALF - places)) - (-(low * steps) >> places)
    return found / 2.0 ** (ask.grid - digits)


def size(ask: Moved, multipliers: Multipliers) -> Reals:
    """Above the magnitude of every number that ``evaluate`` forms, per row."""
    relaxed, pulls = ask.relaxed, {ask.relaxed.end: np.abs(ask.lead())}
    total = np.zeros(len(ask))
    for node in reversed(relaxed.nodes):
        pull = pulls.pop(node.output, None)
        if pull is None:
            continue
        if node.name in relaxed.units:
            unit, cost = relaxed.units[node.name], np.abs(multipliers[node.name])
            seen = _magnitude(ask, node.inputs[0])
            own = unit.output_size(Box(seen, seen))  # type: ignore[arg-type]
            total = total + _flat(pull * own) + _flat(cost * unit.seen(seen))
            _add(pulls, node.inputs[0], unit.back(cost))
            continue
        if node.name in ask.cut:
            total = total + _flat(pull * _magnitude(ask, node.output))
        parts, constant = pulled_by(relaxed, node, pull, size=True)
        total = total + constant
        if node.name in ask.layers:
            epsilon = (ask.moves.steps / 2.0**ask.moves.places).reshape(-1, *[1] * (pull.ndim - 1))
            weight = (pull @ _free(node)) * (epsilon + 1) + 1
            far = np.abs(ask.centres[node.name]) + _magnitude(ask, node.inputs[0])
            total = total + 4 * _flat(weight * (far + 1))
            parts = [parts[0] + weight]
        for name, part in zip(node.inputs, parts, strict=True):
            _add(pulls, name, part)
    pull = pulls.get(relaxed.graph.input)
    return total if pull is None else total + _flat(pull * _magnitude(ask, relaxed.graph.input))


def decided(ask: Moved, multipliers: dict[str, Array]) -> Mask:
    """Rows whose rival certainly loses, by whole, even multipliers over ``2**SCALE_BITS``."""
    if any((m % 2).any() for m in multipliers.values()):
        raise ValueError("odd multipliers cannot be halved exactly")
    own = {name: m / float(1 << SCALE_BITS) for name, m in multipliers.items()}
    able = (size(ask, own) * 2.0**ask.grid < EXACT) & (ask.moves.steps < _MOST_STEPS)
    found: Mask = able & (evaluate(ask, own).value < ask.need)
    return found


def slopes(ask: Moved, multipliers: Multipliers, bound: Bound) -> Multipliers:
    """By how much the bound changes with each multiplier: what a unit reads where the other parts
    have their maxima, less where its own part has it."""
    relaxed = ask.relaxed
    edges, found = {relaxed.graph.input: ask.lows[relaxed.graph.input]}, {}
    for node in relaxed.nodes:
        sources = [edges[name] for name in node.inputs if name in edges]
        if len(sources) < len(node.inputs):
            continue  # behind a unit that has no part in the bound
        if node.name in relaxed.units:
            if node.name in bound.levels:
                seen = relaxed.units[node.name].seen(sources[0])
                found[node.name] = seen - bound.at[node.name]
                edges[node.output] = bound.levels[node.name]
            continue
        edges[node.output] = values(node.op, sources)
        if node.name in bound.pushes:
            push = _pushed(ask, node, sources[0], bound.pushes[node.name])
            edges[node.output] = edges[node.output] + push
        if node.name in bound.kept:
            cut = ask.cut[node.name]
            edges[node.output] = np.where(cut, bound.kept[node.name], edges[node.output])
    return {name: found[name] for name in multipliers}


def _pushed(ask: Moved, node: Node, v: Reals, charge: Charge) -> Reals:
    """What the worst moves add to the sums where the layer reads ``v``."""
    epsilon = (ask.moves.steps / 2.0**ask.moves.places).reshape(-1, *[1] * (v.ndim - 1))
    push = charge.sign * ((charge.turn * v + charge.rest) @ _free(node).T)
    if charge.shared is not None:
        z = ask.centres[node.name]
        flat = z.reshape(len(z), -1, z.shape[-1])
        push = push + (flat @ charge.shared.transpose(0, 2, 1)).reshape(push.shape)
    found: Reals = push * epsilon / _halves(node)
    return found


def _whole(relaxed: Relaxed, layers: frozenset[str]) -> frozenset[str]:
    found = {relaxed.graph.input}
    for node in relaxed.nodes:
        kept = node.name not in layers and all(name in found for name in node.inputs)
        if kept or isinstance(relaxed.units.get(node.name), Stairs):
            found.add(node.output)
    return frozenset(found)


def _free(node: Node) -> Reals:
    """1 where a weight is stored, (rows, inputs)."""
    assert isinstance(node.op, MatVec)
    return free_weights(node.op).astype(np.float64)


def _halves(node: Node) -> int:
    """Counts of positions are halves of products."""
    return 2 if isinstance(node.op, MatVec) and node.op.popcount else 1


def _magnitude(ask: Moved, name: str) -> Reals:
    low, high = ask.ends(name)
    found: Reals = np.maximum(np.abs(low), np.abs(high))
    return found


def _flat(parts: Reals) -> Reals:
    total: Reals = parts.reshape(len(parts), -1).sum(axis=1)
    return total


def _add(pulls: dict[str, Reals], name: str, part: Reals) -> None:
    pulls[name] = pulls[name] + part if name in pulls else part
