import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flow.errors import InputError
from flow.ingest import lower
from tests.ingest.foreign import channels_last, zoo
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
        lambda w, x: w.quant(layer(w, x), np.arange(1, 9), 4, signed=False),
        "node 'Gemm_5' (Gemm): its input has a scale per channel; use one scale for the tensor",
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
        lambda w, x: w.bipolar(w.node("Add", layer(w, x), x)),
        "node 'Add_3' (Add): adds 'Gemm_2_out', which is not quantized; add a QuantIdentity",
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


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_exact_is_refused_by_node_op_reason_and_remedy(tmp_path, case):
    middle, message = REFUSED[case]
    with pytest.raises(InputError) as refused:
        lower(save(network(middle), tmp_path))
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


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
    with pytest.raises(InputError) as refused:
        lower(save(ends(end), tmp_path))
    assert str(refused.value) == message


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
    with pytest.raises(InputError, match=r"input 'x' has shape \[1, 0\]; export a fixed shape"):
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
    with pytest.raises(InputError, match="'wide' is not a valid Policy; see `bitproof lower"):
        lower(save(dense(), tmp_path), accumulator="wide")


def test_a_declared_input_type_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"bitproof\.input_type: 'pixels' is no integer type"):
        lower(save(dense(input_type="pixels"), tmp_path))


SEEDS = [
    dense(bits=bits, layer=how).SerializeToString() for bits in (1, 4) for how in ("gemm", "matmul")
]
SEEDS += [
    zoo(image=(2, 1, 4), input_type="u8").SerializeToString(),
    zoo(image=(2, 1, 4), flatten=channels_last, input_type="u8").SerializeToString(),
]
DAMAGE = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4)
QUIET = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@QUIET
@given(st.sampled_from(SEEDS), DAMAGE)
def test_damaged_bytes_end_in_a_graph_or_in_one_line(tmp_path, blob, damage):
    bent = bytearray(blob)
    for where, byte in damage:
        bent[min(int(where * len(bent)), len(bent) - 1)] = byte
    expect_graph_or_line(tmp_path, bytes(bent))


@QUIET
@given(st.sampled_from(SEEDS), st.data())
def test_rewired_nodes_end_in_a_graph_or_in_one_line(tmp_path, blob, data):
    model = onnx.load_from_string(blob)
    names = ["", "x", *(o for n in model.graph.node for o in n.output)]
    names += [t.name for t in model.graph.initializer]
    ops = ["Relu", "Add", "Mul", "Gemm", "Quant", "BipolarQuant", "Clip", "ArgMax", "Transpose"]
    ops += ["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Gather", "Concat", "Shape", "Pow"]
    for _ in range(data.draw(st.integers(1, 2))):
        node = data.draw(st.sampled_from(list(model.graph.node)))
        match data.draw(st.integers(0, 3)):
            case 0 if node.input:
                place = data.draw(st.integers(0, len(node.input) - 1))
                node.input[place] = data.draw(st.sampled_from(names))
            case 1:
                node.op_type = data.draw(st.sampled_from(ops))
            case 2 if node.input:
                node.input.pop()
            case 3 if node.attribute:
                node.attribute.pop()
    expect_graph_or_line(tmp_path, model.SerializeToString())


def expect_graph_or_line(folder, blob):
    path = folder / "net.onnx"
    path.write_bytes(blob)
    try:
        last, line = lower(path).graph.nodes[-1].name, ""
    except InputError as error:
        last, line = "argmax", str(error)
    assert last == "argmax"
    assert "\n" not in line
