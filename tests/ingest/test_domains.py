"""Old names of the quantizers and their domains, old ways to store a file, Trunc and rounding."""

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from flow.agreement import agree_qonnx
from flow.errors import InputError
from flow.graphfile import digest
from flow.ingest import lower
from flow.ingest.rounding import Rounding
from flow.ingest.steps import Bound, Rounded, forward, pull_back
from flow.ingest.surd import Surd
from tests.ingest.networks import QONNX, Writer, dense, save

DOMAINS = [QONNX, "onnx.brevitas", "finn.custom_op.general"]
ANY = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("name", ["Quant", "IntQuant"])
def test_every_name_of_a_quantizer_is_the_same_network(tmp_path, domain, name):
    for bits in (1, 3):
        model = dense(bits=bits, layer="matmul")
        expected = digest(lower(save(model, tmp_path)).graph)
        for node in model.graph.node:
            if node.domain:
                node.domain = domain
                node.op_type = name if node.op_type == "Quant" else node.op_type
        assert digest(lower(save(model, tmp_path)).graph) == expected


def listed(model):
    """Initialisers among the inputs, as files up to IR 3 must have them."""
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, 1, list(tensor.dims)))


def constants(model):
    nodes = [helper.make_node("Constant", [], [t.name], value=t) for t in model.graph.initializer]
    del model.graph.initializer[:]
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes + rest)


def documented(model):
    model.doc_string = model.graph.doc_string = "\u2207 notes\nof an exporter"
    helper.set_model_props(model, {"note": "none of ours"})
    for node in model.graph.node:
        node.doc_string = "torch.nn.Linear"


def nameless(model):
    for node in model.graph.node:
        node.name = ""


def old(model):
    model.opset_import[0].version = 9
    model.ir_version = 4


def unshaped(model):
    del model.graph.value_info[:]
    model.graph.output[0].type.tensor_type.ClearField("shape")


@pytest.mark.parametrize("change", [listed, constants, documented, nameless, old, unshaped])
def test_how_a_file_is_stored_changes_nothing(tmp_path, change):
    model = dense(bits=2)
    expected = digest(lower(save(model, tmp_path)).graph)
    change(model)
    onnx.load(save(model, tmp_path))
    assert digest(lower(save(model, tmp_path)).graph) == expected


def truncated(seed):
    """Codes, or pooled codes, without their lowest bits, as either version of Trunc has it."""
    rng = np.random.default_rng(seed)
    w = Writer((1, 2, 4, 4))
    scale = float(np.float32(rng.uniform(0.1, 2))) if rng.random() < 0.5 else 0.25
    signed, bits = bool(rng.random() < 0.5), int(rng.integers(2, 5))
    zero = float(rng.integers(0, 3))
    x = w.quant("x", scale, bits, signed=signed, zero=zero)
    pooled = bool(rng.random() < 0.6)
    if pooled:
        x = w.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
        x = w.node("Mul", x, w.constant(4.0))
        bits, zero = bits + 2, 4 * zero
    cut = int(rng.integers(0, bits))
    mode = str(rng.choice(["FLOOR", "CEIL", "ROUND", "HALF_UP", "DOWN"]))
    version = int(rng.integers(1, 3))
    parts = [scale, zero, bits, bits - cut]
    if version == 2:
        parts[3:] = [scale * 2**cut, bits - cut]
    options = {"rounding_mode": mode, "domain": QONNX}
    if version == 2:
        options |= {"signed": int(signed), "narrow": 0}
        options |= {"narrow": int(rng.integers(2))} if bits - cut > 2 else {}
    x = w.node("Trunc", x, *map(w.constant, parts), **options)
    size = 8 if pooled else 32
    weights = w.quant(w.constant(rng.normal(size=(3, size))), 0.25, 3, signed=True)
    x = w.bipolar(w.node("Gemm", w.node("Flatten", x), weights, transB=1))
    model = w.model(w.node("Gemm", x, w.constant(1 - 2 * np.eye(3))), 3)
    model.opset_import[1].version = version
    return model


@ANY
@given(st.integers(0, 2**32 - 1))
def test_trunc_is_what_qonnx_makes_of_it(tmp_path, seed):
    path = save(truncated(seed), tmp_path)
    lowered = lower(path)
    kind = lowered.graph.input_edge.type
    x = np.random.default_rng(seed).integers(kind.lo, kind.hi + 1, (40, 4, 4, 2))
    found = agree_qonnx(path, lowered, x)
    assert (found.mismatches, found.logit_mismatches) == (0, 0)
    assert found.tensors == 4


@ANY
@given(st.integers(0, 2**32 - 1), st.sampled_from(["Round", "Floor", "Ceil"]))
def test_rounding_in_front_of_a_quantizer_is_part_of_its_chain(tmp_path, seed, op):
    rng, w = np.random.default_rng(seed), Writer((1, 4))
    x = w.quant("x", 1.0, 3, signed=True)
    x = w.node(
        "Gemm", x, w.quant(w.constant(rng.normal(size=(4, 4))), 1.0, 3, signed=True), transB=1
    )
    x = w.node(op, w.node("Mul", x, w.constant(rng.choice([-1.5, -0.5, 0.5, 0.25], 4))))
    x = w.node("Clip", x, w.constant(-3.0), w.constant(3.0))
    x = w.quant(w.node("Mul", x, w.constant(0.5)), 1.0, 3, signed=True)
    x = w.node("Gemm", x, w.bipolar(w.constant(rng.normal(size=(3, 4)))), transB=1)
    path = save(w.model(x, 3), tmp_path)
    found = agree_qonnx(path, lower(path), rng.integers(-4, 4, (60, 4)))
    assert (found.excused, found.holds) == (0, True)


@given(
    st.sampled_from(Rounding),
    st.fractions(-3, 3, max_denominator=4),
    st.booleans(),
    st.booleans(),
    st.fractions(-4, 4, max_denominator=4),
)
def test_a_rounding_pulled_back_is_met_where_the_rounded_meets_it(mode, t, strict, above, x):
    step, bound, value = Rounded(mode), Bound(Surd.of(t), strict, above), Surd.of(x)
    assert pull_back(step, bound, 0).met_by(value) == bound.met_by(forward(step, value, 0))


def cut(*parts, before=None, **options):
    w = Writer((1, 4))
    x = w.quant("x", 1.0, 4, signed=False)
    x = before(w, x) if before else x
    x = w.node("Trunc", x, *map(w.constant, parts), domain=QONNX, **options)
    return w.model(w.node("Gemm", x, w.constant(np.eye(4)), transB=1), 4)


REFUSED = {
    "(Trunc): its input is not quantized; add a QuantIdentity in front": cut(
        1.0, 0.0, 4, 2, before=lambda w, x: w.node("Relu", x)
    ),
    "(Trunc): a scale of 0 or below; train again or clip the scale": cut(0.0, 0.0, 4, 2),
    "(Trunc): cuts off 0.5 bits; use a whole number from 0": cut(1.0, 0.0, 4, 3.5),
    "(Trunc): an output scale 3 times the input's; use 1, 2, 4 ...": cut(1.0, 0.0, 4, 3.0, 2),
    "(Trunc): input 1 of shape (4,); use one value for the tensor": cut([1.0] * 4, 0.0, 4, 2),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_trunc_that_is_none_is_refused_by_node(tmp_path, reason):
    with pytest.raises(InputError) as refused:
        lower(save(REFUSED[reason], tmp_path))
    assert str(refused.value).startswith("node 'Trunc_")
    assert str(refused.value).endswith(reason)


def annotated(model, name):
    note = onnx.TensorAnnotation(tensor_name="x")
    note.quant_parameter_tensor_names.add(key="finn_datatype", value=name)
    model.graph.quantization_annotation.append(note)
    return model


def plain():
    w = Writer((1, 3))
    return w.model(w.node("MatMul", "x", w.constant(1 - 2 * np.eye(3))), 3)


@pytest.mark.parametrize(
    ("name", "kind"), [("BIPOLAR", "b1"), ("BINARY", "u1"), ("UINT8", "u8"), ("INT3", "s3")]
)
def test_an_annotated_input_needs_no_statement(tmp_path, name, kind):
    lowered = lower(save(annotated(plain(), name), tmp_path))
    assert (str(lowered.graph.input_edge.type), lowered.graph.input_affine.scale) == (kind, 1)
    again = lower(save(annotated(plain(), name), tmp_path), input_type=kind)
    assert digest(again.graph) == digest(lowered.graph)


@pytest.mark.parametrize(
    ("name", "stated", "said"),
    [
        ("BIPOLAR", {"input_type": "u1"}, "BIPOLAR, which is b1 with a scale of 1, not u1 with 1"),
        ("UINT8", {"input_type": "s8"}, "UINT8, which is u8 with a scale of 1, not s8 with 1"),
        (
            "UINT8",
            {"input_type": "u8", "input_scale": "1/255"},
            "UINT8, which is u8 with a scale of 1, not u8 with 1/255",
        ),
    ],
)
def test_a_statement_against_the_annotation_is_refused(tmp_path, name, stated, said):
    path = save(annotated(plain(), name), tmp_path)
    with pytest.raises(InputError) as refused:
        lower(path, **stated)
    assert str(refused.value) == (
        f"{path}: the input is annotated {said}; state that, or correct the annotation"
    )


@pytest.mark.parametrize("name", ["FLOAT32", "INT64", "FIXED<8,4>", "SCALEDINT<8>"])
def test_an_annotation_of_other_types_states_nothing(tmp_path, name):
    with pytest.raises(InputError, match="the input is not quantized"):
        lower(save(annotated(plain(), name), tmp_path))
