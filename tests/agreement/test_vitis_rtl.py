"""The bench for RTL made by Vitis HLS, on a stand-in for it: no such RTL has been made here."""

from pathlib import Path
from shutil import copyfile

import pytest

from flow.errors import ClaimError, InputError
from sim.vitis import ARGUMENTS, MADE, addresses, simulate_vitis_rtl

STAND_IN = Path(__file__).with_name("vitis_stand_in") / "accelerator_axi.v"
PLACES = dict(zip(ARGUMENTS, range(0x10, 0x50, 8), strict=True))
HEADER = "".join(
    f"#define XACCELERATOR_AXI_CONTROL_ADDR_{name.upper()}_DATA 0x{place:02x}\n"
    for name, place in PLACES.items()
)
RIGHT = """run 3 3 1 2 ffff 3 6 7 10004
read 0 0 0 5
write 0 0 0 70
read 0 0 0 70
told 0 3
told 1 1
read 0 1 0 0
run 2 2 1 2 2 71 72
"""


def directory_with(place, vectors):
    """What the tool leaves in a build of these vectors."""
    made = place / "vitis" / MADE
    (made / "syn" / "verilog").mkdir(parents=True)
    (made / "impl").mkdir()
    copyfile(STAND_IN, made / "syn" / "verilog" / STAND_IN.name)
    (made / "impl" / "xaccelerator_axi_hw.h").write_text(HEADER)
    (place / "vitis" / "vectors.txt").write_text(vectors)
    return place


@pytest.mark.rtl
@pytest.mark.parametrize(("offer", "accept"), [("always", "always"), ("bursty", "rare")])
def test_every_call_is_made_and_compared(tmp_path, compiled, simulator, offer, accept):
    place = directory_with(tmp_path, RIGHT)
    paces = {"offer": offer, "accept": accept}
    assert simulate_vitis_rtl(place, cache=compiled, simulator=simulator, **paces) == 8


@pytest.mark.rtl
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("10004", "10005"),
        ("read 0 0 0 70", "read 0 0 0 71"),
        ("told 1 1", "told 1 3"),
        ("run 2 2 1 2 2 71 72", "run 2 2 1 2 1 71"),
    ],
    ids=["result", "stored word", "detection", "one result less"],
)
def test_what_differs_fails(tmp_path, compiled, simulator, right, wrong):
    place = directory_with(tmp_path, RIGHT.replace(right, wrong))
    with pytest.raises(ClaimError, match=r"vitis_bench: failed .*make_the_calls"):
        simulate_vitis_rtl(place, cache=compiled, simulator=simulator)


def test_without_the_tools_verilog_there_is_nothing_to_simulate(tmp_path):
    with pytest.raises(InputError, match=r"solution: no Verilog and addresses; run `bitproof v"):
        simulate_vitis_rtl(tmp_path, cache=tmp_path)


def test_addresses_are_read_from_the_vendors_header():
    assert addresses(HEADER) == PLACES
    with pytest.raises(InputError, match=r"^argument 'vectors': no address in the header"):
        addresses("")
