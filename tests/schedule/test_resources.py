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


def test_a_unit_without_a_model_is_refused_by_name():
    with pytest.raises(TypeError, match="no resource model for window"):
        resources("window", {})
