"""What a file may keep elsewhere or leave open, and what is refused of it in one line."""

import numpy as np
import onnx
import pytest

from flow.errors import InputError
from flow.graphfile import digest
from flow.ingest import lower
from tests.ingest.foreign import zoo
from tests.ingest.networks import Writer, dense, save


@pytest.fixture
def split(tmp_path):
    """Write a network with its constants in ``w.bin`` beside it, changed by a function."""

    def write(change=lambda model: None):
        folder = tmp_path / "inner"
        folder.mkdir(exist_ok=True)
        model = dense(bits=4)
        path = folder / "net.onnx"
        one = {"save_as_external_data": True, "all_tensors_to_one_file": True}
        onnx.save_model(model, str(path), **one, location="w.bin", size_threshold=0)
        model = onnx.load(str(path), load_external_data=False)
        change(model)
        path.write_bytes(model.SerializeToString())
        return path

    return write


def entries(key, value):
    """Set an entry of where every constant is kept."""

    def change(model):
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == key:
                    entry.value = value

    return change


def test_constants_beside_the_file_are_read(split, tmp_path):
    whole = lower(save(dense(bits=4), tmp_path)).graph
    assert digest(lower(split()).graph) == digest(whole)


@pytest.mark.parametrize("place", ["../w.bin", "/etc/hostname", "link.bin", "sub/../../w.bin"])
def test_constants_outside_the_folder_are_refused(split, tmp_path, place):
    path = split(entries("location", place))
    (tmp_path / "w.bin").write_bytes((path.parent / "w.bin").read_bytes())
    (path.parent / "link.bin").symlink_to(tmp_path / "w.bin")
    with pytest.raises(InputError, match=r"constant 'c0' is kept in .* outside the file's folder"):
        lower(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("location", "none.bin"),
        ("location", ""),
        ("location", "."),
        ("offset", "-5"),
        ("offset", "999999999"),
        ("length", "many"),
        ("length", "999999999"),
    ],
)
def test_constants_that_are_not_there_are_refused(split, key, value):
    with pytest.raises(InputError, match=r"net\.onnx: ") as refused:
        lower(split(entries(key, value)))
    assert "\n" not in str(refused.value)


def test_a_data_file_that_was_cut_is_refused(split):
    path = split()
    (path.parent / "w.bin").write_bytes(b"abc")
    with pytest.raises(InputError, match="constant 'c0' is unreadable"):
        lower(path)


def batch(model, value):
    axis = model.graph.input[0].type.tensor_type.shape.dim[0]
    axis.Clear()
    if isinstance(value, str):
        axis.dim_param = value
    elif value is not None:
        axis.dim_value = value
    return model


@pytest.mark.parametrize("value", ["N", -1, 0, None])
def test_the_batch_may_stay_open(tmp_path, value):
    whole = lower(save(dense(), tmp_path)).graph
    assert digest(lower(save(batch(dense(), value), tmp_path)).graph) == digest(whole)
    reshaped = batch(zoo(input_type="u8"), value)  # computes the batch of its Reshape
    assert lower(save(reshaped, tmp_path)).graph.input_edge.elements == 12


@pytest.mark.parametrize(("value", "shown"), [("width", "width"), (-1, r"\?"), (None, r"\?")])
def test_other_axes_may_not(tmp_path, value, shown):
    model = dense()
    axis = model.graph.input[0].type.tensor_type.shape.dim[1]
    axis.Clear()
    if isinstance(value, str):
        axis.dim_param = value
    elif value is not None:
        axis.dim_value = value
    line = (
        rf"input 'x' has shape \[1, {shown}\]; export a fixed shape, batch first; the batch alone"
    )
    with pytest.raises(InputError, match=line):
        lower(save(model, tmp_path))


def test_an_input_without_a_shape_is_refused(tmp_path):
    model = dense()
    model.graph.input[0].type.Clear()
    with pytest.raises(InputError, match=r"input 'x' has shape \[\]; export a fixed shape"):
        lower(save(model, tmp_path))


def test_constants_of_nodes_may_be_numbers(tmp_path):
    w = Writer()
    x = w.quant("x", 1.0, 3, signed=False)
    x = w.node("Gemm", x, w.quant(w.constant(np.eye(8)), 1.0, 2, signed=True), transB=1)
    x = w.node("Mul", x, w.node("Constant", value_float=0.5))
    x = w.node("Add", x, w.node("Constant", value_floats=[0.25] * 8))
    x = w.node("Reshape", x, w.node("Constant", value_ints=[1, 8]))
    affine = lower(save(w.model(x, 8), tmp_path)).graph.logit_affine
    assert {(float(a.scale), float(a.offset)) for a in affine} == {(0.5, 0.25)}


def test_a_constant_of_a_node_that_is_infinite_is_refused(tmp_path):
    w = Writer()
    x = w.node("Mul", w.quant("x", 1.0, 3, signed=False), w.node("Constant", value_float=np.inf))
    with pytest.raises(
        InputError, match=r"'Constant_1' \(Constant\): holds NaN or infinity; train"
    ):
        lower(save(w.model(x, 8), tmp_path))


def sparse(model):
    tensor = model.graph.sparse_initializer.add()
    tensor.values.name = "few"


def function(model):
    model.functions.add().name = "f"


def new(model):
    model.opset_import[0].version = 99


def branch(model):
    inner = onnx.helper.make_graph([], "inner", [], [])
    model.graph.node[1].attribute.append(onnx.helper.make_attribute("then_branch", inner))


def no_initializer(model):
    del model.graph.initializer[-1]


def cyclic(model):
    model.graph.node[0].input[0] = model.graph.node[-1].output[0]


def two_inputs(model):
    model.graph.input.add().name = "x2"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (sparse, "net.onnx: constant 'few' is sparse; export dense constants"),
        (function, "net.onnx: has 1 functions of its own; inline them (onnx.inliner"),
        (new, "net.onnx: opset 99; export opset 24 or earlier"),
        (branch, "net.onnx: node 'BipolarQuant_1' (BipolarQuant): has a subgraph; fold its"),
        (no_initializer, "which no earlier node or initializer makes; the graph is cyclic"),
        (cyclic, "which no earlier node or initializer makes; the graph is cyclic"),
        (two_inputs, "net.onnx: 2 inputs and 1 outputs; a network with one of each is wanted"),
    ],
)
def test_what_is_no_plain_network_is_refused(tmp_path, change, message):
    model = dense()
    change(model)
    with pytest.raises(InputError) as refused:
        lower(save(model, tmp_path))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
