"""CP-SAT as last resort, and bitwuzla as its cross-check, against every input."""

import hashlib
import json

import bitwuzla as bw
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.certify import Budget, Evidence, Verdict, check, input_box, save_certificates
from flow.certify.box import Box
from flow.certify.relaxed import Relaxed
from flow.certify.solver import Question, certify_cpsat
from flow.errors import ClaimError
from flow.ir import Edge, Graph, IntType, Node
from flow.ops import ArgMax, MatVec, Threshold
from tests.certify.moving import few_move, points_of
from tests.certify.networks import fitting_chain, fitting_chains
from tests.certify.test_box import every_input
from tests.engine.chains import chains, random_chain, random_inputs, random_labels
from tests.engine.images import image_graphs


@settings(max_examples=40, deadline=None)
@given(chains() | fitting_chains() | image_graphs(), st.integers(0, 2**32 - 1), st.integers(0, 2))
def test_the_solver_answers_as_all_inputs_do(graph, seed, radius):
    x = random_inputs(graph, 1, seed % 1000)
    (label,) = random_labels(graph, x)
    box = few_move(graph, x, seed, most=100).box(graph, x, radius=radius)
    answer, witness = Question.of(Relaxed.of(graph), box, int(label)).solve(60, seed=0)
    robust = (graph.evaluate(points_of(graph, box)) == label).all()
    assert answer is (Verdict.PROVED if robust else Verdict.REFUTED)
    if witness is not None:
        point = np.array(witness).reshape(x.shape)
        assert ((box.lo <= point) & (point <= box.hi)).all()
        assert graph.evaluate(point)[0] != label


def only_question(nodes, low, high):
    """Whether label 0 is kept by every single input from ``low`` to ``high``."""
    graph = Graph("one", "x", Edge((1,), IntType(2)), (*nodes, last_node(nodes)), "class")
    box = Box(np.array([[low]]), np.array([[high]]))
    return Question.of(Relaxed.of(graph), box, 0).solve(60, seed=0)[0]


def last_node(nodes):
    return Node("argmax", ArgMax(), (nodes[-1].output,), "class")


def test_an_input_on_a_threshold_has_reached_it_for_the_solver_too():
    twice = MatVec([[1], [1]], IntType(2, True), IntType(4, True))
    both = Threshold([[2], [2]], IntType(4, True), [1, 1], 0, IntType(1))
    difference = MatVec([[0, 0], [1, -1]], IntType(2, True), IntType(4, True))
    nodes = (
        Node("fc0", twice, ("x",), "a"),
        Node("act", both, ("a",), "b"),
        Node("fc1", difference, ("b",), "c"),
    )
    assert only_question(nodes, 1, 3) is Verdict.PROVED


def test_a_sum_that_wraps_does_so_for_the_solver_too():
    op = MatVec([[1], [0]], IntType(2, True), IntType(2, True))
    nodes = (Node("fc", op, ("x",), "a"),)
    assert only_question(nodes, 0, 1) is Verdict.PROVED
    assert only_question(nodes, 0, 3) is Verdict.REFUTED  # 2 is kept as -2


def by_the_solver():
    """A chain with images that only the solver decides, with its certificates."""
    for seed in range(400):
        graph = fitting_chain(seed)
        x = random_inputs(graph, 8)
        y = graph.evaluate(x)
        yield graph, x, y


def test_what_the_solver_proves_is_counted_apart_and_can_be_run_again(tmp_path):
    solved = 0
    for graph, x, y in by_the_solver():
        found = certify_cpsat(graph, x, y=y, radius=2, models=tmp_path / "models")
        assert found.summary()["unknown"] == 0
        own = [c for c in found.certificates if c.evidence is Evidence.SOLVER]
        assert found.summary().get("by_solver", 0) == len(own)
        for certificate in own:
            path = tmp_path / "models" / certificate.detail["model"]
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
            save_certificates(found, tmp_path / "c.json")
            with pytest.raises(ClaimError, match="is trust in OR-tools CP-SAT 9"):
                check(tmp_path / "c.json", graph, x, y)
        solved += len(own)
        if solved:
            assert json.loads((tmp_path / "c.json").read_text())["summary"]["by_solver"]
            return
    raise AssertionError("no image that only the solver decides")


def test_no_time_for_the_solver_leaves_the_undecided_unknown(tmp_path):
    for graph, x, y in by_the_solver():
        own = {"radius": 2, "models": tmp_path}
        found = certify_cpsat(graph, x, y=y, budget=Budget(0), **own)
        if found.summary()["unknown"]:
            assert certify_cpsat(graph, x, y=y, **own).summary()["unknown"] == 0
            return
    raise AssertionError("no image that only the solver decides")


def by_bitwuzla(graph, image, radius, label):
    """Whether some input within the radius has another class, in bit-vectors of 24 bits."""
    terms, width = bw.TermManager(), 24
    sort, kinds = terms.mk_bv_sort(width), bw.Kind
    constant = lambda v: terms.mk_bv_value(sort, int(v) % 2**width)  # noqa: E731
    solver = bw.Bitwuzla(terms)
    values = []
    for place, own in enumerate(image.tolist()):
        v = terms.mk_const(sort, f"x{place}")
        kind = graph.input_edge.type
        low, high = max(kind.lo, own - radius), min(kind.hi, own + radius)
        solver.assert_formula(terms.mk_term(kinds.BV_SGE, [v, constant(low)]))
        solver.assert_formula(terms.mk_term(kinds.BV_SLE, [v, constant(high)]))
        if kind.bipolar:
            zero = terms.mk_term(kinds.EQUAL, [v, constant(0)])
            solver.assert_formula(terms.mk_term(kinds.NOT, [zero]))
        values.append(v)
    for node in graph.nodes[:-1]:
        op, made = node.op, []
        for channel in range(graph.edge(node.output).shape[0]):
            if isinstance(op, MatVec):
                total = constant(0)
                for w, v in zip(op.read[channel], values, strict=True):
                    part = terms.mk_term(kinds.BV_MUL, [constant(w), v])
                    total = terms.mk_term(kinds.BV_ADD, [total, part])
                if op.popcount:
                    total = terms.mk_term(kinds.BV_ADD, [total, constant(len(values))])
                    total = terms.mk_term(kinds.BV_ASHR, [total, constant(1)])
                bits, extend = op.accumulator.bits, kinds.BV_ZERO_EXTEND
                if op.accumulator.signed:
                    extend = kinds.BV_SIGN_EXTEND
                kept = terms.mk_term(kinds.BV_EXTRACT, [total], [bits - 1, 0])
                made.append(terms.mk_term(extend, [kept], [width - bits]))
            else:
                level = constant(0)
                for t in op.thresholds[channel]:
                    reached = terms.mk_term(kinds.BV_SGE, [values[channel], constant(t)])
                    more = terms.mk_term(kinds.ITE, [reached, constant(1), constant(0)])
                    level = terms.mk_term(kinds.BV_ADD, [level, more])
                steps = op.thresholds.shape[1]
                if op.sign[channel] < 0:
                    level = terms.mk_term(kinds.BV_SUB, [constant(steps), level])
                level = terms.mk_term(kinds.BV_ADD, [level, constant(op.base)])
                if op.output.bipolar:
                    twice = terms.mk_term(kinds.BV_ADD, [level, level])
                    level = terms.mk_term(kinds.BV_SUB, [twice, constant(1)])
                made.append(level)
        values = made
    wins = [
        terms.mk_term(kinds.BV_SGE if j < label else kinds.BV_SGT, [v, values[label]])
        for j, v in enumerate(values)
        if j != label
    ]
    solver.assert_formula(terms.mk_term(kinds.OR, wins) if len(wins) > 1 else wins[0])
    return solver.check_sat() == bw.Result.SAT


def test_a_solver_of_bit_vectors_agrees():
    compared = 0
    for seed in range(60):
        graph = random_chain(seed)
        plain = all(
            isinstance(n.op, MatVec) or (isinstance(n.op, Threshold) and n.op.compare == "count")
            for n in graph.nodes[:-1]
        )
        if not plain or graph.edge(graph.logits).shape[0] < 2:
            continue
        (image,) = x = random_inputs(graph, 1)
        label = int(graph.evaluate(x)[0])
        box = input_box(graph, x, radius=1)
        answer, _ = Question.of(Relaxed.of(graph), box, label).solve(60, seed=0)
        broken = by_bitwuzla(graph, image, 1, label)
        assert (answer is Verdict.REFUTED) == broken
        assert broken == (graph.evaluate(every_input(graph, image, 1)) != label).any()
        compared += 1
    assert compared > 10
