"""The resource model against the tables of synthesised units and networks."""

from dataclasses import replace

import pytest

from flow.build.netlist import netlist
from flow.build.parameters import MODULES
from flow.build.report import estimates, layers
from flow.schedule import dataflow, make_plan
from flow.schedule.cells import ECP5, ICE40, MemoryStyle, Resources
from flow.schedule.dataflow import Folding
from flow.schedule.resources import MODELS, resources
from tests.bench.finn_networks import tfc
from tests.bench.hardware import tables
from tests.bench.networks import folding_of, zoo
from tests.bench.networks import recorded as networks
from tests.bench.units import recorded

SMALL = 60  # tables, below which an error is counted in tables
TFC = Resources(lut=4396, ff=4386, bram=26)  # its accelerator, synthesised without DSP blocks
PLAIN = replace(ECP5, dsp=False)
QUICK = ("tfc-w2a2", "cnv-w1a1")


def close(found, wanted, *, within):
    """Whether an estimate misses by at most so many percent, of 60 at least."""
    return 100 * abs(found - wanted) <= within * max(wanted, SMALL)


def whole(net):
    return sum(estimates(net).values(), Resources())


@pytest.mark.parametrize("record", recorded(), ids=lambda r: r["module"])
def test_a_unit_takes_what_the_model_says(record):
    found = resources(record["module"], record["parameters"], PLAIN)
    cells = record["cells"]
    assert close(found.lut, tables(cells), within=17), (found, cells)
    assert close(found.ff, cells.get("TRELLIS_FF", 0), within=12), (found, cells)
    assert found.bram == cells.get("DP16KD", 0)


def test_every_unit_that_is_placed_has_a_model_and_was_synthesised():
    assert set(MODULES) <= set(MODELS)
    assert {record["module"] for record in recorded()} == set(MODELS)


@pytest.mark.parametrize(
    "record",
    [
        record if record["network"] in QUICK else pytest.param(record, marks=pytest.mark.slow)
        for record in networks()
    ],
    ids=lambda r: r["network"],
)
def test_a_whole_network_takes_what_its_report_says(record):
    graph = zoo(record["network"])
    found = whole(netlist(graph, make_plan(graph, folding=folding_of(record))))
    cells = record["cells"]
    assert close(found.lut, tables(cells), within=5)
    assert close(found.ff, cells["TRELLIS_FF"], within=6)
    assert abs(found.bram - cells.get("DP16KD", 0)) <= 1
    assert found.dsp == cells.get("MULT18X18D", 0)


def test_a_network_without_dsp_blocks_takes_what_its_report_says():
    net = tfc()
    total = whole(netlist(net.graph, make_plan(net.graph, folding=net.folding)))
    assert close(total.lut, TFC.lut, within=5)
    assert close(total.ff, TFC.ff, within=1)
    assert total.bram == TFC.bram


def test_products_take_dsp_blocks_unless_told_not_to():
    (record, *_) = [
        r["parameters"]
        for r in recorded()
        if r["parameters"].get("WeightBits") == 4 and r["parameters"]["Pe"] == 8
    ]
    assert resources("matvec", record).dsp == 8 * record["Simd"]
    assert resources("matvec", record, PLAIN).dsp == 0
    assert resources("matvec", record).lut < resources("matvec", record, PLAIN).lut


def test_parameter_memories_become_what_the_style_says():
    (record, *_) = [r["parameters"] for r in recorded() if r["module"] == "threshold"]
    found = {
        style: resources("threshold", record, replace(ECP5, style=style)) for style in MemoryStyle
    }
    assert found[MemoryStyle.BLOCK].bram > 0 == found[MemoryStyle.DISTRIBUTED].bram
    assert found[MemoryStyle.AUTO] in found.values()


def test_a_family_without_distributed_memory_puts_words_into_blocks():
    fifo = {"Depth": 140, "Bits": 6}
    assert resources("fifo", fifo).bram == 0
    assert resources("fifo", fifo | {"Form": 2}, ICE40).bram == 1
    assert resources("fifo", fifo, ICE40).ff > 140 * 6  # read without a clock


def test_parity_costs_what_synthesis_made_of_it():
    """Of memory.sv, 512 words of 72 bits: 88 and 117 LUT4, 74 and 78 FF, 2 and 3 block RAM."""
    sizes = {"Channels": 512, "Lanes": 1, "AccBits": 72, "ThresholdBits": 72, "Steps": 1}
    sizes |= {"OutBits": 1, "SignsStored": 0}
    bare, checked = (resources("threshold", sizes | {"Parity": parity}) for parity in (0, 1))
    assert (checked.ff - bare.ff, checked.bram - bare.bram) == (78 - 74, 3 - 2)
    assert close(checked.lut - bare.lut, 117 - 88, within=5)


def test_a_unit_without_a_model_is_refused_by_name():
    with pytest.raises(TypeError, match="no resource model for sorter"):
        resources("sorter", {})


def test_the_layers_of_a_report_add_up_and_the_slowest_is_marked():

    graph = tfc().graph
    plan = make_plan(graph, folding=tfc().folding)
    used = estimates(netlist(graph, plan))
    rows = layers(dataflow(graph, plan.folding), plan, used)
    assert [row["layer"] for row in rows] == [node.name for node in graph.nodes]
    assert sum(row["lut"] for row in rows) == sum(found.lut for found in used.values())
    assert [row["layer"] for row in rows if row["slowest"]] == ["fc0", "fc1", "fc2"]
    assert (rows[0]["pe"], rows[0]["simd"]) == (16, 49)
    assert plan.folding["fc0"] == Folding(16, 49)
