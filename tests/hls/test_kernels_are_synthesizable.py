"""What the vendor's compiler would refuse or turn into bad hardware is refused here, by parsing.

No vendor tool has run on these files; this is the part of its rules that text can show.
"""

import re
from pathlib import Path

import pytest

from flow.build.images import graph_layouts, image_bits, image_text, read_image
from flow.build.kernels import FILES, emit_kernels
from flow.build.parameters import MODULES
from flow.errors import InputError
from flow.graphfile import digest
from flow.schedule import Folding, Plan, make_plan
from tests.engine.images import random_image_graph
from tests.schedule.networks import binary_network, four_bit_network, searched_network
from tests.schedule.test_images import buildable

HLS = Path(__file__).resolve().parents[2] / "hls"
HEADERS = sorted((HLS / "kernels").glob("*.hpp"))
STREAMING = [path for path in HEADERS if "hls::stream" in path.read_text()]
VENDOR = {"ap_axi_sdata.h", "ap_int.h", "hls_stream.h"}
FORBIDDEN = (
    r"std\s*::|\b(new|delete|malloc|free|virtual|throw|try|catch|goto|while|do|static|mutable|"
    r"thread_local|float|double|auto|union|dynamic_cast|reinterpret_cast|const_cast|volatile)\b|->"
)
LOOP = re.compile(r"( *)for \((.*?); (.*?); (.*?)\) \{\n(.*)\n")
UNIT_ONLY = re.compile(r"File|Constants|Style|Cfg\w+")  # a kernel has its table


def code_of(text):
    """``text`` without comments; line structure stays."""
    return re.sub(r"/\*.*?\*/", "", re.sub(r"//[^\n]*", "", text))


def by_stem(path):
    return path.stem


@pytest.fixture(params=HEADERS, ids=by_stem)
def header(request):
    return code_of(request.param.read_text())


@pytest.fixture(params=STREAMING, ids=by_stem)
def kernel(request):
    return request.param.stem, code_of(request.param.read_text())


def test_every_streaming_unit_has_a_kernel_but_the_depth_of_a_stream():
    assert set(MODULES) - {path.stem for path in STREAMING} == {"fifo"}


def test_only_the_vendors_headers_and_the_library_itself_are_included(header):
    included = set(re.findall(r'#include\s+["<](.*?)[">]', header))

    assert included <= VENDOR | {path.name for path in HEADERS}
    assert not re.search(r"#\s*(define|undef|ifdef|ifndef|if)\b", header)
    assert header.lstrip().startswith("#pragma once")


def test_no_construct_without_hardware(header):
    assert not re.search(FORBIDDEN, re.sub(r"\bstatic_(assert|cast)\b", "", header))


def test_nothing_calls_itself(header):
    signature = r"^[a-z].*?\b(\w+)\((?=const |hls::|int )"
    functions = re.findall(signature, header, flags=re.MULTILINE)

    assert functions
    for name in functions:
        _, body = header.split(f" {name}(", 1)
        whole = body[body.index("{") :]
        line = whole.splitlines()[0]
        own = line if line.endswith("}") else whole.split("\n}\n")[0]
        assert not re.search(rf"\b{name}\s*[<(]", own), f"{name} calls itself"


def test_one_flat_pipelined_loop_and_unrolled_loops_of_constant_length(kernel):
    _, text = kernel
    loops = LOOP.findall(text)
    assert len(loops) == len(re.findall(r"\bfor\b", text))
    if not loops:  # all of it is the call of another kernel
        assert re.search(r"\n  pool<[^;]*>\(in, out, vectors\);\n\}$", text.rstrip())
        return

    (outer, _, bound, _, mark), *inner = sorted(loops, key=lambda loop: "vectors" not in loop[2])
    counted = r"\w+ < static_cast<long long>\(vectors\) \* (\w+)"
    assert (len(outer), mark) == (2, "#pragma HLS PIPELINE II=1")
    assert re.fullmatch(counted, bound)
    assert re.search(r"^\w+:\n  for ", text, flags=re.MULTILINE), "the loop has a label"
    for indent, start, bound, step, mark in inner:
        index = start.split()[1]
        assert len(indent) > 2 or text.index(f"{indent}for ({start}") < text.index("vectors) *")
        assert mark == "#pragma HLS UNROLL"
        assert re.fullmatch(rf"{index} < [A-Z]\w*", bound), "bounded by a template parameter"
        assert step == f"++{index}"


def test_counters_not_modulo(kernel):
    _, text = kernel
    body = text[text.index("#pragma HLS PIPELINE") :] if "PIPELINE" in text else ""

    assert not re.search(r"[\w)] [%/] [\w(]", body)


def test_state_carried_per_lane_is_partitioned(kernel):
    _, text = kernel
    carried = re.findall(r"^  ap_u?int<[^;]*> (\w+)\[(?:Pe|Lanes|Simd)\];", text, re.MULTILINE)

    for name in carried:
        assert f"#pragma HLS ARRAY_PARTITION variable={name} complete" in text


def test_pragmas_stand_in_column_0(header):
    assert not re.search(r"^[ \t]+#pragma", header, flags=re.MULTILINE)


def test_parameters_are_those_of_the_rtl_in_the_same_order(kernel):
    stem, text = kernel
    rtl = (HLS / "rtl" / f"{stem}.sv").read_text()
    declared = re.findall(
        r"^\s*parameter\s+(?:int\s+|logic \[.*?\] )?(\w+)", rtl, flags=re.MULTILINE
    )
    template = text[: text.index(f"void {stem}(")].rsplit("template <", 1)[1]

    shared = [name for name in declared if not UNIT_ONLY.fullmatch(name)]
    assert re.findall(r"int (\w+)", template) == shared


def generated(graph, plan):
    images = {
        layout.name: read_image(image_text(image_bits(graph.node(layout.node).op, layout)))
        for layout in graph_layouts(graph, plan.folding, parity=plan.parity)
    }
    return emit_kernels(graph, plan, images)


@pytest.fixture(
    params=[
        binary_network([12, 8, 8, 10], signs=True),
        four_bit_network([8, 6, 10]),
        searched_network([8, 6, 10], signs=True),
        buildable(random_image_graph(57)),
        buildable(random_image_graph(22)),
    ],
    ids=["w1a1", "w4a4", "searched", "image57", "image22"],
)
def files(request):
    return generated(request.param, make_plan(request.param))


def test_each_lane_of_a_search_reads_a_part_of_its_table():
    graph = searched_network([8, 6, 10])
    text = generated(graph, make_plan(graph, folding={"fc0": Folding(3, 8), "fc1": Folding(5, 3)}))

    body = text["accelerator.cpp"].split("void u_act0(")[1].split("}")[0]
    tables = [f"act0_thresholds_{stage:02}" for stage in range(8)]
    parted = re.findall(r"^#pragma HLS ARRAY_PARTITION variable=(\w+) dim=1 complete$", body, re.M)
    assert parted == tables
    assert body.strip().endswith(f"(in, out, vectors, act0_detected, {', '.join(tables)});")
    assert "act0_thresholds_03[3][16] = {" in text["images.hpp"]


@pytest.mark.parametrize("parity", [False, True])
def test_flags_of_damaged_words_are_registers_where_words_have_parity(parity):
    graph = searched_network([8, 6, 10])
    folding = {"fc0": Folding(3, 8), "fc1": Folding(5, 3)}
    text = generated(graph, make_plan(graph, folding=folding, parity=parity))

    region = text["accelerator.cpp"]
    cleared = re.findall(r"^#pragma HLS RESET variable=(\w+)$", region, re.M)
    assert cleared == (["fc0_detected", "act0_detected", "fc1_detected"] if parity else [])
    whole = "#pragma HLS ARRAY_PARTITION variable=act0_detected dim=0 complete"
    assert (whole in region) is parity
    assert "static ap_uint<1> act0_detected[8][3] = {};" in text["images.hpp"]
    assert len(re.findall(r"/\*Parity\*/ 1>", region)) == 3 * parity
    told = re.findall(
        r"^  report_memory<(\d+)>\(memory, (\w+)((?:\[\d+\])*), told\);$", region, re.M
    )
    assert [int(number) for number, *_ in told] == list(range(1 + 8 * 3 + 1))
    assert told[5][1:] == ("act0_detected", "[1][1]")


def region_of(text):
    """Streams with their depth, and calls, of the dataflow region."""
    body = text.split("void accelerator(")[1].split("{\n", 1)[1]
    streams = re.findall(
        r'^  hls::stream<ap_uint<(\d+)>> (\w+)\("\2"\);\n#pragma HLS STREAM variable=\2 '
        r"depth=(\d+)$",
        body,
        flags=re.MULTILINE,
    )
    calls = re.findall(r"^  (u_\w+)\(([\w, ]+), vectors\);$", body, flags=re.MULTILINE)
    return body, streams, calls


def ends_of(files):
    """The streams that processes read, and those that they write."""
    declared = dict(
        re.findall(r"^void (u_\w+)\((.*), int vectors\);$", files["accelerator.hpp"], re.M)
    )
    ends = {"in": [], "out": []}
    for process, given in region_of(files["accelerator.cpp"])[2]:
        ports = re.findall(r">>& (in|out)\d*", declared[process])
        for end, name in zip(ports, given.split(", "), strict=True):
            ends[end].append(name)
    return ends


def test_the_top_is_a_dataflow_region_of_streams_and_calls_only(files):
    body, streams, calls = region_of(files["accelerator.cpp"])
    lines = body.strip().splitlines()

    assert set(files) == set(FILES)
    assert lines[0] == "#pragma HLS DATAFLOW"
    assert lines[-1] == "}"
    assert len(lines) == 2 + 2 * len(streams) + len(calls)


def test_each_stream_has_exactly_one_producer_and_one_consumer(files):
    _, streams, calls = region_of(files["accelerator.cpp"])
    names = [name for _, name, _ in streams]

    assert len(set(names)) == len(names)
    ends = ends_of(files)
    assert sorted(ends["in"]) == sorted([*names, "in"])
    assert sorted(ends["out"]) == sorted([*names, "out"])
    assert len({process for process, _ in calls}) == len(calls)


def test_the_threads_of_the_host_are_the_processes_of_the_region(files):
    _, streams, calls = region_of(files["accelerator.cpp"])
    host = files["simulation.cpp"]

    held = re.findall(r'hls::stream<ap_uint<(\d+)>> (\w+)\("\2", (\d+)\);', host)
    started = re.findall(r'process\("(\w+)", \[&\] \{ \1\(([\w, ]+), vectors\); \}\);', host)
    assert held == streams
    assert started == calls


def test_generated_text_holds_no_logic(files):
    for name, text in files.items():
        code = re.sub(r'".*?"', '""', code_of(text)).replace("[&]", "")
        assert not re.search(r"\b(if|for|while|do|switch|return|goto)\b|\?|[-+*/%|^~]", code), name


def test_a_fifo_of_the_plan_is_the_depth_of_the_stream_it_stands_in():
    graph = binary_network([12, 8, 8, 10])
    folding = {"fc0": Folding(2, 4), "fc1": Folding(4, 4), "fc2": Folding(5, 2)}
    files = generated(graph, Plan(digest(graph), folding, {"act0_fifo": 5, "act1_fifo": 9}))

    _, streams, _ = region_of(files["accelerator.cpp"])

    depths = {name: int(depth) for _, name, depth in streams}
    assert (depths.pop("act0_width_out"), depths.pop("act1_width_out")) == (5, 9)
    assert set(depths.values()) == {2}


def test_a_stream_that_can_hold_nothing_is_refused():
    graph = binary_network([12, 8, 10])
    folding = {"fc0": Folding(2, 4), "fc1": Folding(5, 2)}

    with pytest.raises(InputError, match=r"^stream after 'u_act0': depth 0 holds no word"):
        generated(graph, Plan(digest(graph), folding, {"act0_fifo": 0}))


def test_a_word_wider_than_the_vendors_integers_is_refused():
    graph = four_bit_network([8192, 2])

    with pytest.raises(
        InputError,
        match=r"^unit 'u_fc0': words of 65536 bits where .* hold 32767; lower pe or simd$",
    ):
        generated(graph, Plan(digest(graph), {"fc0": Folding(2, 8192)}, {}))


def test_a_table_of_the_wrong_length_is_refused():
    graph = binary_network([12, 8, 10])
    plan = make_plan(graph)
    images = {layout.name: [0] for layout in graph_layouts(graph, plan.folding)}

    with pytest.raises(ValueError, match=r"^fc0.weights: 1 words where \d+ are wanted$"):
        emit_kernels(graph, plan, images)
