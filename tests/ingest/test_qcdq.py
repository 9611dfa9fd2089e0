"""QuantizeLinear, Clip and DequantizeLinear: read as onnxruntime executes them."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from flow.agreement import agree_qonnx
from flow.errors import InputError
from flow.ingest import lower
from tests.ingest.networks import Writer


def qcdq(w, x, scale, zero, dtype=np.int8, *, clip=None, axis=None):
    """The three nodes; the zero point states the type, a clip is left out where it is None."""
    more = {} if axis is None else {"axis": axis}
    scale, zero = w.constant(scale), w.constant(zero, dtype)
    x = w.node("QuantizeLinear", x, scale, zero, **more)
    if clip:
        x = w.node("Clip", x, *(w.constant(limit, dtype) for limit in clip))
    return w.node("DequantizeLinear", x, scale, zero, **more)


def image_network(rng, *, axis_scales=True, zero=0, clip=None, spread=1):
    """Convolution, depthwise convolution, pool, dense layer; scales that no sum falls between."""
    w = Writer((1, 2, 5, 5))
    x = qcdq(w, "x", 0.25, 128 + zero, np.uint8, clip=(120, 140))
    first = w.constant(rng.normal(size=(4, 2, 3, 3)))
    scales = rng.uniform(0.1, 0.3, 4) if axis_scales else 0.2
    zeros = np.zeros(4) if axis_scales else 0
    weights = qcdq(w, first, scales, zeros, clip=(-3, 3), axis=0 if axis_scales else None)
    x = w.node("Relu", w.node("Conv", x, weights, pads=[1, 1, 1, 1]))
    x = qcdq(w, x, 0.17, zero, clip=clip)
    deep = w.constant(rng.integers(-8, 8, (4, 1, 2, 2)), np.int8)
    stored = w.node("DequantizeLinear", deep, w.constant(0.125), w.constant(0, np.int8))
    bias = w.constant(rng.integers(-90, 90, 4), np.int32)
    bias = w.node("DequantizeLinear", bias, w.constant(0.01), w.constant(0, np.int32))
    x = w.node("Conv", x, stored, bias, group=4)
    x = qcdq(w, x, 0.3, 0, clip=(-4, 3))
    how = {"kernel_shape": [2, 2], "strides": [2, 2], "dilations": [spread, spread]}
    x = w.node("Flatten", w.node("MaxPool", x, **how))
    last = w.constant(rng.normal(size=(16 if spread == 1 else 4, 3)))
    return w.model(w.node("MatMul", x, qcdq(w, last, 0.05, 0)), outputs=3)


def lowered_file(tmp_path, model):
    path = tmp_path / "network.onnx"
    onnx.save(model, path)
    return path, lower(path)


def random_inputs(graph, count=16, seed=0):
    kind = graph.input_edge.type
    shape = (count, *graph.input_edge.shape)
    return np.random.default_rng(seed).integers(kind.lo, kind.hi + 1, shape)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"axis_scales": False, "zero": 3},
        {"zero": -2, "clip": (-100, 100)},
        {"clip": (0, 7)},
    ],
    ids=str,
)
def test_every_quantizer_of_a_convolutional_file_is_what_the_float_engine_has(tmp_path, options):
    model = image_network(np.random.default_rng(3), **options)
    path, lowered = lowered_file(tmp_path, model)
    agreement = agree_qonnx(path, lowered, random_inputs(lowered.graph))
    assert agreement.tensors == 5
    assert agreement.mismatches == agreement.logit_mismatches == agreement.class_mismatches == 0


@pytest.mark.parametrize("opset", [10, 13, 19, 21])
@pytest.mark.parametrize("zero", [-3, 0, 2])
@pytest.mark.parametrize("clip", [None, (-5, 4)])
def test_ties_round_to_even_before_the_zero_point_is_added(tmp_path, opset, zero, clip):
    w = Writer((1, 6))
    if opset < 11:  # Clip has no integers there
        clip = None
    x = qcdq(w, "x", 1.0, 0)
    eye = w.node("DequantizeLinear", w.constant(np.eye(6), np.int8), w.constant(1.0))
    x = qcdq(w, w.node("MatMul", x, eye), 2.0, zero, clip=clip)  # every odd input is a tie
    model = w.model(w.node("MatMul", x, eye), outputs=6, opset=opset)
    path, lowered = lowered_file(tmp_path, model)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rows = np.arange(-126, 126).reshape(-1, 6)
    meant = np.concatenate(
        [session.run(None, {"x": row[None].astype(np.float32)})[0] for row in rows]
    )
    affine = lowered.graph.logit_affine[0]
    logits = lowered.graph.evaluate_all(rows)[lowered.graph.logits]
    np.testing.assert_array_equal(meant, logits * float(affine.scale) + float(affine.offset))


def test_zero_points_of_weights_are_taken_off_channel_by_channel(tmp_path):
    rng = np.random.default_rng(5)
    w = Writer((1, 6))
    x = qcdq(w, "x", 1.0, 0)
    first = w.constant(rng.uniform(-60, 60, (6, 5)))
    zeros = [0, -90, 40, 127, -128]  # a channel's range ends where the type does, less its zero
    x = w.node("MatMul", x, qcdq(w, first, [1.0] * 5, zeros, axis=1))
    x = qcdq(w, x, 64.0, 0)
    last = w.constant(rng.integers(0, 256, (5, 4)), np.uint8)
    zero = w.constant([7, 0, 255, 128], np.uint8)
    last = w.node("DequantizeLinear", last, w.constant([0.5] * 4), zero, axis=-1)
    path, lowered = lowered_file(tmp_path, w.model(w.node("MatMul", x, last), outputs=4))
    agreement = agree_qonnx(path, lowered, random_inputs(lowered.graph))
    assert agreement.mismatches == agreement.logit_mismatches == agreement.class_mismatches == 0


def test_a_quantizer_that_two_nodes_dequantize_is_decided_once(tmp_path):
    w = Writer((1, 4))
    x = qcdq(w, "x", 1.0, 0, clip=(-3, 3))
    eye = qcdq(w, w.constant(np.eye(4)), 1.0, 0, clip=(-1, 1))
    y = w.node("MatMul", x, eye)
    scale, zero = w.constant(2.0), w.constant(0, np.int8)
    codes = w.node("QuantizeLinear", y, scale, zero)
    both = [w.node("DequantizeLinear", codes, scale, zero) for _ in range(2)]
    y = qcdq(w, w.node("Add", *both), 4.0, 0)
    _, lowered = lowered_file(tmp_path, w.model(w.node("MatMul", y, eye), outputs=4))
    x = random_inputs(lowered.graph)
    assert sum(node.name.startswith("act") for node in lowered.graph.nodes) <= 2
    np.testing.assert_array_equal(
        lowered.graph.evaluate(x), np.rint(np.rint(x / 2) * 4 / 4).argmax(1)
    )


def test_an_input_that_two_quantizers_read_is_refused(tmp_path):
    w = Writer((1, 4))
    y = w.node("Add", qcdq(w, "x", 0.5, 0), qcdq(w, "x", 0.5, 0))
    eye = w.node("DequantizeLinear", w.constant(np.eye(4), np.int8), w.constant(1.0))
    model = w.model(w.node("MatMul", qcdq(w, y, 1.0, 0), eye), outputs=4)
    with pytest.raises(InputError, match="the input is quantized twice; quantize it once"):
        lowered_file(tmp_path, model)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("scale", "its scale, zero point or axis differ from those of its QuantizeLinear"),
        ("bare", "of a quantizer; put a DequantizeLinear between them"),
        ("channels", "a zero point per channel"),
        ("operator", "an operator on integers; export the network in QDQ form"),
        ("negative", "a scale of 0 or below"),
        ("one level", "clip to two levels or more"),
        ("bare pool", "of a quantizer; put a DequantizeLinear between them"),
    ],
)
def test_what_has_no_exact_form_is_refused_by_node(tmp_path, change, said):
    w = Writer((1, 4))
    scale, zero = w.constant(-1.0 if change == "negative" else 0.5), w.constant(0, np.int8)
    x = w.node("QuantizeLinear", "x", scale, zero, name="here")
    if change == "scale":
        x = w.node("DequantizeLinear", x, w.constant(0.25), zero, name="here too")
    elif change == "channels":
        x = qcdq(w, "x", [0.5] * 4, [0, 1, 2, 3])
    elif change == "one level":
        x = w.node("Clip", x, w.constant(5, np.int8), w.constant(5, np.int8))
    elif change == "bare pool":
        x = w.node("Transpose", x, perm=[0, 1])
    elif change == "operator":
        x = w.node("MatMulInteger", x, w.constant(np.eye(4), np.int8))
    weights = w.constant(np.eye(4), np.int8)
    x = w.node("MatMul", x, w.node("DequantizeLinear", weights, w.constant(1.0), zero))
    path = tmp_path / "network.onnx"
    onnx.save(w.model(x, outputs=4), path)
    with pytest.raises(InputError, match=said) as caught:
        lower(path)
    assert str(caught.value).startswith("node '")
    assert "\n" not in str(caught.value)


def _codes(w):
    return w.node("QuantizeLinear", "x", w.constant(0.5), w.constant(0, np.int8))


def _reshaped_codes(w):
    return w.node("Reshape", _codes(w), w.constant([1, 4], np.int64))


def _activation(w, scale, zero, **attributes):
    x = w.node("QuantizeLinear", "x", scale, zero, **attributes)
    return w.node("DequantizeLinear", x, scale, zero, **attributes)


def _quantized_twice(w):
    codes = w.node("DequantizeLinear", w.constant(np.eye(4), np.int8), w.constant(1.0))
    return w.node("QuantizeLinear", codes, w.constant(0.5), w.constant(0, np.int8))


def _clipped_by_channel(w):
    return w.node("Clip", _codes(w), w.constant([0, 1, 2, 3], np.int8), w.constant(9, np.int8))


REFUSED = {
    "reads the codes of a quantizer; put a DequantizeLinear": lambda w: w.node("Relu", _codes(w)),
    "moves the codes of a quantizer; put a DequantizeLinear": _reshaped_codes,
    "quantizes integers; put a DequantizeLinear in front": _quantized_twice,
    "limits of several values; use one value": _clipped_by_channel,
    "states its type by output_dtype; give it a zero point of that type": lambda w: w.node(
        "QuantizeLinear", "x", w.constant(0.5), output_dtype=onnx.TensorProto.INT8
    ),
    "a scale per block; use one per channel or one in all": lambda w: w.node(
        "QuantizeLinear", "x", w.constant([[0.5, 1.0]]), block_size=2
    ),
    "a scale of 0 or below, or of whole numbers; train again": lambda w: _activation(
        w, w.constant(0.0), w.constant(0, np.int8)
    ),
    "use one per channel or one in all": lambda w: _activation(
        w, w.constant([0.5] * 4), w.constant(0, np.int8), axis=1
    ),
    "integers of type float32; use one of int8, uint8": lambda w: _activation(
        w, w.constant(0.5), w.constant(0.0)
    ),
    "axis 7 of a tensor of 2 axes": lambda w: _activation(
        w, w.constant([0.5] * 4), w.constant([0] * 4, np.int8), axis=7
    ),
}


@pytest.mark.parametrize("said", REFUSED)
def test_a_quantizer_in_parts_is_refused_in_one_line(tmp_path, said):
    w = Writer((1, 4))
    x = REFUSED[said](w)
    eye = w.node("DequantizeLinear", w.constant(np.eye(4), np.int8), w.constant(1.0))
    path = tmp_path / "network.onnx"
    onnx.save(w.model(w.node("MatMul", x, eye), outputs=4, opset=21), path)
    with pytest.raises(InputError) as caught:
        lower(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith("node '")
    assert "\n" not in str(caught.value)
