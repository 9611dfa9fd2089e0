"""What is said of a design that its device cannot hold."""

import json

import pytest

from flow.build import netlist
from flow.schedule import make_plan
from flow.synth.capacity import cells_by_unit, shortage, too_small
from flow.synth.families import FAMILIES
from tests.schedule.networks import binary_network

LOG = """\
Info: Device utilisation:
Info: \t         ICESTORM_LC:    6335/   5280   119%
Info: \t        ICESTORM_RAM:      60/     30   200%
Info: \t               SB_IO:      13/     39    33%
ERROR: Unable to place cell 'x', no Bels remaining of type 'ICESTORM_RAM'
"""


@pytest.fixture(scope="module")
def net():
    graph = binary_network([6, 8, 4], signs=True)
    return netlist(graph, make_plan(graph, cycles=12))


def mapped(tmp_path, names):
    cells = {name: {"type": kind} for name, kind in names}
    path = tmp_path / "top.json"
    path.write_text(json.dumps({"modules": {"top": {"cells": cells}}}))
    return path


def test_the_scarcest_resource_is_named():
    assert shortage(LOG) == ("ICESTORM_RAM", 60, 30)
    assert shortage(LOG.replace("60/", "30/")) == ("ICESTORM_LC", 6335, 5280)
    assert shortage("Info: \t SB_GB: 8/ 8 100%\n") is None


def test_cells_belong_to_the_unit_or_the_stream_they_are_named_after(net, tmp_path):
    names = [
        ("u_accelerator.u_fc0.u_weights.words.0.0", "SB_RAM40_4K"),
        ("u_accelerator.u_fc0.sum_q_SB_DFF_Q", "SB_DFFE"),
        ("u_accelerator.act0_fifo_data_SB_LUT4_O", "SB_LUT4"),
        ("u_accelerator.fc0_data_SB_DFFE_Q_D_SB_LUT4_O", "SB_LUT4"),
        ("u_accelerator.u_fc0x.y", "SB_LUT4"),
        ("u_bridge.crc_q_SB_LUT4_O", "SB_LUT4"),
    ]
    path = mapped(tmp_path, names)
    assert cells_by_unit(path, net, ("SB_LUT4", "SB_DFF")) == {
        "fc0": 2,
        "act0_fifo": 1,
        "the board's serial port": 2,
    }
    assert cells_by_unit(path, net, ("SB_RAM40_4K",)) == {"fc0": 1}
    assert not cells_by_unit(path, net, ())


def test_one_line_says_how_much_is_missing_and_where_it_went(net, tmp_path):
    names = [(f"u_accelerator.u_fc0.u_weights.words.0.{i}", "SB_RAM40_4K") for i in range(58)]
    names += [(f"u_bridge.u_image.u_fifo.words.0.{i}", "SB_RAM40_4K") for i in range(2)]
    path = mapped(tmp_path, names)
    assert too_small(LOG, net, path, FAMILIES["ice40"], "iCE40UP5K-SG48") == (
        "iCE40UP5K-SG48 is too small: 60 ICESTORM_RAM wanted, 30 there, 30 too many; most is in "
        "fc0 (58 of 60 cells); fold more (ask for more cycles), store fewer bits or take a larger "
        "board"
    )
    logic = too_small(LOG.replace("60/", "3/"), net, path, FAMILIES["ice40"], "iCE40UP5K-SG48")
    assert logic == (
        "iCE40UP5K-SG48 is too small: 6,335 ICESTORM_LC wanted, 5,280 there, 1,055 too many; "
        "fold more (ask for more cycles) or take a larger board"
    )
    assert too_small("ERROR: other\n", net, path, FAMILIES["ice40"], "x") is None
