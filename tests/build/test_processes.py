"""The depths of HLS streams: what the RTL holds on the same way, worked out by hand."""

import pytest

from flow.build import netlist
from flow.build.processes import processes
from flow.passes import search_form
from flow.schedule import make_plan
from tests.engine.images import random_image_graph
from tests.schedule.networks import four_bit_network
from tests.schedule.test_images import buildable

DEFAULT = 2  # of a stream without a FIFO
PRODUCT, COUNTED, OTHER, FORK = 5, 4, 2, 2  # words that the unit in front holds in its pipeline


def depths(graph, plan):
    """Of every stream between two processes, by name."""
    made = processes(netlist(graph, plan))
    return {sink.name: sink.depth for process in made[:-1] for sink in process.sinks}


def test_beside_a_fork_a_stream_holds_the_pipeline_in_front_and_the_line_buffer_behind():
    graph = buildable(random_image_graph(57))
    plan = make_plan(graph)
    queue = {name.removesuffix("_fifo"): depth for name, depth in plan.fifo_depth.items()}

    assert depths(graph, plan) == {
        # rows of 7, windows of 3 x 1: two rows and one pixel beyond one extent, and one more
        "pad0_out": queue["pad0"] + OTHER + (2 * 7 + 1 + 1),
        "window0_out": queue["window0"] + OTHER,
        "matvec0_out": DEFAULT + PRODUCT,
        "threshold0_out": DEFAULT + COUNTED,
        "threshold0_fork_out0": queue["threshold0_fork0"] + FORK,
        "threshold0_fork_out1": queue["threshold0_fork1"] + FORK,
        "concat0_out": queue["concat0"] + OTHER,  # windows share no pixel: no line buffer behind
        "sumpool0_out": queue["sumpool0"] + OTHER,
        "matvec1_out": DEFAULT + PRODUCT,
    }


def test_words_that_no_window_needs_lie_between_those_that_wait():
    graph = buildable(random_image_graph(22))
    plan = make_plan(graph)

    # rows of 3, windows of one pixel, every second column: of two kept words in a row the stream
    # holds at most three
    assert depths(graph, plan)["pad0_out"] == plan.fifo_depth["pad0_fifo"] + OTHER + 3


def test_without_a_fork_a_stream_is_its_fifo():
    graph = four_bit_network([8, 6, 10])
    plan = make_plan(graph, cycles=8)

    for name, depth in depths(graph, plan).items():
        fifo = f"{name.removesuffix('_out')}_fifo"
        assert depth == plan.fifo_depth.get(fifo, DEFAULT)


@pytest.mark.parametrize(("seed", "steps"), [(16, 2), (56, 4)])
def test_a_search_beside_a_fork_holds_two_words_for_each_of_its_stages_and_one(seed, steps):
    graph = search_form(buildable(random_image_graph(seed)))
    plan = make_plan(graph)
    units = netlist(graph, plan).units
    (search,) = [unit for unit in units if unit.module == "threshold_search"]
    name = search.name.removeprefix("u_")

    assert any(unit.module == "eager_fork" for unit in units)
    least = plan.fifo_depth.get(f"{name}_fifo", DEFAULT) + 2 * steps.bit_length() + 1
    assert depths(graph, plan)[f"{name}_out"] >= least
