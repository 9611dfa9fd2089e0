"""The generated top module of a board."""

import re
from dataclasses import replace

import pytest

from flow.build import build, netlist
from flow.build.board import write_board
from flow.build.board_text import board_text
from flow.build.boards import BOARDS, load_board
from flow.errors import InputError
from flow.graphfile import digest
from flow.ir import Edge, IntType
from flow.schedule import make_plan
from tests.schedule.networks import binary_network

NAMES = ["icebreaker", "tang-nano-9k", "ulx3s", "ulx3s-25f"]
PLACES = {
    "ecp5": r'LOCATE COMP "(\S+)" SITE',
    "ice40": r"^set_io (?:-pullup yes )?(\S+) \d+$",
    "gowin": r'^IO_LOC "(\S+)" \d+;$',
}


@pytest.fixture(scope="module")
def network():
    graph = binary_network([6, 8, 4], signs=True)
    return graph, make_plan(graph, cycles=12)


def text_of(graph, plan, board="ulx3s"):
    return board_text(netlist(graph, plan), graph, load_board(board), digest=digest(graph))


@pytest.mark.parametrize("name", NAMES)
def test_the_top_holds_instances_and_no_logic(network, name):
    text = re.sub(r"//.*", "", text_of(*network, name))
    assert not re.search(r"\balways|\binitial|\bif\b|[?&|^~+]|==", text)
    assert re.findall(r"\bassign (\w+) = 1'b1;", text) == list(load_board(name).high)
    assert text.count("assign") == len(load_board(name).high)


def test_the_digest_travels_first_byte_first(network):
    graph, _ = network
    (sent,) = re.findall(r"\.Digest\(64'h([0-9a-f]{16})\)", text_of(*network))
    assert bytes.fromhex(sent)[::-1] == bytes.fromhex(digest(graph))[:8]


@pytest.mark.parametrize("name", NAMES)
def test_every_pin_of_the_top_has_a_place_of_its_own(network, name):
    board = load_board(name)
    ports = re.findall(r"(?:input|output) +logic (\[\d+:0\] )?(\w+)", text_of(*network, name))
    count = len(board.leds)
    assert [port for bits, port in ports if bits] == [board.ports["leds"]]
    assert f"[{count - 1}:0] " in [bits for bits, _ in ports]
    bits = [f"{board.ports['leds']}[{led}]" for led in range(count)]
    pins = [port for vector, port in ports if not vector] + bits
    lines = board.constraints.read_text()
    placed = re.findall(PLACES[board.family], lines, re.MULTILINE)
    assert sorted(placed) == sorted(pins)
    sites = re.findall(r'(?:SITE "(\w+)"|^(?:set_io|IO_LOC).* (\d+);?$)', lines, re.MULTILINE)
    assert len(set(sites)) == len(pins)


@pytest.mark.parametrize("name", NAMES)
def test_the_divider_meets_the_baud_rate_exactly_and_leaves_room_to_sample(name):
    board = load_board(name)
    assert board.clock_hz == board.divider * board.baud
    assert board.divider >= 8


@pytest.mark.parametrize("name", ["ulx3s", "ulx3s-25f"])
def test_the_constraints_state_the_clock(name):
    board = load_board(name)
    assert (
        f'"{board.ports["clock"]}" {board.clock_hz // 10**6} MHZ;' in board.constraints.read_text()
    )


def test_leds_and_button_are_inverted_where_the_board_s_are(network):
    inverted = {
        "ulx3s": ["1'b0", "8'b00000000"],
        "icebreaker": ["1'b1", "7'b1100000"],
        "tang-nano-9k": ["1'b1", "6'b111111"],
    }
    for name, wanted in inverted.items():
        assert re.findall(r"\.ActiveLow\((\S+)\)", text_of(*network, name)) == wanted
    shown = r"\.data_i\(\{(.*)\}\)"
    (order,) = re.findall(shown, text_of(*network, "tang-nano-9k"))
    assert order == "lights[7], lights[6], lights[3], lights[2], lights[1], lights[0]"


def test_elements_wider_than_a_byte_are_refused(network):
    graph, plan = network
    wide = replace(graph, input_edge=Edge(graph.input_edge.shape, IntType(9)))
    with pytest.raises(InputError, match=r"^edge 'x': 9 bits per element where the serial"):
        text_of(wide, plan)


def test_an_unknown_board_lists_the_known_ones():
    with pytest.raises(
        InputError, match=r"^board 'none': unknown; choose one of icebreaker, .*, ulx3s-25f$"
    ):
        load_board("none")
    assert (BOARDS / "ulx3s").is_dir()


def test_the_folder_holds_the_build_s_own_sources(network, tmp_path):
    graph, plan = network
    made = build(graph, plan, tmp_path / "build")
    write_board(made, load_board("ulx3s"), tmp_path / "board")
    for name in made.files:
        if name.startswith(("rtl/", "images/", "graph.", "plan.")):
            copied = (tmp_path / "board" / name).read_bytes()
            assert copied == (tmp_path / "build" / name).read_bytes()
