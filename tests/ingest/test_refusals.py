import numpy as np
import onnx
import pytest

from flow.errors import InputError
from flow.ingest import lower
from tests.ingest.networks import Writer, dense, save

EYE = np.eye(8, dtype=np.float32)


def network(middle):
    """Input quantizer, what ``middle`` adds to the writer, and a last layer of four classes."""
    w = Writer()
    x = middle(w, w.quant("x", 1.0, 3, signed=False))
    return w.model(w.node("Gemm", x, w.bipolar(w.constant(np.ones((4, 8)))), transB=1), 4)


def layer(w, x, **options):
    return w.node("Gemm", x, w.quant(w.constant(EYE), 1.0, 2, signed=True), transB=1, **options)


def chain(*ops):
    """A layer, then ops of constants, then a quantizer."""

    def middle(w, x):
        x = layer(w, x)
        for op, *constants in ops:
            x = w.node(op, x, *map(w.constant, constants))
        return w.bipolar(x)

    return middle


REFUSED = {
    "an unknown op": (
        chain(("Sigmoid",)),
        "node 'Sigmoid_3' (Sigmoid): this op is not supported; supported are Add, AveragePool, ",
    ),
    "an op of another domain": (
        lambda w, x: w.node("Relu", x, domain="com.example"),
        "node 'Relu_1' (com.example.Relu): this op is not supported",
    ),
    "no quantizer between layers": (
        lambda w, x: layer(w, x),
        "node 'Gemm_4' (Gemm): follows a layer with no quantizer between; add a QuantIdentity",
    ),
    "an activation without quantizer": (
        lambda w, x: w.node("Relu", layer(w, x)),
        "node 'Gemm_5' (Gemm): its input 'Relu_3_out' is not quantized; "
        "add a QuantIdentity before the layer",
    ),
    "weights without quantizer": (
        lambda w, x: w.node("Gemm", x, w.constant(EYE / 2 + 0.25)),
        "node 'Gemm_1' (Gemm): the weights are neither quantized nor whole numbers; "
        "give the layer a weight quantizer",
    ),
    "an input scale per channel": (
        lambda w, x: w.quant(layer(w, x), 1.1 ** -np.arange(1, 99, 13), 4, signed=False),
        "node 'Gemm_5' (Gemm): its input has a scale per channel, on a common grid of 41 bits; "
        "use one scale for the tensor",
    ),
    "a scale per column": (
        lambda w, x: w.bipolar(
            w.node("Gemm", x, w.quant(w.constant(EYE), np.arange(1, 9), 2, signed=True), transB=1)
        ),
        "node 'Gemm_2' (Gemm): weight scales of shape (1, 8); "
        "use one per output channel or one in all",
    ),
    "a constant of another size": (
        chain(("Add", [1.0, 2.0, 3.0])),
        "node 'Add_3' (Add): a constant of shape (3,) for 8 channels; use one value, or one each",
    ),
    "a constant along the batch": (
        chain(("Mul", np.ones((8, 1)))),
        "node 'Mul_3' (Mul): a constant of shape (8, 1) for 8 channels",
    ),
    "BatchNormalization of another size": (
        chain(("BatchNormalization", *np.ones((4, 5)))),
        "node 'BatchNormalization_3' (BatchNormalization): a constant of shape (5,) for 8 channels",
    ),
    "a negative variance": (
        chain(("BatchNormalization", *np.ones((3, 8)), -np.ones(8))),
        "node 'BatchNormalization_3' (BatchNormalization): a variance of 0 or below",
    ),
    "a missing input": (
        chain(("BatchNormalization", np.ones(8))),
        "node 'BatchNormalization_3' (BatchNormalization): has inputs ['Gemm_2_out', 'c7'], "
        "of which 5 are needed",
    ),
    "division by 0": (
        chain(("Div", 0.0)),
        "node 'Div_3' (Div): division by a tensor or by 0 is no monotone step",
    ),
    "an add of tensors that are not quantized": (
        lambda w, x: w.bipolar(w.node("Add", w.node("Relu", layer(w, x)), x)),
        "node 'Add_4' (Add): adds 'Relu_3_out', which is not quantized; add a QuantIdentity",
    ),
    "a join along the batch": (
        lambda w, x: w.node("Concat", x, x, axis=0),
        "node 'Concat_1' (Concat): joins along the batch; use an axis behind it",
    ),
    "a join of what is not quantized": (
        lambda w, x: w.node("Concat", x, w.node("Relu", layer(w, x)), axis=1),
        "node 'Concat_4' (Concat): joins 'Relu_3_out', which is not quantized; "
        "add a QuantIdentity in front",
    ),
    "a join with a constant": (
        lambda w, x: w.node("Concat", x, w.constant(np.ones((1, 2))), axis=1),
        "node 'Concat_1' (Concat): input 1 is a constant where data is wanted",
    ),
    "an input scaled by 0": (
        lambda w, x: w.node("Mul", x, w.constant(0.0)),
        "node 'Gemm_3' (Gemm): its input is scaled by 0; drop the layer, or train again",
    ),
    "a product of two tensors": (
        lambda w, x: w.bipolar(w.node("Mul", x, x)),
        "node 'Mul_1' (Mul): needs one tensor and one constant",
    ),
    "a zero scale": (
        lambda w, x: w.quant(layer(w, x), 0.0, 4, signed=False),
        "node 'Quant_3' (Quant): a scale of 0 or below; train again or clip the scale",
    ),
    "a fractional bit width": (
        lambda w, x: w.quant(layer(w, x), 1.0, 3.5, signed=False),
        "node 'Quant_3' (Quant): bit width 3.5 is no integer from 1 to 32",
    ),
    "an unknown rounding mode": (
        lambda w, x: w.quant(layer(w, x), 1.0, 4, signed=False, mode="STOCHASTIC"),
        "node 'Quant_3' (Quant): rounding mode 'STOCHASTIC' is unknown; choose one of ROUND, "
        "HALF_EVEN, HALF_UP, HALF_DOWN, CEIL, FLOOR, UP, DOWN",
    ),
    "too many levels": (
        lambda w, x: w.quant(layer(w, x), 0.5, 12, signed=False),
        "node 'Quant_3' (Quant): 4096 levels; quantize activations to at most 10 bits",
    ),
    "a weight zero point between integers": (
        lambda w, x: w.node("Gemm", x, w.quant(w.constant(EYE), 1.0, 4, signed=True, zero=0.5)),
        "node 'Quant_1' (Quant): a zero point that is no integer; weights need a whole one",
    ),
    "a falling leaky slope": (
        lambda w, x: w.bipolar(w.node("LeakyRelu", layer(w, x), alpha=-0.5)),
        "node 'LeakyRelu_3' (LeakyRelu): alpha -0.5 is negative, so the step is not monotone",
    ),
    "an attribute of another kind": (
        lambda w, x: w.bipolar(w.node("LeakyRelu", layer(w, x), alpha="steep")),
        "node 'LeakyRelu_3' (LeakyRelu): attribute 'alpha' is 'steep' where float is wanted",
    ),
}


PAIR = np.ones((2, 1, 1, 2))


def image(middle):
    """A quantized image of two channels, what ``middle`` makes of it, flattened, four classes."""
    w = Writer((1, 2, 2, 2))
    x = w.node("Flatten", middle(w, w.quant("x", 1.0, 3, signed=False)))
    return w.model(w.node("Gemm", x, w.bipolar(w.constant(np.ones((4, 8)))), transB=1), 4)


def integers(w, *values):
    return w.constant(values, np.int64)


OF_IMAGES = {
    "too wide a margin": (
        lambda w, x: w.node("MaxPool", x, kernel_shape=[2, 2], pads=[0, 0, 0, 5000]),
        "node 'MaxPool_1' (MaxPool): pads [0, 0, 0, 5000]; pad by at most 1024",
    ),
    "chosen axes to pad": (
        lambda w, x: w.node("Pad", x, integers(w, 1, 1), w.constant(0.0), integers(w, 3)),
        "node 'Pad_1' (Pad): pads chosen axes; export pads of all axes",
    ),
    "a margin of several values": (
        lambda w, x: w.node("Pad", x, integers(w, *[0] * 8), w.constant([1.0, 2.0])),
        "node 'Pad_1' (Pad): a value of shape (2,); use one",
    ),
    "an average of nothing": (
        lambda w, x: w.node("AveragePool", x, kernel_shape=[0, 0]),
        "node 'AveragePool_1' (AveragePool): a kernel, stride or dilation below 1",
    ),
    "an average that is not quantized again": (
        lambda w, x: w.node("AveragePool", x, kernel_shape=[1, 1]),
        "node 'Gemm_4' (Gemm): follows a layer with no quantizer between; add a QuantIdentity",
    ),
    "zeros around signs": (
        lambda w, x: w.node("Pad", w.bipolar(x), integers(w, *[0] * 6, 1, 1)),
        "node 'Pad_2' (Pad): a bipolar tensor cannot be padded with 0",
    ),
    "an activation that is not quantized between convolutions": (
        lambda w, x: w.node(
            "Conv",
            w.node("Relu", w.node("Conv", x, w.bipolar(w.constant(np.ones((2, 2, 1, 1)))))),
            w.bipolar(w.constant(np.ones((2, 2, 1, 1)))),
            name="conv3",
        ),
        "node 'conv3' (Conv): its input 'Relu_3_out' is not quantized; add a QuantIdentity",
    ),
    "a sum of two orders": (
        lambda w, x: w.node(
            "Add",
            flat := w.node("Flatten", x),
            w.quant(layer(w, flat), 1.0, 3, signed=False),
        ),
        "node 'Add_5' (Add): adds a flattened image to what is none; flatten both or neither",
    ),
}


@pytest.mark.parametrize("case", OF_IMAGES)
def test_what_cannot_be_exact_of_images_is_refused(tmp_path, case):
    middle, message = OF_IMAGES[case]
    assert refusal(image(middle), tmp_path).startswith(message)


REFUSED |= {
    "two constants of other types": (
        lambda w, x: w.node("Mul", integers(w, 1), integers(w, 2)),
        "node 'Mul_1' (Mul): of two constants that are not float32; fold it at export",
    ),
    "a constant over zero": (
        lambda w, x: w.node("Div", w.constant(1.0), w.constant(0.0)),
        "node 'Div_1' (Div): makes NaN or infinity of constants; train again",
    ),
    "BatchNormalization in training": (
        lambda w, x: w.node("BatchNormalization", x, *[w.constant(1.0)] * 4, training_mode=1),
        "node 'BatchNormalization_1' (BatchNormalization): is in training mode; export the network",
    ),
    "a cast that loses": (
        lambda w, x: w.node("Cast", w.constant(0.5), to=onnx.TensorProto.INT64),
        "node 'Cast_1' (Cast): changes the constants that it casts; fold it at export",
    ),
    "transposed data": (
        lambda w, x: layer(w, x, transA=1),
        "node 'Gemm_2' (Gemm): a transposed data input has no stream order; export with transA=0",
    ),
    "a part of a shape": (
        lambda w, x: w.node("Shape", x, start=1),
        "node 'Shape_1' (Shape): takes a part of the shape; fold it at export",
    ),
    "a gather along no axis": (
        lambda w, x: w.node("Gather", integers(w, 1, 2), integers(w, 0), axis=3),
        "node 'Gather_1' (Gather): gathers along no axis of a constant; fold it at export",
    ),
    "a gather past the end": (
        lambda w, x: w.node("Gather", integers(w, 1, 2), integers(w, 2)),
        "node 'Gather_1' (Gather): gathers beyond 2 entries",
    ),
    "a power of integers": (
        lambda w, x: w.node("Pow", integers(w, 2), integers(w, 2)),
        "node 'Pow_1' (Pow): of constants other than float32; fold it at export",
    ),
    "the root of a negative constant": (
        lambda w, x: w.node("Pow", w.constant(-1.0), w.constant(0.5)),
        "node 'Pow_1' (Pow): makes NaN or infinity of constants; train again",
    ),
    "weights that are reshaped": (
        lambda w, x: w.node("Reshape", w.bipolar(w.constant(EYE)), integers(w, 4, 16)),
        "node 'Reshape_2' (Reshape): quantized weights can only be transposed; reshape them before",
    ),
    "one level": (
        lambda w, x: w.quant(x, 1.0, 1, signed=False, narrow=1),
        "node 'Quant_1' (Quant): a narrow range of one level; use more bits or the full range",
    ),
    "a sign with a zero point": (
        lambda w, x: w.quant(x, 1.0, 1, signed=True, zero=1.0),
        "node 'Quant_1' (Quant): one signed bit with a zero point; use a zero point of 0",
    ),
    "weights quantized twice": (
        lambda w, x: w.bipolar(w.bipolar(w.constant(EYE))),
        "node 'BipolarQuant_2' (BipolarQuant): a constant that is quantized twice",
    ),
    "a second output": (
        lambda w, x: w.node("Relu", w.node("Identity", x, outputs=["a", "b"]) and "b"),
        "node 'Relu_2' (Relu): input 0 ('b') was not understood",
    ),
    "a sum with nothing of one side": (
        lambda w, x: w.node("Add", x, w.node("Mul", x, w.constant(0.0))),
        "node 'Add_2' (Add): adds 'Mul_1_out', which has a scale of 0",
    ),
    "a constant in place of data": (
        lambda w, x: w.node("Relu", w.constant(1.0)),
        "node 'Relu_1' (Relu): input 0 is a constant where data is wanted",
    ),
    "data in place of a constant": (
        lambda w, x: w.node("Clip", x, x),
        "node 'Clip_1' (Clip): input 'Quant_0_out' must be a constant; fold it at export",
    ),
    "bits against other weights": (
        lambda w, x: w.node(
            "XnorPopcountMatMul",
            w.quant(layer(w, x), 1.0, 1, signed=False),
            w.constant(np.ones((3, 4))),
            domain="qonnx.custom_op.general",
        ),
        "node 'XnorPopcountMatMul_4' (XnorPopcountMatMul): 3 rows of weights for an input of shape",
    ),
    "a Constant without value": (
        lambda w, x: w.node("Constant"),
        "node 'Constant_1' (Constant): only tensors and numbers are understood",
    ),
}


def test_the_logits_are_one_number_per_class_of_a_layer(tmp_path):
    w = Writer((1, 1, 2, 2))
    x = w.node("Conv", w.quant("x", 1.0, 3, signed=False), w.bipolar(w.constant(PAIR)))
    line = refusal(w.model(x, 2), tmp_path)
    assert line == "node 'Conv_2' (Conv): logits of shape (2, 2, 1); end in one logit per class"
    model = dense()
    model.graph.output[0].name = "x"
    assert refusal(model, tmp_path).endswith("net.onnx: output 'x' is no result of a layer")
    model = ends(("Softmax", [], {}))
    model.graph.node[-1].input[:] = [""]
    assert refusal(model, tmp_path) == "node 'end' (Softmax): has no input"


def test_thresholds_per_channel_want_channels(tmp_path):
    w = Writer((1, 1))
    x = w.node("Squeeze", w.quant("x", 1.0, 3, signed=False), integers(w, 1))
    x = w.node("MultiThreshold", x, w.constant([[1.0], [2.0]]), domain="finn.custom_op.general")
    line = refusal(w.model(x, 1), tmp_path)
    assert line == "node 'MultiThreshold_2' (MultiThreshold): a tensor without channels"


def without_nodes(model):
    del model.graph.node[:]


def two_outputs(model):
    model.graph.output.append(model.graph.output[0])


def old(model):
    model.opset_import[0].version = 6


def twice(model):
    model.graph.node[1].output[0] = model.graph.node[0].output[0]


def from_nowhere(model):
    model.graph.node[1].input[0] = "nowhere"


def without_kind(model):
    model.graph.node[0].attribute[0].ref_attr_name = "of_a_function"


def vast(model):
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1 << 40


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (without_nodes, "net.onnx: not an ONNX model (no nodes)"),
        (two_outputs, "net.onnx: 1 inputs and 2 outputs; a network with one of each is wanted"),
        (old, "net.onnx: opset 6; export opset 7 or later"),
        (twice, "makes ['Quant_0_out']: nothing, or what is made already"),
        (
            from_nowhere,
            "reads 'nowhere', which no earlier node or initializer makes; "
            "the graph is cyclic, unsorted or incomplete",
        ),
        (without_kind, "net.onnx: node 'Quant_0': unreadable attribute ("),
        (vast, "net.onnx: input 'x' has impossible shape [1, 1099511627776]"),
    ],
)
def test_a_file_that_is_no_whole_network_is_refused(tmp_path, break_it, message):
    model = dense()
    break_it(model)
    assert message in refusal(model, tmp_path)


def refusal(model, folder, **options):
    """What is said of a file that is refused."""
    path = save(model, folder)
    with pytest.raises(InputError) as refused:
        lower(path, **options)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_exact_is_refused_by_node_op_reason_and_remedy(tmp_path, case):
    middle, message = REFUSED[case]
    assert refusal(network(middle), tmp_path).startswith(message)


def test_an_unknown_op_is_named_before_anything_in_front_of_it(tmp_path):
    def middle(w, x):
        return w.node("Sigmoid", w.quant(layer(w, x), 0.0, 4, signed=False))

    with pytest.raises(InputError, match=r"\(Sigmoid\): this op is not supported"):
        lower(save(network(middle), tmp_path))


def test_one_logit_is_no_choice_and_refused(tmp_path):
    with pytest.raises(InputError) as refused:
        lower(save(dense(sizes=(8, 6, 1)), tmp_path))
    assert str(refused.value).endswith(
        "(Gemm): one logit, so nothing to choose from; end in a logit per class"
    )


def ends(*nodes):
    """The network of ``dense`` with nodes behind its logits."""
    model = dense()
    for op, constants, attributes in nodes:
        names = [f"end{i}" for i in range(len(constants))]
        arrays = map(onnx.numpy_helper.from_array, map(np.asarray, constants), names)
        model.graph.initializer.extend(arrays)
        last = model.graph.output[0].name
        node = onnx.helper.make_node(op, [last, *names], ["end"], name="end", **attributes)
        model.graph.node.append(node)
        model.graph.output[0].name = "end"
    return model


ENDS = {
    "an activation": (
        ("Relu", [], {}),
        "node 'end' (Relu): the logits end in an activation; end in a layer",
    ),
    "argmax of the batch": (
        ("ArgMax", [], {}),
        "node 'end' (ArgMax): works along the batch; use the class axis, -1",
    ),
    "ties to the last": (
        ("ArgMax", [], {"axis": -1, "select_last_index": 1}),
        "node 'end' (ArgMax): gives a tie to the largest index; use select_last_index=0",
    ),
    "the two largest": (
        ("TopK", [np.array([2])], {}),
        "node 'end' (TopK): picks other than the one largest logit; use k=1 and largest=1",
    ),
}


@pytest.mark.parametrize("case", ENDS)
def test_an_end_that_is_no_plain_choice_of_the_largest_is_refused(tmp_path, case):
    end, message = ENDS[case]
    assert refusal(ends(end), tmp_path) == message


def test_files_that_are_no_network_are_refused_by_name(tmp_path):
    path = tmp_path / "net.onnx"
    with pytest.raises(InputError, match=r"net\.onnx: no such file"):
        lower(path)
    for blob in (b"", b"hello", dense().SerializeToString()[:-100]):
        path.write_bytes(blob)
        with pytest.raises(InputError, match=r"net\.onnx: not "):
            lower(path)
    with pytest.raises(InputError, match="not a readable ONNX file"):
        lower(tmp_path)


def test_a_shape_that_is_not_fixed_is_refused(tmp_path):
    model = dense()
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "n"
    with pytest.raises(InputError, match=r"input 'x' has shape \[1, n\]; export a fixed shape"):
        lower(save(model, tmp_path))


def test_a_sum_of_more_than_63_bits_is_refused(tmp_path):
    w = Writer()
    x = w.quant("x", 1.0, 32, signed=False)
    weights = w.quant(w.constant(EYE * 2**28), 1.0, 32, signed=True)
    path = save(w.model(w.node("Gemm", x, weights), 8), tmp_path)
    assert lower(path).graph.node("fc0").op.accumulator.bits == 60
    with pytest.raises(InputError, match=r"'Gemm_2' \(Gemm\): an integer type has 1 to 63 bits"):
        lower(path, accumulator="fault-safe")


def test_an_input_without_quantizer_is_refused(tmp_path):
    w = Writer()
    x = w.node("Gemm", "x", w.bipolar(w.constant(EYE)))
    with pytest.raises(InputError, match=r"'Gemm_1' \(Gemm\): the input is not quantized; add a"):
        lower(save(w.model(x, 8), tmp_path))


def test_a_constant_that_is_not_finite_is_refused(tmp_path):
    w = Writer()
    x = w.quant("x", 1.0, 3, signed=False)
    x = w.node("Gemm", x, w.bipolar(w.constant(EYE * np.nan)))
    with pytest.raises(InputError, match="constant 'c3' holds NaN or infinity; train again"):
        lower(save(w.model(x, 8), tmp_path))


def test_a_constant_of_a_type_that_its_bytes_are_not_is_refused(tmp_path):
    model = dense()
    for tensor in model.graph.initializer:
        tensor.data_type = onnx.TensorProto.FLOAT8E4M3FN
    with pytest.raises(InputError, match="constant 'c0' is "):
        lower(save(model, tmp_path))


def test_an_unknown_policy_is_refused(tmp_path):
    with pytest.raises(
        InputError, match="'wide' is not a valid Policy; see `bitproof lower --help`"
    ):
        lower(save(dense(), tmp_path), accumulator="wide")


def test_a_declared_input_type_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"bitproof\.input_type: 'pixels' is no integer type"):
        lower(save(dense(input_type="pixels"), tmp_path))
