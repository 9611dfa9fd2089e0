"""Image graphs in the FINN dialect, executed by finn-base: every quantizer, logit and class."""

import numpy as np
import pytest

from flow.agreement import agree_finn
from flow.errors import InputError
from flow.export import export_finn
from flow.ingest import lower
from flow.ir import Edge, Graph, IntType, Node
from flow.ops import ArgMax, MatVec, MaxPool, Reshape, SumPool
from models import frozen
from tests.engine.chains import random_inputs
from tests.engine.images import random_image_graph
from tests.schedule.test_images import buildable


def test_random_image_graphs_agree_at_every_quantizer_or_are_refused_by_name(tmp_path):
    """Sixty graphs, of which most are taken, all ops among them."""
    ops, taken, refused = set(), 0, []
    for seed in range(60):
        graph = buildable(random_image_graph(seed))
        x = random_inputs(graph, 6, seed)
        try:
            export_finn(graph, tmp_path / "f.onnx")
        except InputError as error:
            refused.append(str(error))
            continue
        found = agree_finn(tmp_path / "f.onnx", graph, x)
        assert found.holds, seed
        taken += 1
        ops |= {type(node.op).__name__ for node in graph.nodes}
    assert all(line.startswith("node '") for line in refused)
    assert taken >= 8
    assert {"Window", "MatVec", "Threshold", "Pad", "Reshape", "ArgMax"} <= ops


@pytest.mark.parametrize("name", ["cnv-w1a1", "resnet-8-w4a4", "depthwise-w4a4"])
def test_a_frozen_network_agrees_at_every_quantizer(name, tmp_path):
    entry = next(entry for entry in frozen.entries() if entry.name == name)
    graph = lower(entry.path).graph
    x = np.random.default_rng(3).integers(0, 256, (2, *graph.input_edge.shape))
    export_finn(graph, tmp_path / "f.onnx")
    found = agree_finn(tmp_path / "f.onnx", graph, x)
    assert found.holds
    assert found.tensors >= 8


def pooled(pool):
    rng, kind = np.random.default_rng(0), IntType(2)
    edge = pool.out_type(Edge((4, 4, 2), kind))
    layer = MatVec(rng.integers(-2, 2, (3, edge.elements)), IntType(2, True), IntType(12, True))
    nodes = (
        Node("pool0", pool, ("x",), "p"),
        Node("flat0", Reshape((edge.elements,)), ("p",), "f"),
        Node("fc0", layer, ("f",), "l"),
        Node("argmax", ArgMax(), ("l",), "class"),
    )
    return Graph("pooled", "x", Edge((4, 4, 2), kind), nodes, "class")


@pytest.mark.parametrize("pool", [MaxPool((2, 3), (1, 1)), SumPool((2, 2), (2, 1), IntType(6))])
def test_pools_agree(pool, tmp_path):
    graph = pooled(pool)
    export_finn(graph, tmp_path / "f.onnx")
    assert agree_finn(tmp_path / "f.onnx", graph, random_inputs(graph, 20)).holds


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        (MaxPool((2, 2), (1, 1), (2, 2)), "no pool of the FINN dialect is dilated"),
        (SumPool((2, 2), (2, 2), IntType(3)), "u3 wraps, a sum of floats does not; widen it"),
    ],
)
def test_what_the_dialect_lacks_is_refused_by_name(pool, message, tmp_path):
    with pytest.raises(InputError) as caught:
        export_finn(pooled(pool), tmp_path / "f.onnx")
    assert str(caught.value) == f"node 'pool0': {message}"
    assert not (tmp_path / "f.onnx").exists()
