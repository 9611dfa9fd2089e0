"""What is said of a bitstream, and what `make bitstream` may be asked for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flow.build.manifest import sha256
from flow.errors import InputError
from flow.synth import summary

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "b.bin").write_bytes(b"bits")
    record = {
        "board": "icebreaker",
        "device": "iCE40UP5K-SG48",
        "bitstream": "b.bin",
        "program": "openFPGALoader -b ice40_generic b.bin",
        "utilisation": {"ICESTORM_LC": {"used": 4735, "available": 5280}},
        "fmax_mhz": {
            "a": {"achieved": 40.0, "wanted": 12.0},
            "b": {"achieved": 26.128, "wanted": 12.0},
        },
        "tools": {"synthesis": "yosys 1"},
        "files": {"b.bin": sha256(tmp_path / "b.bin")},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(record))
    return tmp_path


def test_a_bitstream_in_a_few_lines(folder):
    found = summary(folder)
    assert found["bitstream"] == str(folder / "b.bin")
    assert found["used"] == {"ICESTORM_LC": "4,735 of 5,280"}
    assert (found["fmax_mhz"], found["wanted_mhz"]) == (26.13, 12.0)
    assert found["program"] == f"openFPGALoader -b ice40_generic {folder / 'b.bin'}"


def test_a_changed_or_missing_bitstream_is_refused(folder, tmp_path):
    (folder / "b.bin").write_bytes(b"bats")
    with pytest.raises(InputError, match=r"b.bin: missing or damaged \(SHA-256 differs\); synth"):
        summary(folder)
    (folder / "b.bin").unlink()
    with pytest.raises(InputError, match=r"b.bin: missing or damaged"):
        summary(folder)
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match=r"manifest.json: not made by `bitproof synth`"):
        summary(folder)
    with pytest.raises(InputError, match=r"manifest.json: no such file; make it with `bitproof sy"):
        summary(tmp_path / "none")


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (["BOARD=none"], "BOARD=none: no such board; choose one of icebreaker tang-nano-9k ulx3s "),
        (["MODEL=none"], "MODEL=none: no recipe of models/recipes and no .onnx file"),
        (["MODEL=none.onnx"], "MODEL=none.onnx: no recipe of models/recipes and no .onnx file"),
        (["BOARD=icebreaker"], "bitproof bitstream build/tfc-digits-w1a1/icebreaker\n"),
        (
            ["MODEL=models/zoo/cnv-w1a1.onnx", "CYCLES=9000"],
            "bitproof bitstream build/cnv-w1a1/ulx3s-9000\n",
        ),
    ],
)
def test_make_says_what_it_does_for_a_model_and_a_board(asked, answer):
    command = ["make", "-n", "bitstream", f"VENV={sys.prefix}", *asked]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer in said.stdout + said.stderr
