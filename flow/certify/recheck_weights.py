"""Re-check of moved weights: ranges again in exact fractions, four corners of every product."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import singledispatch
from typing import Any

import numpy as np

from flow.certify.certificate import Certificate
from flow.certify.plain_bounds import REGISTERED
from flow.certify.plain_moves import Ends, MovedPart, leaf_holds
from flow.certify.proof import Leaf, RivalProof
from flow.certify.subject import Checked, Subject
from flow.errors import InputError
from flow.ir import Graph, IntType
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
from flow.ops.window import slide

Row = list[tuple[int, int]]  # input and weight of each product of a row


def recheck_weights(subject: Subject) -> Checked:
    """Recompute the ranges of every PROVED image."""
    graph, layers = subject.graph, subject.found.terms.get("layers")
    known = {node.name for node in graph.nodes if isinstance(node.op, MatVec)}
    if not isinstance(layers, list) or not layers or not set(layers) <= known:
        raise InputError(f"{subject.path}: layers {layers} are none of this graph's; certify again")
    for k in subject.refuted:
        if subject.found.certificates[k].correct:
            raise subject.denied(k, "REFUTED, but it is classified rightly")
    proved = list(subject.part.share(subject.proved))
    for k in subject.each(proved):
        epsilon = _epsilon(subject, k, subject.found.certificates[k])
        part = _part(graph, subject.x[k], epsilon, set(layers))
        own = subject.found.certificates[k].proof
        label = int(subject.y[k])
        if not (_label_holds(part, label) or (own and _proof_holds(part, label, own))):
            raise subject.denied(k, f"PROVED, but moves of {epsilon} leave another class open")
    return Checked(len(proved), 0, 0, len(subject.proved) - len(proved))


def _epsilon(subject: Subject, k: int, certificate: Certificate) -> Fraction:
    try:
        found = Fraction(certificate.detail["epsilon"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        raise subject.denied(k, "PROVED, but without a radius") from None
    if found <= 0:
        raise subject.denied(k, f"PROVED, but for moves of {found}")
    return found


def _part(graph: Graph, image: Any, epsilon: Fraction, layers: set[str]) -> MovedPart:
    """The ranges of real sums at every edge, all weights of the layers anywhere within epsilon."""
    start, wraps = image[None].astype(object), {}
    seen: dict[str, Ends] = {graph.input: (start, start)}
    for node in graph.nodes[:-1]:
        own = epsilon if node.name in layers else Fraction(0)
        try:
            low, high = _ranges(node.op, [seen[name] for name in node.inputs], own)
        except InputError as error:
            raise InputError(f"node {node.name!r}: {error}") from None
        if isinstance(node.op, REGISTERED):
            kind = node.op.accumulator
            wraps[node.name] = ((low < kind.code_lo) | (high >= kind.code_hi + 1)).astype(bool)
            low, high = _register(kind, low, high)
        seen[node.output] = (low, high)
    return MovedPart(graph, seen, wraps, graph.evaluate_all(image[None]), layers, epsilon)


def _proof_holds(part: MovedPart, label: int, proof: tuple[RivalProof, ...]) -> bool:
    """Whether multipliers keep every rival behind."""
    rivals = [tree.rival for tree in proof]
    classes = part.graph.edge(part.graph.logits).shape[0]
    if sorted([*rivals, label]) != list(range(classes)):
        return False
    steps = [tree.steps for tree in proof]
    return all(
        len(own) == 1 and isinstance(own[0], Leaf) and leaf_holds(part, label, rival, own[0])
        for rival, own in zip(rivals, steps, strict=True)
    )


def _label_holds(part: MovedPart, label: int) -> bool:
    """Whether ranges of real sums show that the label wins, apart or by differences."""
    low, high = (ends[0] for ends in part.ends[part.graph.logits])
    rivals = [j for j in range(len(low)) if j != label]
    leads = [(j, low[label] - high[j]) for j in rivals]
    if all(lead > 0 or (lead == 0 and j > label) for j, lead in leads):
        return True
    leads = list(_differences(part.graph, part.ends, label, part.epsilon, part.layers))
    return bool(leads) and all(lead > 0 or (lead == 0 and j > label) for j, lead in leads)


@singledispatch
def _ranges(op: Any, inputs: list[Ends], epsilon: Fraction) -> Ends:
    """The ends of every output element before its register, all weights within ``epsilon``."""
    raise InputError(f"the checker knows no moved weights for {type(op).__name__}")


@_ranges.register
def _(op: MatVec, inputs: list[Ends], epsilon: Fraction) -> Ends:
    return _sums(op, inputs[0], epsilon)


@_ranges.register
def _(op: Threshold, inputs: list[Ends], epsilon: Fraction) -> Ends:
    ends = [op.evaluate(np.array(_floors(end))) for end in inputs[0]]
    return np.minimum(*ends).astype(object), np.maximum(*ends).astype(object)


@_ranges.register
def _(op: Add, inputs: list[Ends], epsilon: Fraction) -> Ends:
    low: Any = op.offset.astype(object)
    high = low
    for factor, (first, last) in zip(op.multipliers.astype(object), inputs, strict=True):
        ends = factor * first, factor * last
        low, high = low + np.minimum(*ends), high + np.maximum(*ends)
    return low, high


@_ranges.register
def _(op: SumPool, inputs: list[Ends], epsilon: Fraction) -> Ends:
    low, high = (slide(end, op.kernel, op.stride, (1, 1)).sum(axis=(3, 4)) for end in inputs[0])
    return low, high


@_ranges.register(MaxPool)
@_ranges.register(Window)
@_ranges.register(Pad)
@_ranges.register(Concat)
@_ranges.register(Reshape)
@_ranges.register(Transpose)
def _(op: Any, inputs: list[Ends], epsilon: Fraction) -> Ends:
    return op.evaluate(*(low for low, _ in inputs)), op.evaluate(*(high for _, high in inputs))


def _sums(op: MatVec, ends: Ends, epsilon: Fraction) -> Ends:
    """The least and the largest sum of each row at each place, before the register."""
    rows = _rows(op)
    shape = (*ends[0].shape[:-1], len(rows))
    found = np.empty((2, *shape), dtype=object)
    for at in np.ndindex(shape[:-1]):
        pairs = list(zip(ends[0][at], ends[1][at], strict=True))
        for r, row in enumerate(rows):
            for end, sign in ((0, 1), (1, -1)):
                total = sign * _least([(p, sign * w) for p, w in row], pairs, epsilon)
                if op.popcount:
                    total = Fraction(total + op.weights.shape[1]) / 2
                found[(end, *at, r)] = total
    return found[0], found[1]


def _least(row: Row, ends: list[tuple[Any, Any]], width: Fraction) -> Any:
    """The least sum of the row's products, each weight anywhere within ``width``."""
    unit, move = width.denominator, width.numerator
    total = 0
    for place, weight in row:
        low, high = ends[place]
        first, last = weight * unit - move, weight * unit + move
        total += min(first * low, first * high, last * low, last * high)
    return Fraction(total) / unit if unit > 1 else total


def _rows(op: MatVec) -> list[Row]:
    """Which input meets which weight: all inputs, or those of the row's own group at each place."""
    weights = op.read.tolist()
    size, share = len(weights) // op.groups, len(weights[0]) // op.positions
    return [
        [
            ((column // share * op.groups + r // size) * share + column % share, w)
            for column, w in enumerate(row)
        ]
        for r, row in enumerate(weights)
    ]


def _differences(
    graph: Graph, seen: dict[str, Ends], label: int, epsilon: Fraction, layers: set[str]
) -> Iterator[tuple[int, Any]]:
    """The least lead over each rival, of both rows together; none where a logit may wrap."""
    nodes = list(graph.nodes[:-1])
    scales, offsets = [1] * len(seen[graph.logits][0][0]), [0] * len(seen[graph.logits][0][0])
    if nodes and isinstance(add := nodes[-1].op, Add):
        if len(add.multipliers) > 1:
            return
        scales = np.broadcast_to(add.multipliers[0], len(scales)).tolist()
        offsets = np.broadcast_to(add.offset, len(scales)).tolist()
        nodes.pop()
    last = nodes[-1].op if nodes else None
    if not isinstance(last, MatVec) or last.groups > 1:
        return
    if isinstance(graph.nodes[-2].op, Add) and graph.nodes[-2].inputs != (nodes[-1].output,):
        return
    own = epsilon if nodes[-1].name in layers else Fraction(0)
    ends = seen[nodes[-1].inputs[0]]
    low, high = (end[0] for end in _sums(last, ends, own))
    if not _held(last.accumulator, low, high, [1] * len(scales), [0] * len(scales)):
        return
    scaled = graph.nodes[-2].op
    if isinstance(scaled, Add) and not _held(scaled.accumulator, low, high, scales, offsets):
        return
    pairs = list(zip(ends[0][0], ends[1][0], strict=True))
    weights, columns = last.read.tolist(), last.weights.shape[1]
    for j in range(len(scales)):
        if j == label:
            continue
        own_row, other = weights[label], weights[j]
        row = [
            (p, scales[label] * a - scales[j] * b)
            for p, (a, b) in enumerate(zip(own_row, other, strict=True))
        ]
        lead = _least(row, pairs, (abs(scales[label]) + abs(scales[j])) * own)
        shift_by: Any = offsets[label] - offsets[j]
        if last.popcount:
            lead = Fraction(lead + (scales[label] - scales[j]) * columns) / 2
        yield j, lead + shift_by


def _held(kind: IntType, low: Any, high: Any, scales: list[int], offsets: list[int]) -> bool:
    """Whether ``kind`` holds all sums between ``low`` and ``high``, scaled and moved."""
    return all(
        kind.code_lo <= scale * end + offset <= kind.code_hi
        for least, most, scale, offset in zip(low, high, scales, offsets, strict=True)
        for end in (least, most)
    )


def _floors(values: Any) -> Any:
    return np.vectorize(lambda v: v // 1, otypes=[np.int64])(values)


def _register(kind: IntType, low: Any, high: Any) -> Ends:
    """Each range itself, brought into the register, or all that a register can hold."""
    turn = 1 << kind.bits
    lows, highs = np.empty(low.shape, dtype=object), np.empty(high.shape, dtype=object)
    for at in np.ndindex(low.shape):
        first, last = (low[at] - kind.code_lo) // turn, (high[at] - kind.code_lo) // turn
        if first == last:
            lows[at], highs[at] = low[at] - first * turn, high[at] - first * turn
        else:
            lows[at], highs[at] = kind.code_lo, kind.code_hi + 1
    return lows, highs
