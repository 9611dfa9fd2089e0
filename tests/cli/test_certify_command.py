"""Properties certified and checked from the command line."""

import json

import numpy as np
import pytest

from tests.cli.small import one_line_error


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


def test_zonotopes_are_chosen_by_name_and_checked(bitproof, graph_file, tmp_path):
    on = ("--data", "digits", "--limit", "3")
    how = ("--property", "input", "--method", "zonotope", "--certificates", tmp_path)
    status, out, _ = bitproof("certify", graph_file, *how, *on, "--json")
    (row,) = json.loads(out)["radii"]
    assert (status, row["certificates"]) == (0, "input-zonotope-radius-1.json")
    path = tmp_path / row["certificates"]
    status, out, _ = bitproof("check", path, "--graph", graph_file, *on, "--json")
    assert (status, json.loads(out)["boxes"]) == (0, row["proved"])
    status, _, err = bitproof("certify", graph_file, *how, *on, "--seconds", "1")
    assert status == 2
    assert "--seconds is of --method complete and cpsat" in err


def test_flips_left_open_are_split_bit_by_bit_and_checked(bitproof, graph_file, tmp_path):
    on = ("--data", "digits", "--limit", "3", "--highest", "1", "--layer", "fc1")
    how = ("--property", "bits", "--flips", "2", "--branch", "--seconds", "5")
    status, out, _ = bitproof(
        "certify", graph_file, *how, *on, "--certificates", tmp_path, "--json"
    )
    record = json.loads(out)
    assert (status, record["certificates"]) == (0, "bits-2-fc1-branch-highest-1.json")
    assert record["proved"] + record["refuted"] + record["unknown"] == record["correct"]
    path = tmp_path / record["certificates"]
    assert bitproof("check", path, "--graph", graph_file, *on[:4])[0] == 0


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
        (
            ("--flips", "1", "--exact", "--cases"),
            "--cases, --exact, --branch and --solver: give one",
        ),
        (("--flips", "1", "--solver", "--radius", "1"), "--solver with --flips is about fixed inp"),
        (("--flips", "1", "--branch", "--radius", "1"), "--branch with --flips is about fixed inp"),
        (("--flips", "1", "--seconds", "1"), "--seconds with --flips is of --branch and"),
        (("--burst", "2"), "--burst and --build go together: adjacent bits of the words of a"),
        (("--burst", "2", "--build", "b", "--highest", "1"), "--burst takes --build and --jobs"),
        (("--flips", "0"), "--flips 0: give a number of at least 1, or largest"),
        (("--flips", "many"), "--flips many: give a number of at least 1, or largest"),
        (("--flips", "1", "--radius", "1", "--radius", "2"), "give one radius for each run"),
        (("--radius", "1"), "--radius, --each-layer, --cases, --exact, --branch,"),
        (("--flips", "99999"), "99999 flips: 2728 stored bits may flip"),
        (("--layer", "fc7"), "layer 'fc7' stores nothing here; choose from fc0, act0, fc1"),
    ],
)
def test_bits_that_cannot_be_meant_are_refused(bitproof, graph_file, tmp_path, arguments, message):
    on = ("--data", "digits", "--limit", "2", "--certificates", tmp_path)
    status, _, err = bitproof("certify", graph_file, "--property", "bits", *arguments, *on)
    assert status == 2
    assert message in one_line_error(err.split("\n", 1)[1])


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


def test_weights_by_linear_bounds_are_certified_as_far_at_least_and_checked(
    bitproof, graph_file, tmp_path
):
    on = ("--data", "digits", "--limit", "3")
    how = ("--property", "weights", "--layer", "all", *on, "--certificates", tmp_path, "--json")
    rows = []
    for method in ("ibp", "linear"):
        status, out, _ = bitproof("certify", graph_file, *how, "--method", method)
        assert status == 0
        rows += json.loads(out)["layers"]
    assert rows[1]["least"] >= rows[0]["least"]
    assert [row["certificates"] for row in rows] == ["weights-all.json", "weights-linear-all.json"]
    path = tmp_path / rows[1]["certificates"]
    status, out, _ = bitproof("check", path, "--graph", graph_file, *on, "--json")
    assert (status, json.loads(out)["boxes"]) == (0, rows[1]["proved"])
    status, _, err = bitproof("certify", graph_file, *how, "--method", "complete")
    assert status == 2
    assert "--method complete is of inputs; weights take ibp and linear" in err


def test_a_check_is_done_in_parts(bitproof, graph_file, tmp_path):
    on = ("--data", "digits", "--limit", "8")
    how = ("--property", "bits", "--flips", "1")
    status, out, _ = bitproof(
        "certify", graph_file, *how, *on, "--certificates", tmp_path, "--json"
    )
    record, boxes = json.loads(out), 0
    path = tmp_path / record["certificates"]
    for part in ("1/2", "2/2"):
        status, out, _ = bitproof(
            "check", path, "--graph", graph_file, *on, "--part", part, "--json"
        )
        found = json.loads(out)
        assert (status, found["boxes"] + found["unchecked"]) == (0, record["proved"])
        boxes += found["boxes"]
    assert boxes == record["proved"]
    status, _, err = bitproof("check", path, "--graph", graph_file, *on, "--part", "3/2")
    assert status == 2
    assert (
        one_line_error(err) == "bitproof: error: part 3/2: give I/N with 1 <= I <= N, such as 2/8"
    )
