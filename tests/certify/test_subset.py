"""Chosen bits: what they are called, what is enumerated of them, what the checker makes of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.certify import (
    BitSubset,
    Verdict,
    certify_bits,
    certify_k_flips,
    check,
    largest_k,
    one_layer_each,
    save_certificates,
    single_flips,
    with_fewer,
)
from flow.certify.k_flips import withstood
from flow.certify.plain_budget import label_withstands
from flow.certify.stored_bits import StoredBits
from flow.errors import ClaimError, InputError
from tests.certify.test_budget import some_subset
from tests.certify.test_check import tamper
from tests.engine.chains import chains, random_chain, random_inputs, random_labels
from tests.engine.images import image_graphs


def chosen_faults(graph, subset):
    stored = StoredBits.of(graph)
    return [stored.fault(int(k)) for k in np.flatnonzero(subset.positions(stored))]


@settings(max_examples=40)
@given(chains(), st.integers(0, 99))
def test_a_subset_holds_the_high_bits_of_what_it_names(graph, seed):
    subset = some_subset(graph, seed)
    faults = chosen_faults(graph, subset)
    assert len(faults) == subset.count(graph)
    for fault in StoredBits.of(graph):
        kind = graph.node(fault.node).op.stored[fault.parameter]
        named = subset.parameters is None or f"{fault.node}.{fault.parameter}" in subset.parameters
        high = subset.highest is None or fault.bit >= kind.bits - subset.highest
        assert (fault in faults) == (named and high) == subset.allows(fault, kind)
    assert BitSubset.of_terms(subset.terms()) == subset


def test_the_memory_of_thresholds_holds_the_signs_too():
    graph = next(
        g for g in map(random_chain, range(99)) if any("sign" in n.op.stored for n in g.nodes)
    )
    node = next(n for n in graph.nodes if "sign" in n.op.stored)
    subset = BitSubset.choose(graph, memories=[f"{node.name}.thresholds"])
    assert subset.parameters == (f"{node.name}.thresholds", f"{node.name}.sign")


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"layers": ["fc9"]}, "layer 'fc9' stores nothing here; choose from fc0"),
        (
            {"memories": ["fc0.biases"]},
            "memory 'fc0.biases' stores nothing here; choose from fc0.w",
        ),
    ],
)
def test_a_name_that_stores_nothing_is_refused(chosen, message):
    with pytest.raises(InputError, match=message):
        BitSubset.choose(random_chain(1), **chosen)


@pytest.mark.parametrize(
    "terms", [{"highest": 0}, {"highest": True}, {"parameters": "fc0"}, {"x": 1}]
)
def test_terms_of_no_subset_are_refused(terms):
    with pytest.raises(InputError, match="names no set of stored bits"):
        BitSubset.of_terms(terms)


@settings(max_examples=40)
@given(chains(), st.integers(0, 99))
def test_single_flips_of_a_subset_are_those_of_its_bits(tmp_path_factory, graph, seed):
    subset, x = some_subset(graph, seed), random_inputs(graph, 6)
    y = random_labels(graph, x)
    found = certify_bits(single_flips(graph, x, y=y), x, y=y, subset=subset)
    kept = graph.evaluate(x) == y
    for fault in chosen_faults(graph, subset):
        kept &= graph.evaluate(x, [fault]) == y
    assert [c.verdict is Verdict.PROVED for c in found.certificates] == kept.tolist()
    path = tmp_path_factory.mktemp("c") / "c.json"
    save_certificates(found, path)
    assert check(path, graph, x, y).enumerated == len(x)


@settings(max_examples=60)
@given(
    image_graphs() | chains(), st.integers(1, 3), st.sampled_from([0, 0, 1, 2]), st.integers(0, 99)
)
def test_the_plain_budget_decides_as_the_fast_one(graph, k, radius, seed):
    subset, x = some_subset(graph, seed), random_inputs(graph, 2)
    y = graph.evaluate(x)
    fast = withstood(graph, x, y=y, flips=k, subset=subset, radius=radius) >= k
    for image, label, held in zip(x, y, fast, strict=True):
        plain = label_withstands(graph, image, int(label), k, subset=subset, radius=radius)
        assert plain or not held  # exact knapsacks may prove more, never less


@settings(max_examples=30)
@given(chains() | image_graphs())
def test_flips_in_one_layer_are_withstood_wherever_flips_in_all_are(graph):
    x = random_inputs(graph, 4)
    y = graph.evaluate(x)
    whole = withstood(graph, x, y=y, flips=2)
    for subset in one_layer_each(graph).values():
        assert (withstood(graph, x, y=y, flips=2, subset=subset) >= whole).all()


@settings(max_examples=30)
@given(chains())
def test_the_search_for_the_largest_budget_finds_what_one_budget_shows(graph):
    x = random_inputs(graph, 6)
    y = random_labels(graph, x)
    most = min(5, BitSubset().count(graph))
    right = graph.evaluate(x) == y
    wanted = withstood(graph, x, y=y, flips=most) * right
    assert largest_k(graph, x, y=y, most=most).tolist() == wanted.tolist()


@pytest.fixture
def case(tmp_path):
    """A file about one layer, in which an image is PROVED that a flip elsewhere changes."""
    for seed in range(1000):
        graph = random_chain(seed)
        x = random_inputs(graph, 8)
        y = graph.evaluate(x)
        layers = [node.name for node in graph.nodes if node.op.stored]
        subset = BitSubset.choose(graph, layers=layers[-1:])
        if subset.count(graph) < 2:
            continue
        found = certify_k_flips(graph, x, y=y, flips=2, subset=subset)
        whole = withstood(graph, x, y=y, flips=2)
        counts = found.summary()
        if found.proved > (whole >= 2).sum() and counts["refuted"]:
            save_certificates(found, tmp_path / "c.json")
            return graph, x, y, tmp_path / "c.json", layers
    raise AssertionError("no chain where one layer withstands more")


def test_a_claim_about_one_layer_is_checked_as_such(case):
    graph, x, y, path, _ = case
    assert check(path, graph, x, y).boxes > 0


def widen(record, layers):
    record["terms"] = {}


def narrow(record, layers):
    """Witnesses outside the subset refute nothing."""
    record["terms"]["subset"] = {"parameters": [f"{layers[0]}.weights"]}
    for entry in record["certificates"]:
        if entry["verdict"] == "PROVED":
            entry["verdict"] = "UNKNOWN"


def move_the_input(record, layers):
    record["terms"]["input_radius"] = 30


@pytest.mark.parametrize("forgery", [widen, narrow, move_the_input], ids=lambda f: f.__name__)
def test_a_claim_about_other_bits_than_were_certified_is_rejected(case, forgery):
    graph, x, y, path, layers = case
    tamper(path, lambda record: forgery(record, layers))
    with pytest.raises(ClaimError, match="image"):
        check(path, graph, x, y)


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"subset": {"parameters": ["fc9.weights"]}}, "the graph stores no 'fc9.weights'"),
        ({"surprise": 1}, "does not know the terms"),
        ({"input_radius": -1}, "does not know the terms"),
    ],
)
def test_terms_that_mean_nothing_are_refused(case, terms, message):
    graph, x, y, path, _ = case
    tamper(path, lambda record: record.update(terms=terms))
    with pytest.raises(InputError, match=message):
        check(path, graph, x, y)


@settings(max_examples=40)
@given(chains() | image_graphs(), st.integers(1, 2), st.integers(1, 2))
def test_moved_inputs_and_flips_refute_together_and_are_checked(
    tmp_path_factory, graph, flips, radius
):
    x = random_inputs(graph, 4)
    y = random_labels(graph, x)
    found = certify_k_flips(graph, x, y=y, flips=flips, radius=radius)
    for image, certificate in zip(x, found.certificates, strict=True):
        if certificate.correct and certificate.verdict is Verdict.REFUTED:
            point = np.array(certificate.witness).reshape(1, *image.shape)
            assert (abs(point - image) <= radius).all()
            assert graph.evaluate(point, certificate.faults)[0] != certificate.label
    path = tmp_path_factory.mktemp("c") / "c.json"
    save_certificates(found, path)
    assert check(path, graph, x, y).boxes == found.proved
    pairs = zip(found.certificates, x, strict=True)
    if any(c.witness not in (None, tuple(image.ravel())) for c, image in pairs):
        tamper(path, lambda record: record.update(terms={}))
        with pytest.raises(ClaimError, match="image"):
            check(path, graph, x, y)


def test_certificates_of_more_flips_say_what_they_say_about_fewer(tmp_path):
    graph = random_chain(3)
    x = random_inputs(graph, 12)
    y = random_labels(graph, x)
    found = certify_k_flips(graph, x, y=y, flips=3)
    for flips in (1, 2):
        path = tmp_path / f"{flips}.json"
        fewer = with_fewer(found, flips)
        save_certificates(fewer, path)
        check(path, graph, x, y)
        for few, more in zip(fewer.certificates, found.certificates, strict=True):
            if more.verdict is Verdict.PROVED:
                assert few.verdict is Verdict.PROVED
            if few.correct and few.verdict is Verdict.REFUTED:
                assert 0 < len(few.faults) <= flips
