"""The property of the input as an integer program, for OR-tools CP-SAT: the exact last resort.

UNSAT is trust in the solver, so the evidence is ``solver``; a solution is a witness and is run.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from flow.certify.box import Box
from flow.certify.certificate import Certificate, CertificateSet, Evidence, Verdict
from flow.certify.complete import Attack, Budget, certify_linear
from flow.certify.ladder import Ladder
from flow.certify.ranges import Ranges
from flow.certify.relaxed import Reach, Region, Relaxed, reach
from flow.errors import InputError
from flow.ir import Array, Graph, IntType
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

Progress = Callable[[int, int], None]
SOLVER = "OR-tools CP-SAT"
_SAFE = 1 << 61  # sums of a linear constraint stay below this


def certify_cpsat(
    graph: Graph,
    x: Array,
    *,
    y: Array,
    radius: int,
    models: Path,
    ranges: Ranges | None = None,
    budget: Budget | None = None,
    seed: int = 0,
    attack: Attack | None = None,
    progress: Progress | None = None,
) -> CertificateSet:
    """``certify_linear``, and what it leaves open asked of CP-SAT, ``budget.seconds`` per image.

    An image that the solver proves has evidence ``solver``: its name and version, and the model
    beside, by its SHA-256, so that the solver can be run again.

    Args:
        models: the folder of the models, which are files named by their SHA-256.

    Other arguments and errors as ``certify_linear``; ``InputError`` too where an integer is too
    large for the solver.
    """
    budget = Budget() if budget is None else budget
    quick = certify_linear(
        graph, x, y=y, radius=radius, ranges=ranges, seed=seed, attack=attack, progress=progress
    )
    relaxed = Relaxed.of(graph)
    box, found = (ranges or Ranges()).box(graph, x, radius=radius), []
    for k, certificate in enumerate(quick.certificates):
        if certificate.verdict is Verdict.UNKNOWN:
            question = Question.of(relaxed, box[[k]], int(y[k]))
            certificate = _answered(certificate, question, budget.seconds, seed, models)
        found.append(replace(certificate, method="cpsat"))
    return replace(quick, method="cpsat", certificates=tuple(found))


def _answered(
    certificate: Certificate, question: Question, seconds: float, seed: int, models: Path
) -> Certificate:
    answer, witness = question.solve(seconds, seed=seed)
    if answer is Verdict.REFUTED:
        return replace(certificate, verdict=answer, witness=witness)
    if answer is Verdict.UNKNOWN:
        return certificate
    detail = trusted(question.model, models, certificate.input_digest)
    return replace(certificate, verdict=answer, evidence=Evidence.SOLVER, detail=detail)


def solved(
    model: cp_model.CpModel, seconds: float, *, seed: int
) -> tuple[Verdict, cp_model.CpSolver]:
    """PROVED if ``model`` has no solution, REFUTED if it has one, which the solver tells, or
    UNKNOWN in this time; one thread.

    Raises:
        InputError: the solver refuses the model.
    """
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = seed
    answer = solver.solve(model)
    if answer == cp_model.MODEL_INVALID:
        raise InputError(f"the solver refuses the model: {model.validate()}")
    if answer == cp_model.INFEASIBLE:
        return Verdict.PROVED, solver
    found = answer in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    return Verdict.REFUTED if found else Verdict.UNKNOWN, solver


def trusted(model: cp_model.CpModel, models: Path, name: str) -> dict[str, str]:
    """Keep ``model`` in the folder ``models`` under its SHA-256; says who solved what.

    Raises:
        InputError: it cannot be written.
    """
    models.mkdir(parents=True, exist_ok=True)
    unnamed = models / f"{name}.partial.pb"
    if not model.export_to_file(str(unnamed)):
        raise InputError(f"{unnamed}: cannot be written; give a folder that can")
    digest = hashlib.sha256(unnamed.read_bytes()).hexdigest()
    unnamed.replace(models / f"{digest}.pb")
    version = importlib.metadata.version("ortools")
    return {"solver": SOLVER, "version": version, "model": f"{digest}.pb"}


class Question:
    """Is there an input of a box that has another class than its label? As a CP-SAT model."""

    def __init__(self, relaxed: Relaxed, found: Reach, label: int) -> None:
        self.graph, self.found, self.label = relaxed.graph, found, label
        self.model = cp_model.CpModel()
        kind = self.graph.input_edge.type
        box = found.boxes[self.graph.input]
        self.edges: dict[str, Array] = {self.graph.input: self._variables(box, kind)}
        for node in self.graph.nodes[:-1]:
            sources = [self.edges[name] for name in node.inputs]
            try:
                self.edges[node.output] = outputs(
                    node.op, self, sources, self.found.boxes[node.output]
                )
            except InputError as error:
                raise InputError(f"node {node.name!r}: {error}") from None
        self._some_rival_wins()

    @classmethod
    def of(cls, relaxed: Relaxed, box: Box, label: int) -> Question:
        """The question about a box of one image.

        Raises:
            InputError: a node is unknown or too large for the solver; the line names it.
        """
        return cls(relaxed, reach(relaxed, Region(box, {})), label)

    def solve(self, seconds: float, *, seed: int) -> tuple[Verdict, tuple[int, ...] | None]:
        """PROVED if the solver says there is none, REFUTED with one, or UNKNOWN in this time."""
        verdict, solver = solved(self.model, seconds, seed=seed)
        if verdict is not Verdict.REFUTED:
            return verdict, None
        inputs = self.edges[self.graph.input]
        point = tuple(v if isinstance(v, int) else solver.value(v) for v in inputs.ravel())
        image = np.array(point).reshape(inputs.shape)
        if int(self.graph.evaluate(image)[0]) == self.label:
            raise ValueError("the solver's model is not the graph: its solution keeps the label")
        return verdict, point

    def variable(self, low: int, high: int) -> Any:
        """An integer from ``low`` to ``high``; a constant where they are one."""
        return low if low == high else self.model.new_int_var(low, high, "")

    def equal(self, expression: Any, low: int, high: int) -> Any:
        """A variable that is this sum, for later use."""
        found = self.variable(low, high)
        self.model.add(expression == found)
        return found

    def kept(
        self, expression: Any, kind: IntType, ends: tuple[int, int], box: tuple[int, int]
    ) -> Any:
        """What a register keeps of a sum within ``ends``; the interval of that is ``box``."""
        if max(map(abs, ends)) >= _SAFE:
            raise InputError(f"sums can reach {max(map(abs, ends))}; the solver takes up to 2**61")
        if kind.code_lo <= ends[0] and ends[1] <= kind.code_hi:
            return self.equal(expression, *ends)
        turns = [(end - kind.code_lo) >> kind.bits for end in ends]
        turn = self.variable(*turns)
        return self.equal(expression - turn * (1 << kind.bits), *box)

    def _variables(self, box: Box, kind: IntType) -> Array:
        found = np.empty(box.lo.shape, dtype=object)
        for place in np.ndindex(*box.lo.shape):
            low, high = int(box.lo[place]), int(box.hi[place])
            found[place] = self.variable(low, high)
            if kind.bipolar and low != high:
                domain = cp_model.Domain.from_values([-1, 1])
                found[place] = self.model.new_int_var_from_domain(domain, "")
        return found

    def _lead(self, rival: Any, label: Any) -> Any:
        """A variable that is by how much one logit leads the other."""
        (low, high), (least, most) = _ends(rival), _ends(label)
        found = self.model.new_int_var(low - most, high - least, "")
        self.model.add(found == rival - label)
        return found

    def _some_rival_wins(self) -> None:
        logits, wins = self.edges[self.graph.logits][0], []
        for rival, logit in enumerate(logits):
            if rival != self.label:
                win = self.model.new_bool_var("")
                lead = self._lead(logit, logits[self.label])
                self.model.add(lead >= (0 if rival < self.label else 1)).only_enforce_if(win)
                wins.append(win)
        self.model.add_bool_or(wins)


@singledispatch
def outputs(op: Any, question: Question, sources: Sequence[Array], box: Box) -> Array:
    """Variables or constants for every output element, tied to those of the inputs."""
    raise InputError(f"the solver's model knows no {type(op).__name__}")


@outputs.register(Window)
@outputs.register(Pad)
@outputs.register(Concat)
@outputs.register(Reshape)
@outputs.register(Transpose)
def _(op: Any, question: Question, sources: Sequence[Array], box: Box) -> Array:
    moved: Array = op.evaluate(*sources)
    for place, v in np.ndenumerate(moved):
        if isinstance(v, np.integer):  # the constant of a Pad
            moved[place] = int(v)
    return moved


@outputs.register
def _(op: MatVec, question: Question, sources: Sequence[Array], box: Box) -> Array:
    found = np.empty(box.lo.shape, dtype=object)
    (x,) = sources
    own = op.weights.shape[1] // op.positions
    rows = len(op.weights) // op.groups
    for place in np.ndindex(*found.shape):
        group = place[-1] // rows
        seen = x[place[:-1]].reshape(op.positions, op.groups, own)[:, group].ravel()
        expression, ends = _sum(op.read[place[-1]].tolist(), seen)
        if op.popcount:
            ends = (ends[0] + len(seen)) // 2, (ends[1] + len(seen)) // 2
            twice = expression + len(seen)
            expression = question.variable(*ends)
            question.model.add(twice == 2 * expression)
        found[place] = question.kept(expression, op.accumulator, ends, _at(box, place))
    return found


@outputs.register
def _(op: Add, question: Question, sources: Sequence[Array], box: Box) -> Array:
    found = np.empty(box.lo.shape, dtype=object)
    for place in np.ndindex(*found.shape):
        channel = place[-1]
        factors = [int(row[channel % len(row)]) for row in op.multipliers]
        expression, ends = _sum(factors, [source[place] for source in sources])
        offset = int(op.offset[channel % len(op.offset)])
        ends = ends[0] + offset, ends[1] + offset
        found[place] = question.kept(expression + offset, op.accumulator, ends, _at(box, place))
    return found


@outputs.register
def _(op: SumPool, question: Question, sources: Sequence[Array], box: Box) -> Array:
    taps = slide(sources[0], op.kernel, op.stride, (1, 1))
    found = np.empty(box.lo.shape, dtype=object)
    for place in np.ndindex(*found.shape):
        seen = taps[(*place[:3], slice(None), slice(None), place[3])].ravel()
        expression, ends = _sum([1] * len(seen), seen)
        found[place] = question.kept(expression, op.accumulator, ends, _at(box, place))
    return found


@outputs.register
def _(op: MaxPool, question: Question, sources: Sequence[Array], box: Box) -> Array:
    taps = slide(sources[0], op.kernel, op.stride, op.dilation)
    found = np.empty(box.lo.shape, dtype=object)
    for place in np.ndindex(*found.shape):
        seen = taps[(*place[:3], slice(None), slice(None), place[3])].ravel()
        top = question.variable(*_at(box, place))
        question.model.add_max_equality(top, list(seen))
        found[place] = top
    return found


@outputs.register
def _(op: Threshold, question: Question, sources: Sequence[Array], box: Box) -> Array:
    ladder = Ladder.of(op)
    found = np.empty(box.lo.shape, dtype=object)
    for place in np.ndindex(*found.shape):
        found[place] = _staircase(question, ladder, place[-1], sources[0][place])
    return found


def _staircase(question: Question, ladder: Ladder, channel: int, x: Any) -> Any:
    """One literal for each level that may or may not be reached."""
    low, high = _ends(x)
    first, value = ladder.first[channel].tolist(), ladder.value[channel].tolist()
    start = sum(corner <= low for corner in first) - 1
    total, before = value[start], None
    for level in range(start + 1, len(first)):
        if first[level] > high:
            break
        reached = question.model.new_bool_var("")
        question.model.add(x >= first[level]).only_enforce_if(reached)
        question.model.add(x <= first[level] - 1).only_enforce_if(~reached)
        if before is not None:
            question.model.add_implication(reached, before)
        total, before = total + (value[level] - value[level - 1]) * reached, reached
    if before is None:
        return total
    reach_of = sorted((value[start], value[level if first[level] <= high else level - 1]))
    return question.equal(total, *reach_of)


def _sum(factors: Sequence[int], seen: Iterable[Any]) -> tuple[Any, tuple[int, int]]:
    """A weighted sum and its least and largest value."""
    terms = [(factor, v) for factor, v in zip(factors, seen, strict=True) if factor]
    ends = [sorted(factor * end for end in _ends(v)) for factor, v in terms]
    bounds = sum(e[0] for e in ends), sum(e[1] for e in ends)
    constant = sum(factor * v for factor, v in terms if isinstance(v, int))
    free = [(factor, v) for factor, v in terms if not isinstance(v, int)]
    if max(map(abs, bounds), default=0) >= _SAFE:
        raise InputError(f"sums can reach {max(map(abs, bounds))}; the solver takes up to 2**61")
    weighted = cp_model.LinearExpr.weighted_sum([v for _, v in free], [f for f, _ in free])
    return weighted + constant, bounds


def _ends(v: Any) -> tuple[int, int]:
    if isinstance(v, int):
        return v, v
    domain = v.domain
    return domain.min(), domain.max()


def _at(box: Box, place: tuple[int, ...]) -> tuple[int, int]:
    return int(box.lo[place]), int(box.hi[place])
