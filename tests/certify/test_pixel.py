"""Any one element moved: exact against brute force, and re-checked by the reference alone."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.certify import Verdict, certify_pixel, check, save_certificates
from flow.certify.certificate import content_digest
from flow.errors import ClaimError, InputError
from tests.engine.chains import random_chain


def subject(seed):
    """A random network, images inside its input range, and labels that mostly are its classes."""
    rng = np.random.default_rng(seed)
    graph = random_chain(rng)
    kind = graph.input_edge.type
    shape = (6, *graph.input_edge.shape)
    x = rng.choice([-1, 1], shape) if kind.bipolar else rng.integers(kind.lo, kind.hi + 1, shape)
    y = graph.evaluate(x)
    y[0] = (y[0] + 1) % graph.edge(graph.logits).elements
    return graph, x, y


def keeps_label(graph, image, label, radius):
    kind = graph.input_edge.type
    for place in range(image.size):
        for value in range(kind.lo, kind.hi + 1):
            if kind.bipolar and value == 0:
                continue
            if abs(value - image[place]) <= radius:
                moved = image.copy()
                moved[place] = value
                if graph.evaluate(moved[None])[0] != label:
                    return False
    return True


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_verdicts_are_those_of_brute_force(seed, radius):
    graph, x, y = subject(seed)
    found = certify_pixel(graph, x, y=y, radius=radius)
    for image, label, certificate in zip(x, y, found.certificates, strict=True):
        expected = keeps_label(graph, image, label, radius)
        assert (certificate.verdict is Verdict.PROVED) == expected
        if not expected:
            witness = np.array(certificate.witness)
            assert graph.evaluate(witness[None])[0] != label
            assert (witness != image).sum() <= 1


def test_the_checker_agrees_and_refuses_a_claim_that_was_changed(tmp_path):
    for seed in range(50):
        graph, x, y = subject(seed)
        found = certify_pixel(graph, x, y=y, radius=2)
        if 0 < found.proved < len(x) - 1:
            break
    path = tmp_path / "pixel.json"
    save_certificates(found, path)
    assert check(path, graph, x, y).enumerated == found.proved

    record = json.loads(path.read_text())
    broken = next(e for e in record["certificates"] if e["correct"] and e["verdict"] == "REFUTED")
    broken["verdict"], broken["witness"] = "PROVED", None
    record["summary"]["proved"] += 1
    record["summary"]["refuted"] -= 1
    del record["content"]
    record["content"] = content_digest(record)
    path.write_text(json.dumps(record))
    with pytest.raises(ClaimError, match="PROVED, but one element moved changes it"):
        check(path, graph, x, y)


def test_a_radius_that_moves_nothing_is_refused():
    graph, x, y = subject(0)
    with pytest.raises(InputError, match="radius 0: moves nothing; give 1 or more"):
        certify_pixel(graph, x, y=y, radius=0)
