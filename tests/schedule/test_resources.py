"""The resource model against the table of synthesised units."""

import pytest

from flow.build.netlist import netlist
from flow.build.report import estimate
from flow.schedule import make_plan
from flow.schedule.resources import Resources, resources
from tests.bench.finn_networks import tfc
from tests.bench.hardware import tables
from tests.bench.units import recorded

SMALL = 60  # tables, below which an error is counted in tables
TFC = Resources(lut=4396, ff=4386, bram=26)  # its accelerator, synthesised without DSP blocks


def close(found, wanted, *, within):
    """Whether an estimate misses by at most so many percent, of 60 at least."""
    return 100 * abs(found - wanted) <= within * max(wanted, SMALL)


@pytest.mark.parametrize("record", recorded(), ids=lambda r: r["module"])
def test_a_unit_takes_what_the_model_says(record):
    found = resources(record["module"], record["parameters"], dsp=False)
    cells = record["cells"]
    assert close(found.lut, tables(cells), within=15), (found, cells)
    assert close(found.ff, cells.get("TRELLIS_FF", 0), within=28), (found, cells)
    assert found.bram == cells.get("DP16KD", 0)


def test_a_network_takes_what_its_report_says():
    net = tfc()
    report = estimate(netlist(net.graph, make_plan(net.graph, folding=net.folding)))
    total = report["total"]
    assert report["not_estimated"] == []
    assert close(total["lut"], TFC.lut, within=3)
    assert close(total["ff"], TFC.ff, within=1)
    assert total["bram"] == TFC.bram


def test_wide_products_take_dsp_blocks_unless_told_not_to():
    (record, *_) = [
        r["parameters"]
        for r in recorded()
        if r["parameters"].get("WeightBits") == 4 and r["parameters"]["Pe"] == 8
    ]
    assert resources("matvec", record).dsp == 8 * record["Simd"]
    assert resources("matvec", record, dsp=False).dsp == 0
    assert resources("matvec", record).lut < resources("matvec", record, dsp=False).lut


def test_parity_costs_what_synthesis_made_of_it():
    """Of memory.sv, 512 words of 72 bits: 88 and 117 LUT4, 74 and 78 FF, 2 and 3 block RAM."""
    sizes = {"Channels": 512, "Lanes": 1, "AccBits": 72, "ThresholdBits": 72, "Steps": 1}
    sizes |= {"OutBits": 1, "SignsStored": 0}
    bare, checked = (resources("threshold", sizes | {"Parity": parity}) for parity in (0, 1))
    assert (checked.ff - bare.ff, checked.bram - bare.bram) == (78 - 74, 3 - 2)
    assert close(checked.lut - bare.lut, 117 - 88, within=5)


def test_a_unit_without_a_model_is_refused_by_name():
    with pytest.raises(TypeError, match="no resource model for window"):
        resources("window", {})
