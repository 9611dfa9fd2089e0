"""The formal proofs of the library's units hold, and each of them can fail."""

import re
import shutil

import pytest

from flow.errors import ClaimError, InputError
from sim.formal import HLS, Proof, proofs, prove
from sim.runner import ROOT, RTL

CACHE = ROOT / "build" / "cache" / "formal"
PROOFS = {proof.name: proof for proof in proofs()}
# a second of computing each, at most
FAST = (
    *("fifo.form0_depth1", "fifo.form1_depth1", "fifo.form2_depth1", "width.narrower"),
    *("width.wider", "replay.one_word", "eager_fork.handshake", "eager_fork.two"),
    *("memory.chained", "concat.extended", "crop.surplus"),
)
# unit, the task that must notice, and how its RTL is broken
MUTATIONS = [
    ("eager_fork", "two", "eager_fork", "& ~taken_q", ""),
    ("eager_fork", "three", "eager_fork", "'0 : (taken_q | ready_i)", "'0 : ready_i"),
    ("fifo", "form0_depth3", "fifo", "if (push) words[write_q]", "if (valid_i) words[write_q]"),
    ("fifo", "form1_depth3", "fifo", "CountBits'(pop);\n    assign words", "'0;\n    assign words"),
    ("fifo", "form2_depth3", "fifo", "push && read_d == write_q", "1'b0"),
    ("fifo", "form0_depth3", "fifo", "count_d > high_water_q", "count_q > high_water_q"),
    ("fifo", "form0_depth3", "fifo", "ready_q <= pop ||", "ready_q <= "),
    ("width", "wider", "width", "assign ready_o = !valid_q || ready_i;", "assign ready_o = 1'b1;"),
    ("width", "wider", "width", "else if (ready_o) valid_q", "else valid_q"),
    ("width", "narrower", "width", "data_q >> OutWidth", "data_q >> (2 * OutWidth)"),
    ("replay", "twice", "replay", "advance && first;", "advance;"),
    ("replay", "one_word", "replay", "repeat_last ? '0", "!repeat_last ? '0"),
    ("memory", "chained", "memory", "selected ? cfg_address_i", "cfg_write_i ? cfg_address_i"),
    ("memory", "first", "memory", "if (advance_i) data_q", "data_q"),
    ("memory", "parity", "memory", "write    = selected &&", "write    = cfg_valid_i &&"),
    ("concat", "equal", "concat", "BeatBits'(Beats - 1)", "BeatBits'(Beats)"),
    ("concat", "extended", "concat", "(InKind0 == 1)", "(InKind0 == 2)"),
    ("crop", "both", "crop", "phase_h_q < PhaseHBits'(SpanH)", "phase_h_q <= PhaseHBits'(SpanH)"),
    ("crop", "surplus", "crop", "row_q < RowBits'(UsedHeight)", "row_q <= RowBits'(UsedHeight)"),
    ("pad", "left", "pad", "column_q - ColumnBits'(Left)", "column_q"),
    ("pad", "left", "pad", "advance && image;", "advance;"),
    ("add", "two", "add", "{Inputs{take}}", "{Inputs{advance}}"),
    ("add", "one", "add", "product1 + offset", "product1 - offset"),
    ("argmax", "folded", "argmax", "> best_q", ">= best_q"),
    ("argmax", "folded", "argmax", "valid_q <= found && last", "valid_q <= found"),
    ("argmax", "tree", "argmax", "(LogitSigned != 0)", "(LogitSigned == 0)"),
    ("dot", "signed", "dot", "XBits'($signed(x[", "XBits'($unsigned(x["),
    ("dot", "counted", "popcount", "data_i ~^ shared_i", "data_i ^ shared_i"),
    ("sumpool", "signed", "pool", "first_q ? value : known + value", "known + value"),
    ("sumpool", "apart", "pool", "again_q ? data_q : read_q", "read_q"),
    ("sumpool", "apart", "pool", "x_valid_q && last_q", "x_valid_q"),
    ("maxpool", "signed", "pool", "$signed(value) > $signed(known)", "value > known"),
    ("window", "row", "window", "held_q >= HeldBits'(Extent)", "held_q != '0"),
    ("matvec", "serial", "matvec", "acc_q[pe*AccBits +: AccBits] + addend", "addend"),
    ("matvec", "serial", "matvec", "advance && last_line_q[2]", "advance && last_line_q[1]"),
    ("depthwise", "serial", "depthwise", "advance && last_line_q[2]", "advance && last_line_q[1]"),
    ("threshold", "lanes", "threshold", "$signed(acc) >=", "$signed(acc) >"),
    ("threshold", "signs", "threshold", "= stored[LaneBits-1];", "= !stored[LaneBits-1];"),
    (
        "threshold_search",
        "searched",
        "threshold_search",
        "<< stage) | 32'(j)",
        "<< stage) | 32'(0)",
    ),
    ("threshold_search", "signs", "threshold_search", "{x, j, up}", "{x, j, up_q}"),
    ("vote", "three", "vote", "own == most_q && chosen < best_q", "own == most_q"),
    ("vote", "three", "vote", "valid_q <= take && last", "valid_q <= take"),
    ("vote", "three", "vote", "held = first ? '0 :", "held ="),
    ("noise", "one", "noise", "valid_q   <= line_q[Levels];", "valid_q   <= line_q[0];"),
    ("axi_input", "gathered", "axi_input", "room && !fill_q", "!fill_q"),
    ("axi_input", "single", "axi_input", "final_word = word_q ==", "final_word = word_q >"),
    ("axi_output", "packets", "axi_output", ">= packet_i - 1'b1", ">= packet_i"),
    ("axi_output", "wide", "axi_output", "Element'($signed(logit))", "Element'($unsigned(logit))"),
]


def expect_proved(name):
    found = prove(PROOFS[name], cache=CACHE)
    assert found.proved, found
    return found


@pytest.mark.parametrize("name", FAST)
def test_a_quick_proof_holds(name):
    expect_proved(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(PROOFS) - set(FAST)))
def test_a_proof_holds(name):
    expect_proved(name)


def broken(tmp_path, file, before, after):
    """A copy of the library in which one file reads otherwise."""
    hls = tmp_path / "hls"
    for folder in ("rtl", "formal"):
        shutil.copytree(HLS / folder, hls / folder)
    path = hls / "rtl" / f"{file}.sv"
    text = path.read_text()
    assert before in text, f"{file}.sv has changed; break it in another way"
    path.write_text(text.replace(before, after))
    return hls


def expect_refuted(tmp_path, unit, task, file, before, after):
    hls = broken(tmp_path, file, before, after)
    found = prove(Proof(unit, task), cache=tmp_path / "cache", hls=hls)
    assert found.verdict == "refuted", found
    assert found.trace.endswith((".vcd", ".aiw"))


def test_a_broken_unit_is_refuted_with_a_trace(tmp_path):
    expect_refuted(tmp_path, *MUTATIONS[0])


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS[1:], ids=lambda m: f"{m[0]}-{m[3]}")
def test_every_broken_unit_is_refuted(mutation, tmp_path):
    expect_refuted(tmp_path, *mutation)


def test_every_stream_unit_has_proofs():
    """What only joins proved units has none: pool, whose wrappers are maxpool and sumpool, and
    smoother; nor have the boards' serial units."""
    streams = {
        path.stem
        for path in RTL.glob("*.sv")
        if re.search(r"\bvalid_o\b", path.read_text()) and "uart" not in path.stem
    }
    assert streams - {"pool", "smoother"} <= {proof.unit for proof in PROOFS.values()}


def test_a_second_run_proves_nothing_again(tmp_path, monkeypatch):
    first = prove(PROOFS["memory.chained"], cache=tmp_path)
    monkeypatch.setattr("sim.formal._sby", lambda *_: pytest.fail("proved again"))
    assert prove(PROOFS["memory.chained"], cache=tmp_path) == first


def test_changed_rtl_is_proved_anew(tmp_path):
    before = prove(PROOFS["memory.chained"], cache=tmp_path / "cache")
    hls = broken(tmp_path, "memory", "if (advance_i) data_q", "data_q")
    after = prove(PROOFS["memory.chained"], cache=tmp_path / "cache", hls=hls)
    assert (before.verdict, after.verdict) == ("proved", "refuted")


def test_a_file_that_yosys_refuses_is_no_proof(tmp_path):
    hls = broken(tmp_path, "memory", "endmodule", "endmodul")
    with pytest.raises(ClaimError, match=r"memory\.chained: SymbiYosys broke off: .*\.log"):
        prove(PROOFS["memory.chained"], cache=tmp_path / "cache", hls=hls)


def test_a_unit_without_proofs_is_refused_with_the_choice():
    with pytest.raises(InputError, match="uart_rx: no proof; choose from add, argmax"):
        proofs(["uart_rx"])
