"""qonnx executes each operator of the dialect as the integers it became, at every quantizer."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.agreement import agree_qonnx
from flow.ingest import lower
from flow.ops import Add
from tests.agreement.test_float_engines import images
from tests.ingest.networks import QONNX, Writer, save

SEEDS = st.integers(0, 2**32 - 1)
MODES = ["ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN"]


def start(rng, shape, *, bipolar=0.2):
    """A writer and a quantized input of any zero point, or a binary one."""
    w = Writer((1, *shape))
    x = w.quant("x", scale(rng), 3, signed=bool(rng.integers(2)), zero=float(rng.integers(0, 3)))
    return w, w.bipolar(x, scale(rng)) if rng.random() < bipolar else x


def scale(rng):
    return float(np.float32(rng.uniform(0.1, 0.9)))


def requantized(w, rng, x, bits=4):
    return w.quant(x, scale(rng), bits, signed=True)


def head(w, rng, x, channels, *, spatial=True):
    """A global average, a quantizer and a dense layer."""
    if spatial:
        x = w.node("Flatten", requantized(w, rng, w.node("GlobalAveragePool", x)))
    weights = w.quant(w.constant(rng.normal(size=(4, channels))), scale(rng), 4, signed=True)
    return w.node("Gemm", x, weights, transB=1)


def agrees(w, logits, *, opset=22, qonnx=1, count=12):
    """The lowered file, which qonnx executes with no element of another value."""
    model = w.model(logits, 4, opset=opset, qonnx=qonnx)
    with tempfile.TemporaryDirectory() as folder:
        path = save(model, Path(folder))
        lowered = lower(path)
        found = agree_qonnx(path, lowered, images(lowered, count))
    assert (found.mismatches, found.logit_mismatches, found.class_mismatches) == (0, 0, 0)
    assert found.tensors == len(lowered.decisions) + len(lowered.weights)
    return lowered


@settings(max_examples=60)
@given(SEEDS, st.sampled_from(["AveragePool", "MaxPool"]), st.booleans())
def test_pools_of_any_padding_and_rounding_agree(seed, op, line):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 8, 1 if line else 2).tolist()
    kernel = [int(rng.integers(1, min(4, n) + 1)) for n in sizes]
    mode = str(rng.choice(["NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]))
    most = min(*kernel, 3) if mode[0] == "S" else 3
    options = {"kernel_shape": kernel, "strides": rng.integers(1, most + 1, len(sizes)).tolist()}
    if mode == "NOTSET":
        options["pads"] = [int(rng.integers(0, k)) for k in kernel + kernel]
        options["ceil_mode"] = int(rng.integers(2))
    else:
        options["auto_pad"] = mode
    if op == "AveragePool":
        options["count_include_pad"] = int(rng.integers(2))
    w, x = start(rng, (2, *sizes))
    x = requantized(w, rng, w.node(op, x, **options), 5)
    agrees(w, head(w, rng, x, 2))


def test_windows_of_different_size_are_brought_to_one_divisor():
    """Corners of a padded 2 x 2 average see one element, edges two, the rest four."""
    rng = np.random.default_rng(0)
    w = Writer((1, 1, 3, 3))
    x = w.quant("x", 0.5, 3, signed=True, zero=1.0)
    x = w.node("AveragePool", x, kernel_shape=[2, 2], pads=[1, 1, 1, 1])
    lowered = agrees(w, head(w, rng, requantized(w, rng, x), 1))
    add = lowered.graph.node("add0").op
    assert isinstance(add, Add)
    assert add.multipliers.reshape(4, 4).tolist() == [
        [4, 2, 2, 4], [2, 1, 1, 2], [2, 1, 1, 2], [4, 2, 2, 4]
    ]  # fmt: skip


def test_zeros_that_count_are_padded_as_the_integer_that_means_0():
    """A divisor that no window changes needs no multipliers."""
    rng = np.random.default_rng(0)
    w = Writer((1, 1, 3, 3))
    x = w.quant("x", 0.5, 3, signed=True, zero=1.0)
    x = w.node("AveragePool", x, kernel_shape=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1)
    lowered = agrees(w, head(w, rng, requantized(w, rng, x), 1))
    assert lowered.graph.node("pad0").op.value == 1 - 1 + 1
    assert not any(isinstance(node.op, Add) for node in lowered.graph.nodes)


@settings(max_examples=40)
@given(SEEDS)
def test_convolutions_of_images_and_lines_agree(seed):
    """Automatic padding, depthwise too; weights quantized or constants of whole numbers."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(3, 8, 1 + int(rng.integers(2))).tolist()
    w, x = start(rng, (2, *sizes), bipolar=0.0)
    groups = int(rng.choice([1, 2]))
    kernel = rng.integers(1, 4, len(sizes)).tolist()
    shape = (4, 2 // groups, *kernel)
    weights = w.constant(rng.integers(-2, 3, shape))
    if rng.random() < 0.3:
        weights = w.constant(rng.choice([-1, 1], shape))
    elif rng.random() < 0.5:
        scales = [[scale(rng)] * 1 for _ in range(4)]
        scales = np.reshape(scales, (4, *[1] * (1 + len(sizes))))
        weights = w.quant(w.constant(rng.normal(size=shape)), scales, 3, signed=True)
    mode = str(rng.choice(["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]))
    most = min(*kernel, 2) if mode[0] == "S" else 2
    options = {"strides": rng.integers(1, most + 1, len(sizes)).tolist(), "group": groups}
    if mode == "NOTSET":
        options["pads"] = rng.integers(0, 3, 2 * len(sizes)).tolist()
    else:
        options["auto_pad"] = mode
    x = w.node("Conv", x, weights, w.constant(rng.normal(size=4)), **options)
    agrees(w, head(w, rng, requantized(w, rng, x), 4))


def trunc(w, x, *, scale, zero, bits, out_bits, out_scale=None, **attributes):
    numbers = [scale, zero, bits] + ([] if out_scale is None else [out_scale]) + [out_bits]
    return w.node("Trunc", x, *map(w.constant, numbers), domain=QONNX, **attributes)


@settings(max_examples=50)
@given(SEEDS, st.sampled_from(MODES), st.sampled_from([1, 2]))
def test_truncations_of_averages_and_sums_agree(seed, mode, version):
    rng = np.random.default_rng(seed)
    w = Writer((1, 2, 4, 4))
    s, zero = scale(rng), float(rng.integers(-2, 3))
    signed = bool(rng.integers(2))
    x = w.quant("x", s, 4, signed=signed, zero=zero)
    kernel = int(rng.choice([1, 2, 3, 4]))
    if kernel > 1:
        x = w.node("AveragePool", x, kernel_shape=[kernel] * 2)
    s = np.float32(s) / np.float32(kernel * kernel)
    drop = int(rng.integers(0, 5))
    zero = zero if version == 1 else zero * kernel * kernel
    options = {"scale": s, "zero": zero, "rounding_mode": mode, "bits": 8}
    if version == 1:
        x = trunc(w, x, out_bits=8 - max(drop, 0), **options)
    else:
        options |= {"signed": int(signed), "narrow": int(rng.integers(2))}
        out = s * np.float32(2.0**drop)
        x = trunc(w, x, out_bits=int(rng.integers(2, 7)), out_scale=out, **options)
    agrees(w, head(w, rng, x, 2), qonnx=version)


def test_a_truncation_that_drops_nothing_is_no_layer():
    rng = np.random.default_rng(0)
    w = Writer((1, 2, 4, 4))
    x = w.quant("x", 0.25, 4, signed=True)
    x = trunc(w, x, scale=0.25, zero=0.0, bits=4, out_scale=0.25, out_bits=4, rounding_mode="FLOOR")
    lowered = agrees(w, head(w, rng, x, 2), qonnx=2)
    assert lowered.graph.nodes[0].name == "sumpool0"


@pytest.mark.parametrize("scales", [0.5, [0.5, 0.25, 0.3]])
@pytest.mark.parametrize("perm", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (0, 2, 1)])
def test_a_convolution_reads_what_the_file_reshaped_and_turned(perm, scales):
    """A vector of integers becomes an image of any axes, scaled per channel before it is one."""
    rng = np.random.default_rng(0)
    shape = (3, 4, 5)
    w = Writer((1, 60))
    x = w.quant("x", 1.0, 3, signed=True)
    placed = np.array(shape)[np.argsort(perm)]
    x = w.node("Reshape", x, w.constant([1, *placed], np.int64))
    x = w.node("Transpose", x, perm=[0, *(axis + 1 for axis in perm)])
    x = w.quant(x, np.reshape(scales, (-1, 1, 1)), 3, signed=True)
    if scales == 0.5:
        weights = w.constant(rng.integers(-2, 3, (4, 3, 2, 2)))
        x = requantized(w, rng, w.node("Conv", x, weights))
        channels = 4
    else:
        x = w.quant(w.node("AveragePool", x, kernel_shape=[2, 2]), 0.2, 4, signed=True)
        channels = 3
    agrees(w, head(w, rng, x, channels))


@pytest.mark.parametrize("perm", [[0, 2, 3, 1], [0, 3, 1, 2], [0, 1, 3, 2]])
def test_a_convolution_of_a_turned_image_takes_its_second_axis_as_channels(perm):
    """As ONNX says, whatever the axes were before."""
    rng = np.random.default_rng(0)
    w = Writer((1, 3, 4, 5))
    x = w.node("Transpose", w.quant("x", 0.5, 3, signed=True), perm=perm)
    channels = (1, 3, 4, 5)[perm[1]]
    x = w.node("Conv", x, w.constant(rng.integers(-2, 3, (4, channels, 2, 2))))
    agrees(w, head(w, rng, requantized(w, rng, x), 4))


def test_an_image_of_another_shape_and_a_line_in_a_row_are_read():
    rng = np.random.default_rng(0)
    w = Writer((1, 2, 4, 6))
    x = w.node("Reshape", w.quant("x", 0.5, 3, signed=True), w.constant([1, 8, 6], np.int64))
    x = w.node("Conv", x, w.constant(rng.integers(-2, 3, (5, 8, 3))))
    x = w.node("Transpose", requantized(w, rng, x), perm=[0, 2, 1])
    x = w.node("MaxPool", x, kernel_shape=[2], strides=[2])
    agrees(w, head(w, rng, x, 4))


@pytest.mark.parametrize("stated", [None, "s3"])
def test_a_line_of_the_input_is_an_image_of_one_row(tmp_path, stated):
    rng = np.random.default_rng(0)
    w = Writer((1, 2, 6))
    x = w.node(
        "Conv", w.quant("x", 1.0, 3, signed=True), w.constant(rng.integers(-2, 3, (3, 2, 2)))
    )
    logits = head(w, rng, requantized(w, rng, x), 3)
    path = save(w.model(logits, 4), tmp_path)
    lowered = lower(path, input_type=stated)
    assert str(lowered.graph.input_edge) == "1x6x2:s3"
    assert lowered.graph.nodes[0].name == "window0"
    assert agree_qonnx(path, lowered, images(lowered, 20)).mismatches == 0


def test_channels_keep_their_scales_where_the_file_groups_the_elements_anew():
    rng = np.random.default_rng(0)
    w = Writer((1, 2, 4, 6))
    x = w.quant("x", 0.5, 3, signed=True)
    x = w.quant(x, [[[0.5]], [[0.75]]], 3, signed=True)
    x = w.node("Reshape", x, w.constant([1, 8, 6], np.int64))
    x = w.node("Conv", x, w.constant(rng.integers(-2, 3, (8, 1, 3))), group=8)
    agrees(w, head(w, rng, requantized(w, rng, x), 8))
