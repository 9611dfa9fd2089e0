import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flow.build import build, netlist, netlist_text
from flow.build.netlist import accelerator_instance, memory_instance
from flow.build.parameters import unit_parameters
from flow.errors import InputError
from flow.graphfile import digest
from flow.ir import Edge, IntType
from flow.ops import ArgMax, MatVec, Threshold
from flow.schedule import Folding, Plan, make_plan
from sim.runner import verilator_lint
from tests.schedule.networks import binary_network, four_bit_network

GOLDEN = Path(__file__).with_name("accelerator.golden.sv")


def test_the_text_of_a_tiny_network_is_the_golden_one():
    graph = binary_network([4, 2, 2], signs=True)
    plan = make_plan(graph, folding={"fc0": Folding(1, 2), "fc1": Folding(2, 2)})
    assert netlist_text(netlist(graph, plan)) == GOLDEN.read_text()


INSTANCE = """\
  accelerator #(
    .Fc0Weights("fc0.mem")
  ) u_accelerator (
    .clk_i(clk),
    .rst_ni(rst_n),
    .valid_i(noisy_valid),
    .ready_o(noisy_ready),
    .data_i(noisy_data),
    .valid_o(class_valid),
    .ready_i(class_ready),
    .data_o(class_data),
    .cfg_valid_i(cfg_valid),
    .cfg_write_i(cfg_write),
    .cfg_memory_i(cfg_memory),
    .cfg_address_i(cfg_address),
    .cfg_data_i(cfg_wdata),
    .cfg_data_o(cfg_rdata),
    .detected_o(detected)
  );
"""


def test_boards_and_axi_wire_the_accelerator_by_these_names():
    files = {"Fc0Weights": '"fc0.mem"'}
    streams = "noisy", "class"
    found = accelerator_instance(streams, clock="clk", reset="rst_n", parameters=files)
    assert found == INSTANCE
    bare = accelerator_instance(streams, clock="clk", reset="rst_n")
    assert bare == INSTANCE.replace(' #(\n    .Fc0Weights("fc0.mem")\n  )', "")


def test_weights_do_not_change_the_text():
    """So that one compiled simulator serves every network of the same shape."""
    one, other = four_bit_network([4, 2, 3], seed=1), four_bit_network([4, 2, 3], seed=2)
    texts = [netlist_text(netlist(g, make_plan(g, cycles=4))) for g in (one, other)]
    assert texts[0] == texts[1]


def test_every_stream_has_one_width_on_both_sides():
    graph = four_bit_network([8, 4, 6, 10])
    for cycles in (1, 3, 8, 24, 60):
        net = netlist(graph, make_plan(graph, cycles=cycles))
        for unit, after in zip(net.units, net.units[1:], strict=False):
            assert unit.sinks == after.sources
        for unit in net.units:
            if unit.module == "width":
                lanes = (unit.parameters["InLanes"], unit.parameters["OutLanes"])
                bits = [n * unit.parameters["Bits"] for n in lanes]
                assert bits == [unit.sources[0].bits, unit.sinks[0].bits]


def test_a_memory_lies_where_the_configuration_says():
    assert memory_instance("fc0.weights") == "u_fc0.u_weights"
    assert memory_instance("act_1.thresholds") == "u_act_1.u_thresholds"
    slice_ = "u_act_1.gen_stage[2].gen_lane[13].u_slice"
    assert memory_instance("act_1.thresholds_02_0013") == slice_


def rewritten(graph, name, **changes):
    return graph.map(
        lambda node: replace(node, op=replace(node.op, **changes)) if node.name == name else node
    )


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "fc0",
            {"weights": np.ones((4, 4), dtype=int), "weight_type": IntType(4)},
            "node 'fc0': no RTL takes u4 weights; use signed or bipolar ones",
        ),
    ],
)
def test_what_the_library_does_not_have_is_refused_by_name(name, changes, message):
    graph = rewritten(four_bit_network([4, 4, 3]), name, **changes)
    with pytest.raises(InputError) as caught:
        netlist(graph, make_plan(graph))
    assert str(caught.value) == message


def test_a_node_without_a_hardware_name_is_refused():
    graph = binary_network([4, 2, 2])
    named = graph.map(lambda n: replace(n, name="Fc-0") if n.name == "fc0" else n)
    with pytest.raises(InputError, match=r"^node 'Fc-0': no hardware name; use a-z, 0-9 and _$"):
        netlist(named, make_plan(named))


def test_two_units_of_one_name_are_refused():
    graph = binary_network([4, 2, 2])
    named = graph.map(lambda n: replace(n, name="act0_fifo") if n.name == "fc1" else n)
    with pytest.raises(InputError, match=r"^graph 'net': two units are called 'act0_fifo'"):
        netlist(named, make_plan(named))


def test_names_that_differ_by_an_underscore_keep_apart():
    graph = binary_network([4, 2, 2])
    named = graph.map(lambda n: replace(n, name="fc_0") if n.name == "fc1" else n)
    assert len(netlist(named, make_plan(named)).parameters) == 3


@pytest.mark.rtl
def test_verilator_finds_nothing_but_the_open_high_water_output(tmp_path):
    for graph in (binary_network([8, 12, 6, 4], signs=True), four_bit_network([6, 4, 3])):
        build(graph, make_plan(graph, cycles=12), tmp_path / "b")
        found = verilator_lint(tmp_path / "b/rtl/accelerator.sv", library=tmp_path / "b/rtl")
        warnings = [line for line in found.splitlines() if line.startswith("%Warning")]
        assert [line for line in warnings if "high_water_o" not in line] == []


def test_the_configuration_bus_is_as_wide_as_the_deepest_memory_and_their_number_need():
    graph = binary_network([512, 256, 2])
    folding = {"fc0": Folding(1, 1), "fc1": Folding(1, 1)}
    net = netlist(graph, Plan(digest(graph), folding, {"act0_fifo": 256}))
    assert [memory.words for memory in net.memories] == [131072, 256, 512]
    assert (net.cfg_address_bits, net.cfg_memory_bits) == (17, 2)
    assert "input  logic [16:0] cfg_address_i," in netlist_text(net)


def test_a_memory_the_bus_cannot_address_is_refused(monkeypatch):
    monkeypatch.setattr(sys.modules[netlist.__module__], "MAX_WORDS", 1 << 16)
    graph = binary_network([512, 256, 2])
    plan = Plan(digest(graph), {"fc0": Folding(1, 1), "fc1": Folding(1, 1)}, {"act0_fifo": 256})
    with pytest.raises(InputError, match=r"^node 'fc0': 131072 memory words where .* raise pe or"):
        netlist(graph, plan)


def test_a_plan_without_a_depth_for_an_edge_is_refused():
    graph = binary_network([4, 2, 2])
    plan = replace(make_plan(graph), fifo_depth={})
    with pytest.raises(InputError, match=r"^FIFO 'act0_fifo': the plan has no depth for it"):
        netlist(graph, plan)


@pytest.mark.parametrize("op", [MatVec, Threshold, ArgMax])
def test_every_op_of_a_chain_has_rtl_parameters(op):
    assert unit_parameters.dispatch(op) is not unit_parameters.dispatch(object)


def test_an_unknown_op_has_no_rtl():
    with pytest.raises(TypeError, match=r"^no RTL for str; register one"):
        unit_parameters("pool", Folding(1, 1), "pool", Edge((1,), IntType(1)))
