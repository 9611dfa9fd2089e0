"""Convolutional and bitwise layers of the FINN dialect, against qonnx at every quantizer."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorAnnotation, TensorProto
from onnx.helper import make_tensor_value_info

from flow.agreement import agree_qonnx
from flow.errors import InputError
from flow.export.finn import DOMAIN
from flow.ingest import lower
from flow.ir import IntType
from flow.ops import MatVec, Threshold
from tests.ingest.networks import Writer, save

ANY = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Streamlined(Writer):
    """Writes integers, channels last, with the annotations that qonnx wants of them."""

    def __init__(self, rng, shape, kind="UINT3"):
        super().__init__((1, *shape))
        self.rng, self.shape, self.notes, self.kind = rng, shape, {}, kind
        self.shapes = []

    def noted(self, tensor):
        self.notes[tensor] = self.kind
        if tensor != "x":  # qonnx infers no shapes through these ops
            self.shapes.append(make_tensor_value_info(tensor, TensorProto.FLOAT, (1, *self.shape)))
        return tensor

    def layer(self, x):
        """Im2Col and MatMul with whole weights."""
        rng, (height, width, channels) = self.rng, self.shape
        k, step = int(rng.integers(1, min(4, height, width))), int(rng.integers(1, 3))
        pads = rng.integers(0, 2, 4).tolist() if k > 1 else [0, 0, 0, 0]
        sizes = {"kernel_size": [k, k], "stride": [step, step], "pad_amount": pads}
        value = int(rng.choice([-1, 1])) if self.kind == "BIPOLAR" else int(rng.integers(0, 2))
        sizes |= {"input_shape": str((1, *self.shape)).replace(" ", ""), "pad_value": value}
        x = self.node("Im2Col", self.noted(x), domain=DOMAIN, **sizes)
        rows = int(rng.integers(2, 5))
        low, high = rng.choice([(-1, 2), (-3, 4)])
        weights = rng.integers(low, high, (k * k * channels, rows))
        self.shape = (
            (height + pads[0] + pads[2] - k) // step + 1,
            (width + pads[1] + pads[3] - k) // step + 1,
            rows,
        )
        return self.node("MatMul", x, self.constant(weights))

    def staircase(self, x, kind):
        """Thresholds per channel, channels last."""
        steps = {"UINT2": 3, "INT2": 3, "BIPOLAR": 1, "BINARY": 1}[kind]
        scale, bias = {"BIPOLAR": (2.0, -1.0), "INT2": (1.0, -2.0)}.get(kind, (1.0, 0.0))
        table = np.sort(self.rng.integers(-9, 10, (self.shape[-1], steps)), axis=1) + 0.5
        options = {"out_dtype": kind, "out_scale": scale, "out_bias": bias, "data_layout": "NHWC"}
        self.kind = kind
        return self.node("MultiThreshold", x, self.constant(table), domain=DOMAIN, **options)

    def pool(self, x):
        sizes = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 0]}
        self.noted(x)
        self.shape = (self.shape[0] // 2, self.shape[1] // 2, self.shape[2])
        return self.node("MaxPoolNHWC", x, domain=DOMAIN, **sizes)

    def average(self, x):
        bits = {"ibits": 2, "obits": 2, "signed": int(self.kind == "INT2")}
        self.noted(x)
        self.shape = (self.shape[0] // 2, self.shape[1] // 2, self.shape[2])
        sizes = {"kernel": 2, "stride": 2, "data_layout": "NHWC"}
        return self.node("QuantAvgPool2d", x, domain=DOMAIN, **bits, **sizes)

    def annotated(self, output, outputs):
        model = self.model(output, outputs, opset=11)
        model.opset_import[1].domain = DOMAIN
        model.graph.value_info.extend(self.shapes)
        for tensor, kind in self.notes.items():
            note = TensorAnnotation(tensor_name=tensor)
            note.quant_parameter_tensor_names.add(key="finn_datatype", value=kind)
            model.graph.quantization_annotation.append(note)
        return model


def network(seed):
    rng = np.random.default_rng(seed)
    w = Streamlined(rng, (*rng.integers(5, 8, 2).tolist(), int(rng.integers(1, 4))))
    x = "x"
    for _ in range(int(rng.integers(1, 3))):
        x = w.staircase(w.layer(x), str(rng.choice(["UINT2", "INT2", "BIPOLAR"])))
        if min(w.shape[:2]) >= 4:
            end = rng.choice(["max", "average", "none"])
            if end == "max":
                x = w.pool(x)
            elif end == "average" and w.kind != "BIPOLAR":
                x = w.average(x)
    size = int(np.prod(w.shape))
    x = w.node("Reshape", x, w.constant([1, size], np.int64))
    x = w.node("MatMul", x, w.constant(rng.integers(-3, 4, (size, 3))))
    table = w.constant(np.sort(rng.integers(-20, 20, (3, 1))) + 0.5)
    options = {"out_dtype": "BINARY", "out_scale": 1.0, "out_bias": 0.0}
    x = w.node("MultiThreshold", x, table, domain=DOMAIN, **options)
    w.kind, w.shape = "BINARY", (3,)
    bits = w.constant(rng.integers(0, 2, (3, 4)))
    x = w.node("XnorPopcountMatMul", w.noted(x), bits, domain=DOMAIN)
    w.notes[bits] = "BINARY"
    # counts differ by what their column holds: an even footing before the last layer
    x = w.node("MultiThreshold", x, w.constant([[1.5]]), domain=DOMAIN, **options)
    x = w.node("MatMul", x, w.constant(1.0 - 2 * np.eye(4)))
    return w.annotated(x, 4)


@ANY
@given(st.integers(0, 2**32 - 1))
def test_qonnx_agrees_on_random_streamlined_networks(tmp_path, seed):
    path = save(network(seed), tmp_path)
    lowered = lower(path)
    edge = lowered.graph.input_edge
    assert edge.shape == lowered.input_shape
    x = np.random.default_rng(seed).integers(0, edge.type.hi + 1, (3, *edge.shape))
    for one in x:  # qonnx's Im2Col is of one image
        found = agree_qonnx(path, lowered, one[None])
        assert found.tensors == sum(isinstance(n.op, Threshold) for n in lowered.graph.nodes)
        assert (found.excused, found.holds) == (0, True)


def counted(bits, *, table=((0.5,),), dtype="BINARY", scale=1.0, bias=0.0):
    w = Writer((1, 3))
    options = {"out_dtype": dtype, "out_scale": scale, "out_bias": bias}
    x = w.node("MultiThreshold", "x", w.constant(table), domain=DOMAIN, **options)
    x = w.node("XnorPopcountMatMul", x, w.constant(bits), domain=DOMAIN)
    x = w.node("MultiThreshold", x, w.constant([[1.5]]), domain=DOMAIN, **options)
    return w.model(w.node("MatMul", x, w.constant(1.0 - 2 * np.eye(2))), 2)


@pytest.mark.parametrize("signs", [False, True])
def test_agreeing_bits_are_counted(tmp_path, signs):
    bits = np.array([[0, 1], [1, 1], [0, 0]])
    model = counted(bits)
    if signs:  # the same bits, made of signs: (s + 1) / 2
        first = model.graph.node[0]
        values = {"out_dtype": "BIPOLAR", "out_scale": 2.0, "out_bias": -1.0}
        w = Writer((1, 3))
        x = w.node("MultiThreshold", "x", w.constant([[0.5]]), domain=DOMAIN, **values)
        x = w.node("Mul", w.node("Add", x, w.constant(1.0)), w.constant(0.5))
        x = w.node("XnorPopcountMatMul", x, w.constant(bits), domain=DOMAIN)
        values |= {"out_dtype": "BINARY", "out_scale": 1.0, "out_bias": 0.0}
        x = w.node("MultiThreshold", x, w.constant([[1.5]]), domain=DOMAIN, **values)
        model = w.model(w.node("MatMul", x, w.constant(1.0 - 2 * np.eye(2))), 2)
        assert first.op_type == "MultiThreshold"
    graph = lower(save(model, tmp_path), input_type="u1").graph
    x = np.array(np.meshgrid(*[[0, 1]] * 3)).reshape(3, -1).T
    agreeing = (x[:, :, None] == bits).sum(axis=1)
    second = [n for n in graph.nodes if isinstance(n.op, Threshold)][-1]
    np.testing.assert_array_equal(graph.evaluate_all(x)[second.output], agreeing >= 2)
    first = next(node.op for node in graph.nodes if isinstance(node.op, MatVec))
    assert (first.weight_type, first.popcount) == (IntType.bipolar1(), signs)


def image(op, *, moved=False, **options):
    def middle(w):
        x = w.node("Transpose", "x", perm=[0, 3, 1, 2]) if moved else "x"
        return w.node(op, x, domain=DOMAIN, **options)

    return middle


WINDOW = {"kernel_size": [2, 2], "stride": [1, 1], "input_shape": "(1,4,4,2)"}
REFUSED = {
    "bits that are none": (
        lambda w: w.node("XnorPopcountMatMul", "x", w.constant([[0.0], [2.0]]), domain=DOMAIN),
        "(XnorPopcountMatMul): weights that are no matrix of 0 and 1; "
        "export it with BINARY weights",
    ),
    "integers for bits": (
        lambda w: w.node("XnorPopcountMatMul", "x", w.constant([[0.0], [1.0]]), domain=DOMAIN),
        "(XnorPopcountMatMul): its input is no tensor of 0 and 1; put a BINARY MultiThreshold "
        "before it",
    ),
    "windows channels first": (
        image("Im2Col", moved=True, **WINDOW),
        "(Im2Col): its image has axes (2, 4, 4) for 2 channels; put the channels last (NHWC)",
    ),
    "a pool channels first": (
        image("MaxPoolNHWC", moved=True, kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4),
        "(MaxPoolNHWC): its image has axes (2, 4, 4) for 2 channels; put the channels last (NHWC)",
    ),
    "windows of no kernel": (
        image("Im2Col", stride=[1, 1]),
        "(Im2Col): kernel (0, 0) must be two positive integers",
    ),
    "an average of halves": (
        lambda w: w.node(
            "QuantAvgPool2d",
            w.node("Mul", "x", w.constant(0.5)),
            domain=DOMAIN,
            kernel=2,
            stride=2,
            ibits=2,
            obits=2,
            signed=0,
            data_layout="NHWC",
        ),
        "(QuantAvgPool2d): its input has other than whole values of one scale; scale it behind",
    ),
    "hardware": (
        lambda w: w.node("StreamingMaxPool", "x", domain="finn.custom_op.fpgadataflow.hls"),
        "(finn.custom_op.fpgadataflow.hls.StreamingMaxPool): a hardware layer of FINN, whose "
        "streams and folding are no part of the network; lower the file from before the "
        "conversion to hardware layers",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_such_layer_is_refused_by_node(tmp_path, case):
    middle, message = REFUSED[case]
    w = Writer((1, 4, 4, 2))
    with pytest.raises(InputError) as refused:
        lower(save(w.model(middle(w), 4), tmp_path), input_type="u3")
    assert str(refused.value).startswith("node '")
    assert str(refused.value).endswith(message)


def test_low_bits_of_a_negative_sum_are_cut_towards_the_lower(tmp_path):
    w = Writer((1, 2, 2, 1))
    sizes = {"kernel": 2, "stride": 2, "ibits": 2, "obits": 2, "signed": 1, "data_layout": "NHWC"}
    x = w.node("Flatten", w.node("QuantAvgPool2d", "x", domain=DOMAIN, **sizes))
    model = w.model(w.node("MatMul", x, w.constant([[1.0, -1.0]])), 2)
    graph = lower(save(model, tmp_path), input_type="s2").graph
    x = np.array(np.meshgrid(*[range(-2, 2)] * 4)).reshape(4, -1).T.reshape(-1, 2, 2, 1)
    expected = x.sum(axis=(1, 2)) >> 2
    np.testing.assert_array_equal(graph.evaluate_all(x)["act0_out"].reshape(-1, 1), expected)


def test_a_margin_is_a_value_of_the_file_not_a_code(tmp_path):
    w = Writer((1, 2, 2, 1))
    x = w.node("Mul", "x", w.constant(0.5))
    sizes = {"kernel_size": [3, 3], "stride": [1, 1], "pad_amount": [1, 0, 0, 1], "pad_value": 1}
    x = w.node("Im2Col", x, domain=DOMAIN, input_shape="(1,2,2,1)", **sizes)
    x = w.node("Flatten", w.node("MatMul", x, w.constant(np.ones((9, 2)))))
    graph = lower(save(w.model(x, 2), tmp_path), input_type="u3").graph
    assert graph.node("pad0").op.value == 2  # 2 halves
    assert graph.node("pad0").op.margins == (1, 0, 0, 1)
