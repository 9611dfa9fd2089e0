from fractions import Fraction

import numpy as np
import onnx
import pytest

from flow.errors import InputError
from flow.ingest import lower, lower_again
from flow.ir import IntType
from flow.ir.text import graph_text
from flow.ops import Compare, Decode, MatVec, Threshold
from tests.ingest.networks import Writer, dense, save

INPUT = "u5[0..16]"


def lowered(model, folder, **options):
    return lower(save(model, folder), **options)


def test_a_binary_network_counts_where_both_sides_are_bipolar(tmp_path):
    graph = lowered(dense(input_type=INPUT, recipe="tiny-w1a1"), tmp_path).graph
    assert (
        graph_text(graph)
        == """\
graph tiny-w1a1
  x : 8:u5[0..16]
  fc0_out : 6:s8 = fc0:MatVec(weights=6x8, weight_type=b1, accumulator=s8, decode=plain) <- x
  act0_out : 6:b1 = act0:Threshold(thresholds=6x1, threshold_type=s9, sign=6, base=0, output=b1, \
compare=count, signs_stored=True) <- fc0_out
  fc1_out : 6:u3 = fc1:MatVec(weights=6x6, weight_type=b1, accumulator=u3, decode=plain, \
popcount=True) <- act0_out
  act1_out : 6:b1 = act1:Threshold(thresholds=6x1, threshold_type=u3, sign=6, base=0, output=b1, \
compare=count, signs_stored=True) <- fc1_out
  fc2_out : 4:u3 = fc2:MatVec(weights=4x6, weight_type=b1, accumulator=u3, decode=plain, \
popcount=True) <- act1_out
  class : :u2 = argmax:ArgMax() <- fc2_out
  return class
"""
    )


def test_matmul_behind_a_transpose_is_gemm_with_rows(tmp_path):
    one, other = (lowered(dense(bits=4, layer=k), tmp_path).graph for k in ("gemm", "matmul"))
    for a, b in zip(one.nodes[:-1], other.nodes[:-1], strict=True):
        for name in a.op.stored:
            np.testing.assert_array_equal(getattr(a.op, name), getattr(b.op, name))


@pytest.mark.parametrize("decode", list(Decode))
@pytest.mark.parametrize("policy", ["exact", "fault-safe"])
def test_accumulators_hold_what_their_policy_says(tmp_path, policy, decode):
    model = dense(bits=4, input_type=INPUT)
    graph = lowered(model, tmp_path, accumulator=policy, decode=decode).graph
    op, act = graph.node("fc0").op, graph.node("act0").op
    least = -7 if decode == "clamp" else -8
    any_code = (8 * 16 * least, 8 * 16 * 7)
    trained = (
        min(16 * int(row[row < 0].sum()) for row in op.weights),
        max(16 * int(row[row > 0].sum()) for row in op.weights),
    )
    assert op.accumulator == IntType.holding(*(trained if policy == "exact" else any_code))
    assert op.decode is decode
    low, high = max(any_code[0], op.accumulator.lo), min(any_code[1], op.accumulator.hi)
    if (low, high) != any_code:  # faulty sums wrap, and reach all of the register
        low, high = op.accumulator.lo, op.accumulator.hi
    assert act.threshold_type == IntType.holding(low, high + 1)


@pytest.mark.parametrize("compare", list(Compare))
def test_thresholds_compare_as_asked_and_the_lowering_is_found_again(tmp_path, compare):
    path = save(dense(bits=4, input_type=INPUT), tmp_path)
    graph = lower(path, compare=compare).graph
    forms = {node.op.compare for node in graph.nodes if isinstance(node.op, Threshold)}
    assert forms == {compare}
    assert lower_again(path, graph).graph.node("act0").op.compare is compare


def test_a_form_of_compare_that_is_none_is_refused(tmp_path):
    path = save(dense(bits=4, input_type=INPUT), tmp_path)
    with pytest.raises(InputError, match=r"^'odd' is not a valid Compare; see `bitproof lower"):
        lower(path, compare="odd")


def test_thresholds_reach_beyond_what_the_trained_weights_reach(tmp_path):
    w = Writer((1, 2))
    x = w.quant("x", 1.0, 2, signed=False)
    y = w.node("Gemm", x, w.quant(w.constant([[1.0, 1.0]]), 1.0, 4, signed=True), transB=1)
    y = w.node("Mul", y, w.constant(-1.0))  # 0 .. -6 as trained: the bipolar level is -1 but at 0
    y = w.bipolar(w.node("Add", y, w.constant(-7.0)))
    y = w.node("Gemm", y, w.bipolar(w.constant([[1.0], [-1.0]])), transB=1)
    path = save(w.model(y, 2), tmp_path)
    act = lower(path, accumulator="fault-safe").graph.node("act0").op
    assert (act.thresholds.tolist(), act.sign.tolist()) == ([[-6]], [-1])  # -y - 7 >= 0 ends at -7


def test_the_input_type_is_the_quantizers_where_the_file_does_not_declare_one(tmp_path):
    assert str(lowered(dense(), tmp_path).graph.input_edge) == "8:u5"
    assert str(lowered(dense(input_type=INPUT), tmp_path).graph.input_edge) == "8:u5[0..16]"


def test_a_declared_input_finer_than_its_quantizer_is_quantized_by_thresholds(tmp_path):
    graph = lowered(dense(input_type="u8"), tmp_path).graph
    assert [node.name for node in graph.nodes][:2] == ["act0", "fc0"]
    x = np.arange(0, 256, 17)[:, None].repeat(8, axis=1)
    np.testing.assert_array_equal(graph.evaluate_all(x)["act0_out"], np.minimum(x, 31))


def test_the_name_is_the_recipe_or_the_file_and_never_a_path(tmp_path):
    assert lowered(dense(), tmp_path).graph.name == "net"
    assert lowered(dense(recipe="../Etc/x"), tmp_path).graph.name == "etc-x"


def test_origin_names_the_tensor_of_every_quantizer_and_of_the_logits(tmp_path):
    found = lowered(dense(), tmp_path)
    names = {o for node in onnx.load(tmp_path / "net.onnx").graph.node for o in node.output}
    assert set(found.origin) == {"act0_out", "act1_out", "fc2_out"}
    assert set(found.origin.values()) <= names
    assert [d.tensor for d in found.decisions][1:] == [found.origin[f"act{i}_out"] for i in (0, 1)]
    assert len(found.weights) == 3


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"op": "ArgMax", "axis": -1}, None),
        ({"op": "ArgMax", "axis": 1, "keepdims": 0}, None),
        ({"op": "Softmax"}, None),
        ({"op": "Softmax"}, {"op": "ArgMax", "axis": -1}),
        ({"op": "TopK", "axis": -1, "largest": 1, "k": 1}, None),
    ],
)
def test_a_file_may_pick_the_class_itself(tmp_path, first, second):
    plain = lowered(dense(), tmp_path).graph
    model = dense()
    for end in filter(None, (first, second)):
        end = dict(end)
        last = model.graph.output[0].name
        node = onnx.helper.make_node(end.pop("op"), [last], [f"{last}_e"], name="end")
        if node.op_type == "TopK":
            count = onnx.numpy_helper.from_array(np.array([end.pop("k")]), "count")
            model.graph.initializer.append(count)
            node.input.append("count")
            node.output.insert(0, "values")
        node.attribute.extend(onnx.helper.make_attribute(k, v) for k, v in end.items())
        model.graph.node.append(node)
        model.graph.output[0].name = f"{last}_e"
    x = np.random.default_rng(1).integers(0, 32, (50, 8))
    found = lowered(model, tmp_path).graph
    np.testing.assert_array_equal(found.evaluate(x), plain.evaluate(x))


def test_a_bias_scales_and_hard_limits_are_part_of_the_thresholds(tmp_path):
    w = Writer((1, 3))
    x = w.quant("x", 0.5, 3, signed=True, zero=1.0)
    rows = [[1, 1, 0], [0, 1, -1], [1, 0, -2]]
    weights = w.quant(w.constant(rows), 1.0, 2, signed=True)
    bias = w.quant(w.constant([1.3, -3.7, 0.0]), 0.25, 6, signed=True)  # quantized: 1.25, -3.75, 0
    x = w.node("Gemm", x, weights, bias, transB=1, alpha=2.0, beta=0.5)
    x = w.node("Div", w.node("Sub", x, w.constant(0.125)), w.constant([1.0, -2.0, 4.0]))
    x = w.node("Clip", x, w.constant(-0.5), w.constant(0.75))
    x = w.quant(x, 0.25, 3, signed=True, mode="FLOOR")
    x = w.node("Gemm", x, w.bipolar(w.constant(np.eye(3) - 0.5)), transB=1)
    graph = lowered(w.model(x, 3), tmp_path).graph
    codes = np.random.default_rng(0).integers(-4, 4, (64, 3))
    bias = [Fraction(5, 4), Fraction(-15, 4), Fraction(0)]
    divide = [1, -2, 4]
    for row, levels in zip(codes, graph.evaluate_all(codes)["act0_out"], strict=True):
        for channel in range(3):
            product = sum(
                weight * (int(x) - 1) for weight, x in zip(rows[channel], row, strict=True)
            )
            value = 2 * Fraction(product, 2) + bias[channel] / 2 - Fraction(1, 8)
            value = min(max(value / divide[channel], Fraction(-1, 2)), Fraction(3, 4))
            assert levels[channel] == (value * 4).__floor__()


def test_equal_logit_scales_are_stated_and_left_out_of_the_integers(tmp_path):
    graph = lowered(dense(bits=4), tmp_path).graph
    assert len(set(graph.logit_affine)) == 1
    assert all(isinstance(n.op, MatVec | Threshold) for n in graph.nodes[:-1])


def test_weights_of_32_bits_give_widths_from_whole_integers(tmp_path):
    w = Writer((1, 64))
    x = w.quant("x", 1.0, 20, signed=False)
    weights = w.quant(w.constant(np.full((2, 64), 2.0**30)), 1.0, 32, signed=True)
    graph = lowered(w.model(w.node("Gemm", x, weights, transB=1), 2), tmp_path).graph
    assert graph.node("fc0").op.accumulator == IntType.holding(0, 64 * 2**30 * (2**20 - 1))
