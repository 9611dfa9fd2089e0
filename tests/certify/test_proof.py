"""Proof trees are checked leaf by leaf: what is not shown is not accepted."""

from dataclasses import replace

import pytest

from flow.certify import (
    Budget,
    Effort,
    Verdict,
    certify_complete,
    certify_linear,
    check,
    load_certificates,
    save_certificates,
)
from flow.certify.proof import Leaf, RivalProof, Split, read_steps, write_steps
from flow.errors import ClaimError, InputError
from tests.certify.networks import fitting_chain
from tests.engine.chains import random_inputs

LAZY = Effort(corners=1, steps=0, moves=1, restarts=1)


def proved(*, split=False):
    """A graph, one image and its certificate, whose trees bound leaves and split somewhere."""
    for seed in range(400):
        graph = fitting_chain(seed)
        x = random_inputs(graph, 8)
        y = graph.evaluate(x)
        found = certify_complete(graph, x, y=y, radius=2, effort=LAZY)
        for k, certificate in enumerate(found.certificates):
            steps = [s for tree in certificate.proof or () for s in tree.steps]
            leaves = [s.multipliers for s in steps if isinstance(s, Leaf) and s.multipliers]
            bounded = any(any(layer) for leaf in leaves for layer in leaf)
            places = {s.place for s in steps if isinstance(s, Split)}
            if bounded and (not split or (places - {""})):
                return graph, x[[k]], y[[k]], replace(found, certificates=(certificate,))
    raise AssertionError("no proof of this kind")


def accepted(tmp_path, graph, x, y, found, proof):
    certificate = replace(found.certificates[0], proof=proof)
    save_certificates(replace(found, certificates=(certificate,)), tmp_path / "c.json")
    assert load_certificates(tmp_path / "c.json").certificates == (certificate,)
    try:
        check(tmp_path / "c.json", graph, x, y)
    except ClaimError as error:
        return "PROVED, but its box leaves another class open" not in str(error)
    return True


def each_step(proof, change):
    """The proof with one step changed, for every step that ``change`` has something for."""
    for t, tree in enumerate(proof):
        for s, step in enumerate(tree.steps):
            for new in change(step):
                steps = (*tree.steps[:s], *new, *tree.steps[s + 1 :])
                yield (*proof[:t], RivalProof(tree.rival, steps), *proof[t + 1 :])


def without_multipliers(step):
    if isinstance(step, Leaf) and step.multipliers is not None:
        yield (Leaf(),)


def other_sign(step):
    if isinstance(step, Leaf) and step.multipliers and any(map(any, step.multipliers)):
        yield (Leaf(tuple(tuple(-8 * v for v in layer) for layer in step.multipliers)),)


def fewer_multipliers(step):
    if isinstance(step, Leaf) and step.multipliers:
        yield (Leaf(step.multipliers[1:]),)
        yield (Leaf((step.multipliers[0][1:], *step.multipliers[1:])),)


def odd(step):
    if isinstance(step, Leaf) and step.multipliers:
        first = (step.multipliers[0][0] + 1, *step.multipliers[0][1:])
        yield (Leaf((first, *step.multipliers[1:])),)


def below_zero(step):
    if isinstance(step, Leaf) and step.multipliers is not None:
        yield (replace(step, weights=(-1, 1)),)
        yield (replace(step, weights=(1, -1)),)


def no_split(step):
    if isinstance(step, Split):
        yield ()


def nowhere(step):
    if isinstance(step, Split):
        yield (replace(step, place="nowhere"),)
        yield (replace(step, index=999),)
        yield (replace(step, index=-1),)


def leaf_missing(step):
    if isinstance(step, Leaf):
        yield ()


def one_leaf_more(step):
    if isinstance(step, Leaf):
        yield (step, step)


@pytest.mark.parametrize(
    "change",
    [
        without_multipliers,
        other_sign,
        fewer_multipliers,
        odd,
        below_zero,
        no_split,
        nowhere,
        leaf_missing,
        one_leaf_more,
    ],
)
def test_a_step_changed_is_a_proof_rejected(tmp_path, change):
    graph, x, y, found = proved(split=True)
    proof = found.certificates[0].proof
    assert accepted(tmp_path, graph, x, y, found, proof)
    changed = list(each_step(proof, change))
    assert changed
    results = [accepted(tmp_path, graph, x, y, found, other) for other in changed]
    # Intervals may decide a leaf that multipliers were given for; never every one.
    assert not all(results) if change in (without_multipliers, other_sign) else not any(results)


def test_every_rival_needs_its_own_tree(tmp_path):
    graph, x, y, found = proved()
    proof = found.certificates[0].proof
    for other in (proof[1:], (*proof, proof[0]), (proof[0], *proof[:-1]), ()):
        assert not accepted(tmp_path, graph, x, y, found, other) or other == proof
    own = RivalProof(int(y[0]), proof[0].steps)
    assert not accepted(tmp_path, graph, x, y, found, (own, *proof[1:]))


def test_a_tree_of_another_radius_is_rejected(tmp_path):
    rejected = 0
    for seed in range(6):
        graph = fitting_chain(seed)
        x = random_inputs(graph, 8)
        y = graph.evaluate(x)
        small = certify_complete(graph, x, y=y, radius=1, effort=LAZY)
        large = certify_complete(graph, x, y=y, radius=3, effort=LAZY)
        for k, (a, b) in enumerate(zip(small.certificates, large.certificates, strict=True)):
            if a.proof is not None and b.verdict is Verdict.REFUTED:
                forged = replace(large, certificates=(replace(a, radius=3),))
                assert not accepted(tmp_path, graph, x[[k]], y[[k]], forged, a.proof)
                rejected += 1
    assert rejected


def test_steps_are_read_as_they_were_written():
    steps = (
        Split("act 0", 3, -7),
        Leaf(),
        Split("", 0, 1),
        Leaf(((1, -2), (3,))),
        Leaf(()),
        Leaf(((4,),), (1, 0)),
    )
    assert read_steps(write_steps(steps)) == steps


@pytest.mark.parametrize(
    "line", ["", "x", "ii", "s 1 act", "s a 2 act", "d 1,b", "w 1 4", "w 1 a 4"]
)
def test_a_line_that_is_no_step_makes_the_file_damaged(line):
    with pytest.raises(ValueError, match=r".+"):
        read_steps([line])


@pytest.mark.parametrize(("seconds", "splits"), [(-1, 1), (float("nan"), 1), (1, -1)])
def test_a_budget_below_zero_is_refused(seconds, splits):
    with pytest.raises(InputError, match="give 0 or more"):
        Budget(seconds, splits)


def test_no_time_leaves_the_undecided_unknown_and_the_rest_as_it_was():
    verdicts = []
    for seed in range(12):
        graph = fitting_chain(seed)
        x = random_inputs(graph, 8)
        y = graph.evaluate(x)
        once = certify_linear(graph, x, y=y, radius=2, effort=LAZY)
        hasty = certify_complete(graph, x, y=y, radius=2, effort=LAZY, budget=Budget(0))
        assert [c.verdict for c in once.certificates] == [c.verdict for c in hasty.certificates]
        verdicts += [c.verdict for c in once.certificates]
    assert set(verdicts) == {Verdict.PROVED, Verdict.REFUTED, Verdict.UNKNOWN}
