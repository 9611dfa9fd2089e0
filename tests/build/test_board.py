"""The generated top module of a board."""

import re
from dataclasses import replace

import pytest

from flow.build import build, netlist
from flow.build.board import BOARDS, board_text, load_board, write_board
from flow.errors import InputError
from flow.graphfile import digest
from flow.ir import Edge, IntType
from flow.schedule import make_plan
from tests.schedule.networks import binary_network


@pytest.fixture(scope="module")
def network():
    graph = binary_network([6, 8, 4], signs=True)
    return graph, make_plan(graph, cycles=12)


def text_of(graph, plan):
    return board_text(netlist(graph, plan), graph, load_board("ulx3s"), digest=digest(graph))


def test_the_top_holds_instances_and_no_logic(network):
    text = re.sub(r"//.*", "", text_of(*network))
    assert not re.search(r"\balways|\binitial|\bif\b|[?&|^~+]|==", text)
    assert re.findall(r"\bassign (.*);", text) == ["wifi_gpio0 = 1'b1"]


def test_the_digest_travels_first_byte_first(network):
    graph, _ = network
    (sent,) = re.findall(r"\.Digest\(64'h([0-9a-f]{16})\)", text_of(*network))
    assert bytes.fromhex(sent)[::-1] == bytes.fromhex(digest(graph))[:8]


def test_every_pin_of_the_top_has_a_place(network):
    ports = re.findall(r"(?:input|output) +logic (?:\[7:0\] )?(\w+)", text_of(*network))
    placed = set(re.findall(r'LOCATE COMP "(\w+)', load_board("ulx3s").constraints.read_text()))
    assert set(ports) == placed


def test_the_divider_meets_the_baud_rate_exactly():
    board = load_board("ulx3s")
    assert board.clock_hz == board.divider * board.baud
    assert (
        f'"{board.ports["clock"]}" {board.clock_hz // 10**6} MHZ;' in board.constraints.read_text()
    )


def test_elements_wider_than_a_byte_are_refused(network):
    graph, plan = network
    wide = replace(graph, input_edge=Edge(graph.input_edge.shape, IntType(9)))
    with pytest.raises(InputError, match=r"^edge 'x': 9 bits per element where the serial"):
        text_of(wide, plan)


def test_an_unknown_board_lists_the_known_ones():
    with pytest.raises(InputError, match=r"^board 'none': unknown; choose one of ulx3s$"):
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
