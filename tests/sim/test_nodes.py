"""Words on the streams of a build as the elements of a node."""

import numpy as np

from flow.build.netlist import netlist
from flow.schedule import Stream, make_plan
from sim.nodes import data_signal, decode_words, node_streams
from tests.campaign.campaigns import four_bit_network
from tests.schedule.networks import random_images


def test_lanes_hold_neighbouring_elements_the_first_in_the_low_bits():
    graph = four_bit_network((6, 4, 3), signs=True)
    edge = graph.node("fc0").output
    kind = graph.type_of(edge)
    values = graph.evaluate_all(random_images(graph, 1, 0))[edge].ravel()
    stream = Stream("s", edge, values.shape, 2, kind.bits)
    codes = kind.encode(values)
    words = [f"{int(a) | int(b) << kind.bits:x}" for a, b in codes.reshape(-1, 2)]
    np.testing.assert_array_equal(decode_words(words, stream, graph), values)
    np.testing.assert_array_equal(decode_words(words[:1], stream, graph), values[:2])
    assert decode_words([], stream, graph).shape == (0,)
    assert (values < 0).any()  # signed codes are told from large ones


def test_every_node_but_the_last_has_a_stream_with_all_its_elements():
    graph = four_bit_network((6, 5, 4), signs=True)
    streams = node_streams(netlist(graph, make_plan(graph)), graph)
    assert list(streams) == [node.name for node in graph.nodes[:-1]]
    for name, stream in streams.items():
        output = graph.node(name).output
        assert (stream.edge, stream.shape) == (output, graph.edge(output).shape)


def test_branches_of_a_fork_share_their_data():
    assert data_signal(Stream("a_1", "a", (4,), 1, 3, "a_fork")) == "a_fork_data"
    assert data_signal(Stream("a", "a", (4,), 1, 3)) == "a_data"
