"""What cannot be exact is refused by node, op, reason and remedy."""

import numpy as np
import pytest

from flow.errors import InputError
from flow.ingest import lower
from tests.ingest.networks import save
from tests.ingest.refused import EYE, chain, layer, network, refusal

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


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_exact_is_refused_by_node_op_reason_and_remedy(tmp_path, case):
    middle, message = REFUSED[case]
    assert refusal(network(middle), tmp_path).startswith(message)


def test_an_unknown_op_is_named_before_anything_in_front_of_it(tmp_path):
    def middle(w, x):
        return w.node("Sigmoid", w.quant(layer(w, x), 0.0, 4, signed=False))

    with pytest.raises(InputError, match=r"\(Sigmoid\): this op is not supported"):
        lower(save(network(middle), tmp_path))
