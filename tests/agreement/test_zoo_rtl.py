"""Every frozen network runs in RTL, CNV, residual, depthwise and dense, in the cycles planned."""

import numpy as np
import pytest

from flow.build import build
from flow.ingest import lower
from flow.schedule import make_plan
from models import frozen
from sim.accelerator import simulate_rtl

pytestmark = pytest.mark.rtl

FEW = ("cnv-w1a1", "resnet-8-w4a4")  # one compilation each; the others take minutes together
NAMES = [entry.name for entry in frozen.entries()]
SEARCHED = pytest.param("resnet-8-w4a4", "search", marks=pytest.mark.slow)  # on branches too


@pytest.mark.parametrize(
    ("name", "compare"),
    [
        *(pytest.param(n, "count", marks=() if n in FEW else pytest.mark.slow) for n in NAMES),
        SEARCHED,
    ],
)
def test_logits_classes_and_cycles_are_those_of_graph_and_plan(
    name, compare, simulator, compiled, tmp_path
):
    entry = next(entry for entry in frozen.entries() if entry.name == name)
    graph = lower(entry.path, compare=compare).graph
    build(graph, make_plan(graph), tmp_path / "build")
    kind = graph.input_edge.type
    x = np.random.default_rng(7).integers(kind.lo, kind.hi + 1, (3, *graph.input_edge.shape))
    response = simulate_rtl(tmp_path / "build", x, cache=compiled, simulator=simulator)
    expected = graph.evaluate_all(x)
    np.testing.assert_array_equal(response.logits, expected[graph.logits])
    np.testing.assert_array_equal(response.classes, expected[graph.output])
