"""Bad input at the command line: one line, exit status 2, no half files."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from flow.graphfile import save_graph
from tests.cli.small import digits_graph, one_line_error
from tests.ingest.foreign import zoo


def test_a_build_whose_graph_was_replaced_is_refused(bitproof, graph_file, tmp_path):
    target = tmp_path / "accelerator"
    assert bitproof("build", graph_file, "-o", target)[0] == 0
    save_graph(digits_graph(seed=1), target / "graph.json")
    arguments = ("simulate", target, "--data", "digits", "--engine", "hls")
    status, out, err = bitproof(*arguments)
    assert (status, out) == (2, "")
    assert "graph" in one_line_error(err.split("\n", 1)[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("eval", "none.json", "--data", "digits"), "no such file; make it with `bitproof lower`"),
        (("eval", "{graph}", "--data", "faces"), "data set 'faces': unknown; choose digits, mnist"),
        (
            (
                "certify",
                "{graph}",
                "--data",
                "digits",
                "--certificates",
                "c",
                "--property",
                "bits",
                "--method",
                "linear",
            ),
            "--method is of --property input and weights; bits takes none",
        ),
        (
            (
                "certify",
                "{graph}",
                "--data",
                "digits",
                "--certificates",
                "c",
                "--property",
                "input",
                "--seconds",
                "1",
            ),
            "--seconds is of --method complete",
        ),
        (
            ("attack", "{graph}", "--data", "digits", "--method", "tbfa"),
            "--target is the class of --method tbfa, which needs it",
        ),
        (
            ("attack", "{graph}", "--data", "digits", "--method", "dnl", "--stealthy"),
            "--source and --stealthy are of --method tbfa",
        ),
        (
            ("attack", "{graph}", "--data", "digits", "--method", "fgsm", "--budget", "1"),
            "--budget and --batch are of flips; fgsm moves inputs by --radius",
        ),
        (
            ("attack", "{graph}", "--data", "digits", "--method", "bfa", "--radius", "1"),
            "--radius and --limit are of pgd and fgsm; bfa flips stored bits",
        ),
        (("eval", "{graph}", "--data", "mnist"), "train-images-idx3-ubyte.gz: missing; data set"),
        (("train", "none.toml", "-o", "m.onnx"), "none.toml: no such recipe"),
        (("lower", "none.onnx", "-o", "g.json"), "none.onnx: no such file"),
        (("report", "nowhere", "-o", "r.html"), "no such file; make it with `bitproof lower`"),
        (("campaign", "show", "nowhere"), "no finished campaign; run or resume it first"),
        (("replay", "none.json"), "none.json"),
        (("synth", "nowhere", "-o", "s", "--board", "toaster"), "board 'toaster': unknown"),
        (("synth", "nowhere", "-o", "s", "--votes", "9"), "--noise-seed are of --smooth"),
        (("synth", "nowhere", "-o", "s", "--smooth", "2"), "nowhere"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(
    bitproof, graph_file, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.setenv("BITPROOF_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    filled = [a.format(graph=graph_file) for a in arguments]
    status, out, err = bitproof(*filled)
    assert (status, out) == (2, "")
    lines = [line for line in err.splitlines() if not line.endswith(" ...")]
    assert message in one_line_error("\n".join(lines))
    assert "Traceback" not in err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 'x'\nepochs = 3\n", "unknown key 'epochs'; known are name, dataset, network"),
        ("not toml", "not a TOML file"),
        ("name = 'x'\ndataset = 'digits'\n", "'network'"),
    ],
)
def test_a_recipe_that_makes_no_sense_names_the_key(bitproof, tmp_path, text, message):
    recipe = tmp_path / "r.toml"
    recipe.write_text(text)
    status, _, err = bitproof("train", recipe, "-o", tmp_path / "m.onnx")
    assert status == 2
    assert message in one_line_error("\n".join(err.splitlines()[-1:]))
    assert not (tmp_path / "m.onnx").exists()


def test_an_unsupported_node_is_refused_by_name(bitproof, tmp_path):
    source = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])
    node = helper.make_node("Einsum", ["x"], ["y"], name="odd_one", equation="ij->ij")
    zero = numpy_helper.from_array(np.zeros(1, np.float32), "z")
    model = helper.make_model(helper.make_graph([node], "g", [source], [result], [zero]))
    onnx.save(model, str(tmp_path / "odd.onnx"))
    status, _, err = bitproof("lower", tmp_path / "odd.onnx", "-o", tmp_path / "g.json")
    assert status == 2
    assert "node 'odd_one' (Einsum)" in one_line_error(err)
    assert not (tmp_path / "g.json").exists()


def test_a_damaged_graph_is_refused(bitproof, graph_file):
    blob = bytearray(graph_file.with_suffix(".safetensors").read_bytes())
    blob[-1] ^= 1
    graph_file.with_suffix(".safetensors").write_bytes(blob)
    status, _, err = bitproof("eval", graph_file, "--data", "digits")
    assert status == 2
    assert "damaged (SHA-256 differs); lower the model again" in one_line_error(err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fly",), "no such command 'fly'; see `bitproof --help`"),
        (("eval",), "missing argument 'graph'; see `bitproof eval --help`"),
        (("build", "g.json"), "missing option '-o' / '--output'; see `bitproof build --help`"),
        (("eval", "--fly"), "no such option: --fly; see `bitproof eval --help`"),
        (("eval", "g", "--data", "d", "--limit", "0"), "invalid value for '--limit': "),
        (("lower", "m", "-o", "g", "--decode", "odd"), "'odd' is not one of 'plain', 'clamp'"),
        (("lower", "m", "-o", "g", "--compare", "odd"), "'odd' is not one of 'count', 'search'"),
        (("campaign", "fly"), "no such command 'fly'; see `bitproof campaign --help`"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_status_2(bitproof, arguments, message):
    status, out, err = bitproof(*arguments)
    assert (status, out) == (2, "")
    assert message in one_line_error(err)


def test_nothing_to_do_prints_the_help(bitproof):
    for group in ((), ("campaign",)):
        status, out, err = bitproof(*group)
        assert (status, err) == (0, "")
        assert " run " in out


def test_an_interrupted_run_says_so(bitproof, monkeypatch, graph_file):
    def stopped(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("flow.stages.evaluate", stopped)
    status, out, err = bitproof("eval", graph_file, "--data", "digits")
    assert (status, out) == (130, "")
    assert one_line_error(err) == "bitproof: error: interrupted"


def test_a_refused_file_is_told_of_up_to_the_refusal(bitproof, tmp_path):
    model = zoo(input_type="u8")
    model.graph.node[5].op_type = "Mystery"
    onnx.save(model, str(tmp_path / "zoo.onnx"))
    arguments = ("lower", tmp_path / "zoo.onnx", "-o", tmp_path / "g.json", "--explain")
    status, out, err = bitproof(*arguments, "--json")
    assert status == 2
    told = json.loads(out)
    assert len(told["nodes"]) == len(model.graph.node)
    assert f"zoo.onnx: {told['refused'].split(': ', 1)[1]}" in one_line_error(err)
    assert "refused: its op is" in bitproof(*arguments)[1]


def test_colour_images_are_no_vector_of_unstated_order(bitproof, graph_file, tmp_path):
    np.savez(tmp_path / "colour.npz", x=np.zeros((2, 4, 4, 4), int), y=np.zeros(2, int))
    status, _, err = bitproof("eval", graph_file, "--data", tmp_path / "colour.npz")
    assert status == 2
    assert "is a vector of no stated order; give an .npz of vectors" in one_line_error(err)


def test_an_unknown_pass_is_refused_with_the_known_ones(bitproof, graph_file, tmp_path):
    status, _, err = bitproof("optimise", graph_file, "-o", tmp_path / "s.json", "--pass", "fold")
    assert status == 2
    assert "--pass 'fold': no such pass; known are merge-layout, merge-adds" in one_line_error(err)
    assert not (tmp_path / "s.json").exists()
