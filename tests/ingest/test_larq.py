"""Binarised networks in plain ONNX: signs and comparisons, channels last, constants as weights."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from flow.agreement import agree_qonnx
from flow.errors import InputError
from flow.ingest import lower
from flow.ingest.steps import ALWAYS, NEVER, Affine, Bound, Stair, forward, pull_back
from flow.ingest.surd import Surd
from flow.ir import IntType
from flow.ops import MatVec, MaxPool, Reshape, Threshold, Window
from tests.ingest.foreign import SIGNS, larq
from tests.ingest.networks import Writer, save

BIPOLAR = IntType.bipolar1()
ANY = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@ANY
@given(st.integers(0, 2**32 - 1))
def test_qonnx_agrees_on_every_binarisation_of_random_networks(tmp_path, seed):
    path = save(larq(seed), tmp_path)
    lowered = lower(path, input_type="u3")
    x = np.random.default_rng(seed).integers(0, 8, (8, *lowered.graph.input_edge.shape))
    x[0] = 0
    found = agree_qonnx(path, lowered, x)
    signs = sum(isinstance(node.op, Threshold) for node in lowered.graph.nodes)
    assert found.tensors == signs >= 2
    assert (found.mismatches, found.logit_mismatches, found.class_mismatches) == (0, 0, 0)


def dense(sign, *, bias=0.0, scale=1.0):
    """Three pixels, a layer of +1, a scaled and moved sum, binarised, and binary logits."""
    w = Writer((1, 3))
    x = w.node("MatMul", "x", w.constant([[1.0, 1], [-1, 1], [1, -1]]))
    x = w.node("Add", w.node("Mul", x, w.constant(scale)), w.constant(bias))
    x = sign(w, x)
    return w.model(w.node("MatMul", x, w.constant(np.eye(2) * 2 - 1)), 2)


GRID = np.stack(np.meshgrid(*[range(4)] * 3), -1).reshape(-1, 3)
SUMS = GRID @ np.array([[1, 1], [-1, 1], [1, -1]])
TIED = [
    0 if sign.__name__ == "_ternary" else -1 if sign.__name__ == "_cast" else 1 for sign in SIGNS
]


@pytest.mark.parametrize(("sign", "tie"), list(zip(SIGNS, TIED, strict=True)))
@pytest.mark.parametrize("scale", [1.0, -0.5])
def test_a_sum_of_exactly_0_is_what_onnx_makes_of_it(tmp_path, sign, tie, scale):
    graph = lower(save(dense(sign, scale=scale), tmp_path), input_type="u2").graph
    codes = graph.evaluate_all(GRID)["act0_out"]
    assert (SUMS == 0).any()
    np.testing.assert_array_equal(codes, np.where(SUMS == 0, tie, np.sign(SUMS * scale)))
    assert graph.node("act0").op.output == (
        IntType(2, True, declared=(-1, 1)) if tie == 0 else BIPOLAR
    )


def test_a_sign_that_no_sum_makes_0_is_binary(tmp_path):
    graph = lower(save(dense(SIGNS[-1], bias=0.5), tmp_path), input_type="u2").graph
    assert graph.node("act0").op.output == BIPOLAR
    np.testing.assert_array_equal(graph.evaluate_all(GRID)["act0_out"], np.where(SUMS >= 0, 1, -1))


def comparison(op, *, first, yes, no):
    def sign(w, x):
        edge = w.constant([0.0, 1.5])
        holds = w.node(op, edge, x) if first else w.node(op, x, edge)
        return w.node("Where", holds, w.constant(yes), w.constant(no))

    return sign


ORDERS = {
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
}


@pytest.mark.parametrize("op", ORDERS)
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("levels", [(1.0, -1.0), (-1.0, 1.0), (0.0, 3.0), (2.0, -1.0)])
def test_every_comparison_chooses_as_numpy_does(tmp_path, op, first, levels):
    yes, no = levels
    path = save(dense(comparison(op, first=first, yes=yes, no=no)), tmp_path)
    lowered = lower(path, input_type="u2")
    pair = ([0.0, 1.5], SUMS) if first else (SUMS, [0.0, 1.5])
    expected = np.where(ORDERS[op](*pair), yes, no)
    made = lowered.decisions[0].meaning(lowered.graph.evaluate_all(GRID)["act0_out"])
    np.testing.assert_array_equal(made, expected)
    assert agree_qonnx(path, lowered, GRID).holds


@given(st.sampled_from([(True, False), (False, True), (True, True)]), st.integers(-2, 2),
       st.fractions(-3, 3), st.booleans(), st.booleans(), st.fractions(-1, 1))  # fmt: skip
def test_a_stair_pulled_back_is_met_where_the_stair_meets_it(cuts, base, t, strict, above, x):
    step, bound = Stair(base, *cuts), Bound(Surd.of(t), strict, above)
    answer = pull_back(step, bound, 0)
    for value in (x, Fraction(0)):
        met = bound.met_by(forward(step, Surd.of(value), 0))
        assert met == (
            answer is ALWAYS if answer in (ALWAYS, NEVER) else answer.met_by(Surd.of(value))
        )


def test_channels_last_images_are_the_graphs_own_and_pools_run_on_sums(tmp_path):
    w = Writer((1, 5, 6, 2))
    x = w.node("Transpose", "x", perm=[0, 3, 1, 2])
    rng = np.random.default_rng(3)
    x = w.node("Conv", x, w.constant(rng.choice([-1.0, 1.0], (4, 2, 2, 2))))
    x = w.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = w.node("Mul", x, w.constant(rng.choice([-1.0, 1.0], (4, 1, 1))))
    x = SIGNS[0](w, w.node("Transpose", x, perm=[0, 2, 3, 1]))
    x = w.node("Reshape", x, w.constant([-1, 16], np.int64))
    x = w.node("MatMul", x, w.constant(rng.choice([-1.0, 1.0], (16, 3))))
    lowered = lower(save(w.model(x, 3), tmp_path), input_type="u8")
    assert lowered.graph.input_edge.shape == (5, 6, 2)
    ops = [type(node.op) for node in lowered.graph.nodes][:-1]
    assert ops == [Window, MatVec, MaxPool, Threshold, Reshape, MatVec]


def test_a_row_of_one_size_is_that_scale_times_signs(tmp_path):
    w = Writer((1, 3))
    weights = np.float32([[0.1, -0.1, 0.1], [0.7, 0.7, 0]]).T
    x = SIGNS[0](w, w.node("MatMul", "x", w.constant(weights)))
    x = w.node("MatMul", x, w.constant(np.float32(0.3) * (np.eye(2) * 2 - 1)))
    graph = lower(save(w.model(x, 2), tmp_path), input_type="s4").graph
    first, last = (node.op for node in graph.nodes if isinstance(node.op, MatVec))
    assert first.weights.tolist() == [[1, -1, 1], [1, 1, 0]]
    assert (str(first.weight_type), last.weight_type) == ("s2", BIPOLAR)
    assert {affine.scale for affine in graph.logit_affine} <= {
        Fraction(np.float32(0.3).item()) * factor for factor in (1, 2)
    }


def test_binarised_constants_are_folded(tmp_path):
    w = Writer((1, 3))
    latent = w.constant([[0.3, -0.2], [0.0, 0.1], [-4.0, 2.0]])
    signs = w.node("Sign", w.node("Add", w.node("Sign", latent), w.constant(0.1)))
    x = SIGNS[0](w, w.node("MatMul", "x", w.node("Cast", signs, to=TensorProto.FLOAT)))
    x = w.node("MatMul", x, w.constant(np.eye(2) * 2 - 1))
    graph = lower(save(w.model(x, 2), tmp_path), input_type="u2").graph
    assert graph.nodes[0].op.weights.tolist() == [[1, 1, -1], [-1, 1, 1]]


def padded(w, x):
    x = w.node("Conv", x, w.constant(np.ones((2, 2, 1, 1))))
    x = SIGNS[0](w, x)
    return w.node("Conv", x, w.constant(np.ones((2, 2, 3, 3))), pads=[1, 1, 1, 1])


def signed(after):
    def middle(w, x):
        return w.node("Conv", after(w, w.node("Sign", x)), w.constant(np.ones((2, 2, 1, 1))))

    return middle


REFUSED = {
    "same padding of signs": (
        padded,
        "(Conv): a bipolar tensor cannot be padded with 0: it has no such value; "
        "pad with -1 or +1 in the model",
    ),
    "always the same": (
        signed(lambda w, x: w.node("Mul", x, w.constant(0.0))),
        "(Conv): its input is always 0; remove the layer",
    ),
    "another scale per channel": (
        signed(lambda w, x: w.node("Mul", x, w.constant([[[1.0]], [[2.0]]]))),
        "(Conv): its input has other values in each channel; use one scale for all",
    ),
    "uneven levels": (
        signed(lambda w, x: w.node("LeakyRelu", x, alpha=0.5)),
        "(Conv): values [-0.5, 0.0, 1.0] lie unevenly; use even levels",
    ),
    "a normalised sign": (
        signed(lambda w, x: w.node("BatchNormalization", x, *map(w.constant, np.full((4, 2), 2)))),
        "(Conv): its input is a sign that was normalised; normalise in front of the sign",
    ),
    "a cast of sums": (
        lambda w, x: w.node("Cast", x, to=TensorProto.INT32),
        "(Cast): of data that no comparison made; compare it with a constant first",
    ),
    "a cast to text": (
        lambda w, x: w.node("Cast", x, to=TensorProto.STRING),
        "(Cast): casts to type 8; use float32, or an integer type that fits",
    ),
    "a sign as a truth": (
        lambda w, x: w.node("Not", w.node("Sign", x)),
        "(Not): of data that no comparison made; compare it with a constant first",
    ),
    "a comparison of two tensors": (
        lambda w, x: w.node("Less", x, x),
        "(Less): compares other than one tensor with one constant",
    ),
    "an average of signs per half": (
        lambda w, x: w.node("Where", x, w.constant(1.0), w.constant(0.0)),
        "(Where): of data that no comparison made; compare it with a constant first",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_exact_binarisation_is_refused_by_node(tmp_path, case):
    middle, message = REFUSED[case]
    w = Writer((1, 2, 4, 4))
    with pytest.raises(InputError) as refused:
        lower(save(w.model(middle(w, "x"), 4), tmp_path), input_type="s4")
    assert str(refused.value).startswith("node '")
    assert str(refused.value).endswith(message)


def test_a_margin_of_minus_1_around_signs_is_exact(tmp_path):
    w = Writer((1, 2, 3, 3))
    x = SIGNS[0](w, w.node("Conv", "x", w.constant(np.ones((2, 2, 1, 1)))))
    x = w.node("Pad", x, w.constant([0, 0, 1, 1] * 2, np.int64), w.constant(-1.0))
    x = SIGNS[1](w, w.node("Conv", x, w.constant(np.ones((2, 2, 3, 3)))))
    x = w.node("MatMul", w.node("Flatten", x), w.constant(np.ones((18, 2))))
    path = save(w.model(x, 2), tmp_path)
    lowered = lower(path, input_type="s4")
    images = np.random.default_rng(0).integers(-8, 8, (50, 3, 3, 2))
    assert agree_qonnx(path, lowered, images).holds


def test_steps_after_a_stair_are_values_not_sums():
    step = Affine((Fraction(2),), (Fraction(-1),))
    assert forward(step, forward(Stair(0, closed=True, open=False), Surd.of(0), 0), 0) == Surd.of(1)


def test_one_channel_that_can_be_0_keeps_the_zero_of_all(tmp_path):
    w = Writer((1, 3))
    x = w.node("MatMul", "x", w.constant([[1.0, 1], [-1, 1], [1, -1]]))
    x = w.node("Sign", w.node("Add", x, w.constant([0.0, 0.5])))
    model = w.model(w.node("MatMul", x, w.constant(np.eye(2) * 2 - 1)), 2)
    graph = lower(save(model, tmp_path), input_type="u2").graph
    np.testing.assert_array_equal(
        graph.evaluate_all(GRID)["act0_out"], np.sign(SUMS + np.array([0, 0.5]))
    )


def test_a_row_of_several_sizes_is_no_scaled_sign(tmp_path):
    w = Writer((1, 2))
    x = w.node("MatMul", "x", w.constant([[0.5, 0.5], [0.25, -0.5]]))
    with pytest.raises(InputError, match="the weights are neither quantized nor whole numbers"):
        lower(save(w.model(x, 2), tmp_path), input_type="u2")


def test_the_maximum_of_sums_is_no_input_of_a_layer(tmp_path):
    w = Writer((1, 2, 4, 4))
    x = w.node("Conv", "x", w.constant(np.ones((2, 2, 1, 1))))
    x = w.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = w.node("Conv", x, w.constant(np.ones((2, 2, 1, 1))))
    with pytest.raises(InputError, match="follows a layer with no quantizer between"):
        lower(save(w.model(x, 2), tmp_path), input_type="u2")
