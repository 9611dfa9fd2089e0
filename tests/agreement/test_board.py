"""The sources of a bitstream, simulated at the board's pins, against the graph."""

import json

import numpy as np
import pytest

from flow.build import build
from flow.build.board import write_board
from flow.build.boards import load_board
from flow.errors import InputError
from flow.evidence.smoothing import smoother
from flow.schedule import MemoryStyle, make_plan
from sim.board import simulate_board
from tests.engine.images import random_image_graph
from tests.schedule.networks import binary_network, four_bit_network, random_images
from tests.schedule.test_images import buildable

NETWORKS = {
    "binary": lambda: binary_network([6, 8, 4], seed=3, signs=True),  # unsigned logits
    "four bits": lambda: four_bit_network([6, 4, 3], seed=3, signs=True),  # signed, wide words
    "image": lambda: buildable(random_image_graph(42)),  # pool, margins, window, product
}
CASES = [
    ("binary", "ulx3s"),  # button and LEDs active high
    ("four bits", "ulx3s"),
    ("image", "icebreaker"),  # the button and some LEDs active low
    ("binary", "tang-nano-9k"),  # all active low, and its words are constants
]


@pytest.fixture(scope="module", params=CASES, ids=" on ".join)
def board(request, tmp_path_factory):
    network, name = request.param
    graph = NETWORKS[network]()
    place = tmp_path_factory.mktemp("board")
    cycles = None if network == "image" else 12
    style = MemoryStyle.ROM if name == "tang-nano-9k" else MemoryStyle.AUTO
    parity = network == "four bits"
    plan = make_plan(graph, cycles=cycles, parity=parity, memory_style=style)
    made = build(graph, plan, place / "build")
    write_board(made, load_board(name), place / "board")
    return graph, place / "board"


@pytest.mark.rtl
def test_the_board_answers_as_the_graph_does_clean_and_faulty(board, simulator, compiled):
    graph, place = board
    record = simulate_board(
        place, graph, random_images(graph, 4), cache=compiled, simulator=simulator
    )
    memories = [
        memory["name"] for memory in json.loads((place / "board.json").read_text())["memories"]
    ]
    assert record["images"] == 4
    writable = record["identification"]["writable"]
    assert [probe["memory"] for probe in record["faults"]] == (memories if writable else [])
    assert all(probe["shows"] for probe in record["faults"])


@pytest.mark.rtl
@pytest.mark.parametrize("network", ["binary", "four bits"])
def test_a_smoothed_board_answers_with_the_votes_of_the_model(
    network, simulator, compiled, tmp_path
):
    graph = NETWORKS[network]()
    made = build(graph, make_plan(graph, cycles=12), tmp_path / "build")
    around = smoother(tmp_path / "build", sigma="3/2", votes=9, seed=5)
    write_board(made, load_board("ulx3s"), tmp_path / "board", smoother=around)
    x = random_images(graph, 4)
    record = simulate_board(
        tmp_path / "board", graph, x, cache=compiled, simulator=simulator
    )  # every vote and every latency is compared there
    lanes = record["smoothing"]["lanes"]
    assert record["smoothing"] == {"sigma": "3/2", "votes": 9, "seed": 5, "lanes": lanes}
    assert record["identification"]["voting"]
    assert not record["identification"]["logits_signed"]
    assert record["latency_cycles"] > 9 * graph.input_edge.elements // lanes


def test_a_changed_image_is_refused(board, tmp_path):
    graph, place = board
    name = json.loads((place / "board.json").read_text())["memories"][0]["name"]
    path = place / "images" / f"{name}.hex"
    right = path.read_text()
    first, *rest = right.split()
    path.write_text("\n".join([f"{int(first, 16) ^ 1:0{len(first)}x}", *rest]) + "\n")
    try:
        with pytest.raises(InputError, match=rf"{name}.hex: not the image of graph '.*'; synth"):
            simulate_board(place, graph, random_images(graph, 4), cache=tmp_path)
    finally:
        path.write_text(right)


def test_a_board_of_another_network_is_refused(board, tmp_path):
    _, place = board
    other = binary_network([6, 4], seed=9)
    with pytest.raises(InputError, match=r"board.json: made from another graph than 'net'; synth"):
        simulate_board(place, other, np.zeros((1, 6), dtype=np.int64), cache=tmp_path)
    with pytest.raises(InputError, match=r"no such file; make it with `bitproof synth`$"):
        simulate_board(tmp_path, other, np.zeros((1, 6), dtype=np.int64), cache=tmp_path)


def test_a_board_record_of_another_format_is_refused(board, tmp_path):
    graph, place = board
    record = json.loads((place / "board.json").read_text())
    (tmp_path / "board.json").write_text(json.dumps(record | {"format": 1}))
    with pytest.raises(InputError, match=r"board.json: not a board record of format 3; synth"):
        simulate_board(tmp_path, graph, random_images(graph, 4), cache=tmp_path)
