"""The command line as a person meets it: what each command prints and writes."""

import json
import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import onnx
import pytest

from flow.graphfile import load_graph, save_graph
from flow.ir import Affine
from tests.cli.small import one_line_error
from tests.ingest.foreign import zoo


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


@pytest.mark.parametrize("method", ["bfa", "dnl", "greedy", "random", "tbfa"])
def test_every_search_of_bits_runs_once_for_each_seed(bitproof, graph_file, method):
    target = ("--target", "3") if method == "tbfa" else ()
    seen = () if method in ("dnl", "random") else ("--batch", "16")
    how = ("--method", method, "--budget", "2", "--seed", "4", "--seed", "5", *target, *seen)
    status, out, _ = bitproof("attack", graph_file, *how, "--data", "digits", "--json")
    record = json.loads(out)
    assert (status, record["images"]) == (0, 360)  # the whole test set
    assert [run["seed"] for run in record["runs"]] == [4, 5]
    for run in record["runs"]:
        assert run["method"].removesuffix("-1") == method
        assert run["hamming_distance"] <= sum(len(step["flips"]) for step in run["steps"]) <= 2
        losses = [run["clean_loss"], *(step["loss"] for step in run["steps"])]
        assert (None in losses) == (method in ("dnl", "random"))
        assert None in losses or losses == sorted(losses)


def test_a_batch_is_of_methods_that_look_at_images(bitproof, graph_file):
    for method, said in (("random", "--batch: random looks at no"), ("pgd", "--batch are of")):
        how = ("--method", method, "--batch", "8", "--data", "digits")
        status, _, err = bitproof("attack", graph_file, *how)
        assert status == 2
        assert said in err.strip().splitlines()[-1]


def test_a_build_with_parity_runs_in_c_simulation(bitproof, graph_file, tmp_path):
    target = tmp_path / "accelerator"
    assert bitproof("build", graph_file, "--parity", "-o", target)[0] == 0
    assert json.loads((target / "plan.json").read_text())["parity"] is True
    assert json.loads((target / "report.json").read_text())["parity_bits"] > 0
    how = ("--data", "digits", "--engine", "hls", "--limit", "5", "--json")
    status, out, _ = bitproof("simulate", target, *how)
    assert (status, json.loads(out)["logit_mismatches"]) == (0, 0)


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


def test_the_operators_are_listed(bitproof):
    rows = json.loads(bitproof("operators", "--json")[1])["operators"]
    conv = next(row for row in rows if row["ops"] == ["Conv"])
    assert conv["dialect"] == "ONNX"
    assert "works on an image; flatten it in front of a dense layer" not in conv["refused"]
    assert "GlobalAveragePool" in bitproof("operators")[1]
    assert "| `Conv` | ONNX | " in bitproof("operators", "--markdown")[1]


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
