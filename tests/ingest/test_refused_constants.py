"""Constants, shapes and attributes that cannot be exact are refused by node, op and remedy."""

import numpy as np
import onnx
import pytest

from tests.ingest.refused import EYE, integers, layer, network, refusal

CONSTANTS = {
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


@pytest.mark.parametrize("case", CONSTANTS)
def test_constants_that_cannot_be_exact_are_refused(tmp_path, case):
    middle, message = CONSTANTS[case]
    assert refusal(network(middle), tmp_path).startswith(message)
