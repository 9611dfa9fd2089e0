"""Ends of files: scales and biases of each class, BatchNormalization, pools, quantized outputs."""

from decimal import Decimal, localcontext
from fractions import Fraction
from math import isqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.errors import InputError
from flow.ingest import lower
from flow.ingest.logits import rational_lines
from flow.ingest.surd import Surd
from flow.ir import IntType
from flow.ops import Add, ArgMax, MatVec, Reshape, SumPool, Threshold
from flow.passes.common_scale import edge_range
from tests.ingest.networks import Writer, save


def layer(rng, *, scales, bias=None, normalise=False, bits=3):
    """One product of two inputs and as many classes as scales, and what stands behind it."""
    rows, w = len(scales), Writer((1, 2))
    x = w.quant("x", 0.5, 3, signed=True)
    values = rng.normal(size=(rows, 2))
    scale = np.array(scales, dtype=np.float32)[:, None]
    weights = w.quant(w.constant(values), scale, bits, signed=True, narrow=0)
    more = [] if bias is None else [w.constant(bias)]
    x = w.node("Gemm", x, weights, *more, transB=1)
    parts = None
    if normalise:
        parts = [rng.normal(size=rows).astype(np.float32) for _ in range(3)]
        parts.append(rng.uniform(0.2, 1, rows).astype(np.float32))
        x = w.node("BatchNormalization", x, *map(w.constant, parts), epsilon=2.0**-10)
    return w.model(x, rows), parts


def exact_logits(places, scale, bias, parts):
    """Of each class at each accumulator, to 60 digits: (classes, places)."""
    rows = []
    for c, factor in enumerate(scale):
        row = [Decimal(int(a)) * Decimal(float(factor)) / 2 for a in places]
        row = [v + (0 if bias is None else Decimal(float(bias[c]))) for v in row]
        if parts is not None:
            gamma, beta, mean, variance = (Decimal(float(part[c])) for part in parts)
            root = (variance + Decimal(2) ** -10).sqrt()
            row = [gamma * (v - mean) / root + beta for v in row]
        rows.append(row)
    return np.array(rows, dtype=object)


def signs(values, tolerance=0):
    difference = values.ravel()[:, None] - values.ravel()
    return np.where(abs(difference) <= tolerance, 0, np.where(difference > 0, 1, -1))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans(), st.booleans())
def test_the_graph_compares_logits_as_the_file_does_for_every_value_of_the_register(
    tmp_path_factory, seed, per_class, biased, normalised
):
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(2, 4))
    powers = 2.0 ** -rng.integers(0, 3, rows) * rng.choice([1, 1, 1.5, 1.2], rows)
    scales = np.float32(powers) if per_class else np.full(rows, np.float32(0.3))
    bias = np.float32(rng.choice([0, 0.25, 0.5, 0.3], rows)) if biased else None
    model, parts = layer(rng, scales=scales, bias=bias, normalise=normalised)
    graph = lower(save(model, tmp_path_factory.mktemp("net"))).graph
    low, high = edge_range(graph, "fc0_out")
    places = np.arange(low, high + 1)
    end = graph.nodes[1].op
    ours = np.tile(places, (rows, 1))
    if not isinstance(end, ArgMax):
        ours = end.evaluate(ours.T).T
    with localcontext(prec=60):
        exact = exact_logits(places, scales, bias, parts)
        np.testing.assert_array_equal(signs(ours), signs(exact, Decimal(10) ** -50))


def test_equal_scales_and_biases_leave_the_accumulators_alone(tmp_path):
    rng = np.random.default_rng(0)
    model, _ = layer(rng, scales=[0.25, 0.25], bias=np.float32([0.1, 0.1]))
    lowered = lower(save(model, tmp_path))
    assert [type(n.op) for n in lowered.graph.nodes] == [MatVec, ArgMax]
    assert lowered.graph.logit_affine == lowered.logits.affine
    assert lowered.logits.exact


def test_a_bias_costs_a_scale_of_the_number_of_its_fractions(tmp_path):
    rng = np.random.default_rng(0)
    model, _ = layer(rng, scales=[0.25] * 4, bias=np.float32([0, 1, 0.03, -2.9]))
    graph = lower(save(model, tmp_path)).graph
    assert isinstance(graph.node("logits0").op, Add)
    assert graph.node("logits0").op.multipliers.tolist() == [[3, 3, 3, 3]]
    assert graph.logit_affine is None


def test_one_root_for_all_classes_is_no_difference(tmp_path):
    w = Writer((1, 2))
    x = w.quant("x", 1.0, 3, signed=True)
    x = w.node("Gemm", x, w.bipolar(w.constant(np.ones((3, 2)))), transB=1)
    parts = [np.full(3, value) for value in (0.7, 0.1, 0.2, 0.5)]
    x = w.node("BatchNormalization", x, *map(w.constant, parts))
    lowered = lower(save(w.model(x, 3), tmp_path))
    assert [type(n.op) for n in lowered.graph.nodes] == [MatVec, ArgMax]
    assert (lowered.logits.exact, lowered.graph.logit_affine) == (False, None)


def root(n, factor=1):
    return Surd.root(Fraction(n)).times(Fraction(factor))


@pytest.mark.parametrize(
    ("first", "second", "tied"),
    [
        ((root(2), Surd.of(0)), (root(8), Surd.of(0)), [(0, 0), (2, 1), (4, 2)]),
        ((root(2), root(3)), (root(5), root(3)), [(0, 0)]),
        ((root(2), root(2, 2)), (root(2), Surd.of(0)), [(0, 2), (1, 3), (2, 4)]),
        ((Surd.of(7), Surd.of(0)), (root(49), root(2)), []),
        ((root(2, -1), Surd.of(0)), (root(8, -1), Surd.of(0)), [(0, 0), (2, 1), (4, 2)]),
        (
            (root(2), root(2, -4)),
            (root(2, -1), Surd.of(0)),
            [(0, 4), (1, 3), (2, 2), (3, 1), (4, 0)],
        ),
    ],
)
def test_what_ties_in_square_roots_ties_in_the_rationals_and_nothing_else(first, second, tied):
    (one, other), exact = rational_lines([first, second], 0, 4)
    assert not exact
    found = [
        (a, b) for a in range(5) for b in range(5) if one[0] * a + one[1] == other[0] * b + other[1]
    ]
    assert found == tied


def below(bits):
    """The rational that stands for the root of 2 at a precision."""
    return Fraction(isqrt(2 << 2 * bits), 1 << bits)


def test_a_root_is_told_from_the_rational_that_would_stand_for_it():
    lines = [(root(2), Surd.of(0)), (Surd.of(below(64)), Surd.of(0))]
    (one, other), _ = rational_lines(lines, 1, 3)
    assert one[0] > other[0]


def test_a_scale_keeps_its_sign():
    lines = [(root(2) - Surd.of(below(64)), Surd.of(0)), (Surd.of(1), root(2))]
    (one, _), _ = rational_lines(lines, 0, 3)
    assert one[0] > 0


def test_lines_closer_than_the_first_precision_are_told_apart():
    p, q = 1, 1
    while q < 2**34:  # continued fraction of the root of 2: ever closer, above and below in turn
        p, q = p + 2 * q, p + q
    for _ in range(4):
        near = Surd.of(Fraction(p, q))
        found, _ = rational_lines([(root(2), Surd.of(0)), (near, Surd.of(0))], 1, 3)
        assert (found[0][0] > found[1][0]) == ((root(2) - near).sign() > 0)
        p, q = p + 2 * q, p + q


def test_equal_falling_lines_are_turned(tmp_path):
    w = Writer((1, 2))
    x = w.quant("x", 1.0, 3, signed=True)
    x = w.node("Gemm", x, w.bipolar(w.constant(np.ones((3, 2)))), transB=1)
    graph = lower(save(w.model(w.node("Mul", x, w.constant(-2.0)), 3), tmp_path)).graph
    assert graph.node("logits0").op.multipliers.tolist() == [[-1, -1, -1]]


def test_levels_of_a_quantized_output_are_the_logits(tmp_path):
    w = Writer((1, 2))
    x = w.quant("x", 0.5, 3, signed=True)
    weights = w.quant(w.constant(np.eye(3, 2)), np.float32([[0.25], [0.5], [1]]), 3, signed=True)
    x = w.quant(w.node("Gemm", x, weights, transB=1), 0.5, 3, signed=True)
    graph = lower(save(w.model(x, 3), tmp_path)).graph
    assert [type(n.op) for n in graph.nodes] == [MatVec, Threshold, ArgMax]


def pooled(tail=()):
    w = Writer((1, 3, 2, 2))
    x = w.quant("x", 0.25, 2, signed=False)
    x = w.node("GlobalAveragePool", x)
    x = w.node("Mul", x, w.constant(np.float32([1, 2, 3]).reshape(3, 1, 1)))
    for op, attributes in tail:
        x = w.node(op, x, name="tail", **attributes)
    return w.model(x, 3)


@pytest.mark.parametrize(
    "tail", [[], [("Softmax", {"axis": 1})], [("ArgMax", {"axis": -3, "keepdims": 0})]]
)
def test_a_global_pool_of_one_pixel_is_a_vector_of_logits(tmp_path, tail):
    graph = lower(save(pooled(tail), tmp_path)).graph
    assert [type(n.op) for n in graph.nodes] == [SumPool, Reshape, Add, ArgMax]
    assert graph.nodes[2].op.multipliers.tolist() == [[1, 2, 3]]
    x = np.zeros((2, 2, 2, 3), dtype=int)
    x[0, :, :, 0], x[0, 0, 0, 2], x[1, 0, 0, 1], x[1, 0, 0, 2] = 1, 1, 3, 2
    assert graph.evaluate(x).tolist() == [0, 1]  # 4, 0, 3; a tie of 6 and 6


def test_a_choice_along_the_pixels_is_refused(tmp_path):
    with pytest.raises(InputError) as refused:
        lower(save(pooled([("ArgMax", {"axis": -1})]), tmp_path))
    assert (
        str(refused.value)
        == "node 'tail' (ArgMax): works along axis -1 of 4; use the class axis, 1"
    )


def test_logits_beyond_63_bits_are_refused_by_name(tmp_path):
    rng = np.random.default_rng(2)
    w = Writer((1, 64))
    x = w.quant("x", 0.7, 16, signed=True)
    weights = w.quant(
        w.constant(rng.normal(size=(10, 64))),
        rng.uniform(0.5, 1, (10, 1)).astype(np.float32),
        8,
        signed=True,
    )
    x = w.node("Gemm", x, weights, w.constant(rng.normal(size=10)), transB=1, name="last")
    with pytest.raises(InputError) as refused:
        lower(save(w.model(x, 10), tmp_path))
    assert str(refused.value) == (
        "node 'last' (Gemm): its logits need more than 63 bits to keep their order; "
        "use one weight scale in the last layer"
    )


def test_binary_products_are_counted_in_front_of_a_bias(tmp_path):
    w = Writer((1, 6))
    x = w.bipolar("x")
    x = w.node("Gemm", x, w.bipolar(w.constant(np.eye(3, 6) - 0.5)), transB=1)
    x = w.node("Add", x, w.constant(np.float32([0.5, 3, -0.25])))
    graph = lower(save(w.model(x, 3), tmp_path), input_type="b1").graph
    assert graph.nodes[0].op.popcount
    # twice the count, so that the fractions of half the bias decide: 0.25, 0.5, 0.875
    assert graph.nodes[1].op.multipliers.tolist() == [[3, 3, 3]]
    assert graph.nodes[1].op.accumulator == IntType(5)
