"""Any few elements moved, against every choice of them and every value."""

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.certify import Verdict, certify_input, certify_pixel, check, save_certificates
from flow.certify.pixels import certify_pixels, few_moved
from flow.errors import ClaimError, InputError
from tests.certify.networks import fitting_chain, fitting_chains
from tests.engine.chains import chains, random_inputs, random_labels
from tests.engine.images import image_graphs


def every_move(graph, image, radius, pixels):
    """All inputs that differ from ``image`` in at most ``pixels`` elements; the first is itself."""
    kind, flat = graph.input_edge.type, image.ravel().tolist()
    values = [-1, 1] if kind.bipolar else range(kind.lo, kind.hi + 1)
    near = [[v for v in values if abs(v - own) <= radius and v != own] for own in flat]
    points = [flat]
    for count in range(1, pixels + 1):
        for places in combinations(range(len(flat)), count):
            for moved in product(*(near[place] for place in places)):
                point = list(flat)
                for place, value in zip(places, moved, strict=True):
                    point[place] = value
                points.append(point)
    return np.array(points).reshape(-1, *image.shape)


@settings(max_examples=80, deadline=None)
@given(chains() | fitting_chains(), st.integers(1, 2), st.integers(1, 3))
def test_verdicts_about_few_elements_are_those_of_all_choices(
    tmp_path_factory, graph, radius, pixels
):
    x = random_inputs(graph, 4)
    y, pixels = random_labels(graph, x), min(pixels, x.shape[1])
    found = certify_pixels(graph, x, y=y, radius=radius, pixels=pixels)
    for k, certificate in enumerate(found.certificates):
        robust = (graph.evaluate(every_move(graph, x[k], radius, pixels)) == y[k]).all()
        assert certificate.verdict is not (Verdict.REFUTED if robust else Verdict.PROVED)
    path = tmp_path_factory.mktemp("c") / "c.json"
    save_certificates(found, path)
    checked = check(path, graph, x, y)
    assert checked.boxes + checked.enumerated >= (found.proved if pixels > 1 else 0)


@settings(max_examples=40, deadline=None)
@given(image_graphs(), st.integers(1, 2))
def test_every_activation_lies_inside_the_boxes_of_few_elements(graph, radius):
    (image,) = random_inputs(graph, 1)
    rng = np.random.default_rng(0)
    boxes = few_moved(graph, image[None], radius=radius, pixels=2)
    points = every_move(graph, image, radius, 1)
    more = every_move(graph, points[rng.integers(len(points))], radius, 1)
    more = more[(np.abs(more - image) <= radius).reshape(len(more), -1).all(axis=1)]
    for values in (graph.evaluate_all(points), graph.evaluate_all(more)):
        for name, box in boxes.items():
            assert (box.lo[0] <= values[name]).all(), name
            assert (values[name] <= box.hi[0]).all(), name


def test_few_elements_prove_more_than_the_whole_box_and_less_than_one_does():
    counts = np.zeros(3, dtype=int)
    for seed in range(30):
        graph = fitting_chain(seed)
        x = random_inputs(graph, 8)
        y = graph.evaluate(x)
        counts += [
            certify_input(graph, x, y=y, radius=2).proved,
            certify_pixels(graph, x, y=y, radius=2, pixels=2).proved,
            certify_pixel(graph, x, y=y, radius=2).proved,
        ]
    assert counts[0] < counts[1] < counts[2]


def test_a_forged_number_of_elements_is_denied(tmp_path):
    denied = 0
    for seed in range(20):
        graph = fitting_chain(seed)
        x = random_inputs(graph, 8)
        y = graph.evaluate(x)
        two = certify_pixels(graph, x, y=y, radius=2, pixels=2)
        four = certify_pixels(graph, x, y=y, radius=2, pixels=4)
        for k, (a, b) in enumerate(zip(two.certificates, four.certificates, strict=True)):
            if (a.verdict, b.verdict) == (Verdict.PROVED, Verdict.REFUTED):
                forged = replace(two, certificates=(a,), terms={"pixels": 4})
                save_certificates(forged, tmp_path / "c.json")
                with pytest.raises(ClaimError, match="the largest effects leave another class"):
                    check(tmp_path / "c.json", graph, x[[k]], y[[k]])
                denied += 1
    assert denied


@pytest.mark.parametrize(("pixels", "radius"), [(0, 1), (5, 1), (2, 0)])
def test_numbers_that_are_none_are_refused(pixels, radius):
    graph = fitting_chain(0)
    x = random_inputs(graph, 1)
    with pytest.raises(InputError, match="give 1 to 4 and 1 or more"):
        certify_pixels(graph, x, y=graph.evaluate(x), radius=radius, pixels=pixels)
