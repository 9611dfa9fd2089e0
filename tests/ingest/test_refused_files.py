"""A file that is no whole network is refused by name."""

import numpy as np
import onnx
import pytest

from flow.errors import InputError
from flow.ingest import lower
from tests.ingest.networks import Writer, dense, save
from tests.ingest.refused import EYE, refusal


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
