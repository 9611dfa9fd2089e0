"""What a build for Vivado holds, as far as it can be judged without Vivado."""

import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest

from flow.build import build, load_build
from flow.build.axi import settings_text
from flow.build.vivado import SCRIPTS
from flow.errors import InputError
from flow.schedule import MemoryStyle, make_plan
from hls.drivers.bitproof_axi import IDENT, Accelerator, AcceleratorError
from tests.build.tcl import Reader, TclError, elements
from tests.build.vendor_commands import VIVADO, unknown_words
from tests.schedule.networks import binary_network

RUN = [name for name in SCRIPTS if name != "block_design"]  # that one is called by others


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    graph = binary_network([6, 8, 4], signs=True)
    place = tmp_path_factory.mktemp("vivado") / "net"
    return build(graph, make_plan(graph, cycles=12), place, target="vivado", part="xc7a35tcpg236-1")


@pytest.fixture(scope="module")
def files(made):
    folder = made.directory / "vivado"
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def calls(files):
    return {name: Reader(files).run(f"{name}.tcl") for name in RUN}


@pytest.mark.parametrize("script", RUN)
def test_scripts_call_documented_commands_with_documented_options(calls, script):
    assert list(unknown_words(calls[script], VIVADO)) == []
    assert calls[script][0][:2] == ("cd", "/folder") or script.startswith("pynq")


def test_the_clock_constraint_is_a_documented_command(files):
    constraints = Reader(files).run("clock.xdc")
    assert list(unknown_words(constraints, VIVADO)) == []
    assert constraints[-1] == ("create_clock", "-period", "10.000", "-name", "aclk", "<get_ports>")


def test_tcl_itself_reads_the_same_commands_where_python_has_it(
    files, calls, tmp_path, monkeypatch
):
    if find_spec("_tkinter") is None:
        return  # the reader above has judged; this judges the reader
    import tkinter

    for name, text in files.items():
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path / "folder")
    for script in RUN:
        tcl, seen = tkinter.Tcl(), []
        tcl.createcommand(
            "recorded", lambda *words, seen=seen: seen.append(words) or f"<{words[0]}>"
        )
        tcl.eval("proc unknown args { recorded {*}$args }")
        tcl.eval(
            "rename file real_file; proc file {what args} {"
            " if {$what in {mkdir copy}} { return [recorded file $what {*}$args] };"
            " real_file $what {*}$args }"
        )
        tcl.eval(f"info script {script}.tcl")
        tcl.eval("rename cd {}; proc cd args { recorded cd {*}$args }")
        tcl.eval(f"source {script}.tcl")
        here = str(tmp_path / "folder")
        assert [tuple(w.replace(here, "/folder") for w in call) for call in seen] == calls[script]


def test_every_source_and_memory_named_is_there(made, files, calls):
    (added,) = [c for c in calls["synthesise"] if c[0] == "read_verilog"]
    (memories,) = [c for c in calls["synthesise"] if c[0] == "read_mem"]
    folder = made.directory / "vivado"
    for name in (*elements(added[-1]), *elements(memories[-1])):
        assert (folder / name).is_file(), name
    stems = [name.rsplit("/", 1)[1] for name in elements(added[-1])]
    assert len(set(stems)) == len(stems), "a module is there twice"
    defined = re.findall(r"^  (\w+) #\(", "".join(files[n] for n in files if n.endswith("v")), re.M)
    assert {f"{module}.sv" for module in defined} <= set(stems)


def test_memories_are_the_images_under_names_of_their_own(made, files):
    top = files["rtl/accelerator_axi.v"]
    wanted = dict(re.findall(r'\.(\w+File)\("([^"/]+)"\)', top))
    assert set(wanted) == set(made.parameters)
    for parameter, name in wanted.items():
        image = made.directory / made.parameters[parameter]
        assert files[f"memories/{name}"] == image.read_text()
        assert name.startswith(f"bp{made.graph_digest[:8]}_")


def test_the_top_is_verilog_of_instances_only(files):
    text = re.sub(r"//.*|\(\*.*?\*\)", "", files["rtl/accelerator_axi.v"])
    assert not re.search(r"\blogic\b|\balways|\binitial|\bif\b|[?&|^~+]|==", text)
    assert re.findall(r"\bassign (.*);", text) == ["s_axi_bresp = 2'b00", "s_axi_rresp = 2'b00"]


def test_part_and_clock_go_where_they_belong(calls):
    (synth,) = [c for c in calls["synthesise"] if c[0] == "synth_design"]
    assert synth[1:5] == ("-top", "accelerator_axi", "-part", "xc7a35tcpg236-1")
    assert synth[5:] == ("-mode", "out_of_context")
    boards = [c for c in calls["pynq_z2"] if c[:2] == ("set_property", "board_part")]
    assert boards == [
        ("set_property", "board_part", "tul.com.tw:pynq-z2:part0:1.0", "<current_project>")
    ]


def test_the_dma_has_the_width_of_the_stream(files, calls):
    settings = [c for c in calls["pynq_z1"] if c[0] == "set_property" and c[-1] == "<get_bd_cells>"]
    (dma,) = [elements(c[2]) for c in settings if "CONFIG.c_include_sg" in c[2]]
    given = dict(zip(dma[::2], dma[1::2], strict=True))
    bus = 8 * json.loads(files["driver.json"])["bus_bytes"]
    assert given["CONFIG.c_m_axis_mm2s_tdata_width"] == str(bus)
    assert re.search(rf"\[{bus - 1}:0\] s_axis_tdata", files["rtl/accelerator_axi.v"])


def test_every_pin_that_is_wired_exists(files, calls):
    top = files["rtl/accelerator_axi.v"]
    wired = [w.split("/")[1] for c in calls["pynq_z1"] for w in c if w.startswith("accelerator/")]
    assert sorted(wired) == ["aclk", "aresetn", "m_axis", "s_axi", "s_axis"]
    for pin in ("aclk", "aresetn", "m_axis_tdata", "s_axi_awaddr", "s_axis_tdata"):
        assert re.search(rf"\b{pin}\b", top)


class Idle:
    """Registers of a device that carries the network of ``record``."""

    def __init__(self, record):
        digest = bytes.fromhex(record["graph_digest"])
        self._words = {0: IDENT, 4: digest[:4], 8: digest[4:8]}
        self.written = []

    def read(self, offset):
        word = self._words.get(offset, 0)
        return int.from_bytes(word, "little") if isinstance(word, bytes) else word

    def write(self, offset, value):
        self.written.append((offset, value))


def test_the_driver_never_writes_constants(tmp_path):
    graph = binary_network([6, 8, 4], signs=True)
    for style in (MemoryStyle.ROM, MemoryStyle.AUTO):
        plan = make_plan(graph, cycles=12, memory_style=style)
        build(graph, plan, tmp_path / style, target="vivado")
        record = json.loads((tmp_path / style / "vivado" / "driver.json").read_text())
        device = Idle(record)
        net = Accelerator(device, None, None, record)
        if style is MemoryStyle.ROM:
            with pytest.raises(AcceleratorError, match=r"^fc0.weights: its words are constants of"):
                net.write("fc0.weights", 0, 0)
        else:
            net.write("fc0.weights", 0, 0)
        assert bool(device.written) is (style is MemoryStyle.AUTO)


def test_the_build_is_still_whole(made):
    assert load_build(made.directory).graph_digest == made.graph_digest
    assert all(path.parent.name == "rtl" for path in made.sources())
    path = made.directory / "vivado" / "settings.tcl"
    text = path.read_text()
    path.write_text(text + " ")
    try:
        with pytest.raises(InputError, match=r"settings.tcl: damaged"):
            load_build(made.directory)
    finally:
        path.write_text(text)


@pytest.mark.slow
def test_yosys_maps_the_whole_top_to_7_series(made, tmp_path):
    cells = synth_xilinx(made.directory, tmp_path)
    assert cells["FDRE"] > 100
    assert not [cell for cell in cells if cell.startswith("$")]


def synth_xilinx(directory, work):
    """Cells of ``accelerator_axi`` by type, by Yosys; memory images beside it."""
    for path in (
        *(directory / "rtl").iterdir(),
        *(directory / "vivado" / "rtl").iterdir(),
        *(directory / "vivado" / "memories").iterdir(),
    ):
        shutil.copy(path, work)
    sources = " ".join(sorted(p.name for p in work.iterdir() if p.suffix in (".v", ".sv")))
    script = (
        "from pyosys import libyosys\n"
        "design = libyosys.Design()\n"
        f"libyosys.run_pass('read_slang --top accelerator_axi {sources}', design)\n"
        "libyosys.run_pass('synth_xilinx -family xc7 -flatten -noiopad -noclkbuf -top "
        "accelerator_axi', design)\n"
        "libyosys.run_pass('check -assert', design)\n"
        "libyosys.run_pass('tee -q -o stat.json stat -json', design)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=work, check=True, capture_output=True)
    return json.loads((work / "stat.json").read_text())["design"]["num_cells_by_type"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("set a {b", "is not closed"),
        ('puts "b', "a quote is not closed"),
        ("puts $missing", "no such variable"),
        ("puts {a}b", "extra characters"),
    ],
)
def test_the_reader_refuses_what_tcl_refuses(text, message):
    with pytest.raises(TclError, match=message):
        Reader({"x": text}).run("x")


def test_unknown_commands_and_options_are_told():
    calls = [("synth_desing", "-top", "x"), ("place_design", "-fast"), ("read_xdc", "-mode")]
    assert list(unknown_words(calls, VIVADO)) == [
        "synth_desing",
        "place_design -fast",
        "read_xdc -mode without a value",
    ]


def test_settings_are_one_word_each():
    reader = Reader({"s": settings_text({"a": "x y", "b": 3, "c": ["p", "q"]})})
    reader.run("s")
    assert (reader.variables["a"], reader.variables["b"]) == ("x y", "3")
    assert elements(reader.variables["c"]) == ["p", "q"]
