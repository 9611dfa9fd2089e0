"""Weight files of the AAAI 2021 verification benchmark, against its integer semantics."""

from fractions import Fraction
from itertools import pairwise

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flow.agreement import agree_qonnx
from flow.errors import InputError
from flow.graphfile import digest, load_graph, save_graph
from flow.ingest import lower
from flow.ir import Affine


def layers(seed, sizes=(20, 7, 5)):
    """Kernels and biases with ties of either sign and values beyond the highest code."""
    rng = np.random.default_rng(seed)
    made = []
    for columns, rows in pairwise(sizes):
        kernel, bias = rng.normal(0, 0.5, (columns, rows)), rng.normal(0, 0.8, rows)
        ties = rng.random(kernel.shape) < 0.3
        kernel[ties] = (rng.integers(-33, 33, int(ties.sum())) + 0.5) / 32
        bias[:2] = [-2.5 / 16, 2.5 / 16]
        made.append((np.float32(kernel), np.float32(bias)))
    return made


def write(folder, made, *, scope="quantized_model/", extra=("dropout", "flatten")):
    """As Keras' save_weights leaves a subclassed model; older versions put it in a scope."""
    path = folder / "net.h5"
    with h5py.File(path, "w") as file:
        names = ["quantized_dense" + (f"_{i}" if i else "") for i in range(len(made))]
        file.attrs["layer_names"] = np.array([*names, *extra], dtype="S")
        file.attrs["backend"] = "tensorflow"
        for name, (kernel, bias) in zip(names, made, strict=True):
            group, prefix = file.create_group(name), f"{scope}{name}"
            group.attrs["weight_names"] = np.array(
                [f"{prefix}/kernel:0", f"{prefix}/bias:0"], dtype="S"
            )
            group[f"{prefix}/kernel:0"], group[f"{prefix}/bias:0"] = kernel, bias
        for name in extra:
            file.create_group(name).attrs["weight_names"] = np.array([], dtype="S")
    return path


def benchmark(made, x):
    """The integers of the benchmark: codes half away from zero, sums half up, saturated."""

    def codes(values, fraction):
        scaled = np.clip(values.astype(np.float64) * 2**fraction, -32, 31)
        return (np.sign(scaled) * np.floor(abs(scaled) + 0.5)).astype(np.int64)

    shift, outputs = 9, []
    for kernel, bias in made:
        total = x @ codes(kernel, 5) + (codes(bias, 4) << shift)
        x = (total + (1 << shift >> 1)) >> shift
        x = np.clip(x, -32, 31) if kernel is made[-1][0] else np.clip(x, 0, 63)
        shift = 5
        outputs.append(x)
    return outputs


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 2**32 - 1))
def test_every_code_is_that_of_the_benchmark(tmp_path, seed):
    rng = np.random.default_rng(seed)
    made = layers(seed, (20, *rng.integers(2, 9, rng.integers(1, 4))))
    graph = lower(write(tmp_path, made)).graph
    x = rng.integers(0, 256, (200, 20)) * rng.choice([0, 1, 1], (200, 20))
    values, expected = graph.evaluate_all(x), benchmark(made, x)
    for place, codes in enumerate(expected):
        np.testing.assert_array_equal(values[f"act{place}_out"], codes)
    np.testing.assert_array_equal(values[graph.output], expected[-1].argmax(axis=1))


def test_what_it_states_is_the_pixel_and_the_meaning_of_its_outputs(tmp_path):
    graph = lower(write(tmp_path, layers(1))).graph
    assert (str(graph.input_edge), graph.input_affine.scale) == ("20:u8", 1)
    assert set(graph.logit_affine) == {Affine(Fraction(1, 16))}
    assert [str(kind) for kind in graph.node("fc0").op.stored.values()] == ["s6"]


def test_qonnx_agrees_on_the_network_that_the_file_stands_for(tmp_path):
    path = write(tmp_path, layers(2))
    x = np.random.default_rng(0).integers(0, 256, (100, 20))
    found = agree_qonnx(path, lower(path), x)
    assert found.elements == 20 * 7 + 7 + 7 * 5 + 5 + 100 * (20 + 7 + 5)
    assert (found.excused, found.holds) == (0, True)


def test_files_with_and_without_a_scope_are_the_same_network(tmp_path):
    old = lower(write(tmp_path, layers(3))).graph
    new = lower(write(tmp_path, layers(3), scope="", extra=())).graph
    assert digest(old) == digest(new)


def test_a_graph_of_columns_first_weights_is_read_back_from_its_file(tmp_path):
    graph = lower(write(tmp_path, layers(4))).graph
    written = save_graph(graph, tmp_path / "g.json")
    assert digest(load_graph(tmp_path / "g.json")) == written


def test_weights_inside_a_whole_model_are_read_and_its_other_layers_named(tmp_path):
    path = write(tmp_path, layers(7))
    expected = digest(lower(path).graph)
    with h5py.File(path, "r+") as file:
        whole = file.create_group("model_weights")
        whole.attrs["layer_names"] = file.attrs["layer_names"]
        for name in list(file):
            if name != "model_weights":
                file.move(name, f"model_weights/{name}")
        del file.attrs["layer_names"]
    assert digest(lower(path).graph) == expected
    with h5py.File(path, "r+") as file:
        renamed(file["model_weights"])
    with pytest.raises(InputError, match="layer 'q_dense': only the 'quantized_dense' layers"):
        lower(path)


def renamed(file):
    file.attrs["layer_names"] = np.array(["q_dense", "quantized_dense_1"], dtype="S")


def nameless(file):
    del file.attrs["layer_names"]


def unlisted(file):
    file["quantized_dense"].attrs["weight_names"] = np.array(["a/kernel:0"], dtype="S")


def infinite(file):
    file["quantized_dense/quantized_model/quantized_dense/kernel:0"][0, 0] = np.inf


def missing(file):
    del file["quantized_dense/quantized_model/quantized_dense/bias:0"]


def reversed_layers(file):
    file.attrs["layer_names"] = np.array(["quantized_dense_1", "quantized_dense"], dtype="S")


def no_layers(file):
    file.attrs["layer_names"] = np.array(["dropout"], dtype="S")


def odd_bias(file):
    group = file["quantized_dense/quantized_model/quantized_dense"]
    del group["bias:0"]
    group["bias:0"] = np.zeros(3, np.float32)


SCOPE = "'quantized_model/quantized_dense/"
REFUSED = {
    renamed: "layer 'q_dense': only the 'quantized_dense' layers of the AAAI 2021 benchmark are "
    "read from HDF5; export other networks to QONNX",
    nameless: "no Keras weights (no 'layer_names'); save them by save_weights",
    unlisted: "layer 'quantized_dense': weights ['kernel:0']; kernel and bias wanted",
    infinite: f"layer 'quantized_dense': {SCOPE}kernel:0' holds NaN or infinity; train again",
    missing: f"layer 'quantized_dense': {SCOPE}bias:0' is no array of float32",
    reversed_layers: "layer 'quantized_dense' takes 20 values where 'quantized_dense_1' makes 5; "
    "list the layers in their order",
    no_layers: "no layer in it; give the weights of a trained network",
    odd_bias: "layer 'quantized_dense': a kernel of shape (20, 7) and a bias of shape (3,); "
    "(inputs, outputs) and (outputs,) are wanted",
}


@pytest.mark.parametrize("change", REFUSED, ids=lambda change: change.__name__)
def test_what_is_no_such_network_is_refused_by_layer(tmp_path, change):
    path = write(tmp_path, layers(5))
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(InputError) as refused:
        lower(path)
    assert str(refused.value) == f"{path}: {REFUSED[change]}"


def test_a_file_that_ends_early_is_refused_in_one_line(tmp_path):
    path = write(tmp_path, layers(6))
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(InputError, match=r"net.h5: not a readable HDF5 file \(.*\)$"):
        lower(path)
