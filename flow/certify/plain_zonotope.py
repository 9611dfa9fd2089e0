"""Affine forms once more, in Python integers without rounding or merging, for the checker alone.

A form is ``(centre + sum gains e) / 2**places`` with every ``e`` in [-1, 1]; all elements and edges
share the symbols, which are numbered as they are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flow.certify.plain_bounds import (
    MOVES,
    REGISTERED,
    Ends,
    bounds,
    register,
    rows_times,
    sums,
    taps,
)
from flow.certify.plain_proof import Limits, Replay, corners_within, level_corners
from flow.errors import InputError
from flow.ir import Array, Graph, Node
from flow.ops import Add, MatVec, MaxPool, Pad, SumPool, Threshold

SLOPES = 8  # binary places of a slope


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """One edge: Python integers over ``2**places``, (1, *shape) and (symbols, *shape)."""

    places: int
    centre: Any
    gains: Any

    def over(self, places: int, symbols: int) -> Form:
        """The same over a finer unit, with as many symbols."""
        finer = 1 << (places - self.places)
        more = np.zeros((symbols - len(self.gains), *self.centre.shape[1:]), dtype=object)
        return Form(places, self.centre * finer, np.concatenate([self.gains * finer, more]))

    def ends(self) -> tuple[Any, Any]:
        """The integers between which each element lies."""
        reach, unit = abs(self.gains).sum(axis=0)[None], 1 << self.places
        return -((reach - self.centre) // unit), (self.centre + reach) // unit


@dataclass(frozen=True, slots=True, eq=False)
class Reached:
    """The intervals of what each Threshold reads, as limits, those of every edge, and the form of
    the last sums."""

    limits: Limits
    ends: dict[str, Ends]
    end: str
    last: Form

    def rivals(self, graph: Graph) -> range:
        """All classes."""
        return range(graph.edge(graph.logits).shape[0])

    def behind(self, graph: Graph, label: int, rival: int) -> bool:
        """Whether ``rival`` never wins: by the intervals of the logits, or by its largest lead."""
        low, high = self.ends[graph.logits]
        if low[0, label] - high[0, rival] >= (1 if rival < label else 0):
            return True
        need = Replay(graph, label).need(rival, self.ends[self.end])
        lead, unit = _lead(self.last, label, rival)
        return need is None or lead < need * unit


def reached(graph: Graph, box: Ends, slopes: Mapping[str, Sequence[int]]) -> Reached:
    """Forms of every edge of the inputs in ``box``, staircases by ``slopes`` over ``2**SLOPES``.

    Raises:
        InputError: the graph has a layer that this checker does not know.
        ValueError: there are no slopes for some staircase, or not one for each element.
    """
    through = _Through(graph, box, slopes)
    for node in graph.nodes[:-1]:
        through.node(node)
    end = graph.logits if through.last is None else through.last.inputs[0]
    return Reached(through.limits, through.ends, end, through.forms[end])


class _Through:
    """The edges so far, in intervals and in forms."""

    def __init__(self, graph: Graph, box: Ends, slopes: Mapping[str, Sequence[int]]) -> None:
        self.graph, self.slopes = graph, slopes
        last = graph.producer(graph.logits)
        self.last = last if last is not None and isinstance(last.op, Threshold) else None
        self.ends, self.limits = {graph.input: box}, Limits()
        self.symbols = 1  # the first is in no form: arrays without symbols have no shape
        self.forms = {graph.input: self.interval(box)}

    def interval(self, ends: Ends) -> Form:
        """An interval for each element, with a symbol of its own."""
        low, high = (end.astype(object) for end in ends)
        return Form(1, low + high, self.symbols_of(high - low))

    def symbols_of(self, widths: Any) -> Any:
        """New symbols, one for each element of (1, *shape) that is not 0."""
        flat = widths.ravel()
        own = [k for k in range(len(flat)) if flat[k]]
        gains = np.zeros((self.symbols + len(own), len(flat)), dtype=object)
        for row, k in enumerate(own, start=self.symbols):
            gains[row, k] = flat[k]
        self.symbols += len(own)
        return gains.reshape(-1, *widths.shape[1:])

    def node(self, node: Node) -> None:
        """One node more."""
        sources = [self.ends[name] for name in node.inputs]
        forms = self.together(*(self.forms[name] for name in node.inputs))
        if isinstance(node.op, REGISTERED):
            form = self.affine(node, forms)
            ends = _both(sums(node.op, sources), form.ends())
            kind = node.op.accumulator
            wraps = ((ends[0] < kind.code_lo) | (ends[1] > kind.code_hi)).astype(bool)
            self.ends[node.output] = register(kind, *ends)
            self.forms[node.output] = self.replaced(form, wraps, self.ends[node.output])
        elif isinstance(node.op, Threshold):
            self.limits[node.name] = dict(
                enumerate(zip(*(end.ravel().tolist() for end in sources[0]), strict=True))
            )
            self.ends[node.output] = bounds(node.op, sources)
            if node is not self.last:
                form = self.staircase(node.name, node.op, forms[0], sources[0])
                self.forms[node.output] = form
                self.ends[node.output] = _both(self.ends[node.output], form.ends())
        else:
            ends = self.ends[node.output] = bounds(node.op, sources)
            pooled = isinstance(node.op, MaxPool)
            form = self.interval(ends) if pooled else self.affine(node, forms)
            self.forms[node.output] = form

    def together(self, *forms: Form) -> list[Form]:
        """Forms over one unit."""
        places = max(form.places for form in forms)
        return [form.over(places, self.symbols) for form in forms]

    def affine(self, node: Node, forms: list[Form]) -> Form:
        """An op that adds, multiplies or moves, before any register."""
        op, places = node.op, forms[0].places
        centre = _linear(op, [form.centre for form in forms], 1 << places)
        gains = _linear(op, [form.gains for form in forms], 0)
        return Form(places + (isinstance(op, MatVec) and op.popcount), centre, gains)

    def replaced(self, form: Form, here: Array, ends: Ends) -> Form:
        """Where ``here``, an interval in place of the form."""
        if not here.any():
            return form
        plain = self.interval(tuple(np.where(here, end, 0) for end in ends))  # type: ignore[arg-type]
        form, plain = self.together(form, plain)
        return Form(
            form.places,
            np.where(here, plain.centre, form.centre),
            np.where(here, plain.gains, form.gains),
        )

    def staircase(self, name: str, op: Threshold, form: Form, ends: Ends) -> Form:
        """The slope times the form, and between them a symbol for what the steps leave."""
        given = self.slopes.get(name)
        low, high = (end.ravel().tolist() for end in ends)
        if not isinstance(given, Sequence) or len(given) != len(low):
            raise ValueError(f"no slopes for {name!r}")
        if any(type(m) is not int for m in given):
            raise ValueError(f"slopes of {name!r} are whole numbers")
        corners, above, below = level_corners(op), [], []
        for k, (m, least, most) in enumerate(zip(given, low, high, strict=True)):
            own = corners_within(corners[k % len(corners)], (least, most))
            left = [(level << SLOPES) - m * x for x, level in own]
            above.append(max(left))
            below.append(min(left))
        shape, unit = form.centre.shape, 1 << form.places
        slope = np.array(given, dtype=object).reshape(shape)
        top, bottom = (np.array(v, dtype=object).reshape(shape) for v in (above, below))
        new = self.symbols_of((top - bottom) * unit)
        places = form.places + SLOPES + 1
        old = Form(places, 2 * slope * form.centre + (top + bottom) * unit, 2 * slope * form.gains)
        old = old.over(places, self.symbols)
        return Form(places, old.centre, old.gains + new)


def _lead(form: Form, label: int, rival: int) -> tuple[int, int]:
    """The largest lead of the rival's sum over the label's, as a fraction of whole numbers."""
    gains = abs(form.gains[:, rival] - form.gains[:, label]).sum()
    return int(form.centre[0, rival] - form.centre[0, label] + gains), 1 << form.places


def _both(one: Ends, other: Ends) -> Ends:
    return (
        np.maximum(one[0], other[0]).astype(np.int64),
        np.minimum(one[1], other[1]).astype(np.int64),
    )


def _linear(op: Any, inputs: list[Any], unit: int) -> Any:
    """The op on vectors of Python integers; its constants count ``unit`` each (0: none)."""
    if isinstance(op, MatVec):
        found = rows_times(op, inputs[0])
        return found + op.weights.shape[1] * unit if op.popcount else found
    if isinstance(op, Add):
        total: Any = op.offset.astype(object) * unit
        for factor, v in zip(op.multipliers.astype(object), inputs, strict=True):
            total = total + factor * v
        return total
    if isinstance(op, SumPool):
        return taps(op, inputs[0]).sum(axis=3)
    if isinstance(op, Pad):
        top, bottom, left, right = op.margins
        margins = ((0, 0), (top, bottom), (left, right), (0, 0))
        return np.pad(inputs[0], margins, constant_values=op.value * unit)
    if isinstance(op, MOVES):
        return op.evaluate(*inputs)
    raise InputError(f"the checker knows no forms of {type(op).__name__}")
