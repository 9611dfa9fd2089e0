"""The frozen network whose registers wrap: what every reader makes of those flips is the same."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from flow.campaign.model import evaluate_faults
from flow.certify import Effect, single_flips
from flow.certify.stored_bits import StoredBits
from flow.engine import BatchedEngine
from flow.graphfile import digest, load_graph
from flow.ir import Fault, IntType
from models.data import load_dataset
from models.wrap_network import wrap_network
from sim.runner import ROOT

FOLDER = ROOT / "models" / "zoo" / "wrap-digits"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
WIDE = IntType(40, True)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return load_dataset("digits", root=tmp_path_factory.mktemp("empty"))


@pytest.fixture(scope="module")
def graph():
    return load_graph(FOLDER / "graph.json")


@pytest.fixture(scope="module")
def wrapping(graph, data):
    return wrapping_flips(graph, data.test_x)


def wrapping_flips(graph, x):
    """Flips that wrap a register on an image where a level or the class then differs from what a
    wide register gives; from the graph's own ``evaluate``, one flip of each row at a time."""
    found = []
    values = graph.evaluate_all(x)
    readers = {node.inputs[0]: node.op for node in graph.nodes}
    for node in graph.nodes:
        kind = node.op.stored.get("weights")
        if kind is None:
            continue
        columns = node.op.weights.shape[1]
        source, reader = values[node.inputs[0]], readers[node.output]
        classifies = reader.__class__.__name__ == "ArgMax"
        for column in range(columns):
            for bit in range(kind.bits):
                codes = np.array(kind.encode(node.op.weights))
                codes[:, column] ^= 1 << bit  # every row at once: a row is read by itself
                struck = replace(node.op, weights=kind.decode(codes))
                wide = replace(struck, accumulator=WIDE).evaluate(source)
                kept = struck.evaluate(source)
                assert not classifies or (wide == kept).all()  # else rows must go one by one
                changed = reader.evaluate(kept) != reader.evaluate(wide)
                if classifies:
                    continue
                for row in np.flatnonzero(((wide != kept) & changed).any(axis=0)):
                    found.append(Fault(node.name, "weights", (int(row), column), bit))
    return found


def test_the_frozen_files_are_the_ones_the_manifest_names(graph):
    for name, found in MANIFEST["sha256"].items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == found
    assert digest(graph) == MANIFEST["digest"]


def test_the_recipe_makes_the_frozen_network_again(graph, data):
    assert digest(wrap_network(data)) == digest(graph)


def test_its_accuracy_is_the_one_written_down(graph, data):
    right = int((graph.evaluate(data.test_x) == data.test_y).sum())
    assert (right, len(data.test_y)) == (MANIFEST["correct"], MANIFEST["total"])


def test_one_flip_in_a_hundred_wraps_a_register_and_changes_a_level(graph, wrapping):
    stored = len(StoredBits.of(graph))
    assert (len(wrapping), stored) == (MANIFEST["wrapping_flips"], MANIFEST["stored_bits"])
    assert len(wrapping) >= stored / 100


def test_the_fault_free_network_wraps_nowhere(graph, data):
    wide = graph.map(
        lambda n: replace(n, op=replace(n.op, accumulator=WIDE)) if "weights" in n.op.stored else n
    )
    clean = wide.evaluate_all(data.test_x)
    for edge, values in graph.evaluate_all(data.test_x).items():
        np.testing.assert_array_equal(clean[edge], values)


def test_engine_campaign_and_certificates_equal_the_reference_on_wrapping_flips(
    graph, wrapping, data
):
    x, y = data.test_x[:40], data.test_y[:40]
    flips = single_flips(graph, x, y=y)
    engine = BatchedEngine(graph)
    chosen = wrapping[::5]
    answers = evaluate_faults(graph, x, [(fault,) for fault in chosen])
    clean = graph.evaluate_all(x)
    right = clean["class"] == y
    critical = np.unpackbits(flips.critical, axis=1, count=len(x)).astype(bool)
    for number, fault in enumerate(chosen):
        struck = graph.evaluate_all(x, [fault])
        np.testing.assert_array_equal(answers.logits[number], struck["logits"])
        np.testing.assert_array_equal(engine.run(x, [fault]), struck["class"])
        place = flips.bits.position(fault)
        np.testing.assert_array_equal(critical[place], struck["class"] != clean["class"])
        turned = (struck["class"] != clean["class"]) & right
        assert flips.counts[place, Effect.RIGHT_TO_WRONG] == turned.sum()
        moved = (struck["logits"] != clean["logits"]).any(axis=1)
        assert flips.counts[place, Effect.MASKED] == (~moved).sum()


def test_a_wrap_changes_classes_too(graph, wrapping, data):
    classes = evaluate_faults(graph, data.test_x[:40], [(fault,) for fault in wrapping]).classes
    assert (classes != graph.evaluate(data.test_x[:40])).any()
