"""A test set is certified in parts: a kill loses at most the part it was in."""

from functools import partial

import pytest

from flow.certify import certify_input, certify_linear, load_certificates
from flow.certify.parts import in_parts
from flow.errors import InputError
from tests.engine.chains import random_chain, random_inputs, random_labels


@pytest.fixture
def subject():
    graph = random_chain(3)
    x = random_inputs(graph, 11)
    return graph, (x, random_labels(graph, x))


def certify_killed_at(part, calls, graph, x, *, y, radius, progress=None):
    calls.append(len(x))
    if len(calls) == part:
        raise KeyboardInterrupt
    return certify_input(graph, x, y=y, radius=radius, progress=progress)


def run(graph, data, path, *, kill=None, radius=1, progress=None):
    """Certify 4 images at a time; the sizes of the parts that were really certified."""
    calls = []
    certify = partial(certify_killed_at, kill, calls, radius=radius)
    asked = {"radius": radius}
    in_parts(certify, graph, data, path=path, asked=asked, images=4, progress=progress)
    return calls


def test_parts_join_to_what_one_run_gives(subject, tmp_path):
    graph, (x, y) = subject
    path = tmp_path / "c.json"
    assert run(graph, (x, y), path) == [4, 4, 3]
    assert load_certificates(path) == certify_input(graph, x, y=y, radius=1)
    assert [entry.name for entry in tmp_path.iterdir()] == ["c.json"]


def test_a_killed_run_goes_on_behind_its_last_whole_part(subject, tmp_path):
    graph, data = subject
    with pytest.raises(KeyboardInterrupt):
        run(graph, data, tmp_path / "c.json", kill=3)
    assert not (tmp_path / "c.json").exists()
    assert run(graph, data, tmp_path / "c.json") == [3]
    run(graph, data, tmp_path / "d.json")
    assert (tmp_path / "c.json").read_bytes() == (tmp_path / "d.json").read_bytes()


def test_parts_of_another_question_or_graph_or_label_are_not_taken(subject, tmp_path):
    graph, (x, y) = subject
    path = tmp_path / "c.json"
    with pytest.raises(KeyboardInterrupt):
        run(graph, (x, y), path, kill=3)
    parts = {p.name: p.read_bytes() for p in (tmp_path / "c.json.parts").iterdir()}
    assert run(graph, (x, y), path, radius=2) == [4, 4, 3]
    for other in (random_chain(4), graph):
        folder = tmp_path / "c.json.parts"
        folder.mkdir()
        for name, text in parts.items():
            (folder / name).write_bytes(text)
        inputs = (x, y) if other is graph else (random_inputs(other, 11), None)
        labels = 1 - y if other is graph else random_labels(other, inputs[0])
        assert run(other, (inputs[0], labels % 2), path) == [4, 4, 3]


def test_a_part_that_was_damaged_is_refused_by_name(subject, tmp_path):
    graph, data = subject
    with pytest.raises(KeyboardInterrupt):
        run(graph, data, tmp_path / "c.json", kill=2)
    (part,) = (tmp_path / "c.json.parts").iterdir()
    part.write_text(part.read_text().replace("PROVED", "REFUTED", 1) + " x")
    with pytest.raises(InputError, match=part.name):
        run(graph, data, tmp_path / "c.json")


def test_progress_counts_images_of_the_whole(subject, tmp_path):
    graph, data = subject
    told = []
    run(graph, data, tmp_path / "c.json", progress=lambda done, of: told.append((done, of)))
    assert told == sorted(told)
    assert {of for _, of in told} == {11}
    assert {(4, 11), (8, 11), (11, 11)} <= set(told)


def test_processes_that_share_the_parts_write_what_one_writes(subject, tmp_path):
    graph, (x, y) = subject
    certify = partial(certify_linear, radius=1)
    one, many = tmp_path / "one.json", tmp_path / "many.json"
    in_parts(certify, graph, (x, y), path=one, asked={}, images=4)
    steps = []
    found = in_parts(
        certify, graph, (x, y), path=many, asked={}, images=4, jobs=2,
        progress=lambda *step: steps.append(step),
    )  # fmt: skip
    assert found == load_certificates(one)
    assert many.read_bytes() == one.read_bytes()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["many.json", "one.json"]
    assert steps[-1] == (11, 11)
    assert steps[:3] == sorted(steps[:3])


def test_a_process_that_refuses_its_part_leaves_the_others_to_go_on_from(subject, tmp_path):
    graph, (x, y) = subject
    path = tmp_path / "c.json"
    wrong = x.copy()
    wrong[-1] = 99  # outside the input's type
    with pytest.raises(InputError, match="images of shape"):
        in_parts(
            partial(certify_linear, radius=1), graph, (wrong, y), path=path, asked={}, images=4,
            jobs=2,
        )  # fmt: skip
    assert not path.exists()
    kept = len(list((tmp_path / "c.json.parts").iterdir()))
    assert kept >= 1
    calls = []
    certify = partial(certify_killed_at, None, calls, radius=1)
    in_parts(certify, graph, (x, y), path=path, asked={}, images=4)
    assert len(calls) == 3 - kept
