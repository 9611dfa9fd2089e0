"""Every frozen network is what its row says, and every reader of it computes the same."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from flow.agreement import agree_qonnx
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.graphfile import digest
from flow.ingest import lower
from models import frozen
from models.data import load_dataset

ENTRIES = frozen.entries()
IMAGES = 2


@pytest.fixture(scope="module", params=ENTRIES, ids=lambda e: e.name)
def entry(request):
    return request.param


@pytest.fixture(scope="module")
def lowered(entry):
    return lower(entry.path)


@pytest.fixture(scope="module")
def x(lowered):
    edge = lowered.graph.input_edge
    return np.random.default_rng(5).integers(0, edge.type.hi + 1, (IMAGES, *edge.shape))


def test_file_and_graph_are_the_ones_of_the_row(entry, lowered):
    assert hashlib.sha256(entry.path.read_bytes()).hexdigest() == entry.sha256
    assert digest(lowered.graph) == entry.digest
    assert len(lowered.graph.logit_affine) == entry.classes


def test_a_trained_network_is_as_accurate_as_its_row_says(entry, lowered, tmp_path):
    if entry.weights == "random":
        assert (entry.correct, entry.images, entry.recipe) == (0, 0, "")
        return
    if entry.dataset != "digits" and "BITPROOF_DATA" not in os.environ:
        pytest.skip(f"needs {entry.dataset}: set BITPROOF_DATA to the folder that holds it")
    data = load_dataset(entry.dataset, root=Path(os.environ.get("BITPROOF_DATA", tmp_path)))
    found = BatchedEngine(lowered.graph).run(data.test_x)
    assert (int((found == data.test_y).sum()), len(found)) == (entry.correct, entry.images)


def test_qonnx_agrees_at_every_quantizer_logit_and_class(entry, lowered, x):
    found = agree_qonnx(entry.path, lowered, x)
    assert found.holds
    assert found.elements >= found.tensors * IMAGES


def test_the_batched_engine_equals_the_reference_at_every_edge(lowered, x):
    wanted = lowered.graph.evaluate_all(x)
    for name, values in BatchedEngine(lowered.graph).run_all(x).items():
        np.testing.assert_array_equal(values, wanted[name], err_msg=name)


def test_images_tell_the_network_something(lowered, x):
    values = lowered.graph.evaluate_all(x)
    logits = values[lowered.graph.logits]
    assert (logits[0] != logits[1]).any()


def test_the_folder_holds_the_rows_files_and_stays_small():
    files = {path.stem for path in frozen.FOLDER.glob("*.onnx")}
    assert files == {entry.name for entry in ENTRIES}
    assert sum(path.stat().st_size for path in frozen.FOLDER.rglob("*")) < 5_000_000


def test_a_name_that_is_no_row_is_refused():
    with pytest.raises(InputError, match="name networks of"):
        frozen.main(["cnv"])
