"""Convolutional files become windows and products on channels-last images, or are refused."""

import numpy as np
import pytest

from flow.errors import InputError
from flow.ingest import lower
from flow.ir import IntType
from flow.ir.text import graph_text
from flow.ops import Pad
from tests.ingest.images import convolutional
from tests.ingest.networks import Writer, save

W = np.random.default_rng(4).integers(-3, 4, (4, 3, 3, 3)).astype(np.float32)


def start(shape=(3, 5, 4), **quantizer):
    w = Writer((1, *shape))
    options = {"scale": 1.0, "bits": 3, "signed": False} | quantizer
    return w, w.quant("x", options.pop("scale"), options.pop("bits"), **options)


def conv(w, x, weights=W, **options):
    q = w.quant(w.constant(weights), 1.0, 3, signed=True, narrow=1)
    bias = options.pop("bias", [])
    return w.node("Conv", x, q, *bias, **options)


def finish(w, x, size, classes=2):
    x = w.node("Flatten", x)
    q = w.quant(w.constant(np.ones((classes, size))), 1.0, 2, signed=True)
    return w.model(w.node("Gemm", x, q, transB=1), classes)


def small(folder):
    w, x = start()
    x = conv(w, x, pads=[1, 0, 2, 1], strides=[2, 1])
    x = w.quant(w.node("Relu", x), 8.0, 2, signed=False)
    x = w.node("MaxPool", x, kernel_shape=[2, 2])
    return lower(save(finish(w, x, 4 * 2 * 2), folder)).graph


def test_a_convolution_is_padding_a_window_and_a_product(tmp_path):
    assert (
        graph_text(small(tmp_path))
        == """\
graph net
  x : 5x4x3:u3
  pad0_out : 8x5x3:u3 = pad0:Pad(margins=(1, 2, 0, 1), value=0) <- x
  window0_out : 3x3x27:u3 = window0:Window(kernel=(3, 3), stride=(2, 1)) <- pad0_out
  conv0_out : 3x3x4:s9 = conv0:MatVec(weights=4x27, weight_type=s3[-3..3], accumulator=s9, \
decode=plain, positions=9) <- window0_out
  act0_out : 3x3x4:u2 = act0:Threshold(thresholds=4x3, threshold_type=s10, sign=4, base=0, \
output=u2, compare=count) <- conv0_out
  maxpool0_out : 2x2x4:u2 = maxpool0:MaxPool(kernel=(2, 2), stride=(1, 1)) <- act0_out
  flatten0_out : 16:u2 = flatten0:Reshape(shape=(16,)) <- maxpool0_out
  fc0_out : 2:u6 = fc0:MatVec(weights=2x16, weight_type=s2, accumulator=u6, decode=plain) \
<- flatten0_out
  class : :u1 = argmax:ArgMax() <- fc0_out
  return class
"""
    )


def test_weights_are_those_of_the_file_channels_last(tmp_path):
    weights = small(tmp_path).node("conv0").op.weights.reshape(4, 3, 3, 3)
    np.testing.assert_array_equal(np.moveaxis(weights, -1, 1), W)


def test_a_dense_layer_reads_a_flattened_image_in_the_graphs_order(tmp_path):
    w, x = start((2, 2, 3))
    columns = np.arange(12.0)  # of the file: channel, row, column
    q = w.quant(w.constant([columns, -columns]), 1.0, 5, signed=True)
    graph = lower(save(w.model(w.node("Gemm", w.node("Flatten", x), q, transB=1), 2), tmp_path))
    row = graph.graph.node("fc0").op.weights[0].reshape(2, 3, 2)  # row, column, channel
    np.testing.assert_array_equal(row, np.arange(12).reshape(2, 2, 3).transpose(1, 2, 0))


def test_padding_is_the_zero_point(tmp_path):
    w, x = start(zero=5.0)
    x = w.bipolar(conv(w, x, pads=[1, 1, 1, 1]))
    op = lower(save(finish(w, x, 4 * 5 * 4), tmp_path)).graph.node("pad0").op
    assert op == Pad((1, 1, 1, 1), 5)


def bipolar_padding(w, x, **pads):
    x = w.bipolar(conv(w, x))  # 4 x 3 x 2
    if pads:
        return w.node("Pad", x, w.constant([0, 0, 1, 2, 0, 0, 0, 1], np.int64), w.constant(**pads))
    return w.bipolar(conv(w, x, np.ones((4, 4, 1, 1)), pads=[1, 1, 1, 1]))


@pytest.mark.parametrize("value", [-1, 1])
def test_a_bipolar_image_is_padded_with_a_value_it_has(tmp_path, value):
    w, x = start()
    x = bipolar_padding(w, x, value=float(value))
    graph = lower(save(finish(w, x, 4 * 4 * 5), tmp_path)).graph
    assert graph.node("pad0").op == Pad((1, 0, 2, 1), value)
    assert graph.type_of("pad0_out") == IntType.bipolar1()


@pytest.mark.parametrize(
    ("scales", "multipliers"),
    [((0.5, 0.5), [[1], [1]]), ((0.5, 0.75), [[2], [3]]), ((0.125, 2.0), [[1], [16]])],
)
def test_a_residual_add_uses_the_coarsest_common_grid(tmp_path, scales, multipliers):
    w, x = start()
    parts = [w.quant(x, scale, 4, signed=True, zero=1.0) for scale in scales]
    x = w.quant(w.node("Add", *parts), 1.0, 4, signed=True)
    lowered = lower(save(finish(w, x, 60), tmp_path))
    add = lowered.graph.node("add0").op
    assert (add.multipliers.tolist(), add.offset.tolist()) == (multipliers, [0])
    low, high = (int(add.multipliers.sum()) * end for end in (-8, 7))
    assert add.accumulator == IntType.holding(low, high)
    x = np.random.default_rng(0).integers(0, 8, (30, 5, 4, 3))
    codes = [np.clip(np.rint(x / scale + 1), -8, 7) - 1 for scale in scales]
    wanted = np.clip(np.rint(codes[0] * scales[0] + codes[1] * scales[1]), -8, 7)
    np.testing.assert_array_equal(lowered.graph.evaluate_all(x)["act2_out"], wanted)


def test_an_average_is_a_sum_and_thresholds(tmp_path):
    w, x = start()
    x = w.quant(w.node("GlobalAveragePool", x), 1.0, 3, signed=False)
    graph = lower(save(finish(w, x, 3), tmp_path)).graph
    assert [node.name for node in graph.nodes][:2] == ["sumpool0", "act0"]
    x = np.random.default_rng(0).integers(0, 8, (99, 5, 4, 3))
    mean = np.rint(x.sum(axis=(1, 2)) / 20)  # a tie rounds to even in both
    np.testing.assert_array_equal(graph.evaluate_all(x)["act0_out"][:, 0, 0], mean)


REFUSED = {
    "padding a bipolar image with 0": (
        bipolar_padding,
        "(Conv): a bipolar tensor cannot be padded with 0: it has no such value; "
        "pad with -1 or +1 in the model",
    ),
    "padding between two values": (
        lambda w, x: conv(w, w.quant(x, 1.0, 3, signed=False, zero=0.5), pads=[1, 1, 1, 1]),
        "(Conv): pads with what is 0.5 on its input's grid, no integer; use a whole zero point",
    ),
    "padding with a value out of range": (
        lambda w, x: w.node("Pad", x, w.constant([0, 0, 1, 1] * 2, np.int64), w.constant(9.0)),
        "(Pad): the padding 9 is no value of u3",
    ),
    "padding channels": (
        lambda w, x: w.node("Pad", x, w.constant([0, 1, 0, 0] * 2, np.int64)),
        "(Pad): only height and width of an image can be padded",
    ),
    "reflection": (
        lambda w, x: w.node("Pad", x, w.constant([0, 0, 1, 1] * 2, np.int64), mode="reflect"),
        "(Pad): mode 'reflect'; only constant padding is read",
    ),
    "weights without quantizer": (
        lambda w, x: w.node("Conv", x, w.constant(np.linspace(0, 1, W.size).reshape(W.shape))),
        "(Conv): the weights are neither quantized nor whole numbers; "
        "give the layer a weight quantizer",
    ),
    "one dimension": (
        lambda w, x: conv(w, x, np.ones((4, 3, 3))),
        "(Conv): weights of shape (4, 3, 3) where (out, in, height, width) is wanted",
    ),
    "other groups": (
        lambda w, x: conv(w, x, group=2),
        "(Conv): 2 groups of 3 channels for an image of 3",
    ),
    "a kernel too large": (
        lambda w, x: conv(w, x, dilations=[3, 1]),
        "(Conv): a window of 7 does not fit into 5 elements; pad first",
    ),
    "automatic padding": (
        lambda w, x: conv(w, x, auto_pad="SAME"),
        "(Conv): auto_pad 'SAME' is unknown; export explicit pads",
    ),
    "automatic padding of what no window sees": (
        lambda w, x: w.node(
            "MaxPool", x, kernel_shape=[1, 1], strides=[3, 1], auto_pad="SAME_UPPER"
        ),
        "(MaxPool): auto_pad 'SAME_UPPER' with strides that skip; export explicit pads",
    ),
    "strides of one dimension": (
        lambda w, x: conv(w, x, strides=[2]),
        "(Conv): attribute 'strides' is [2], not 2 integers",
    ),
    "strides of 0": (
        lambda w, x: w.node("MaxPool", x, kernel_shape=[2, 2], strides=[0, 1]),
        "(MaxPool): a kernel, stride or dilation below 1",
    ),
    "a window of padding": (
        lambda w, x: w.node("MaxPool", x, kernel_shape=[2, 2], pads=[2, 0, 0, 0]),
        "(MaxPool): a window holds nothing but padding; pad less",
    ),
    "pooling what is not quantized": (
        lambda w, x: w.node("AveragePool", conv(w, x), kernel_shape=[2, 2]),
        "is not quantized; add a QuantIdentity before the pool",
    ),
    "pooling what falls": (
        lambda w, x: w.node("MaxPool", w.node("Mul", x, w.constant(-1.0)), kernel_shape=[2, 2]),
        "(MaxPool): its input is scaled by a number of 0 or below; pool in front of that",
    ),
    "an average that counts zeros between two values": (
        lambda w, x: w.node(
            "AveragePool",
            w.quant(x, 1.0, 3, signed=False, zero=0.5),
            kernel_shape=[2, 2],
            pads=[1, 1, 1, 1],
            count_include_pad=1,
        ),
        "(AveragePool): averages padding whose 0 is no integer on its input's grid; "
        "use a whole zero point",
    ),
    "an average of padding alone": (
        lambda w, x: w.node("AveragePool", x, kernel_shape=[2, 2], pads=[2, 0, 0, 0]),
        "(AveragePool): a window holds nothing but padding; pad less",
    ),
    "an average with dilation": (
        lambda w, x: w.node("AveragePool", x, kernel_shape=[2, 2], dilations=[2, 1]),
        "(AveragePool): averages with dilation; use a depthwise convolution",
    ),
    "an average over channels": (
        lambda w, x: w.node("ReduceMean", x, w.constant([1], np.int64)),
        "(ReduceMean): averages over axes [1]; only height and width can be, axes [2, 3]",
    ),
    "a constant along the width": (
        lambda w, x: w.node("Mul", x, w.constant([1.0, 2.0, 3.0, 4.0])),
        "(Mul): a constant of shape (4,) for 3 channels; use one value, or one each",
    ),
    "a list of channels that broadcasts along the width": (
        lambda w, x: w.node("Mul", x, w.constant([1.0, 2.0, 3.0])),
        "(Mul): a constant of shape (3,) for 3 channels; use one value, or one each",
    ),
    "a dense layer on an image": (
        lambda w, x: w.node("MatMul", x, w.quant(w.constant(np.eye(4)), 1.0, 2, signed=True)),
        "(MatMul): works on an image; flatten it in front of a dense layer",
    ),
    "an image whose elements are mixed": (
        lambda w, x: conv(
            w,
            w.node(
                "Reshape",
                w.node(
                    "Transpose",
                    w.node("Reshape", x, w.constant([1, 2, 30], np.int64)),
                    perm=[0, 2, 1],
                ),
                w.constant([1, 3, 5, 4], np.int64),
            ),
        ),
        "(Conv): an image whose elements the file mixed; keep its axes whole",
    ),
    "scales within a channel": (
        lambda w, x: conv(
            w,
            w.node(
                "Reshape",
                w.quant(w.node("Flatten", x), np.arange(60) % 5 + 1, 3, signed=True),
                w.constant([1, 3, 5, 4], np.int64),
            ),
        ),
        "(Conv): a scale or bias that differs within a channel of the image; "
        "use one for each channel",
    ),
    "a convolution of a vector": (
        lambda w, x: conv(w, w.node("Flatten", x)),
        "(Conv): an input of shape (60,) is no image; only 1-D and 2-D images are read",
    ),
    "a join of heights": (
        lambda w, x: w.node("Concat", x, x, axis=2),
        "(Concat): joins images along height or width; join channels, axis 1",
    ),
    "a join of other sizes": (
        lambda w, x: w.node("Concat", x, w.bipolar(conv(w, x)), axis=1),
        "(Concat): joins tensors of shapes [(3, 5, 4), (4, 3, 2)]; "
        "they may differ in one axis only",
    ),
    "a second quantizer of the input": (
        lambda w, x: w.node("Add", x, w.quant("x", 0.5, 3, signed=False)),
        "(Quant): the input is quantized twice; quantize it once, then branch",
    ),
    "adding another size": (
        lambda w, x: w.node("Add", x, w.bipolar(conv(w, x))),
        "(Add): inputs of different shapes cannot be added",
    ),
    "logits in the order of an image": (
        lambda w, x: w.node("Flatten", x),
        "(Flatten): the logits are a flattened image; end in a dense layer or a global pool",
    ),
    "a transposed convolution": (
        lambda w, x: w.node("ConvTranspose", x, w.constant(W)),
        "(ConvTranspose): this op is not supported",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_exact_is_refused_by_node_op_reason_and_remedy(tmp_path, case):
    middle, message = REFUSED[case]
    w, x = start()
    with pytest.raises(InputError) as refused:
        lower(save(w.model(middle(w, x)), tmp_path))
    assert message in str(refused.value)
    assert str(refused.value).startswith("node '")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("policy", ["exact", "fault-safe"])
def test_random_networks_are_lowered_under_either_policy(tmp_path, seed, policy):
    path = save(convolutional(seed), tmp_path)
    graph = lower(path, accumulator=policy, decode="clamp").graph
    assert graph.nodes[-1].name == "argmax"
    assert len(graph.input_edge.shape) == 3
