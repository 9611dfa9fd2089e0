"""Zonotopes through a graph: intervals of every edge made tighter, and the lead of each rival."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flow.certify.affine import Reals
from flow.certify.box import Box, exact_sums, propagate_box, wrap_box
from flow.certify.dual import question
from flow.certify.ladder import Ladder
from flow.certify.relaxed import Reach, Relaxed
from flow.certify.zonotope import Forms, affine, chords, interval, staircase
from flow.errors import InputError
from flow.ir import Array, IntType, Node
from flow.ops import Add, MatVec, MaxPool, SumPool, Threshold

SYMBOLS = 2048  # kept of one edge; the others join the remainders
_HELD = 1 << 23  # numbers of one edge
_CHECKED = 1 << 22  # numbers of one edge that the checker, which merges nothing, can hold


@dataclass(slots=True, eq=False)
class Zonotope:
    """One image: the interval of every edge, the forms of the last sums, and the slope that each
    element of each staircase was given, over ``2**SLOPES``."""

    boxes: dict[str, Box]
    end: Forms
    slopes: dict[str, Array]


class _Through:
    """The edges so far."""

    def __init__(self, relaxed: Relaxed, box: Box, most: int) -> None:
        self.relaxed, self.symbols = relaxed, 0
        largest = max(edge.elements for edge in relaxed.edges.values())
        self.most = min(most, max(1, _HELD // largest))
        self.boxes: dict[str, Box] = {}
        self.forms: dict[str, Forms] = {}
        self.slopes: dict[str, Array] = {}
        self.keep(relaxed.graph.input, Forms.of_box(box, 0, self.most), box)

    def keep(self, edge: str, form: Forms, box: Box) -> None:
        """What is known of an edge, and the next symbol's number."""
        self.boxes[edge] = box
        self.symbols = max(self.symbols, 1 + int(form.names.max(initial=-1)))
        self.forms[edge] = form.fewer(self.most)

    def node(self, node: Node) -> None:
        """One node more."""
        sources = [self.boxes[name] for name in node.inputs]
        forms = [self.forms[name] for name in node.inputs]
        if isinstance(node.op, (MatVec, Add, SumPool)):
            self._sums(node, node.op.accumulator, forms, sources)
        elif isinstance(node.op, Threshold):
            ladder, box = Ladder.of(node.op), sources[0]
            slopes = self.slopes[node.name] = chords(ladder, box)
            form = staircase(ladder, forms[0], box, slopes, self.symbols)
            out = propagate_box(node.op, sources, self.relaxed.inputs(node))
            self.keep(node.output, form, _both(out, form.box()))
        else:
            box = propagate_box(node.op, sources, self.relaxed.inputs(node))
            form = interval(box) if isinstance(node.op, MaxPool) else affine(node, forms)
            self.keep(node.output, form, box)

    def _sums(self, node: Node, kind: IntType, forms: list[Forms], sources: list[Box]) -> None:
        """Sums lie in both; those that may leave the register count by what it keeps."""
        form = affine(node, forms)
        sums = Box(*exact_sums(node.op, sources, self.relaxed.inputs(node)))
        sums = _both(sums, form.box())
        cut = (sums.lo < kind.code_lo) | (sums.hi > kind.code_hi)
        box = wrap_box(kind, sums.lo, sums.hi)
        self.keep(node.output, form.within(box, cut[0]) if cut.any() else form, box)


def zonotope_if_any(relaxed: Relaxed, box: Box) -> Zonotope | None:
    """``zonotope``, unless the checker could not hold its forms, or they were not exact."""
    new = [n.output for n in relaxed.nodes if n.name in relaxed.units]
    symbols = sum(relaxed.edges[name].elements for name in (relaxed.graph.input, *new))
    if symbols * max(edge.elements for edge in relaxed.edges.values()) > _CHECKED:
        return None
    try:
        return zonotope(relaxed, box)
    except InputError:  # numbers too large: bounds that need no forms still apply
        return None


def _both(one: Box, other: Box) -> Box:
    return Box(np.maximum(one.lo, other.lo), np.minimum(one.hi, other.hi))


def zonotope(relaxed: Relaxed, box: Box, *, most: int = SYMBOLS) -> Zonotope:
    """Every edge of the inputs in the one-image ``box``; at most ``most`` symbols of each.

    Raises:
        InputError: an op has no interval bound, or numbers are too large to be exact.
    """
    through = _Through(relaxed, box, most)
    for node in relaxed.nodes:
        through.node(node)
    return Zonotope(through.boxes, through.forms[relaxed.end], through.slopes)


def withstands(relaxed: Relaxed, found: Zonotope, label: int) -> bool:
    """Whether no rival wins anywhere: of each the largest lead in the last sums against the least
    that a winner has, or the intervals of the logits."""
    graph = relaxed.graph
    rivals = np.delete(np.arange(graph.edge(graph.logits).shape[0]), label)
    labels, end = np.full(len(rivals), label), found.boxes[relaxed.end]
    box = Box(*(np.repeat(side, len(rivals), axis=0) for side in (end.lo, end.hi)))
    reach = Reach({relaxed.end: box}, {}, np.zeros(len(rivals), dtype=np.bool_))
    need = question(relaxed, reach, labels, rivals).need
    behind = _leads(found.end, label, rivals) < need
    logits = end
    if relaxed.last is not None:
        levels = relaxed.last.levels(end.lo), relaxed.last.levels(end.hi)
        logits = Box(np.minimum(*levels), np.maximum(*levels))
    apart = logits.lo[0, label] - logits.hi[0, rivals] >= (rivals < label)
    return bool((behind | apart).all())


def _leads(form: Forms, label: int, rivals: Array) -> Reals:
    """How far each rival's sum gets ahead of the label's at most."""
    gains = np.abs(form.gains[:, rivals] - form.gains[:, [label]]).sum(axis=0)
    centre = form.centre[rivals] - form.centre[label]
    lead: Reals = centre + gains + form.rest[rivals] + form.rest[label]
    return lead
