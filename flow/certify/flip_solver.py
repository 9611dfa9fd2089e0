"""Any k flips of a small dense network as an integer program, for OR-tools CP-SAT: the last resort.

One Boolean for every bit that may flip. UNSAT is trust in the solver; a solution is run.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from flow.certify.certificate import Verdict
from flow.certify.solver import solved
from flow.certify.subset import BitSubset
from flow.certify.weight_flips import bit_steps
from flow.errors import InputError
from flow.ir import Array, Fault, Graph, IntType, Node
from flow.ops import Add, Compare, Decode, MatVec, Threshold

_SAFE = 1 << 61  # sums of a linear constraint stay below this
Ends = tuple[int, int]
Value = tuple[Any, Ends]  # a constant, variable or sum, and its least and largest value
Answer = tuple[Verdict, tuple[Fault, ...] | None]


class FlipQuestion:
    """Do at most ``flips`` flips of ``subset`` take ``label`` from ``image``?

    Raises:
        InputError: a node is none that the model knows, or too large for the solver; the line
            names it.
    """

    def __init__(
        self, graph: Graph, image: Array, label: int, *, flips: int, subset: BitSubset
    ) -> None:
        self.graph, self.image, self.label = graph, image, label
        self.model = cp_model.CpModel()
        self.faults: list[tuple[Fault, Any]] = []
        edges: dict[str, list[Value]] = {graph.input: [(v, (v, v)) for v in image.ravel().tolist()]}
        for node in graph.nodes[:-1]:
            try:
                edges[node.output] = struck(node.op, self, node, edges[node.inputs[0]], subset)
            except InputError as error:
                raise InputError(f"node {node.name!r}: {error}") from None
        self.model.add(sum(flip for _, flip in self.faults) <= flips)
        self._some_rival_wins(edges[graph.logits])

    def solve(self, seconds: float, *, seed: int = 0) -> Answer:
        """PROVED if the solver says there are none, REFUTED with such flips, else UNKNOWN."""
        verdict, solver = solved(self.model, seconds, seed=seed)
        if verdict is not Verdict.REFUTED:
            return verdict, None
        flips = tuple(fault for fault, flip in self.faults if solver.value(flip))
        if int(self.graph.evaluate(self.image[None], flips)[0]) == self.label:
            raise ValueError("the solver's model is not the graph: its flips keep the label")
        return verdict, flips

    def bits(self, node: Node, parameter: str, subset: BitSubset) -> tuple[Array, Array]:
        """By how much each bit that may flip moves each value, and its Boolean."""
        kind, values = node.op.stored[parameter], getattr(node.op, parameter)
        chosen = subset.of(node.name, node.op).get(parameter, np.zeros(0, dtype=np.int64))
        steps = bit_steps(values, kind, chosen)
        flips = np.empty(steps.shape, dtype=object)
        for place in np.ndindex(*steps.shape):
            flips[place] = self.model.new_bool_var("")
            fault = Fault(node.name, parameter, place[:-1], int(chosen[place[-1]]))
            self.faults.append((fault, flips[place]))
        return steps, flips

    def product(self, flip: Any, value: Value) -> Value:
        """``value`` where the bit is flipped, else 0."""
        v, (low, high) = value
        ends = min(low, 0), max(high, 0)
        if isinstance(v, int):
            return v * flip, ends
        found = self.model.new_int_var(*ends, "")
        self.model.add(found == v).only_enforce_if(flip)
        self.model.add(found == 0).only_enforce_if(~flip)
        return found, ends

    def kept(self, total: Value, kind: IntType) -> Value:
        """What a register keeps of a sum."""
        expression, (low, high) = total
        if max(abs(low), abs(high)) >= _SAFE:
            raise InputError("sums are too large for the solver, which takes up to 2**61")
        if kind.code_lo <= low and high <= kind.code_hi:
            return self.named(total)
        turns = self.model.new_int_var(
            (low - kind.code_lo) >> kind.bits, (high - kind.code_lo) >> kind.bits, ""
        )
        ends = kind.code_lo, kind.code_hi
        found = self.model.new_int_var(*ends, "")
        self.model.add(expression - turns * (1 << kind.bits) == found)
        return found, ends

    def named(self, value: Value) -> Value:
        """A variable that is this sum; a constant where it is one."""
        expression, (low, high) = value
        if low == high:
            return low, (low, high)
        found = self.model.new_int_var(low, high, "")
        self.model.add(found == expression)
        return found, (low, high)

    def _some_rival_wins(self, logits: list[Value]) -> None:
        wins = []
        for rival, (logit, _) in enumerate(logits):
            if rival != self.label:
                win = self.model.new_bool_var("")
                lead = logit - logits[self.label][0]
                need = 0 if rival < self.label else 1
                if isinstance(lead, int):
                    self.model.add(win == int(lead >= need))
                else:
                    self.model.add(lead >= need).only_enforce_if(win)
                wins.append(win)
        self.model.add_bool_or(wins)


def _sum(parts: list[Value]) -> Value:
    ends = sum(low for _, (low, _) in parts), sum(high for _, (_, high) in parts)
    return sum(expression for expression, _ in parts), ends


def _times(factor: int, value: Value) -> Value:
    expression, ends = value
    low, high = sorted(factor * end for end in ends)
    return factor * expression, (low, high)


@singledispatch
def struck(
    op: Any, question: FlipQuestion, node: Node, seen: list[Value], subset: BitSubset
) -> list[Value]:
    """Every output element, tied to the inputs and to the bits that may flip."""
    raise InputError(f"the solver's model of flips knows no {type(op).__name__}")


@struck.register
def _(
    op: MatVec, question: FlipQuestion, node: Node, seen: list[Value], subset: BitSubset
) -> list[Value]:
    if op.groups != 1 or len(seen) != op.weights.shape[1]:
        raise InputError("the solver's model of flips is about dense layers")
    steps, flips = question.bits(node, "weights", subset)
    if op.decode is Decode.CLAMP and steps.size:
        raise InputError("flips of clamped weights do not add up; the solver does without them")
    found = []
    for row, weights in enumerate(op.read.tolist()):
        parts = [_times(w, value) for w, value in zip(weights, seen, strict=True)]
        for column, value in enumerate(seen):
            for step, flip in zip(steps[row, column].tolist(), flips[row, column], strict=True):
                parts.append(_times(step, question.product(flip, value)))
        total, (low, high) = _sum(parts)
        if op.popcount:
            ends = (low + len(seen)) // 2, (high + len(seen)) // 2
            count = question.model.new_int_var(*ends, "")
            question.model.add(total + len(seen) == 2 * count)
            total, (low, high) = count, ends
        found.append(question.kept((total, (low, high)), op.accumulator))
    return found


@struck.register
def _(
    op: Add, question: FlipQuestion, node: Node, seen: list[Value], subset: BitSubset
) -> list[Value]:
    if len(node.inputs) != 1:
        raise InputError("the solver's model of flips is about chains")
    found = []
    for channel, value in enumerate(seen):
        factor = int(op.multipliers[0][channel % op.multipliers.shape[1]])
        offset = int(op.offset[channel % len(op.offset)])
        total = _sum([_times(factor, value), (offset, (offset, offset))])
        found.append(question.kept(total, op.accumulator))
    return found


@struck.register
def _(
    op: Threshold, question: FlipQuestion, node: Node, seen: list[Value], subset: BitSubset
) -> list[Value]:
    if len(seen) != len(op.thresholds):
        raise InputError("the solver's model of flips is about dense layers")
    steps, flips = question.bits(node, "thresholds", subset)
    turned = None
    if "sign" in subset.of(node.name, op):
        _, turned = question.bits(node, "sign", subset)
    found = []
    for channel, (x, _) in enumerate(seen):
        reached = []
        for k, base in enumerate(op.thresholds[channel].tolist()):
            own = zip(steps[channel, k].tolist(), flips[channel, k], strict=True)
            literal = question.model.new_bool_var("")
            lead = x - base - sum(step * flip for step, flip in own)
            if isinstance(lead, int):
                question.model.add(literal == int(lead >= 0))
            else:
                question.model.add(lead >= 0).only_enforce_if(literal)
                question.model.add(lead <= -1).only_enforce_if(~literal)
            reached.append(literal)
        count = _count(op, question, reached)
        sign = int(op.sign[channel])
        flip = None if turned is None else turned[channel, 0]
        found.append(_level(op, question, count, sign, flip))
    return found


def _count(op: Threshold, question: FlipQuestion, reached: list[Any]) -> Any:
    """How many thresholds are reached, or what the binary search makes of them."""
    if op.compare is Compare.COUNT:
        return sum(reached)
    steps, model = len(reached), question.model
    results = [model.new_bool_var("") for _ in range(steps + 1)]
    model.add_exactly_one(results)
    for result, chosen in enumerate(results):
        count = 0
        for stage in reversed(range(steps.bit_length())):
            probe, taken = count + (1 << stage) - 1, bool(result >> stage & 1)
            if probe < steps:
                model.add_implication(chosen, reached[probe] if taken else ~reached[probe])
            count += taken << stage
    return sum(result * chosen for result, chosen in enumerate(results))


def _level(op: Threshold, question: FlipQuestion, count: Any, sign: int, flip: Any) -> Value:
    steps = op.thresholds.shape[1]
    ends = op.base, op.base + steps
    found = question.model.new_int_var(*ends, "")
    up, down = found == op.base + count, found == op.base + steps - count
    as_is, other = (up, down) if sign > 0 else (down, up)
    if flip is None:
        question.model.add(as_is)
    else:
        question.model.add(as_is).only_enforce_if(~flip)
        question.model.add(other).only_enforce_if(flip)
    if op.output.bipolar:
        return question.named((2 * found - 1, (2 * ends[0] - 1, 2 * ends[1] - 1)))
    return found, ends
