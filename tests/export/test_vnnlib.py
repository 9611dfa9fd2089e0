"""Queries for other verifiers: parsed by the vnnlib package, judged by onnxruntime."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import vnnlib
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flow.certify import Verdict, certify_complete
from flow.errors import InputError
from flow.export.vnnlib import NETWORK, export_vnnlib
from flow.ops import Threshold
from tests.certify.moving import few_move, points_of
from tests.certify.networks import fitting_chains
from tests.engine.chains import random_inputs, random_labels
from tests.engine.images import image_graphs

COMPARE = {
    vnnlib.GreaterEqual: np.greater_equal,
    vnnlib.GreaterThan: np.greater,
    vnnlib.LessEqual: np.less_equal,
}


def value(term, x, y):
    """A constant, or one element of X or Y over a batch of points."""
    if isinstance(term, vnnlib.Var):
        return {"X": x, "Y": y}[term.name][(slice(None), *term.indices[1:])]
    return float(term.value)


def holds(query, x, y):
    """Which points fulfil every assertion."""
    every = np.ones(len(x), dtype=bool)
    for assertion in query.assertions:
        some = np.zeros(len(x), dtype=bool)
        for case in assertion.expr.to_dnf():
            own = np.ones(len(x), dtype=bool)
            for part in case:
                own &= COMPARE[type(part)](value(part.lhs, x, y), value(part.rhs, x, y))
            some |= own
        every &= some
    return every


@settings(max_examples=20, deadline=None)
@given(fitting_chains() | image_graphs(), st.integers(0, 2**32 - 1), st.integers(0, 2))
def test_a_query_is_fulfilled_by_the_inputs_that_refute(tmp_path_factory, graph, seed, radius):
    folder = tmp_path_factory.mktemp("v")
    x = random_inputs(graph, 2, seed % 1000)
    y = random_labels(graph, x)
    ranges = few_move(graph, x, seed, most=60)
    box = ranges.box(graph, x, radius=radius)
    stairs = [node.op for node in graph.nodes if isinstance(node.op, Threshold)]
    assume(all(op.compare == "count" or (np.diff(op.thresholds) >= 0).all() for op in stairs))
    paths = export_vnnlib(graph, box.lo, box.hi, y, directory=folder, stem="q")
    found = certify_complete(graph, x, y=y, radius=radius, ranges=ranges)
    session = onnxruntime.InferenceSession(str(folder / NETWORK))
    source = session.get_inputs()[0]
    kind = np.float32 if source.type == "tensor(float)" else np.float64
    for k, path in enumerate(paths):
        query = vnnlib.parse_query_file(str(path))
        (own,) = query.networks[0].inputs
        assert list(own.shape) == [1, *graph.input_edge.shape]
        points = points_of(graph, box[[k]])
        near = np.concatenate([points, random_inputs(graph, 30, seed % 999)])
        (logits,) = session.run(None, {source.name: near.astype(kind)})
        inside = ((box.lo[k] <= near) & (near <= box.hi[k])).reshape(len(near), -1).all(axis=1)
        wrong = graph.evaluate(near) != y[k]
        np.testing.assert_array_equal(holds(query, near, logits), inside & wrong)
        refuted = found.certificates[k].verdict is Verdict.REFUTED
        assert refuted == holds(query, points, logits[: len(points)]).any()


def test_a_graph_without_classes_has_no_query(tmp_path):
    from tests.certify.networks import fitting_chain

    graph = fitting_chain(0)
    graph = replace(graph, nodes=graph.nodes[:-1], output=graph.nodes[-1].inputs[0])
    with pytest.raises(InputError, match="end the graph with ArgMax"):
        export_vnnlib(graph, *[np.zeros((0, 4))] * 2, np.zeros(0), directory=tmp_path, stem="q")
