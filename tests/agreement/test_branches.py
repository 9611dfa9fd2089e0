"""qonnx executes branches, joined by sums and concatenation, as the integers they became."""

import numpy as np
import pytest
from hypothesis import given, settings

from flow.agreement.float_error import sum_error
from flow.ir import IntType
from flow.ops import Add, Concat
from tests.agreement.test_float_engines import images
from tests.agreement.test_operators import SEEDS, agrees, head, requantized, scale
from tests.ingest.networks import Writer


def branch(w, rng, x, channels, rows, *, kinds=("signed", "unsigned", "bipolar", "channel")):
    """A layer of ``x`` behind a quantizer of any kind; a sum of integers without."""
    sizes = (1,) * (len(w.input) - 2)
    shape = (rows, channels, *sizes)
    weights = w.quant(w.constant(rng.normal(size=shape)), scale(rng), 3, signed=True)
    x = w.node("Conv", x, weights) if sizes else w.node("Gemm", x, weights, transB=1)
    kind = rng.choice(kinds)
    if kind == "bipolar":
        return w.bipolar(x, scale(rng))
    if kind == "unsigned":
        return w.quant(w.node("Relu", x), scale(rng), 3, signed=False, zero=float(rng.integers(2)))
    if kind == "channel":  # of few mantissa bits, as powers of two and small fractions have
        scales = rng.integers(1, 9, (rows, *sizes)) / 8
        return w.quant(x, scales, 3, signed=True)
    return x if kind == "sum" else requantized(w, rng, x)


def begin(rng):
    """A writer and its quantized input: an image, a line or a vector."""
    shape = [(2, 3, 4), (2, 5), (6,)][rng.integers(3)]
    w = Writer((1, *shape))
    return w, w.quant("x", 0.5, 3, signed=True), shape[0], len(shape) > 1


@settings(max_examples=40)
@given(SEEDS)
def test_joined_channels_keep_their_own_scales_until_a_layer_needs_one(seed):
    rng = np.random.default_rng(seed)
    w, x, channels, spatial = begin(rng)
    kinds = ("signed", "channel") if rng.random() < 0.7 else ("bipolar", "unsigned", "signed")
    rows = rng.integers(1, 4, int(rng.integers(2, 4))).tolist()
    parts = [branch(w, rng, x, channels, n, kinds=kinds) for n in rows]
    if rng.random() < 0.3:
        parts, rows = [*parts, x], [*rows, channels]
    axis = 1 if rng.random() < 0.5 else 1 - len(w.input)
    y = w.node("Concat", *parts, axis=axis)
    total = sum(rows)
    if spatial and rng.random() < 0.3:
        ones = [1] * (len(w.input) - 2)
        y = w.node("MaxPool", y, kernel_shape=[2, *ones[1:]], pads=[1] + [0] * (2 * len(ones) - 1))
    if rng.random() < 0.5:
        y = branch(w, rng, y, total, total, kinds=("signed",))
    else:
        y = requantized(w, rng, y)
    agrees(w, head(w, rng, y, total, spatial=spatial), count=8)


@settings(max_examples=40)
@given(SEEDS)
def test_sums_and_differences_of_any_terms_agree(seed):
    """Quantized tensors, sums and accumulators, each perhaps scaled by a number of either sign."""
    rng = np.random.default_rng(seed)
    w, x, channels, spatial = begin(rng)
    kinds = ("sum", "sum", "signed", "unsigned", "bipolar", "channel")
    terms = [branch(w, rng, x, channels, channels, kinds=kinds) for _ in range(rng.integers(2, 5))]
    y = x
    for term in terms:
        if rng.random() < 0.4:
            term = w.node("Mul", term, w.constant(rng.choice([-1.5, -1.0, 0.75])))
        if rng.random() < 0.3:
            term = w.node("Add", term, w.constant(rng.normal()))
        y = w.node(str(rng.choice(["Add", "Sub"])), *rng.permutation([y, term]).tolist())
    y = requantized(w, rng, y, 5)
    agrees(w, head(w, rng, y, channels, spatial=spatial), count=8)


def test_a_concatenation_of_one_scale_is_no_more_than_that():
    rng = np.random.default_rng(0)
    w = Writer((1, 4))
    x = w.quant("x", 0.5, 3, signed=True)
    x = w.node("Concat", x, x, axis=1)
    lowered = agrees(w, head(w, rng, x, 8, spatial=False))
    assert [type(node.op).__name__ for node in lowered.graph.nodes] == [
        "Concat",
        "MatVec",
        "ArgMax",
    ]
    assert lowered.graph.node("concat0").op == Concat(IntType(3, True))


def test_channels_of_different_scales_are_multiplied_onto_one_grid():
    rng = np.random.default_rng(0)
    w = Writer((1, 2))
    x = w.quant("x", 1.0, 5, signed=True)
    x = w.quant(x, [0.5, 0.75], 3, signed=True, zero=np.array([0.0, 1.0]))
    lowered = agrees(w, head(w, rng, x, 2, spatial=False))
    add = lowered.graph.node("add0").op
    assert isinstance(add, Add)
    assert (add.multipliers.tolist(), add.offset.tolist()) == ([[2, 3]], [0, -3])
    assert str(add.accumulator) == "s5"


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_vectors_that_the_file_gave_axes_are_joined_along_any(axis):
    rng = np.random.default_rng(0)
    w = Writer((1, 6))
    x = w.quant("x", 0.5, 3, signed=True)
    x = w.node("Reshape", x, w.constant([1, 2, 3], np.int64))
    y = w.quant(x, 0.25, 3, signed=True)
    x = w.node("Flatten", w.node("Concat", x, y, axis=axis))
    agrees(w, head(w, rng, x, 12, spatial=False))


def test_a_sign_has_three_values():
    rng = np.random.default_rng(0)
    w = Writer((1, 2, 3, 3))
    x = w.node("Sign", w.node("Sub", w.quant("x", 1.0, 3, signed=True), w.constant(1.0)))
    lowered = agrees(w, head(w, rng, x, 2))
    assert str(lowered.graph.type_of("act0_out")) == "s2[-1..1]"


def test_requantized_and_clipped_images_agree():
    rng = np.random.default_rng(0)
    w = Writer((1, 2, 4, 4))
    x = w.quant("x", 0.3, 5, signed=True)
    x = w.quant(x, 0.7, 3, signed=True)  # another scale
    x = w.quant(x, np.float32(0.7), 6, signed=True)  # nothing changes
    x = w.quant(w.node("LeakyRelu", x, alpha=0.25), 0.1, 4, signed=True)
    x = w.node("Clip", x, w.constant(-0.35), w.constant(0.45))
    x = w.bipolar(w.node("Conv", requantized(w, rng, x), w.constant(np.ones((3, 2, 2, 2)))))
    lowered = agrees(w, head(w, rng, x, 3))
    assert sum(node.name.startswith("act") for node in lowered.graph.nodes) == 5


def test_channels_that_fall_and_have_zero_points_of_their_own_reach_a_layer_exactly():
    rng = np.random.default_rng(0)
    w = Writer((1, 3))
    x = w.quant("x", 1.0, 5, signed=True)
    x = w.quant(x, [0.5, 0.75, 0.5], 3, signed=True, zero=np.array([0.0, 1.0, 2.0]))
    y = w.quant(x, [1.0, 0.25, 0.5], 3, signed=True, zero=np.array([1.0, 0.0, -1.0]))
    x = w.node("Mul", w.node("Concat", x, y, axis=1), w.constant([1, -1, 2, -2, 1, -0.5]))
    lowered = agrees(w, head(w, rng, x, 6, spatial=False))
    (add,) = (node.op for node in lowered.graph.nodes if isinstance(node.op, Add))
    assert add.multipliers.tolist() == [[2, -3, 4, -8, 1, -1]]  # quarters


def test_the_rounding_of_a_sum_of_sums_is_that_of_all_its_terms():
    """float32 adds up each layer before it adds the layers, and errs in both."""
    rng = np.random.default_rng(0)
    w = Writer((1, 6))
    x = w.quant("x", 0.5, 3, signed=True)
    y = w.node("Add", *(branch(w, rng, x, 6, 6, kinds=("sum",)) for _ in range(2)))
    lowered = agrees(w, head(w, rng, requantized(w, rng, y), 6, spatial=False))
    graph = lowered.graph
    values = graph.evaluate_all(images(lowered, 3))
    add = graph.node("add0")
    for channel in range(6):
        place = (1, channel)
        own = [abs(int(m)) for m in np.broadcast_to(add.op.multipliers, (2, 6))[:, channel]]
        terms = [sum_error(graph, name, values, place) for name in add.inputs]
        assert all(terms)
        inner = sum(m * term for m, term in zip(own, terms, strict=True))
        assert sum_error(graph, "add0_out", values, place) >= inner
