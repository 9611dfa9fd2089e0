"""The FINN dialect read back: what was exported, and what others wrote."""

from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flow.agreement import agree_qonnx
from flow.errors import InputError
from flow.export import export_finn
from flow.export.finn import DOMAIN
from flow.ingest import lower
from flow.ir import Affine, Edge, Graph, IntType, Node
from flow.ops import ArgMax, MatVec, Threshold
from flow.passes import Policy, run_passes
from flow.passes.accumulators import accumulator_type
from tests.ingest.networks import Writer, save

BIPOLAR = IntType.bipolar1()
INPUTS = [IntType(2), IntType(3, declared=(0, 4)), IntType(2, True), BIPOLAR]


def staircase(rng, channels, source, *, falling):
    bipolar = bool(rng.random() < 0.5)
    steps = 1 if bipolar else int(rng.integers(1, 4))
    base = 0 if bipolar else int(rng.integers(-2, 2))
    kind = IntType.holding(source.lo, source.hi + 1)
    table = np.sort(rng.integers(source.lo, source.hi + 2, (channels, steps)), axis=1)
    sign = rng.choice([-1, 1], channels) if falling else np.ones(channels, int)
    output = BIPOLAR if bipolar else IntType.holding(base, base + steps)
    return Threshold(table, kind, sign, base, output, signs_stored=falling)


def random_graph(seed):
    """One to three layers without wrap-around; maybe thresholds on the input, maybe counts."""
    rng = np.random.default_rng(seed)
    edge = Edge((int(rng.integers(2, 4)),), INPUTS[rng.integers(4)])
    nodes, source, graph_edge = [], "x", edge

    def add(name, op):
        nonlocal source, graph_edge
        nodes.append(Node(name, op, (source,), f"{name}_y"))
        source, graph_edge = f"{name}_y", op.out_type(graph_edge)

    if not edge.type.bipolar and rng.random() < 0.3:
        add("first", staircase(rng, edge.shape[0], edge.type, falling=False))
    layers = int(rng.integers(1, 4))
    for place in range(layers):
        rows = int(rng.integers(2, 5))
        weights = rng.choice([-1, 1], (rows, graph_edge.shape[0]))
        kind = BIPOLAR
        if rng.random() < 0.5:
            kind, weights = IntType(3, True), rng.integers(-4, 4, weights.shape)
        wide = MatVec(weights, kind, IntType(40, True))
        exact = accumulator_type(wide, graph_edge.type, Policy.EXACT)
        add(f"fc{place}", replace(wide, accumulator=exact))
        if place < layers - 1:
            add(f"act{place}", staircase(rng, rows, exact, falling=bool(rng.random() < 0.5)))
    add("argmax", ArgMax())
    return run_passes(Graph("g", "x", edge, tuple(nodes), source))


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 2**32 - 1))
def test_what_was_exported_is_read_back_as_the_same_function(tmp_path, seed):
    graph = random_graph(seed)
    export_finn(graph, tmp_path / "f.onnx")
    kind = graph.input_edge.type
    read = lower(tmp_path / "f.onnx", input_type=str(kind)).graph
    values = (-1, 1) if kind.bipolar else range(kind.lo, kind.hi + 1)
    x = np.array(list(product(values, repeat=graph.input_edge.elements)))
    before, after = graph.evaluate_all(x), read.evaluate_all(x)
    np.testing.assert_array_equal(after[read.output], before[graph.output])
    for old, new in zip(graph.nodes, read.nodes, strict=True):
        if isinstance(old.op, Threshold):
            np.testing.assert_array_equal(after[new.output], before[old.output])
        if isinstance(old.op, MatVec) and old.output == graph.logits:
            counted = 2 * before[old.output] - old.op.weights.shape[1] if old.op.popcount else None
            found = read.logit_affine[0]
            sums = after[new.output] * int(found.scale) + int(found.offset)
            np.testing.assert_array_equal(sums, before[old.output] if counted is None else counted)


def other_dialect(*, layout="", scale=0.5, bias=-1.5, table=None, dtype="INT4", between=None):
    """Thresholds between integers on scaled sums of unannotated whole weights; TopK at the end."""
    rng, w = np.random.default_rng(4), Writer((1, 1, 2, 2))
    x = w.node("Reshape", w.node("Div", "x", w.constant(255.0)), w.constant([1, -1], np.int64))
    options = {"domain": DOMAIN, "out_dtype": "BIPOLAR", "out_scale": 2.0, "out_bias": -1.0}
    x = w.node("MultiThreshold", x, w.constant([[0.4]]), **options)
    x = w.node("MatMul", x, w.constant(rng.integers(-3, 4, (4, 3))))
    x = w.node("Add", w.node("Mul", x, w.constant([0.5, -0.25, 3.0])), w.constant(0.125))
    if between is not None:
        x = between(w, x)
    table = (
        np.array([[-1.3, 0.2, 0.6], [0.0, 0.1, 0.125], [1.0, 3.1, 9.0]]) if table is None else table
    )
    options = {"domain": DOMAIN, "out_dtype": dtype, "out_scale": scale, "out_bias": bias}
    options |= {"data_layout": layout} if layout else {}
    x = w.node("MultiThreshold", x, w.constant(table), **options)
    if between is not None:
        x = w.node("Squeeze", x, axes=[2])
    x = w.node("MatMul", x, w.constant(rng.choice([-1.0, 1.0], (3, 4))))
    top = w.constant([1], np.int64)
    w.node("TopK", x, top, outputs=["values", "class"], axis=-1, largest=1, sorted=1)
    return w.model("class", 1, opset=11)


ALL = np.array(list(product((0, 101, 102, 103, 255), repeat=4)))


def test_thresholds_are_the_exact_floats_of_the_file(tmp_path):
    graph = lower(save(other_dialect(), tmp_path), input_type="u8").graph
    values = graph.evaluate_all(ALL)
    first = np.where(ALL >= 103, 1, -1)  # 102 / 255 is 2/5, below the float32 nearest to it
    np.testing.assert_array_equal(values["act0_out"], first)
    rng = np.random.default_rng(4)
    sums = first @ rng.integers(-3, 4, (4, 3))
    scales = [Fraction(1, 2), Fraction(-1, 4), Fraction(3)]
    table = np.float32([[-1.3, 0.2, 0.6], [0.0, 0.1, 0.125], [1.0, 3.1, 9.0]])
    for (image, channel), total in np.ndenumerate(sums):
        y = scales[channel] * int(total) + Fraction(1, 8)
        reached = sum(y >= Fraction(t.item()) for t in table[channel])
        assert values["act1_out"][image, channel] == reached - 3  # -1.5 is -3 halves
    logits = (values["act1_out"]) @ rng.choice([-1.0, 1.0], (3, 4))
    np.testing.assert_array_equal(values[graph.output], logits.argmax(axis=1))
    assert [n.op.weight_type for n in graph.nodes if isinstance(n.op, MatVec)] == [
        IntType(3, True),
        BIPOLAR,
    ]
    assert graph.logit_affine[0] == Affine(Fraction(1, 2))


def stairs(table, **options):
    """Thresholds on three inputs, then binary weights whose columns all sum to 1."""
    w = Writer((1, 3))
    x = w.node("MultiThreshold", "x", w.constant(table), domain=DOMAIN, **options)
    return w.model(w.node("MatMul", x, w.constant(1 - 2 * np.eye(3))), 3)


def test_an_out_bias_between_the_steps_is_an_offset_of_the_next_layer(tmp_path):
    options = {"out_dtype": "FLOAT32", "out_scale": 0.5, "out_bias": 0.125}
    path = save(stairs([[3.0, 7.5, 9.0]], **options), tmp_path)
    lowered = lower(path, input_type="u4")
    graph = lowered.graph
    x = np.array(list(product((2, 3, 7, 8, 9), repeat=3)))
    np.testing.assert_array_equal(
        graph.evaluate_all(x)["act0_out"], [[sum(v >= t for t in (3, 8, 9)) for v in r] for r in x]
    )
    assert set(graph.logit_affine) == {Affine(Fraction(1, 2), Fraction(1, 8))}
    found = agree_qonnx(path, lowered, x)
    assert (found.elements, found.holds) == (3 * len(x), True)


def test_thresholds_that_do_not_ascend_are_counted_all_the_same(tmp_path):
    options = {"out_dtype": "UINT2", "out_scale": 1.0, "out_bias": 0.0}
    mixed = lower(save(stairs([[9.0, 3.0, 7.5]], **options), tmp_path), input_type="u4")
    assert mixed.graph.node("act0").op.thresholds.tolist() == [[3, 8, 9]] * 3
    assert mixed.decisions[0].quantizer.table == ((3, Fraction(15, 2), 9),)


def middle(w, x):
    return w.node("Unsqueeze", x, axes=[2])


@pytest.mark.parametrize(("layout", "between"), [("NC", None), ("NCHW", middle), ("NCW", middle)])
def test_the_layout_says_where_the_channels_are(tmp_path, layout, between):
    plain = lower(save(other_dialect(), tmp_path), input_type="u8").graph
    model = other_dialect(layout=layout, between=between)
    other = lower(save(model, tmp_path), input_type="u8").graph
    np.testing.assert_array_equal(other.evaluate(ALL), plain.evaluate(ALL))


def test_qonnx_agrees_on_the_other_dialect(tmp_path):
    w = Writer((1, 4))
    options = {"domain": DOMAIN, "out_dtype": "UINT2", "out_scale": 1.0, "out_bias": 0.0}
    rng = np.random.default_rng(2)
    x = w.node("MultiThreshold", "x", w.constant(rng.integers(0, 255, (4, 3))), **options)
    x = w.node("MatMul", x, w.constant(rng.integers(-3, 4, (4, 3))))
    path = save(w.model(x, 3), tmp_path)
    found = agree_qonnx(path, lower(path, input_type="u8"), ALL)
    assert (found.elements, found.holds) == (4 * len(ALL), True)


REFUSED = {
    "an out_scale of 0 or below; negate the layer in front instead": {"scale": -1.0},
    "values from -1.5 to 0.0 are no BIPOLAR": {"dtype": "BIPOLAR"},
    "values from -2.0 to 1.0 are no UINT2": {"scale": 1.0, "bias": -2.0, "dtype": "UINT2"},
    "values from 0.0 to 3.0 are no INT2": {"scale": 1.0, "bias": 0.0, "dtype": "INT2"},
    "thresholds of shape (3,); use (channels or 1, steps)": {"table": np.zeros(3)},
    "thresholds of shape (3, 0); use (channels or 1, steps)": {"table": np.zeros((3, 0))},
    "thresholds of 2 channels on a tensor of 3": {"table": np.zeros((2, 3))},
    "three axes and no data_layout; state NCW or NWC": {"between": middle},
    "thresholds of 3 channels on a tensor of 1": {"between": middle, "layout": "NWC"},
    "data_layout 'NHCW' has its channels neither second nor last": {"layout": "NHCW"},
    "1200 levels; quantize activations to at most 10 bits": {
        "table": np.zeros((1, 1199)),
        "dtype": "INT32",
    },
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_staircase_that_is_none_is_refused_by_node(tmp_path, reason):
    with pytest.raises(InputError) as refused:
        lower(save(other_dialect(**REFUSED[reason]), tmp_path), input_type="u8")
    assert str(refused.value).startswith("node 'MultiThreshold_")
    assert str(refused.value).endswith(f"(MultiThreshold): {reason}")


def test_thresholds_on_an_input_that_nothing_stated_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"state its integer type \(--input-type u8"):
        lower(save(other_dialect(), tmp_path))
