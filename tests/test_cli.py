"""The command line as a person meets it: results, one-line errors, exit status, no half files."""

import json
import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from flow.graphfile import load_graph, save_graph
from flow.ir import Affine, Edge, Graph, IntType, Node
from flow.ops import ArgMax, MatVec, Threshold
from tests.ingest.foreign import zoo

PIXEL = IntType(5).within(0, 16)


def digits_graph(seed=0) -> Graph:
    rng = np.random.default_rng(seed)
    first = MatVec(rng.integers(-7, 8, (8, 64)), IntType(4, True).within(-7, 7), IntType(14, True))
    levels = Threshold(
        np.sort(rng.integers(-400, 400, (8, 3))), IntType(15, True), np.ones(8, int), 0, IntType(2)
    )
    last = MatVec(rng.integers(-7, 8, (10, 8)), IntType(4, True).within(-7, 7), IntType(9, True))
    nodes = (
        Node("fc0", first, ("x",), "a0"),
        Node("act0", levels, ("a0",), "y0"),
        Node("fc1", last, ("y0",), "logits"),
        Node("argmax", ArgMax(), ("logits",), "class"),
    )
    return Graph("small", "x", Edge((64,), PIXEL), nodes, "class")


@pytest.fixture
def graph_file(tmp_path):
    save_graph(digits_graph(), tmp_path / "graph.json")
    return tmp_path / "graph.json"


def one_line_error(err):
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("bitproof: error: ")
    return lines[0]


def test_eval_prints_one_json_object_and_nothing_else(bitproof, graph_file):
    status, out, _ = bitproof("eval", graph_file, "--data", "digits", "--json")
    record = json.loads(out)
    assert status == 0
    assert (record["total"], record["correct"] / 360) == (360, record["accuracy"])
    assert record["command"].startswith("bitproof eval ")


def test_limit_uses_the_first_images_only(bitproof, graph_file):
    _, out, _ = bitproof("eval", graph_file, "--data", "digits", "--limit", 7, "--json")
    assert json.loads(out)["total"] == 7


def test_show_lists_nodes_and_draws(bitproof, graph_file, tmp_path):
    status, out, _ = bitproof("show", graph_file, "--svg", tmp_path / "g.svg")
    assert status == 0
    assert re.search(r"fc0\s.*MatVec.*2,048.*512", out)
    assert (tmp_path / "g.svg").read_text().startswith("<svg")


def test_version_and_help_are_found(bitproof):
    assert re.fullmatch(r"bitproof \d+\.\d+\.\d+\n", bitproof("--version")[1])
    status, out, _ = bitproof("certify", "--help")
    assert status == 0
    assert "--property" in out


def test_certify_by_branch_and_bound_is_checked(bitproof, graph_file, tmp_path):
    on = ("--data", "digits", "--limit", "4")
    how = ("--property", "input", "--radius", "1", "--method", "complete", "--seconds", "0.5")
    status, out, _ = bitproof(
        "certify", graph_file, *how, *on, "--certificates", tmp_path, "--json"
    )
    (row,) = json.loads(out)["radii"]
    assert (status, row["total"]) == (0, 4)
    assert row["certificates"] == "input-complete-radius-1.json"
    status, out, _ = bitproof(
        "check", tmp_path / row["certificates"], "--graph", graph_file, *on, "--json"
    )
    assert (status, json.loads(out)["boxes"]) == (0, row["proved"])


def test_any_few_pixels_are_certified_and_checked(bitproof, graph_file, tmp_path):
    on = ("--data", "digits", "--limit", "6")
    how = ("--property", "pixel", "--pixels", "3", "--radius", "1")
    status, out, _ = bitproof(
        "certify", graph_file, *how, *on, "--certificates", tmp_path, "--json"
    )
    (row,) = json.loads(out)["radii"]
    assert (status, row["certificates"]) == (0, "pixel-3-radius-1.json")
    path = tmp_path / row["certificates"]
    status, out, _ = bitproof("check", path, "--graph", graph_file, *on, "--json")
    assert (status, json.loads(out)["boxes"]) == (0, row["proved"])


def test_what_a_solver_proved_is_no_replayable_evidence(bitproof, graph_file, tmp_path):
    on = ("--data", "digits", "--limit", "12")
    how = ("--property", "input", "--radius", "2", "--method", "cpsat", "--seconds", "2")
    status, out, _ = bitproof(
        "certify", graph_file, *how, *on, "--certificates", tmp_path, "--json"
    )
    (row,) = json.loads(out)["radii"]
    assert status == 0
    found = json.loads((tmp_path / row["certificates"]).read_text())["certificates"]
    by_solver = [c["detail"]["model"] for c in found if c["evidence"] == "solver"]
    assert row.get("by_solver", 0) == len(by_solver)
    assert all((tmp_path / "models" / name).exists() for name in by_solver)
    status, _, err = bitproof("check", tmp_path / row["certificates"], "--graph", graph_file, *on)
    assert (status == 1) == bool(by_solver)
    assert not by_solver or "run the solver on" in err


def test_certify_takes_masks_and_ranges_of_elements(bitproof, graph_file, tmp_path):
    np.save(tmp_path / "mask.npy", np.arange(64) < 8)
    np.savez(tmp_path / "range.npz", high=np.full(64, 16))
    on, how = ("--data", "digits", "--limit", "4"), ("--property", "input")
    for given, radius in (
        (("--mask", tmp_path / "mask.npy", "--radius", "2"), 2),
        (
            (
                "--mask",
                tmp_path / "mask.npy",
                "--range",
                tmp_path / "range.npz",
                "--vnnlib",
                tmp_path / "v",
            ),
            16,
        ),
    ):
        status, out, _ = bitproof(
            "certify", graph_file, *how, *given, *on, "--certificates", tmp_path, "--json"
        )
        (row,) = json.loads(out)["radii"]
        assert (status, row["certificates"]) == (0, f"input-limited-radius-{radius}.json")
        terms = json.loads((tmp_path / row["certificates"]).read_text())["terms"]
        assert terms["mask"] == list(range(8))
        path = tmp_path / row["certificates"]
        assert bitproof("check", path, "--graph", graph_file, *on)[0] == 0
    assert len(list((tmp_path / "v").glob("radius-16-image-?.vnnlib"))) == 4
    assert (tmp_path / "v" / "network.onnx").exists()
    status, _, err = bitproof(
        "certify", graph_file, "--property", "pixel", "--mask", "m", *on, "--certificates", tmp_path
    )
    assert status == 2
    assert "--mask is of --property input; pixel takes none" in one_line_error(err)


def test_certify_draws_what_it_certified(bitproof, graph_file, tmp_path):
    on = ("--data", "digits", "--limit", "4", "--certificates", tmp_path)
    how = ("--property", "pixel", "--radius", "1", "--radius", "2")
    assert bitproof("certify", graph_file, *how, *on, "--plot", tmp_path / "p.html")[0] == 0
    page = (tmp_path / "p.html").read_text()
    assert "withstand every attack tried" in page
    assert '"x":[1,2]' in page
    status, _, err = bitproof(
        "certify", graph_file, "--property", "bits", *on, "--plot", tmp_path / "q.html"
    )
    assert status == 2
    assert "at one strength only; nothing to draw" in one_line_error(err.split("\n", 1)[1])


def test_certify_counts_images_by_flips_and_by_layer(bitproof, graph_file, tmp_path):
    on = ("--data", "digits", "--limit", "8")
    how = ("--property", "bits", "--flips", "2", "--highest", "1", "--radius", "1", "--each-layer")
    how += ("--cases",)
    status, out, _ = bitproof(
        "certify", graph_file, *how, *on, "--certificates", tmp_path, "--json"
    )
    record = json.loads(out)
    assert (status, record["total"], record["input_radius"]) == (0, 8, 1)
    assert [row["flips"] for row in record["by_flips"]] == [1, 2]
    assert {row["layer"] for row in record["by_layer"]} == {"fc0", "act0", "fc1"}
    assert [row["layer"] for row in record["accumulators"]] == ["fc0", "fc1"]
    assert not any(row["wraps"] for row in record["accumulators"][1:])
    assert record["certificates"] == "bits-2-highest-1-radius-1.json"
    for name in (record["certificates"], "bits-1-highest-1-radius-1.json"):
        assert bitproof("check", tmp_path / name, "--graph", graph_file, *on)[0] == 0


def test_single_flips_of_one_memory_are_enumerated_and_checked(bitproof, graph_file, tmp_path):
    on = ("--data", "digits", "--limit", "3")
    how = ("--property", "bits", "--memory", "fc1.weights")
    status, out, _ = bitproof(
        "certify", graph_file, *how, *on, "--certificates", tmp_path, "--json"
    )
    record = json.loads(out)
    assert (status, record["stored_bits"]) == (0, 320)
    path = tmp_path / "bits-single-fc1.weights.json"
    assert bitproof("check", path, "--graph", graph_file, *on)[0] == 0


def test_bursts_of_a_build_are_enumerated_and_checked(bitproof, graph_file, tmp_path):
    target, on = tmp_path / "accelerator", ("--data", "digits", "--limit", "2")
    assert bitproof("build", graph_file, "-o", target)[0] == 0
    how = ("--property", "bits", "--burst", "3", "--build", target, "--certificates", tmp_path)
    status, out, _ = bitproof("certify", graph_file, *how, *on, "--json")
    record = json.loads(out)
    assert (status, record["flips"], record["certificates"]) == (0, 3, "bits-burst-3.json")
    assert record["pairs"] == 2 * record["bursts"]
    assert record["proved"] + record["refuted"] + record["misclassified"] == 2
    path = tmp_path / "bits-burst-3.json"
    check = ("check", path, "--graph", graph_file, "--build", target, *on)
    assert bitproof(*check, "--image", "0")[0] == 0


def test_the_fewest_flips_of_the_last_layers_are_certified_and_checked(
    bitproof, graph_file, tmp_path
):
    on = ("--data", "digits", "--limit", "4")
    how = ("--property", "bits", "--flips", "3", "--exact", "--certificates", tmp_path)
    status, out, _ = bitproof("certify", graph_file, *how, *on, "--json")
    record = json.loads(out)
    assert (status, record["certificates"]) == (0, "bits-3-exact.json")
    assert [row["flips"] for row in record["by_flips"]] == [1, 2, 3]
    for row in record["by_flips"]:
        assert row["certified"] + row["attacked"] == record["correct"]
    assert bitproof("check", tmp_path / "bits-3-exact.json", "--graph", graph_file, *on)[0] == 0


def test_flips_left_open_are_asked_of_the_solver(bitproof, graph_file, tmp_path):
    on = ("--data", "digits", "--limit", "2", "--layer", "fc1", "--certificates", tmp_path)
    how = ("--property", "bits", "--flips", "2", "--solver", "--seconds", "0")
    status, out, _ = bitproof("certify", graph_file, *how, *on, "--json")
    record = json.loads(out)
    assert (status, record["certificates"]) == (0, "bits-2-fc1-cpsat.json")
    assert record["proved"] + record["refuted"] + record["unknown"] == record["correct"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--flips", "1", "--exact", "--cases"), "--cases, --exact and --solver: give one of"),
        (("--flips", "1", "--solver", "--radius", "1"), "--solver with --flips is about fixed inp"),
        (("--flips", "1", "--seconds", "1"), "--seconds with --flips is of --solver"),
        (("--burst", "2"), "--burst and --build go together: adjacent bits of the words of a"),
        (("--burst", "2", "--build", "b", "--highest", "1"), "--burst takes --build and --jobs"),
        (("--flips", "0"), "--flips 0: give a number of at least 1, or largest"),
        (("--flips", "many"), "--flips many: give a number of at least 1, or largest"),
        (("--flips", "1", "--radius", "1", "--radius", "2"), "give one radius for each run"),
        (("--radius", "1"), "--radius, --each-layer, --cases, --exact, --solver and"),
        (("--flips", "99999"), "99999 flips: 2728 stored bits may flip"),
        (("--layer", "fc7"), "layer 'fc7' stores nothing here; choose from fc0, act0, fc1"),
    ],
)
def test_bits_that_cannot_be_meant_are_refused(bitproof, graph_file, tmp_path, arguments, message):
    on = ("--data", "digits", "--limit", "2", "--certificates", tmp_path)
    status, _, err = bitproof("certify", graph_file, "--property", "bits", *arguments, *on)
    assert status == 2
    assert message in one_line_error(err.split("\n", 1)[1])


def test_inputs_are_attacked_within_each_radius(bitproof, graph_file):
    how = ("--method", "pgd", "--radius", "0", "--radius", "3", "--data", "digits", "--limit", "9")
    status, out, _ = bitproof("attack", graph_file, *how, "--json")
    record = json.loads(out)
    still, moved = (row["accuracy"][0] for row in record["radii"])
    assert (status, still) == (0, record["clean_accuracy"])
    assert moved <= still


def test_stored_bits_are_attacked_towards_a_class(bitproof, graph_file):
    how = ("--method", "tbfa", "--target", "3", "--source", "5", "--stealthy", "--budget", "2")
    status, out, _ = bitproof("attack", graph_file, *how, "--data", "digits", "--json")
    (run,) = json.loads(out)["runs"]
    assert (status, run["method"]) == (0, "tbfa-3")
    assert len(run["steps"]) <= 2


def test_a_build_with_parity_is_made_and_its_missing_kernels_are_named(
    bitproof, graph_file, tmp_path
):
    target = tmp_path / "accelerator"
    assert bitproof("build", graph_file, "--parity", "-o", target)[0] == 0
    assert json.loads((target / "plan.json").read_text())["parity"] is True
    assert json.loads((target / "report.json").read_text())["parity_bits"] > 0
    status, _, err = bitproof("simulate", target, "--data", "digits", "--engine", "hls")
    assert status == 2
    assert "a build with parity, which the HLS C++ does not have" in err


def test_a_build_of_constants_is_made_and_has_no_parity(bitproof, graph_file, tmp_path):
    target = tmp_path / "accelerator"
    chosen = ("--memory-style", "rom")
    status, _, err = bitproof("build", graph_file, *chosen, "--parity", "-o", target)
    assert (status, target.exists()) == (2, False)
    assert "memory style rom: its words are constants and have no parity" in one_line_error(err)
    assert bitproof("build", graph_file, *chosen, "-o", target)[0] == 0
    assert json.loads((target / "plan.json").read_text())["memory_style"] == "rom"
    assert json.loads((target / "report.json").read_text())["memory_style"] == "rom"
    assert "Style(3)" in (target / "rtl" / "accelerator.sv").read_text()


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
            "--method is of --property input; bits takes none",
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
            "--budget is of flips; fgsm moves inputs by --radius",
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


def test_the_inputs_integers_are_stated_and_remembered(bitproof, tmp_path):
    rng = np.random.default_rng(0)
    onnx.save(zoo(image=(1, 2, 3)), str(tmp_path / "zoo.onnx"))
    np.savez(tmp_path / "pixels.npz", x=rng.integers(0, 256, (20, 2, 3)), y=rng.integers(0, 4, 20))
    graph, data = tmp_path / "g.json", tmp_path / "pixels.npz"
    stated = ("--input-type", "u8", "--input-scale", "1/255", "--json")
    status, out, _ = bitproof("lower", tmp_path / "zoo.onnx", "-o", graph, *stated)
    assert (status, json.loads(out)["input"]) == (0, "6:u8")
    assert load_graph(graph).input_affine == Affine(Fraction(1, 255))
    finn = ("--finn", tmp_path / "finn.onnx")
    status, out, err = bitproof(
        "compare", tmp_path / "zoo.onnx", graph, "--data", data, *finn, "--json"
    )
    assert (status, json.loads(out)["qonnx"]["mismatches"]) == (0, 0), err
    share = ("--finn", tmp_path / "finn.onnx", "--most-excused", "0.5", "--json")
    _, out, _ = bitproof("compare", tmp_path / "zoo.onnx", graph, "--data", data, *share)
    for engine in ("qonnx", "finn-base"):
        found = json.loads(out)[engine]
        assert (found["most_excused"], found["allowed"]) == (0.5, found["elements"] // 2)


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


def test_what_became_of_each_node_is_told_on_request(bitproof, tmp_path):
    onnx.save(zoo(input_type="u8"), str(tmp_path / "zoo.onnx"))
    plain = ("lower", tmp_path / "zoo.onnx", "-o", tmp_path / "g.json")
    record = json.loads(bitproof(*plain, "--json")[1])
    told = json.loads(bitproof(*plain, "--explain", "--json")[1])
    assert set(told) - set(record) == {"nodes", "changes"}
    assert told["nodes"][0] == {
        "name": "Shape_0",
        "op": "Shape",
        "became": "constant folded, shape [4]",
    }
    out = bitproof(*plain, "--explain")[1]
    assert "constant folded, shape [4]" in out
    assert re.search(r"popcount_form\s.*fc0", out)


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


def test_the_operators_are_listed(bitproof):
    rows = json.loads(bitproof("operators", "--json")[1])["operators"]
    conv = next(row for row in rows if row["ops"] == ["Conv"])
    assert conv["dialect"] == "ONNX"
    assert "works on an image; flatten it in front of a dense layer" not in conv["refused"]
    assert "GlobalAveragePool" in bitproof("operators")[1]
    assert "| `Conv` | ONNX | " in bitproof("operators", "--markdown")[1]


def test_colour_images_are_no_vector_of_unstated_order(bitproof, graph_file, tmp_path):
    np.savez(tmp_path / "colour.npz", x=np.zeros((2, 4, 4, 4), int), y=np.zeros(2, int))
    status, _, err = bitproof("eval", graph_file, "--data", tmp_path / "colour.npz")
    assert status == 2
    assert "is a vector of no stated order; give an .npz of vectors" in one_line_error(err)


def test_optimise_says_what_went_and_writes_another_graph(bitproof, graph_file, tmp_path):
    graph = load_graph(graph_file)
    far = 1 << 13
    spare = graph.map(
        lambda n: (
            replace(n, op=replace(n.op, thresholds=np.c_[n.op.thresholds[:, :2], [far] * 8]))
            if n.name == "act0"
            else n
        )
    )
    save_graph(spare, graph_file)
    small = tmp_path / "small.json"
    status, out, _ = bitproof(
        "optimise", graph_file, "-o", small, "--pass", "trim-levels", "--json"
    )
    record = json.loads(out)
    assert (status, record["passes"]) == (0, ["trim-levels"])
    assert record["stored_bits_before"] - record["stored_bits"] == 8 * 15
    assert record["digest"] != record["source_digest"]
    assert load_graph(small).node("act0").op.thresholds.shape == (8, 2)
    _, everything, _ = bitproof("optimise", graph_file, "-o", small, "--json")
    assert len(json.loads(everything)["passes"]) == 5


def test_an_unknown_pass_is_refused_with_the_known_ones(bitproof, graph_file, tmp_path):
    status, _, err = bitproof("optimise", graph_file, "-o", tmp_path / "s.json", "--pass", "fold")
    assert status == 2
    assert "--pass 'fold': no such pass; known are merge-layout, merge-adds" in one_line_error(err)
    assert not (tmp_path / "s.json").exists()


def test_certify_by_smoothing_is_checked(bitproof, graph_file, tmp_path):
    on = ("--data", "digits", "--limit", "6")
    how = ("--property", "smoothing", "--sigma", "3/2", "--samples", "200", "--lanes", "8")
    status, out, _ = bitproof(
        "certify", graph_file, *how, *on, "--certificates", tmp_path, "--json"
    )
    record = json.loads(out)
    assert status == 0
    assert sum(record["predicted"].values()) == 6
    assert record["radii"][0]["certified"] == record["statistical"]
    path = tmp_path / record["certificates"]
    status, out, _ = bitproof("check", path, "--graph", graph_file, *on, "--json")
    assert (status, json.loads(out)["enumerated"]) == (0, 6)
    for wrong, message in (
        (("--sigma", "one"), "--sigma 'one': give a number such as 1.5 or 3/2"),
        ((), "--property smoothing needs --sigma, in pixel codes, such as 1.5"),
        (("--sigma", "1", "--samples", "0"), "0 samples, 100 to select: give at least 1 of each"),
    ):
        arguments = ("--property", "smoothing", *wrong, *on, "--certificates", tmp_path)
        status, _, err = bitproof("certify", graph_file, *arguments)
        assert status == 2
        assert message in err


def test_certify_of_weights_is_checked_layer_by_layer(bitproof, graph_file, tmp_path):
    on = ("--data", "digits", "--limit", "4")
    how = ("--property", "weights", *on, "--certificates", tmp_path)
    status, out, _ = bitproof("certify", graph_file, *how, "--json")
    rows = json.loads(out)["layers"]
    assert status == 0
    assert [row["layer"] for row in rows][-1] == "all"
    assert rows[-1]["median"] <= min(row["median"] for row in rows)
    for row in rows[-2:]:
        path = tmp_path / row["certificates"]
        status, out, _ = bitproof("check", path, "--graph", graph_file, *on, "--json")
        assert (status, json.loads(out)["boxes"]) == (0, row["proved"])
    status, _, err = bitproof("certify", graph_file, *how, "--layer", "argmax")
    assert status == 2
    assert "layer 'argmax': has no weights; choose from" in err
