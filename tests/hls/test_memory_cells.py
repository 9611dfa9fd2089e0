"""What synthesis makes of memories: block RAM and nothing to emulate a second port."""

from tests.hls.cells import SIZES, cells

BITS = 72


def memory(work, words):
    """ECP5 cells of memory.sv with ``words`` of :data:`BITS` bits, by type."""
    return cells("memory", {"Words": words, "Bits": BITS, "CfgBits": BITS}, work=work)


def test_a_deep_memory_is_block_ram_with_one_register_behind_it(tmp_path):
    found = memory(tmp_path, 512)

    assert found["DP16KD"] == 2
    assert found["TRELLIS_FF"] == BITS + 2  # a second port needs more for each bit
    assert "TRELLIS_DPR16X4" not in found


def test_a_shallow_memory_is_distributed_ram(tmp_path):
    found = memory(tmp_path, 16)

    assert found["TRELLIS_DPR16X4"] == BITS / 4
    assert "DP16KD" not in found


def fifo(work, depth, form):
    """ECP5 cells of fifo.sv with words of 32 bits, by type."""
    return cells("fifo", {"Depth": depth, "Bits": 32, "Form": form}, work=work)


def test_a_fifo_is_the_memory_its_form_says(tmp_path):
    distributed, registers, block = (fifo(tmp_path, d, f) for d, f in ((16, 0), (2, 1), (512, 2)))

    assert distributed["TRELLIS_DPR16X4"] == 32 / 4
    assert not registers.keys() & {"TRELLIS_DPR16X4", "DP16KD"}
    assert registers["TRELLIS_FF"] == 2 * 32 + 5  # count and high water of two bits, and ready
    assert block["DP16KD"] == 1
    assert block["TRELLIS_FF"] < 32 + 48  # one way around the RAM; counters are the rest


def test_a_line_buffer_is_block_ram_with_its_output_register_inside(tmp_path):
    unit, what, sizes = SIZES[0]
    found = cells(unit, sizes, work=tmp_path)

    assert what == "3 x 3, 30 x 30 x 64 of 1 bit, 32 lanes"
    assert found["DP16KD"] == 1
    assert found["TRELLIS_FF"] < 48  # counters; an emulated port or output needs 32 more
    assert "TRELLIS_DPR16X4" not in found


def test_constant_multipliers_of_one_cost_no_multiplier(tmp_path):
    unit, _, sizes = next(row for row in SIZES if row[0] == "add")

    assert "MULT18X18D" not in cells(unit, sizes, work=tmp_path)
