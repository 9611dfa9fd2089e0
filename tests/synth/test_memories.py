"""Memories of every form that Yosys has for them, on every family, read back from the netlist."""

import json
import random

import pytest

from flow.synth import tools
from flow.synth.families import FAMILIES
from flow.synth.memories import cell_number, lost_columns

SHAPES = [  # words x bits
    (16, 28),  # distributed, where the family has that
    (33, 5),
    (640, 1),
    (64, 64),  # wider than a cell
    (300, 37),
    (4096, 3),  # two iCE40 cells deep, words across cells
    (5000, 9),  # not a power of two
]
DEVICE = {"ecp5": "", "ice40": "-device u", "gowin": "-family gw1n"}
STORE = """
module store #(parameter int Words = 8, parameter int Bits = 8, parameter File = "") (
  input logic clk_i, input logic write_i, input logic read_i,
  input logic [$clog2(Words)-1:0] address_i, input logic [Bits-1:0] data_i,
  output logic [Bits-1:0] data_o
);
  logic [Bits-1:0] words [Words];
  initial $readmemh(File, words);
  always_ff @(posedge clk_i) begin
    if (write_i) words[address_i] <= data_i;
    else if (read_i) data_o <= words[address_i];
  end
endmodule
"""
ONE = """
  store #(.Words({words}), .Bits({bits}), .File("{words}x{bits}.hex")) u_{words}x{bits} (
    .clk_i, .write_i(write_i[{at}]), .read_i(read_i[{at}]),
    .address_i(address_i[$clog2({words})-1:0]), .data_i(data_i[{bits}-1:0]),
    .data_o(data_o[{low}+:{bits}])
  );
"""


def top():
    """One memory of each shape."""
    low, parts = 0, []
    for at, (words, bits) in enumerate(SHAPES):
        parts.append(ONE.format(words=words, bits=bits, at=at, low=low))
        low += bits
    several = f"[{len(SHAPES) - 1}:0]"
    return STORE + (
        f"module top (input logic clk_i, input logic {several} write_i, read_i,\n"
        f"  input logic [12:0] address_i, input logic [63:0] data_i, output logic [{low - 1}:0]"
        f" data_o);\n{''.join(parts)}endmodule\n"
    )


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def mapped(request, tmp_path_factory):
    """The words of each shape, and its cells after synthesis for one family."""
    family, work = FAMILIES[request.param], tmp_path_factory.mktemp("memories")
    draw = random.Random(7)
    images = {}
    for words, bits in SHAPES:
        images[words, bits] = [draw.getrandbits(bits) for _ in range(words)]
        text = "\n".join(f"{word:x}" for word in images[words, bits])
        (work / f"{words}x{bits}.hex").write_text(text)
    (work / "top.sv").write_text(top())
    synth = f"{family.synth} {DEVICE[family.name]} -top top"
    script = f"read_slang --threads 1 top.sv\n{synth} -json top.json\n"
    (work / "synth.ys").write_text(script)
    tools.run(
        tools.yosys(), ["synth.ys", "y.log"], work=work, log="y.log", keep=work / "failed.log"
    )
    cells = {
        name: cell
        for module in json.loads((work / "top.json").read_text())["modules"].values()
        for name, cell in module["cells"].items()
        if cell["type"] in family.memories
    }
    return family, images, cells


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def test_the_cells_of_a_memory_hold_its_image_bit_for_bit(mapped, shape):
    family, images, cells = mapped
    words, bits = shape
    image = images[shape]
    mine = [
        family.memories[cell["type"]](cell["parameters"])
        for name, cell in sorted(cells.items(), key=lambda pair: cell_number(pair[0]))
        if name.startswith(f"u_{words}x{bits}.words.")
    ]
    assert mine
    assert lost_columns(image, bits, mine) == 0
    draw = random.Random(8)
    for _ in range(5):
        wrong = list(image)
        wrong[draw.randrange(words)] ^= 1 << draw.randrange(bits)
        assert lost_columns(wrong, bits, mine) == 1
    rows = [image[1], image[0], *image[2:]]
    assert lost_columns(rows, bits, mine) == (image[0] ^ image[1]).bit_count()
    width, held = mine[0]
    if words * width <= len(held) and bits > 1:
        columns = [word & ~3 | (word & 1) << 1 | word >> 1 & 1 for word in image]
        assert lost_columns(columns, bits, mine) == 2
