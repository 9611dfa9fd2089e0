"""AMD's tools are used when they are there, and missed in one line when they are not."""

import os

import pytest

from flow.build import build
from flow.build.vendor import VENDOR_TOOLS, run_vendor
from flow.errors import ClaimError, InputError
from flow.schedule import make_plan
from tests.schedule.networks import binary_network

TOOLS = {tool.folder: tool for tool in VENDOR_TOOLS}
STAND_IN = """#!/bin/sh
for script in "$@"; do :; done
test -f "$script" || exit 9
echo "ran $script"
mkdir -p reports && echo done > "reports/$script.rpt"
if [ "$script" = "$FAILS" ]; then echo "ERROR: [Synth 8-1] no luck"; exit 1; fi
"""


@pytest.fixture(params=TOOLS)
def made(request, tmp_path):
    graph = binary_network([6, 4])
    target = request.param
    return target, build(graph, make_plan(graph), tmp_path / "net", target=target).directory


@pytest.fixture
def stand_in(made, tmp_path, monkeypatch):
    """A program of the tool's name that writes a report for each script."""
    path = tmp_path / "bin" / TOOLS[made[0]].program
    path.parent.mkdir()
    path.write_text(STAND_IN)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("FAILS", "")


def test_a_missing_tool_is_one_line_that_says_what_was_written(made, monkeypatch):
    target, directory = made
    monkeypatch.setenv("PATH", "")
    with pytest.raises(
        InputError, match=rf"^{TOOLS[target].program}: not on PATH; .*net/{target} is written and"
    ):
        run_vendor(directory)


@pytest.mark.usefixtures("stand_in")
def test_every_script_is_run_in_order_and_the_build_stays_as_it_is(made):
    target, directory = made
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    seen = []

    for _ in range(2):  # the second run replaces what the first made
        record = run_vendor(directory, progress=lambda done, total: seen.append((done, total)))

    scripts = TOOLS[target].scripts
    assert [f"{target}/reports/{script}.rpt" in record["files"] for script in scripts] == [
        True
    ] * len(scripts)
    log = directory.with_name(f"net.{target}").with_suffix(".log").read_text()
    assert log == "".join(f"ran {script}\n" for script in scripts)
    assert seen[-1] == (len(scripts), len(scripts))
    assert before == {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("stand_in")
def test_a_script_that_fails_is_named_with_its_last_error(made, monkeypatch):
    target, directory = made
    script = TOOLS[target].scripts[-1]
    monkeypatch.setenv("FAILS", script)
    with pytest.raises(ClaimError, match=rf"^{script}: ERROR: \[Synth 8-1\] no luck; see .*log$"):
        run_vendor(directory)
    assert not directory.with_name(f"net.{target}").exists()


def test_a_build_for_no_vendor_is_refused(tmp_path):
    graph = binary_network([6, 4])
    directory = build(graph, make_plan(graph), tmp_path / "net").directory
    with pytest.raises(InputError, match=r"net: for no vendor's tool; build with --target vivado"):
        run_vendor(directory)


def test_an_unknown_target_lists_the_known_ones(tmp_path):
    graph = binary_network([6, 4])
    with pytest.raises(
        InputError, match=r"^target 'quartus': unknown; choose one of rtl, vivado, vitis$"
    ):
        build(graph, make_plan(graph), tmp_path / "net", target="quartus")
    assert not (tmp_path / "net").exists()


def test_vectors_for_vitis_ask_what_memories_with_parity_report(tmp_path):
    graph = binary_network([6, 4])
    made = build(graph, make_plan(graph, parity=True), tmp_path / "net", target="vitis")
    lines = (made.directory / "vitis" / "vectors.txt").read_text().splitlines()
    assert [line for line in lines if line.startswith("told")] == ["told 0 3", "told 0 0"]
