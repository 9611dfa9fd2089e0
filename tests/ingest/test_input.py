"""What the caller or the file says of the input, and what the file does to it before it counts."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from flow.agreement import agree_finn, agree_qonnx
from flow.build import build
from flow.certify import Verdict, certify_input
from flow.engine import BatchedEngine
from flow.errors import InputError
from flow.export import export_finn
from flow.ingest import lower, lower_again
from flow.ir import Affine
from flow.ir.verify import verify
from flow.schedule import make_plan
from sim.accelerator import simulate_rtl
from tests.certify.test_flips import assert_equal_to_brute_force
from tests.ingest.foreign import by_axes, channels_last, folded_flatten, zoo
from tests.ingest.networks import Writer, dense, save

PIXELS = {"input_type": "u8", "input_scale": "1/255"}


def images(count=300, elements=12, seed=5):
    x = np.random.default_rng(seed).integers(0, 256, (count, elements))
    x[:2] = [[127], [128]]  # both sides of the decision
    return x


def test_scaling_before_the_first_quantizer_becomes_thresholds_on_the_pixels(tmp_path):
    graph = lower(save(zoo(), tmp_path), **PIXELS).graph
    assert (str(graph.input_edge), graph.input_affine) == ("12:u8", Affine(Fraction(1, 255)))
    first = graph.nodes[0]
    assert (first.name, first.inputs) == ("act0", ("x",))
    assert (first.op.thresholds == 128).all()  # 2 * 127.5 / 255 - 1 is 0
    np.testing.assert_array_equal(
        graph.evaluate_all(images())["act0_out"], np.where(images() >= 128, 1, -1)
    )


def test_qonnx_agrees_on_a_file_that_flattens_an_image_by_a_computed_shape(tmp_path):
    path = save(zoo(), tmp_path)
    found = agree_qonnx(path, lower(path, **PIXELS), images())
    assert (found.images, found.tensors) == (300, 4)
    assert found.elements == 300 * (12 + 6) + 12 * 6 + 6 * 4
    assert (found.excused, found.mismatches, found.logit_mismatches) == (0, 0, 0)
    assert found.holds


@pytest.mark.parametrize("flatten", [folded_flatten, channels_last, by_axes])
def test_the_input_is_the_files_tensor_in_row_major_order_however_it_is_flattened(
    tmp_path, flatten
):
    path = save(zoo(image=(2, 2, 3), flatten=flatten), tmp_path)
    lowered = lower(path, **PIXELS)
    assert lowered.input_shape == (2, 2, 3)
    assert agree_qonnx(path, lowered, images()).holds
    if flatten is channels_last:
        other = lower(save(zoo(image=(2, 2, 3)), tmp_path), **PIXELS)
        assert not np.array_equal(
            lowered.graph.evaluate_all(images())["fc0_out"],
            other.graph.evaluate_all(images())["fc0_out"],
        )


def test_quantizing_an_image_before_it_is_flattened_is_the_same(tmp_path):
    w = Writer((1, 2, 2, 2))
    mean = w.constant([[[0.25]], [[0.5]]])  # of each of two channels
    x = w.node("Div", w.node("Sub", "x", mean), w.constant([[[0.5]], [[0.3]]]))
    x = w.quant(w.node("Transpose", x, perm=[0, 2, 3, 1]), 0.25, 3, signed=True)
    x = w.node("Flatten", x)
    weights = np.random.default_rng(0).normal(size=(3, 8))
    x = w.node("Gemm", x, w.quant(w.constant(weights), 0.3, 3, signed=True), transB=1)
    path = save(w.model(x, 3), tmp_path)
    lowered = lower(path, **PIXELS)
    pixels = np.arange(256)[:, None].repeat(8, axis=1)
    levels = lowered.graph.evaluate_all(pixels)["act0_out"]
    for channel, (mean, deviation) in enumerate([(0.25, 0.5), (0.5, np.float32(0.3).item())]):
        for pixel in range(256):
            value = (Fraction(pixel, 255) - Fraction(mean)) / Fraction(deviation) * 4
            expected = min(max(round(value), -4), 3)
            assert (levels[pixel, 4 * channel : 4 * channel + 4] == expected).all()
    assert agree_qonnx(path, lowered, images(elements=8)).mismatches == 0


def test_constants_along_moved_axes_go_to_their_elements(tmp_path):
    w = Writer((1, 2, 2, 1))
    x = w.node("Transpose", "x", perm=[0, 3, 2, 1])
    x = w.node("Sub", x, w.constant([100.0, 200.0]))  # of the file's channels, now last
    x = w.node("Flatten", w.bipolar(x))
    x = w.node(
        "MatMul", x, w.bipolar(w.constant([[1.0, -1.0], [1.0, 1.0], [-1.0, 1.0], [1.0, 1.0]]))
    )
    path = save(w.model(x, 2), tmp_path)
    lowered = lower(path, input_type="u8")
    assert lowered.graph.node("act0").op.thresholds.ravel().tolist() == [100, 100, 200, 200]
    assert agree_qonnx(path, lowered, images(elements=4)).holds


def test_a_stated_type_goes_before_the_files_own_note(tmp_path):
    path = save(dense(input_type="u5[0..16]"), tmp_path)
    assert str(lower(path, input_type="u4").graph.input_edge) == "8:u4"
    assert lower(path, input_type="u4").graph.input_affine == Affine(Fraction(1))


@pytest.mark.rtl
def test_a_graph_that_starts_with_thresholds_is_understood_by_every_reader(
    tmp_path, simulator, compiled
):
    path = save(zoo(), tmp_path)
    graph = verify(lower(path, **PIXELS).graph)
    x = images()
    found = BatchedEngine(graph).run_all(x)
    for name, values in graph.evaluate_all(x).items():
        np.testing.assert_array_equal(found[name], values)
    export_finn(graph, tmp_path / "finn.onnx")
    assert agree_finn(tmp_path / "finn.onnx", graph, x).holds
    build(graph, make_plan(graph), tmp_path / "build")
    response = simulate_rtl(tmp_path / "build", x, cache=compiled, simulator=simulator)
    np.testing.assert_array_equal(response.logits, graph.evaluate_all(x)[graph.logits])


def test_certificates_see_through_thresholds_on_the_input(tmp_path):
    graph = lower(save(zoo(image=(1, 1, 3), sizes=(3, 2)), tmp_path), **PIXELS).graph
    x = images(10, 3)
    y = graph.evaluate(x)
    assert_equal_to_brute_force(graph, x, y)
    bright = np.full((1, 3), 200)
    label = graph.evaluate(bright)
    for radius, verdict in ((50, Verdict.PROVED), (200, Verdict.REFUTED)):
        found = certify_input(graph, bright, y=label, radius=radius)
        assert [c.verdict for c in found.certificates] == [verdict]


def test_the_options_that_made_a_graph_are_found_again(tmp_path):
    path = save(zoo(), tmp_path)
    for policy, options in itertools.product(
        ("exact", "fault-safe"), (PIXELS, {"input_type": "u4"})
    ):
        graph = lower(path, accumulator=policy, **options).graph
        assert lower_again(path, graph).decisions
    assert lower_again(save(zoo(1), tmp_path), graph) is None
    plain = save(dense(), tmp_path)
    assert lower_again(plain, lower(plain).graph).decisions


BAD = {
    "input scale '1/0' is no fraction; write 1/255 or 0.5": {"input_scale": "1/0"},
    "input scale 'pixel' is no fraction; write 1/255 or 0.5": {"input_scale": "pixel"},
    "input scale '-1' is 0 or below; use a positive fraction": {"input_scale": "-1"},
    "an input scale without an input type; state both": {"input_type": None},
    "net.onnx: input type: 'byte' is no integer type; write u8, s4, b1 or u5[0..16]": {
        "input_type": "byte"
    },
}


@pytest.mark.parametrize("message", BAD)
def test_a_statement_that_makes_no_sense_is_refused(tmp_path, message):
    with pytest.raises(InputError) as refused:
        lower(save(zoo(), tmp_path), **PIXELS | BAD[message])
    assert str(refused.value).endswith(message)


def flattened(*nodes):
    """The image after nodes of (op, constants, attributes), into a layer."""

    def flatten(w, x):
        for op, constants, attributes in nodes:
            x = w.node(op, x, *(w.constant(c, np.int64) for c in constants), **attributes)
        return x

    return zoo(flatten=flatten)


REFUSED = {
    "node 'Reshape_0' (Reshape): shape [1, 7] cannot hold the elements of [1, 1, 3, 4]": [
        ("Reshape", [[1, 7]], {})
    ],
    "node 'Reshape_0' (Reshape): makes shape [12, 1], which mixes the batch; keep axis 0": [
        ("Reshape", [[-1, 1]], {})
    ],
    "node 'Flatten_0' (Flatten): keeps more than the batch apart; use axis=1": [
        ("Flatten", [], {"axis": 2})
    ],
    "node 'Transpose_0' (Transpose): moves the batch; keep it in front": [
        ("Transpose", [], {"perm": [1, 0, 2, 3]})
    ],
    "node 'Transpose_0' (Transpose): perm [0, 1] is no order of 4 axes": [
        ("Transpose", [], {"perm": [0, 1]})
    ],
    "node 'Squeeze_0' (Squeeze): moves the batch; keep it in front": [
        ("Squeeze", [], {"axes": [0]})
    ],
    "node 'Squeeze_0' (Squeeze): axes [] are no axes of 4; state each once": [("Squeeze", [], {})],
    "node 'Unsqueeze_0' (Unsqueeze): attribute 'axes' is 3 where integers are wanted": [
        ("Unsqueeze", [], {"axes": 3})
    ],
    "node 'MatMul_6' (MatMul): its input has axes (3, 4); flatten it before the layer": [
        ("Squeeze", [], {"axes": [1]})
    ],
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_shape_that_is_no_vector_per_image_is_refused_by_node(tmp_path, message):
    with pytest.raises(InputError) as refused:
        lower(save(flattened(*REFUSED[message]), tmp_path), **PIXELS)
    assert str(refused.value).startswith(message)


def test_an_input_that_is_scaled_and_never_stated_says_how_to_state_it(tmp_path):
    with pytest.raises(InputError) as refused:
        lower(save(zoo(), tmp_path))
    assert str(refused.value).endswith(
        "(BipolarQuant): the input is scaled before it is quantized; state its integer type "
        "(--input-type u8 --input-scale 1/255)"
    )
