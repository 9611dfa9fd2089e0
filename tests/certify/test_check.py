"""The independent checker accepts what was proved and rejects what was tampered with."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.certify import (
    Checked,
    Verdict,
    certify_bits,
    certify_input,
    certify_pixel,
    check,
    load_certificates,
    save_certificates,
    single_flips,
)
from flow.certify.box import input_box
from flow.certify.certificate import content_digest
from flow.certify.input import prove_labels
from flow.certify.plain_bounds import near
from flow.certify.plain_proof import label_holds
from flow.errors import ClaimError, InputError
from tests.engine.chains import chains, random_chain, random_inputs, random_labels


@settings(max_examples=80, deadline=None)
@given(chains(), st.integers(0, 3))
def test_the_plain_bound_decides_as_the_fast_one(graph, radius):
    x = random_inputs(graph, 6)
    y = random_labels(graph, x)
    fast = prove_labels(graph, input_box(graph, x, radius=radius), y)
    plain = [
        label_holds(graph, near(graph, xi, radius), int(yi)) for xi, yi in zip(x, y, strict=True)
    ]
    assert fast.tolist() == plain


@settings(max_examples=20, deadline=None)
@given(chains(), st.integers(0, 2))
def test_what_is_certified_is_accepted(tmp_path_factory, graph, radius):
    path = tmp_path_factory.mktemp("c") / "c.json"
    x = random_inputs(graph, 6)
    y = random_labels(graph, x)
    found = certify_input(graph, x, y=y, radius=radius)
    save_certificates(found, path)
    assert load_certificates(path) == found
    refuted = sum(c.verdict is Verdict.REFUTED for c in found.certificates)
    assert check(path, graph, x, y) == Checked(found.proved, refuted, 0, 0)
    found = certify_bits(single_flips(graph, x, y=y), x, y=y)
    save_certificates(found, path)
    assert load_certificates(path) == found
    assert check(path, graph, x, y) == Checked(0, 6 - found.proved, 6, 0)


def mixed(claim):
    """A graph, images and certificates with every verdict among them."""
    for seed in range(1000):
        graph = random_chain(seed)
        x = random_inputs(graph, 12)
        y = random_labels(graph, x)
        if claim == "input":
            found = certify_input(graph, x, y=y, radius=1)
        elif claim == "pixel":
            found = certify_pixel(graph, x, y=y, radius=1)
        else:
            found = certify_bits(single_flips(graph, x, y=y), x, y=y)
        counts = found.summary()
        if min(counts["misclassified"], counts["proved"], counts["refuted"]) > 0:
            return graph, x, y, found
    raise AssertionError("no chain with every verdict")


@pytest.fixture(params=["input", "pixel", "bits"])
def case(request, tmp_path):
    graph, x, y, found = mixed(request.param)
    save_certificates(found, tmp_path / "c.json")
    return graph, x, y, tmp_path / "c.json"


def tamper(path, change):
    """Edit the record as a forger would, who also repairs summary and hash."""
    record = json.loads(path.read_text())
    change(record)
    entries = record["certificates"]
    correct = [e for e in entries if e["correct"]]
    record["summary"] = {
        "total": len(entries),
        "correct": len(correct),
        "misclassified": len(entries) - len(correct),
        **{
            v.lower(): sum(e["verdict"] == v for e in correct)
            for v in (Verdict.PROVED, Verdict.REFUTED, Verdict.UNKNOWN)
        },
    }
    if any(e["evidence"] == "solver" for e in entries):
        record["summary"]["by_solver"] = sum(e["evidence"] == "solver" for e in entries)
    del record["content"]
    record["content"] = content_digest(record)
    path.write_text(json.dumps(record))


def first(record, verdict, correct=True):
    return next(
        e for e in record["certificates"] if e["verdict"] == verdict and e["correct"] == correct
    )


def claim_proved(record):
    first(record, "REFUTED").update(verdict="PROVED", witness=None, fault=None)


def claim_misclassified_proved(record):
    entry = first(record, "REFUTED", correct=False)
    entry.update(verdict="PROVED", correct=True, witness=None, fault=None)


def claim_correct(record):
    first(record, "REFUTED", correct=False)["correct"] = True


def claim_proved_of_the_misclassified(record):
    first(record, "REFUTED", correct=False).update(verdict="PROVED", witness=None)


def drop_witness(record):
    first(record, "REFUTED").update(witness=None, fault=None)


def trust_a_solver(record):
    first(record, "PROVED")["evidence"] = "solver"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (claim_proved, "PROVED, but"),
        (claim_misclassified_proved, "its class is"),
        (claim_correct, "its class is"),
        (claim_proved_of_the_misclassified, "misclassified, yet PROVED"),
        (drop_witness, "its witness does not break it"),
        (trust_a_solver, "its evidence is trust in a solver, which cannot be replayed"),
    ],
)
def test_a_forged_claim_is_rejected(case, change, message):
    graph, x, y, path = case
    check(path, graph, x, y)
    tamper(path, change)
    with pytest.raises(ClaimError, match=message):
        check(path, graph, x, y)


def test_a_larger_radius_than_proved_is_rejected(tmp_path):
    for seed in range(1000):
        graph = random_chain(seed)
        x = random_inputs(graph, 8)
        y = graph.evaluate(x)
        near = certify_input(graph, x, y=y, radius=0)
        far = certify_input(graph, x, y=y, radius=2)
        if far.summary()["refuted"] and near.proved == 8:
            break
    save_certificates(near, tmp_path / "c.json")
    tamper(tmp_path / "c.json", lambda record: record.update(radius=2))
    with pytest.raises(ClaimError, match="PROVED, but its box leaves another class open"):
        check(tmp_path / "c.json", graph, x, y)


def test_a_witness_outside_the_radius_is_rejected(tmp_path):
    graph, x, y, found = mixed("input")
    save_certificates(found, tmp_path / "c.json")
    tamper(tmp_path / "c.json", lambda record: record.update(radius=0))
    with pytest.raises(ClaimError, match="its witness does not break it"):
        check(tmp_path / "c.json", graph, x, y)


def test_a_witness_of_impossible_numbers_is_rejected(tmp_path):
    graph, x, y, found = mixed("input")
    save_certificates(found, tmp_path / "c.json")
    tamper(tmp_path / "c.json", lambda r: first(r, "REFUTED")["witness"].__setitem__(0, 10**30))
    with pytest.raises(ClaimError, match="its witness does not break it"):
        check(tmp_path / "c.json", graph, x, y)


def test_a_witness_that_moves_two_elements_breaks_no_pixel_claim(tmp_path):
    graph, x, y, found = mixed("pixel")
    kind = graph.input_edge.type
    save_certificates(found, tmp_path / "c.json")

    def move_another(record):
        for number, entry in enumerate(record["certificates"]):
            for place, value in enumerate(entry["witness"] or []):
                moved = np.array(entry["witness"])
                moved[place] = -value if kind.bipolar else value + (1 if value < kind.hi else -1)
                two = (moved != x[number]).sum() == 2 and abs(moved - x[number]).max() <= 1
                if two and graph.evaluate(moved[None])[0] != y[number]:
                    entry["witness"] = moved.tolist()
                    return
        raise AssertionError("no witness has a second move")

    tamper(tmp_path / "c.json", move_another)
    with pytest.raises(ClaimError, match="its witness does not break it"):
        check(tmp_path / "c.json", graph, x, y)


def test_other_effects_of_the_flips_are_noticed(tmp_path):
    graph, x, y, found = mixed("bits")
    save_certificates(found, tmp_path / "c.json")
    tamper(tmp_path / "c.json", lambda record: record.update(enumeration="0" * 64))
    check(tmp_path / "c.json", graph, x, y, images=[0])
    with pytest.raises(ClaimError, match="the flips, enumerated again, have other effects"):
        check(tmp_path / "c.json", graph, x, y)


def test_only_the_chosen_images_are_enumerated(tmp_path):
    graph, x, y, found = mixed("bits")
    save_certificates(found, tmp_path / "c.json")
    proved = [k for k, c in enumerate(found.certificates) if c.verdict is Verdict.PROVED]
    done = check(tmp_path / "c.json", graph, x, y, images=proved[:1])
    assert (done.enumerated, done.unchecked) == (1, len(proved) - 1)
    with pytest.raises(InputError, match=r"images \[0, 12\]: choose from 0 to 11"):
        check(tmp_path / "c.json", graph, x, y, images=[12, 0])


def test_every_changed_byte_is_noticed(case):
    graph, x, y, path = case
    text = path.read_bytes()
    for position in range(0, len(text), 97):
        broken = bytearray(text)
        broken[position] ^= 2
        path.write_bytes(broken)
        try:
            record = json.loads(broken)
        except ValueError:
            record = None
        if record == json.loads(text):
            continue  # white space
        with pytest.raises(InputError):
            check(path, graph, x, y)


def test_another_graph_or_other_images_are_refused(case):
    graph, x, y, path = case
    other = random_chain(987654)
    with pytest.raises(InputError, match="about another graph"):
        check(path, other, x, y)
    with pytest.raises(InputError, match="12 certificates for 11 images"):
        check(path, graph, x[1:], y[1:])
    with pytest.raises(InputError, match="image 0 or its label is another"):
        check(path, graph, x, (y + 1) % 2)
    distinct = next(k for k in range(12) if (x[k] != x[0]).any())
    with pytest.raises(InputError, match="image 0 or its label is another"):
        check(path, graph, np.concatenate([x[distinct:], x[:distinct]]), y)


def test_a_missing_file_says_how_to_make_it(tmp_path):
    with pytest.raises(InputError, match="no such file; make it with `bitproof certify`"):
        load_certificates(tmp_path / "none.json")


def test_another_format_is_refused(tmp_path):
    (tmp_path / "c.json").write_text('{"format": 9}')
    with pytest.raises(InputError, match="not a certificate file of format 2"):
        load_certificates(tmp_path / "c.json")
