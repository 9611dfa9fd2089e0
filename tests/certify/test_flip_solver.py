"""The solver's answer about k flips of small chains, against every set of bits."""

import hashlib
import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.certify import (
    BitSubset,
    Evidence,
    StoredBits,
    Verdict,
    check,
    save_certificates,
    with_fewer,
)
from flow.certify.flip_answers import certify_flips_by_solver
from flow.certify.flip_solver import FlipQuestion
from flow.errors import ClaimError, InputError
from flow.ir import Edge, Fault, Graph, IntType, Node
from flow.ops import Add, ArgMax, Decode, MatVec, Threshold
from tests.certify.test_budget import some_subset
from tests.certify.test_exact import faults_of, fewest, two_layers
from tests.engine.chains import chains, random_chain, random_inputs
from tests.engine.images import random_image_graph

SETS = 600


def assert_answers_as_brute_force(graph, subset, seed):
    (image,) = random_inputs(graph, 1, seed % 1000)
    label = int(graph.evaluate(image[None])[0])
    faults = faults_of(graph, subset)
    k = 1 if math.comb(len(faults), 2) > SETS or len(faults) < 2 else 2
    question = FlipQuestion(graph, image, label, flips=k, subset=subset)
    answer, flips = question.solve(60)
    broken = fewest(graph, image, label, faults, k) <= k
    assert answer is (Verdict.REFUTED if broken else Verdict.PROVED)
    if flips is not None:
        assert 1 <= len(flips) <= k
        assert set(flips) <= set(faults)
        assert int(graph.evaluate(image[None], flips)[0]) != label


@settings(max_examples=50, deadline=None)
@given(chains(), st.integers(0, 2**32 - 1))
def test_the_solver_answers_about_flips_as_brute_force_does(graph, seed):
    subset = some_subset(graph, seed)
    for node in graph.nodes:
        clamped = getattr(node.op, "decode", None) is Decode.CLAMP
        if clamped and subset.of(node.name, node.op):
            message = f"node '{node.name}': flips of clamped weights do not add up"
            with pytest.raises(InputError, match=message):
                FlipQuestion(graph, random_inputs(graph, 1)[0], 0, flips=1, subset=subset)
            return
    assert_answers_as_brute_force(graph, subset, seed)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_flips_of_several_layers_together_are_decided(seed, deep):
    graph = two_layers(seed, deep=deep)
    rng = np.random.default_rng(seed)
    highest = [None, 1][rng.integers(2)]
    assert_answers_as_brute_force(graph, BitSubset(highest=highest), seed)


def test_a_turned_sign_turns_the_level():
    stairs = Threshold([[1]], IntType(3, True), [1], 0, IntType(1), signs_stored=True)
    small = IntType(2, True)
    nodes = (
        Node("act", stairs, ("x",), "a"),
        Node("last", MatVec([[1], [0]], small, IntType(3, True)), ("a",), "b"),
        Node("scale", Add([[1, 1]], [-1, 0], IntType(3, True)), ("b",), "c"),
        Node("argmax", ArgMax(), ("c",), "class"),
    )
    graph = Graph("turned", "x", Edge((1,), IntType(1)), nodes, "class")
    question = FlipQuestion(
        graph, np.array([1]), 0, flips=1, subset=BitSubset(parameters=("act.sign",))
    )
    assert question.solve(60) == (Verdict.REFUTED, (Fault("act", "sign", (0,), 0),))


def decided_by_the_solver(models):
    """A chain, images and certificates of two flips, one of which only the solver could give."""
    graph = random_chain(212)
    x = random_inputs(graph, 6)
    y = graph.evaluate(x)
    found = certify_flips_by_solver(graph, x, y=y, flips=2, models=models)
    assert found.summary()["by_solver"] == 1
    return graph, x, y, found


def test_what_the_solver_proves_about_flips_is_trust_and_can_be_run_again(tmp_path):
    graph, x, y, found = decided_by_the_solver(tmp_path / "models")
    assert found.summary()["unknown"] == 0
    save_certificates(found, tmp_path / "c.json")
    with pytest.raises(ClaimError, match="is trust in OR-tools CP-SAT 9"):
        check(tmp_path / "c.json", graph, x, y)
    own = [c for c in found.certificates if c.evidence is Evidence.SOLVER]
    for certificate in own:
        path = tmp_path / "models" / certificate.detail["model"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
        assert certificate.detail["bounds"] < certificate.detail["certified"] == 2
    k = found.certificates.index(own[0])
    for flips in combinations(StoredBits.of(graph), 2):
        assert int(graph.evaluate(x[[k]], flips)[0]) == y[k]


@pytest.mark.parametrize(("bounds", "evidence"), [(0, "solver"), (1, "replayable")])
def test_fewer_flips_that_budgets_certify_need_no_trust(tmp_path, bounds, evidence):
    _, _, _, found = decided_by_the_solver(tmp_path)
    own = [replace(c, detail={**c.detail, "bounds": bounds}) for c in found.certificates]
    fewer = with_fewer(replace(found, certificates=tuple(own)), 1)
    for two, one in zip(own, fewer.certificates, strict=True):
        if two.evidence is Evidence.SOLVER:
            assert (one.evidence, one.verdict) == (evidence, Verdict.PROVED)
            assert (one.detail["certified"], "model" in one.detail) == (1, bounds == 0)


def test_no_time_for_the_solver_leaves_flips_open(tmp_path):
    graph, x, y, found = decided_by_the_solver(tmp_path / "models")
    hasty = certify_flips_by_solver(graph, x, y=y, flips=2, models=tmp_path, seconds=0)
    assert hasty.summary()["unknown"] >= found.summary()["by_solver"]
    assert hasty.summary().get("by_solver", 0) == 0


def test_image_networks_are_refused_by_name():
    graph = random_image_graph(0)
    (image,) = random_inputs(graph, 1)
    with pytest.raises(InputError, match=r"node '.*': the solver's model of flips"):
        FlipQuestion(graph, image, 0, flips=1, subset=BitSubset())
