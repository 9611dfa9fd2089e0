from dataclasses import replace

import numpy as np
import onnx
import pytest

from flow.agreement import Agreement, agree_finn, agree_qonnx
from flow.errors import InputError
from flow.export import export_finn
from flow.ingest import lower
from flow.ir import Affine, Edge, Graph, IntType, Node
from flow.ops import ArgMax, MatVec, Threshold
from tests.ingest.networks import Writer, dense, save

SIZES = (16, 12, 8, 5)


def images(lowered, count=200, seed=3):
    kind, shape = lowered.graph.input_edge.type, lowered.graph.input_edge.shape
    return np.random.default_rng(seed).integers(kind.lo, kind.hi + 1, (count, *shape))


@pytest.fixture(params=[(1, "gemm"), (1, "matmul"), (2, "gemm"), (4, "matmul")], ids=str)
def network(request, tmp_path):
    bits, layer = request.param
    model = dense(7, SIZES, bits=bits, layer=layer, input_type="u5[0..16]")
    path = save(model, tmp_path)
    return path, lower(path)


def test_qonnx_agrees_at_every_quantizer_on_every_logit_and_class(network):
    path, lowered = network
    found = agree_qonnx(path, lowered, images(lowered))
    weights = 16 * 12 + 12 * 8 + 8 * 5
    assert found == Agreement("qonnx", 200, 6, 200 * (16 + 12 + 8) + weights, 0, 0, 0, 0)
    assert found.holds


def test_finn_agrees_at_every_threshold_on_every_logit_and_class(network, tmp_path):
    _, lowered = network
    export_finn(lowered.graph, tmp_path / "finn.onnx")
    found = agree_finn(tmp_path / "finn.onnx", lowered.graph, images(lowered, 40))
    assert found == Agreement("finn-base", 40, 2, 40 * (12 + 8), 0, 0, 0, 0)
    assert found.holds


def with_op(lowered, name, **changes):
    graph = lowered.graph.map(
        lambda n: replace(n, op=replace(n.op, **changes)) if n.name == name else n
    )
    return replace(lowered, graph=graph)


def moved_threshold(lowered, x):
    """The highest threshold that an image in ``x`` stands on, moved by one."""
    op = lowered.graph.node("act1").op
    sums = lowered.graph.evaluate_all(x)["fc1_out"]
    stood_on = (sums[:, :, None] == op.thresholds).any(axis=0)
    channel, step = np.argwhere(stood_on)[-1]
    table = op.thresholds.copy()
    table[channel, step] += 1
    return with_op(lowered, "act1", thresholds=np.sort(table, axis=1))


def test_one_moved_threshold_is_a_mismatch_of_both_engines(network, tmp_path):
    path, lowered = network
    x = images(lowered)
    moved = moved_threshold(lowered, x)
    differ = int(
        (moved.graph.evaluate_all(x)["act1_out"] != lowered.graph.evaluate_all(x)["act1_out"]).sum()
    )
    found = agree_qonnx(path, moved, x)
    assert (found.mismatches, found.excused, found.holds) == (differ, 0, False)
    assert found.logit_mismatches == 0  # the run went on from the graph's tensor
    export_finn(lowered.graph, tmp_path / "finn.onnx")
    assert agree_finn(tmp_path / "finn.onnx", moved.graph, x).mismatches == differ


def test_a_changed_weight_is_a_mismatch_of_logits_and_classes(network):
    path, lowered = network
    op = lowered.graph.node("fc2").op
    changed = with_op(lowered, "fc2", weights=-op.weights)
    found = agree_qonnx(path, changed, images(lowered))
    assert found.mismatches == 0
    assert found.logit_mismatches > 0
    assert found.class_mismatches > 0
    assert not found.holds


def one_product(scale, bias=0.0):
    """``x * scale + bias``, quantized to whole numbers 0 .. 7, then two classes."""
    w = Writer((1, 1))
    x = w.quant("x", 1.0, 5, signed=False)
    x = w.node("Gemm", x, w.quant(w.constant([[scale]]), scale, 2, signed=True), transB=1)
    x = w.quant(w.node("Add", x, w.constant(bias)), 1.0, 3, signed=False)
    return w.model(w.node("Gemm", x, w.bipolar(w.constant([[1.0], [-1.0]])), transB=1), 2)


EVERY = np.arange(32)[:, None]


def moved_to(lowered, step, value):
    table = lowered.graph.node("act0").op.thresholds.copy()
    table[0, step] = value
    return with_op(lowered, "act0", thresholds=table)


def test_a_product_that_float32_rounds_onto_a_tie_is_excused_and_counted(tmp_path):
    # 0.1f is above 0.1: 25 * 0.1f is above 2.5 and rounds to 3. In float32 it is 2.5, and even is 2
    path = save(one_product(0.1), tmp_path)
    lowered = lower(path)
    codes = lowered.graph.evaluate_all(EVERY)["act0_out"][:, 0]
    assert (codes[5], codes[25]) == (1, 3)
    found = agree_qonnx(path, lowered, EVERY)
    assert (found.excused, found.mismatches, found.logit_mismatches) == (2, 0, 0)
    assert not found.holds  # 2 of 67 elements is far more than one in a million


def test_what_float32_cannot_round_so_far_is_a_mismatch(tmp_path):
    path = save(one_product(0.1), tmp_path)
    lowered = lower(path)
    found = agree_qonnx(path, moved_to(lowered, 2, 24), EVERY)  # 2.4 is no 3
    assert (found.excused, found.mismatches) == (2, 1)
    other = save(one_product(0.1, bias=0.25), tmp_path)  # 3, 4, 13, 14, 23 and 24 are rounded up
    found = agree_qonnx(other, lowered, EVERY)
    assert (found.excused, found.mismatches) == (0, 6)


def test_nothing_is_excused_where_exact_arithmetic_sides_with_the_float_engine(tmp_path):
    path = save(one_product(np.nextafter(np.float32(2.5), np.float32(3))), tmp_path)
    lowered = lower(path)
    assert agree_qonnx(path, lowered, EVERY).holds
    assert lowered.graph.node("act0").op.thresholds.tolist() == [[1, 1, 1, 2, 2, 3, 3]]
    found = agree_qonnx(path, moved_to(lowered, 2, 2), EVERY)  # within float32's error, but wrong
    assert (found.excused, found.mismatches) == (0, 1)


def test_a_weight_that_float32_rounds_onto_a_tie_is_excused_and_replaced(tmp_path):
    w = Writer((1, 2))
    x = w.quant("x", 1.0, 3, signed=False)
    # 0.25f / 0.1f is just below 2.5 and 2.5 in float32, which rounds half up to 3
    above = np.nextafter(np.float32(0.25), np.float32(1))
    q = w.quant(w.constant([[0.25, 0.1], [0.3, above]]), 0.1, 4, signed=True, mode="HALF_UP")
    path = save(w.model(w.node("Gemm", x, q, transB=1), 2), tmp_path)
    lowered = lower(path)
    assert lowered.graph.node("fc0").op.weights.tolist() == [[2, 1], [3, 3]]
    found = agree_qonnx(path, lowered, images(lowered, 50))
    assert (found.excused, found.mismatches, found.logit_mismatches) == (1, 0, 0)
    for codes in (
        [[2, 1], [3, 2]],
        [[2, 1], [2, 3]],
    ):  # as near to the tie but wrong; or far from it
        changed = replace(lowered.weights[0], codes=np.array(codes))
        found = agree_qonnx(path, replace(lowered, weights=(changed,)), images(lowered, 50))
        assert (found.excused, found.mismatches) == (1, 1)


def test_logits_must_be_integers_within_the_error_of_float32(tmp_path):
    path = save(dense(7, SIZES, bits=4), tmp_path)
    lowered = lower(path)
    scale = lowered.logits.affine[0].scale
    affine = (Affine(scale, scale / 100),) * SIZES[-1]
    off = replace(lowered, logits=replace(lowered.logits, affine=affine))
    found = agree_qonnx(path, off, images(lowered, 20))
    assert found.logit_mismatches == 20 * SIZES[-1]


@pytest.mark.parametrize(("excused", "holds"), [(0, True), (1, True), (2, True), (3, False)])
def test_more_than_one_excuse_in_a_million_fails(excused, holds):
    assert Agreement("qonnx", 1, 1, 2_000_000, excused, 0, 0, 0).holds is holds


def chain(op, act=None, x="u4"):
    nodes = [Node("fc0", op, ("x",), "a")]
    if act is not None:
        nodes.append(Node("act0", act, ("a",), "y"))
    nodes.append(Node("argmax", ArgMax(), (nodes[-1].output,), "class"))
    return Graph("g", "x", Edge((op.weights.shape[1],), IntType.parse(x)), tuple(nodes), "class")


S = IntType(8, True)


def test_falling_channels_and_bipolar_counts_are_exported_exactly(tmp_path):
    rng = np.random.default_rng(0)
    one = MatVec(rng.integers(-8, 8, (6, 5)), IntType(4, True), IntType(12, True))
    act = Threshold(
        np.sort(rng.integers(-200, 200, (6, 3)), axis=1),
        IntType(12, True),
        [1, -1] * 3,
        -2,
        IntType(2, True),
        signs_stored=True,
    )
    last = MatVec(rng.integers(-8, 8, (4, 6)), IntType(4, True), S)
    nodes = (
        Node("fc0", one, ("x",), "a"),
        Node("act0", act, ("a",), "y"),
        Node("fc1", last, ("y",), "z"),
        Node("argmax", ArgMax(), ("z",), "class"),
    )
    graph = Graph("g", "x", Edge((5,), IntType(4)), nodes, "class")
    export_finn(graph, tmp_path / "f.onnx")
    found = agree_finn(tmp_path / "f.onnx", graph, rng.integers(0, 16, (60, 5)))
    assert (found.elements, found.holds) == (360, True)


SEARCH = Threshold([[3, 1]], S, [1], 0, IntType(2), "search")
FEW = IntType(4, True)
REFUSED = {
    "node 'fc0': s4 wraps, a MatMul does not": chain(MatVec([[7], [7]], FEW, FEW)),
    "node 'fc0': sums to 26214150 are not exact in float32": chain(
        MatVec([[1747610] * 1], IntType(22, True), IntType(30, True))
    ),
    "node 'act0': a search of unsorted thresholds is no count": chain(
        MatVec([[1]], FEW, S), SEARCH
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_the_finn_dialect_cannot_say_is_refused_by_node(tmp_path, message):
    with pytest.raises(InputError) as refused:
        export_finn(REFUSED[message], tmp_path / "f.onnx")
    assert str(refused.value).startswith(message)
    assert not (tmp_path / "f.onnx").exists()


def test_the_export_is_the_same_bytes_each_time_and_checks_as_onnx(tmp_path):
    lowered = lower(save(dense(), tmp_path))
    for name in ("a", "b"):
        export_finn(lowered.graph, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    ops = [node.op_type for node in onnx.load(tmp_path / "a").graph.node]
    assert ops == ["MatMul", "MultiThreshold"] * 2 + ["MatMul"]


def test_a_product_that_a_quantizer_leaves_as_it_is_agrees_after_it_became_a_count(tmp_path):
    rng, w = np.random.default_rng(5), Writer((1, 12))
    x = w.quant("x", 1.0, 5, signed=False)
    first = w.bipolar(w.constant(rng.normal(size=(8, 12))))
    x = w.bipolar(w.node("Gemm", x, first, transB=1))
    last = w.bipolar(w.constant(rng.normal(size=(4, 8))))
    logits = w.quant(w.node("Gemm", x, last, transB=1), 1.0, 8, signed=True)
    path = save(w.model(logits, 4, input_type="u5[0..16]"), tmp_path)
    lowered = lower(path)
    assert lowered.graph.node("fc1").op.popcount
    assert agree_qonnx(path, lowered, images(lowered)).holds
