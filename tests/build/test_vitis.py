"""What a build for Vitis HLS holds, as far as it can be judged without Vitis."""

import re
from pathlib import Path

import pytest

from flow.build import build
from flow.schedule import make_plan
from tests.build.tcl import Reader
from tests.build.vendor_commands import VITIS, unknown_words
from tests.schedule.networks import binary_network

HLS = Path(__file__).resolve().parents[2] / "hls"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    graph = binary_network([6, 8, 4], signs=True)
    place = tmp_path_factory.mktemp("vitis") / "net"
    return build(graph, make_plan(graph, cycles=12), place, target="vitis").directory


@pytest.fixture(scope="module")
def files(made):
    folder = made / "vitis"
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def top(files):
    return files["accelerator_axi.cpp"]


def test_the_script_calls_documented_commands_with_documented_options(files):
    calls = Reader(files).run("build.tcl")
    assert list(unknown_words(calls, VITIS)) == []
    order = [name for name, *_ in calls if name.endswith("_design")]
    assert order == ["csim_design", "csynth_design", "cosim_design", "export_design"]


def test_every_file_of_the_script_is_there_and_no_header_is_missing(made, files):
    calls = Reader(files).run("build.tcl")
    sources = [word for name, *words in calls if name == "add_files" for word in words[:2]]
    sources = [word for word in sources if word.endswith(".cpp")]
    assert sources == ["accelerator_axi.cpp", "../hls/accelerator.cpp", "bench.cpp"]
    vendor = {"ap_int.h", "ap_axi_sdata.h", "hls_stream.h"}
    places = [made / "vitis", made / "hls", made / "vitis" / "kernels"]
    waiting = [made / "vitis" / source for source in sources]
    seen = set()
    while waiting:
        text = waiting.pop().read_text()
        for name in set(re.findall(r'#include "(.*?)"', text)) - vendor - seen:
            (found,) = [folder / name for folder in places if (folder / name).is_file()]
            seen.add(name)
            waiting.append(found)
    assert {"accelerator.hpp", "access_memory.hpp", "matvec.hpp"} <= seen


def test_every_argument_of_the_top_has_an_interface(files, top):
    prototype = re.search(r"void accelerator_axi\((.*?)\)", files["accelerator_axi.hpp"], re.S)
    arguments = re.findall(r"(\w+)(?:,|$)", re.sub(r"<.*?>", "", prototype[1]))
    found = re.findall(r"INTERFACE mode=(\w+) port=(\w+)", top)
    ports = {port: mode for mode, port in found}
    assert list(ports) == [*arguments, "return"]
    assert [name for name in ports if ports[name] == "axis"] == ["images", "results"]
    assert set(ports.values()) == {"axis", "s_axilite"}


def test_the_region_is_a_chain_of_three_processes(top):
    region = top[top.index("void run_images") :].split("\n}\n")[0]
    lines = [line for line in region.splitlines()[1:] if not line.startswith("#pragma HLS STREAM")]
    assert lines[0] == "#pragma HLS DATAFLOW"
    calls = re.findall(r"^  (\w+)(?:<.*>)?\((\w+), (\w+), vectors\);$", "\n".join(lines), re.M)
    assert calls == [
        ("axi_input", "images", "in"),
        ("accelerator", "in", "out"),
        ("axi_output", "out", "results"),
    ]
    assert len(lines) == 1 + 2 + len(calls)


def test_generated_text_holds_no_logic(files, top):
    for text in (top, files["accelerator_axi.hpp"]):
        code = re.sub(r'".*?"|/\*.*?\*/|//.*|#pragma.*', "", text)
        assert not re.search(r"\b(if|for|while|do|switch|return|goto)\b|\?|[-+*/%|^~]", code)


def test_every_memory_of_the_build_is_reached_by_its_number(made):
    region = (made / "hls" / "accelerator.cpp").read_text()
    head = (made / "rtl" / "accelerator.sv").read_text()
    listed = re.findall(r"^//   (\d+)  (\S+), ", head, re.M)
    given = "access, memory, address, part, value, answer"
    reached = re.findall(rf"^  access_memory<(\d+), 0>\({given}, (\w+), (\w+)\);$", region, re.M)
    assert reached == [
        (number, name.replace(".", "_"), f"{name.split('.')[0]}_detected")
        for number, name in listed
    ]


def test_stored_words_may_change_and_constants_may_not(made):
    tables = (made / "hls" / "images.hpp").read_text()
    assert re.findall(r"^static (const )?ap_uint<\d+> (\w+)\[", tables, re.M) == [
        ("", "fc0_weights"),
        ("", "act0_thresholds"),
        ("", "fc1_weights"),
    ]


def test_the_bench_needs_the_vendor_s_headers_alone():
    text = (HLS / "vitis" / "bench.cpp").read_text()
    used = set(re.findall(r"(?:images|results)\.(\w+)\(", text))
    assert used <= {"read", "write", "empty"}
    assert set(re.findall(r'#include "(.*?)"', text)) == {"accelerator_axi.hpp"}
    stand_in = (HLS / "host" / "ap_axi_sdata.h").read_text()
    for path in (HLS / "kernels").glob("axi_*.hpp"):
        members = set(re.findall(r"\bword\.(\w+) =", path.read_text()))
        assert members <= set(re.findall(r"^  ap_uint<.*> (\w+);", stand_in, re.M))
