"""qonnx executes convolutional files as the integer graphs lowered from them, channels apart."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.agreement import agree_qonnx
from flow.engine import BatchedEngine
from flow.export.finn import DOMAIN
from flow.ingest import lower
from flow.ops import OPS
from tests.agreement.test_float_engines import images, with_op
from tests.ingest.images import convolutional
from tests.ingest.networks import Writer, save

SEEDS = st.integers(0, 2**32 - 1)


def compared(seed, *, exact):
    with tempfile.TemporaryDirectory() as folder:
        path = save(convolutional(seed, exact=exact), Path(folder))
        lowered = lower(path)
        return lowered, agree_qonnx(path, lowered, images(lowered, 12))


@settings(max_examples=80)
@given(SEEDS)
def test_random_networks_agree_at_every_quantizer_logit_and_class(seed):
    _, found = compared(seed, exact=False)
    assert (found.mismatches, found.logit_mismatches, found.class_mismatches) == (0, 0, 0)


@settings(max_examples=60)
@given(SEEDS)
def test_where_floats_round_nowhere_nothing_needs_an_excuse(seed):
    lowered, found = compared(seed, exact=True)
    assert found.holds
    assert found.excused == 0
    x = images(lowered, 12)
    wanted = lowered.graph.evaluate_all(x)
    for name, values in BatchedEngine(lowered.graph).run_all(x).items():
        np.testing.assert_array_equal(values, wanted[name], err_msg=name)


def test_the_random_networks_use_every_op_of_images():
    nodes = set()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(40):
            graph = lower(save(convolutional(seed), Path(folder))).graph
            nodes |= {type(node.op).__name__ for node in graph.nodes}
    assert set(OPS) - nodes == {"Concat", "Transpose"}


@pytest.mark.parametrize("perm", [None, [0, 2, 3, 1], [0, 3, 1, 2]])
def test_an_image_whose_integers_are_stated_is_scaled_convolved_and_moved(tmp_path, perm):
    """Constants and thresholds along the file's channels, axes moved before the last layer."""
    rng, w = np.random.default_rng(7), Writer((1, 2, 5, 4))
    x = w.node("Sub", "x", w.constant([[[0.25]], [[0.5]]]))
    x = w.quant(w.node("Div", x, w.constant([[[0.5]], [[0.3]]])), 0.25, 3, signed=True)
    weights = w.quant(w.constant(rng.normal(size=(3, 2, 2, 2))), 0.4, 3, signed=True)
    x = w.node("Conv", x, weights, kernel_shape=[2, 2])
    table = np.sort(rng.normal(size=(3, 3)), axis=1)
    options = {"out_dtype": "UINT2", "out_scale": 1.0, "out_bias": 0.0}
    x = w.node("MultiThreshold", x, w.constant(table), domain=DOMAIN, **options)
    if perm:
        x = w.node("Transpose", x, perm=perm)
    x = w.node("Sub", w.node("Flatten", x), w.constant(rng.integers(0, 3, 36)))
    weights = w.quant(w.constant(rng.normal(size=(4, 36))), 0.4, 3, signed=True)
    path = save(w.model(w.node("Gemm", w.bipolar(x), weights, transB=1), 4), tmp_path)
    lowered = lower(path, input_type="u8", input_scale="1/255")
    assert str(lowered.graph.input_edge) == "5x4x2:u8"
    found = agree_qonnx(path, lowered, images(lowered, 30))
    assert found.elements == 30 * (40 + 36 + 36) + 24 + 144
    assert found.holds


@pytest.mark.parametrize("seed", [1, 3, 5, 10])
def test_a_turned_image_is_a_mismatch(tmp_path, seed):
    """Channels taken for rows, or height for width, cannot agree."""
    path = save(convolutional(seed), tmp_path)
    lowered = lower(path)
    first = next(node for node in lowered.graph.nodes if node.name.startswith("conv"))
    turned = with_op(lowered, first.name, weights=first.op.weights[:, ::-1])
    x = images(lowered, 40)
    same = (first.op.weights == first.op.weights[:, ::-1]).all()
    assert not agree_qonnx(path, turned, x).holds or same
