"""Which inputs a claim is about: masks, limits, and files of both."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.certify import (
    certify_complete,
    certify_input,
    check,
    load_certificates,
    save_certificates,
)
from flow.certify.ranges import Ranges, load_ranges
from flow.errors import ClaimError, InputError
from flow.ir import Edge, Graph, IntType
from tests.certify.moving import few_move, points_of
from tests.certify.networks import fitting_chain
from tests.engine.chains import BIPOLAR, random_inputs

GRAPH = Graph("g", "x", Edge((3,), IntType(5, declared=(0, 16))), (), "x")
IMAGE = np.array([[0, 8, 16]])


def test_a_box_is_the_radius_within_mask_and_limits():
    box = Ranges(mask=np.array([1, 1, 0]), high=np.array([16, 9, 16])).box(GRAPH, IMAGE, radius=3)
    assert (box.lo.tolist(), box.hi.tolist()) == ([[0, 5, 16]], [[3, 9, 16]])
    box = Ranges(low=np.array([0, 7, 14])).box(GRAPH, IMAGE, radius=16)
    assert (box.lo.tolist(), box.hi.tolist()) == ([[0, 7, 14]], [[16, 16, 16]])


def test_a_bipolar_element_stays_where_its_limit_holds_it():
    graph = Graph("g", "x", Edge((2,), BIPOLAR), (), "x")
    box = Ranges(low=np.array([-1, 1])).box(graph, np.array([[1, 1]]), radius=2)
    assert (box.lo.tolist(), box.hi.tolist()) == ([[-1, 1]], [[1, 1]])


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        (Ranges(mask=np.ones(2)), r"a mask of shape \(2,\) is none for an input 3:u5\[0..16\]"),
        (Ranges(low=np.array([0, 0])), r"`low` of shape \(2,\), 0 to 0, is none for"),
        (Ranges(high=np.array([17, 17, 17])), "17 to 17, is none for an input"),
        (Ranges(low=np.array([0, 9, 0])), "image 0 lies outside the given range; widen it"),
        (Ranges(high=np.array([16, 16, 15])), "image 0 lies outside the given range; widen it"),
    ],
)
def test_arrays_that_are_none_for_the_images_are_refused(ranges, message):
    with pytest.raises(InputError, match=message):
        ranges.box(GRAPH, IMAGE, radius=1)


def test_files_of_masks_and_limits_are_read(tmp_path):
    np.save(tmp_path / "m.npy", np.array([True, False]))
    np.savez(tmp_path / "m.npz", mask=np.array([0, 2]))
    np.savez(tmp_path / "r.npz", low=np.array([1, 2]), high=np.array([3, 4]))
    found = load_ranges(tmp_path / "m.npy", tmp_path / "r.npz")
    assert found.terms == {"mask": [0], "low": [1, 2], "high": [3, 4]}
    assert load_ranges(tmp_path / "m.npz", None).terms == {"mask": [1]}
    assert load_ranges(None, None).terms == {}


def test_files_that_are_something_else_are_refused(tmp_path):
    (tmp_path / "text.npy").write_text("hello")
    np.save(tmp_path / "none.npy", np.zeros(3, dtype=int))
    np.save(tmp_path / "real.npy", np.ones(3))
    np.savez(tmp_path / "other.npz", a=np.ones(3, dtype=int))
    for mask, limits, message in (
        ("away.npy", None, "no such file; save it with numpy"),
        ("text.npy", None, "not a numpy file of plain arrays"),
        ("none.npy", None, "marks no element"),
        ("real.npy", None, "is float64; want integers"),
        ("other.npz", None, "holds a; want one array `mask`"),
        (None, "other.npz", "want an .npz file of `low` and `high`"),
        (None, "none.npy", "want an .npz file of `low` and `high`"),
    ):
        paths = [None if name is None else tmp_path / name for name in (mask, limits)]
        with pytest.raises(InputError, match=message) as refused:
            load_ranges(*paths)
        assert "\n" not in str(refused.value)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_claims_about_marked_elements_hold_for_all_of_them(tmp_path_factory, seed, radius):
    path, graph = tmp_path_factory.mktemp("c") / "c.json", fitting_chain(seed)
    x = random_inputs(graph, 4)
    y, ranges = graph.evaluate(x), few_move(graph, x, seed)
    found = certify_complete(graph, x, y=y, radius=radius, ranges=ranges)
    boxes = ranges.box(graph, x, radius=radius)
    for k, certificate in enumerate(found.certificates):
        points = points_of(graph, boxes[[k]])
        assert (certificate.verdict == "PROVED") == bool((graph.evaluate(points) == y[k]).all())
    save_certificates(found, path)
    assert check(path, graph, x, y).boxes == found.proved
    assert load_certificates(path) == found


def test_a_file_with_wider_terms_than_were_proved_is_denied(tmp_path):
    denied = 0
    for seed in range(12):
        graph = fitting_chain(seed)
        x = random_inputs(graph, 8)
        y = graph.evaluate(x)
        small = certify_input(graph, x, y=y, radius=2, ranges=Ranges(mask=np.array([1, 0, 0, 0])))
        whole = certify_complete(graph, x, y=y, radius=2)
        for k, (a, b) in enumerate(zip(small.certificates, whole.certificates, strict=True)):
            if (a.verdict, b.verdict) == ("PROVED", "REFUTED"):
                forged = replace(small, certificates=(a,), terms={"mask": [0, 1, 2, 3]})
                save_certificates(forged, tmp_path / "c.json")
                with pytest.raises(ClaimError, match="its box leaves another class open"):
                    check(tmp_path / "c.json", graph, x[[k]], y[[k]])
                denied += 1
    assert denied


@pytest.mark.parametrize("terms", [{"mask": [9]}, {"low": [0]}, {"high": ["a"] * 4}, {"mask": 1}])
def test_terms_that_are_none_for_the_input_are_refused(tmp_path, terms):
    graph = fitting_chain(1)
    x = random_inputs(graph, 2)
    y = graph.evaluate(x)
    found = replace(certify_input(graph, x, y=y, radius=0), terms=terms)
    save_certificates(found, tmp_path / "c.json")
    assert json.loads((tmp_path / "c.json").read_text())["terms"] == terms
    with pytest.raises(InputError, match="its mask or limits are none for this input"):
        check(tmp_path / "c.json", graph, x, y)
