"""What became of each node of a file: every node once, in its order, with what was made of it."""

import numpy as np
import onnx
import pytest

from flow.errors import InputError
from flow.ingest import lower
from tests.ingest.foreign import by_axes, channels_last, zoo
from tests.ingest.networks import Writer, dense, save


def with_softmax():
    model = dense(bits=4)
    last = model.graph.output[0].name
    model.graph.node.append(onnx.helper.make_node("Softmax", [last], ["p"], name="p"))
    model.graph.output[0].name = "p"
    return model


def image():
    """A convolution with padding, a pool, a constant of a node, a sum of two branches."""
    w = Writer((1, 2, 4, 4))
    x = w.quant("x", 1.0, 3, signed=True)
    weights = w.quant(w.constant(np.ones((2, 2, 3, 3))), [[[[0.5]]], [[[0.25]]]], 3, signed=True)
    y = w.quant(w.node("Conv", x, weights, pads=[1, 1, 1, 1]), 1.0, 4, signed=True)
    y = w.quant(w.node("Add", x, y), 1.0, 4, signed=True)
    y = w.node("MaxPool", w.node("Identity", y), kernel_shape=[2, 2], strides=[2, 2])
    value = onnx.numpy_helper.from_array(np.array([0, -1]))
    y = w.node("Reshape", y, w.node("Constant", value=value))
    return w.model(w.node("Gemm", y, w.bipolar(w.constant(np.ones((3, 8)))), transB=1), 3)


FILES = {
    "binary": lambda: dense(),
    "four bits": lambda: dense(bits=4, layer="matmul"),
    "softmax": with_softmax,
    "zoo": lambda: zoo(input_type="u8"),
    "zoo, channels last": lambda: zoo(flatten=channels_last, input_type="u8"),
    "zoo, by axes": lambda: zoo(flatten=by_axes, input_type="u8"),
    "image": image,
}


@pytest.mark.parametrize("name", FILES)
def test_every_node_of_the_file_is_told_once_in_order(tmp_path, name):
    model = FILES[name]()
    told = lower(save(model, tmp_path)).explained
    assert [(e.name, e.op) for e in told] == [(n.name, n.op_type) for n in model.graph.node]
    assert all(e.became for e in told)
    assert not [e for e in told if "nothing reads" in e.became or "not read" in e.became]


@pytest.mark.parametrize("name", FILES)
def test_every_node_of_the_graph_is_told_of(tmp_path, name):
    lowered = lower(save(FILES[name](), tmp_path))
    told = " ".join(e.became for e in lowered.explained)
    assert [n.name for n in lowered.graph.nodes if n.name not in told] in ([], ["argmax"])


def became(model, folder):
    return {e.name: e.became for e in lower(save(model, folder)).explained}


def test_layers_weights_chains_and_thresholds_are_named(tmp_path):
    told = became(with_softmax(), tmp_path)
    assert told["Quant_0"] == "input stated as 8:u5"
    assert told["Quant_1"] == "weights of fc0: 4-bit codes (s4[-7..7]), one scale"
    assert told["Gemm_2"] == "layer fc0 (MatVec 6x8, s4[-7..7] weights, accumulator s12)"
    assert told["Relu_4"] == "joined the chain of act0: folded into thresholds"
    line = "thresholds act0 (15 for each of 6 channels, 1 channels constant)"
    assert told["Quant_5"] == line
    assert told["p"] == "dropped: the largest logit stays the largest; argmax picks it"


def test_images_constants_and_the_end_are_named(tmp_path):
    told = became(image(), tmp_path)
    assert told["Quant_1"] == "weights of conv0: 3-bit codes (s3), scale per channel"
    assert told["Conv_2"].startswith("makes pad0:Pad(margins=(1, 1, 1, 1), value=0); makes wind")
    assert "; layer conv0 (MatVec 2x18, s3 weights, accumulator s" in told["Conv_2"]
    assert told["Add_4"].startswith("makes add0:Add(")
    assert told["Identity_6"] == "passes through: nothing to do at inference"
    assert told["Constant_8"] == "a constant of the file"
    told = became(zoo(input_type="u8"), tmp_path)
    assert told["Concat_3"] == "constant folded, shape [2]"
    assert next(told[n] for n in told if n.startswith("Pow")) == "constant folded, shape [1]"
    assert list(told.values())[-1] == "joined the scale and bias of the logits"
    assert told["Transpose_9"] == "other axes of the weights of fc0"


def test_a_channel_that_no_integer_can_change_counts_as_constant(tmp_path):
    w = Writer((1, 2))
    x = w.quant("x", 1.0, 1, signed=False)
    x = w.node("Gemm", x, w.quant(w.constant(np.eye(2)), 1.0, 2, signed=True), transB=1)
    x = w.quant(w.node("Add", x, w.constant([0.0, 100.0])), 1.0, 2, signed=False)
    x = w.node("Gemm", x, w.bipolar(w.constant(np.ones((2, 2)))), transB=1)
    told = became(w.model(x, 2), tmp_path)
    assert told["Quant_4"].endswith("(3 for each of 2 channels, 1 channels constant)")


def test_passes_tell_what_they_changed(tmp_path):
    found = lower(save(dense(), tmp_path)).changes
    told = {(c.name, c.node): c.what for c in found}
    assert told["popcount_form", "fc1"] == "accumulator s4 -> u3, popcount False -> True"
    assert told["popcount_form", "act1"].startswith("thresholds changed, threshold_type ")
    assert not any(change.node == "fc0" for change in found)  # its inputs are no signs


def test_a_refusal_tells_what_was_understood_before(tmp_path):
    model = dense(bits=4)
    model.graph.node[5].op_type = "Identity"
    with pytest.raises(InputError, match=r"'Gemm_7' \(Gemm\): its input ") as refused:
        lower(save(model, tmp_path))
    told = refused.value.explained
    names = [node.name for node in model.graph.node]
    assert [e.name for e in told] == names[:8]
    assert told[2].became.startswith("layer fc0 (MatVec 6x8")
    assert told[7].became == "refused: " + str(refused.value).split("(Gemm): ")[1]


def test_unknown_ops_are_all_named_before_anything_is_read(tmp_path):
    model = dense(bits=4)
    for place in (4, 7):
        model.graph.node[place].op_type = "Mystery"
    with pytest.raises(InputError, match=r"'Relu_4' \(Mystery\): this op is not") as refused:
        lower(save(model, tmp_path))
    told = refused.value.explained
    assert [e.name for e in told] == [node.name for node in model.graph.node]
    assert [i for i, e in enumerate(told) if e.became.startswith("refused")] == [4, 7]
    assert told[0].became == "its op is read"
