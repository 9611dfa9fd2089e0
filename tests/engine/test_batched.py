"""The torch engine equals ``Graph.evaluate_all`` on every integer, or refuses to start."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from flow.engine import BatchedEngine, largest_sum, product_dtype
from flow.engine.exactness import full_precision, product, self_test
from flow.engine.kernels import kernel
from flow.errors import ClaimError
from flow.ir import Edge, Fault, Graph, IntType, Kind, Node
from flow.ops import ArgMax, MatVec
from tests.engine.chains import BIPOLAR, chains, random_chain, random_inputs


def stored_bits(graph):
    return [
        Fault(node.name, name, tuple(int(i) for i in index), bit)
        for node in graph.nodes
        for name, kind in node.op.stored.items()
        for index in np.ndindex(getattr(node.op, name).shape)
        for bit in range(kind.bits)
    ]


def assert_edges_equal(found, wanted):
    assert list(found) == list(wanted)
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


@settings(max_examples=60, deadline=None)
@given(chains())
def test_every_edge_equals_the_reference(graph):
    x = random_inputs(graph, 40)
    assert_edges_equal(BatchedEngine(graph).run_all(x), graph.evaluate_all(x))


@settings(max_examples=30, deadline=None)
@given(chains())
def test_every_edge_equals_the_reference_under_faults(graph):
    x = random_inputs(graph, 10)
    engine = BatchedEngine(graph)
    rng = np.random.default_rng(1)
    bits = stored_bits(graph)
    for _ in range(5):
        chosen = rng.choice(len(bits), min(3, len(bits)), replace=False)
        faults = [
            Fault(b.node, b.parameter, b.index, b.bit, list(Kind)[rng.integers(3)])
            for b in (bits[k] for k in chosen)
        ]
        assert_edges_equal(engine.run_all(x, faults), graph.evaluate_all(x, faults))
    assert_edges_equal(engine.run_all(x), graph.evaluate_all(x))


def dense(weights, kind, source, accumulator):
    node = Node("fc0", MatVec(weights, kind, accumulator), ("x",), "a")
    return Graph("one", "x", source, (node, Node("argmax", ArgMax(), ("a",), "class")), "class")


@pytest.mark.parametrize(
    ("weight_bits", "input_bits", "dtype"),
    [(4, 4, torch.float32), (12, 12, torch.float64), (30, 32, torch.int64)],
)
def test_extreme_codes_are_exact_in_the_dtype_chosen_for_them(weight_bits, input_bits, dtype):
    kind, inputs = IntType(weight_bits, True), IntType(input_bits)
    rng = np.random.default_rng(0)
    weights = rng.choice([kind.code_lo, kind.code_hi, kind.code_hi - 1], (6, 90))
    graph = dense(weights, kind, Edge((90,), inputs), IntType(63, True))
    assert product_dtype(largest_sum(graph.node("fc0").op, (0, inputs.hi))) is dtype
    x = rng.choice([0, inputs.hi, inputs.hi - 1], (30, 90))
    assert_edges_equal(BatchedEngine(graph).run_all(x), graph.evaluate_all(x))


def test_the_bound_covers_codes_that_training_never_used():
    weights = np.ones((1, 515), dtype=int)
    assert largest_sum(MatVec(weights, IntType(8, True), IntType(32)), (0, 255)) == 128 * 255 * 515
    narrow = IntType(8, True, declared=(-127, 127))
    assert largest_sum(MatVec(weights, narrow, IntType(32)), (0, 255)) == 128 * 255 * 515
    clamped = MatVec(weights, narrow, IntType(32), "clamp")
    assert largest_sum(clamped, (0, 255)) == 127 * 255 * 515


@pytest.mark.parametrize(
    ("bound", "dtype"),
    [
        (2**24 - 1, torch.float32),
        (2**24, torch.float64),
        (2**53 - 1, torch.float64),
        (2**53, torch.int64),
    ],
)
def test_a_dtype_is_used_only_below_its_exact_range(bound, dtype):
    assert product_dtype(bound) is dtype


def test_a_device_that_rounds_is_refused_at_the_start():
    def rounding(x, weights):
        return product(x, weights.to(torch.bfloat16).to(weights.dtype))

    op = MatVec(np.ones((2, 9), dtype=int), IntType(10, True), IntType(30, True))
    self_test(op, (0, 31))
    with pytest.raises(ClaimError, match=r"float32 products on cpu are not exact for 9 columns"):
        self_test(op, (0, 31), multiply=rounding)


def test_reduced_precision_is_off_inside_and_restored_after():
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with full_precision():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("memory", [1, 1000, 1 << 28])
def test_the_memory_bound_changes_no_integer(memory):
    graph = random_chain(5)
    x = random_inputs(graph, 33)
    engine = BatchedEngine(graph, memory=memory)
    done = []
    found = engine.run(x, progress=lambda *step: done.append(step))
    np.testing.assert_array_equal(found, graph.evaluate(x))
    assert len(done) == -(-33 // engine.batch)
    assert done[-1] == (33, 33)


@pytest.mark.parametrize("images", [40, 400])
def test_no_layer_sees_more_images_than_the_memory_holds(images, monkeypatch):
    """However many images there are: what is in flight does not grow with them."""
    graph = random_chain(5)
    seen = []

    def watched(x, weights):
        seen.append(len(x))
        return product(x, weights)

    monkeypatch.setattr("flow.engine.kernels.product", watched)
    elements = sum(edge.elements for edge in graph.edges().values())
    engine = BatchedEngine(graph, memory=7 * 16 * elements)
    engine.run(random_inputs(graph, images))
    assert max(seen) == engine.batch == 7


def test_an_empty_batch_gives_empty_edges():
    graph = random_chain(5)
    x = random_inputs(graph, 0)
    assert_edges_equal(BatchedEngine(graph).run_all(x), graph.evaluate_all(x))


def test_grouped_products_equal_the_reference():
    rng = np.random.default_rng(3)
    op = MatVec(
        rng.integers(-4, 4, (6, 8)), IntType(3, True), IntType(9, True), groups=3, positions=2
    )
    graph = Graph("g", "x", Edge((5, 24), IntType(3)), (Node("fc0", op, ("x",), "a"),), "a")
    x = rng.integers(0, 8, (20, 5, 24))
    np.testing.assert_array_equal(BatchedEngine(graph).run(x), graph.evaluate(x))


def test_inputs_are_checked_as_the_reference_checks_them():
    graph = dense([[1, 1]], BIPOLAR, Edge((2,), IntType(3, declared=(0, 5))), IntType(6, True))
    engine = BatchedEngine(graph)
    with pytest.raises(ValueError, match=r"input values must be integers within u3\[0\.\.5\]"):
        engine.run(np.array([[6, 0]]))
    with pytest.raises(ValueError, match=r"input of shape \(3,\) where 2:u3"):
        engine.run(np.array([[0, 0, 0]]))


def test_an_op_without_a_kernel_is_named():
    with pytest.raises(TypeError, match="no torch kernel for str; register one in"):
        kernel("op", (0, 1), device="cpu")
