"""Register upsets in RTL: what they do is what the graph says, and nothing of them stays."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from flow.build import build, load_build
from flow.errors import ClaimError, InputError
from flow.schedule import Folding, make_plan
from sim.registers import registers
from sim.upsets import Upset, UpsetRun
from tests.schedule.networks import four_bit_network, random_images

pytestmark = pytest.mark.rtl

FOLDING = {"fc0": Folding(2, 3), "fc1": Folding(1, 2)}  # two row folds of two steps, and three


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    graph = four_bit_network([6, 4, 3], signs=True)
    directory = tmp_path_factory.mktemp("upsets") / "build"
    build(graph, make_plan(graph, folding=FOLDING, parity=True), directory)
    return graph, directory, random_images(graph, 9)


@pytest.fixture(scope="module")
def run(made, compiled, simulator):
    _, directory, x = made
    return UpsetRun(directory, x, compiled, simulator=simulator)


def struck_later(graph, x, *, edge, element, bit):
    """The logits of every image when one bit of one element of ``edge`` is inverted."""
    values = graph.evaluate_all(x)[edge].copy()
    kind = graph.type_of(edge)
    values[:, element] = kind.decode(kind.encode(values[:, element]) ^ (1 << bit))
    for node in graph.nodes[graph.nodes.index(graph.producer(edge)) + 1 :]:
        values = node.op.evaluate(values)
        if node.output == graph.logits:
            return values
    raise AssertionError("the edge lies behind the logits")


def test_registers_are_listed_with_their_widths_and_no_memory_is_among_them(made):
    _, directory, _ = made
    found = {r.name: r.bits for r in registers(load_build(directory))}
    acc = load_build(directory).graph().type_of("acc0").bits
    assert found["u_fc0.acc_q"] == found["u_fc0.data_q"] == 2 * acc
    assert found["u_fc0.u_replay.word_q"] == found["u_fc1.address_q"] - 2 == 1
    assert {f"u_fc0.gen_pe[{i}].u_dot.parts_q" for i in range(2)} <= set(found)
    assert all(name.rpartition(".")[2].endswith("_q") for name in found)
    assert not any(name.endswith(".words") for name in found)


def test_a_register_that_hides_from_its_name_is_refused(made, tmp_path):
    _, directory, _ = made
    source = directory / "rtl" / "argmax.sv"
    build = load_build(directory)
    (tmp_path / "argmax.sv").write_text(source.read_text().replace("fold_q", "fold"))
    sources = [tmp_path / p.name if p.name == "argmax.sv" else p for p in build.sources()]
    renamed = SimpleNamespace(directory=directory, sources=lambda: sources)
    with pytest.raises(ClaimError, match=r"u_argmax\.: 2 flip-flops belong to no register"):
        registers(renamed)


def test_an_accumulator_upset_is_the_flip_of_one_row_of_one_image_or_nothing(made, run):
    """Every (bit, cycle) of the register with finished accumulators, against the graph."""
    graph, _, x = made
    kind = graph.type_of("acc0")
    length, effective, clean = 4, 0, graph.evaluate_all(x)[graph.logits]
    for lane, bit in ((0, 6), (0, kind.bits - 1), (1, kind.bits - 2)):
        upsets = [
            Upset("u_fc0.data_q", lane * kind.bits + bit, cycle, 2) for cycle in range(run.cycles)
        ]
        found = run.run(upsets)
        assert not (found.classes < 0).any()
        assert not found.broken.any()
        np.testing.assert_array_equal(found.clean_logits, clean)
        rows = [row for row in range(4) if row % 2 == lane]
        struck = {row: struck_later(graph, x, edge="acc0", element=row, bit=bit) for row in rows}
        effects = {}
        for image in range(length):
            for row in rows:
                logits = clean[2 : 2 + length].copy()
                logits[image] = struck[row][2 + image]
                effects[image, row] = logits.tobytes()
        seen = {logits.tobytes() for logits in found.logits}
        nothing = clean[2 : 2 + length].tobytes()
        assert seen <= {nothing, *effects.values()}
        # the image behind the window comes after every cycle that can be struck
        wanted = {e for (image, _), e in effects.items() if image < 3} - {nothing}
        assert wanted == seen - {nothing}
        effective += len(wanted)
    assert effective > 6


def test_a_lost_result_hangs_its_run_and_the_next_image_is_right_again(made, run):
    graph, _, x = made
    found = run.run([Upset("u_argmax.valid_q", 0, cycle, 0) for cycle in range(run.cycles)])
    missing = (found.classes[:, :3] < 0).sum(axis=1)
    assert set(missing) == {0, 1}  # a result lost; elsewhere the bit rises, a result too many
    lost = missing == 1
    assert lost.sum() == 3  # results wait one cycle each
    clean = graph.evaluate_all(x)[graph.logits]
    np.testing.assert_array_equal(found.logits[lost, 3], np.broadcast_to(clean[3], (3, 3)))
    # one result too many shifts the window: what came instead is no word of this run's last image
    assert found.broken[~lost].any()


def test_a_counter_out_of_step_stays_so_until_reset(made, run):
    found = run.run([Upset("u_fc1.address_q", 0, 0, 0), Upset("u_fc1.address_q", 0, 0, 5)])
    clean = found.clean_logits
    for first, logits in zip((0, 5), found.logits, strict=True):
        assert (logits != clean[first : first + 4]).any(axis=1)[3]


def test_a_result_withdrawn_while_it_waits_breaks_the_protocol(made, run):
    waiting = replace(run, accept=64)
    upsets = [Upset("u_argmax.valid_q", 0, cycle, 0) for cycle in range(waiting.cycles)]
    kept = [Upset("u_argmax.class_q", 0, cycle, 0) for cycle in range(waiting.cycles)]
    assert waiting.cycles > run.cycles
    assert waiting.run(upsets).broken.sum() > run.run(upsets[: run.cycles]).broken.sum()
    assert waiting.run(kept).broken.any()  # the class changes while it waits
    assert not run.run(kept[: run.cycles]).broken.any()


def test_parity_reports_upsets_of_the_words_that_memories_read_and_of_nothing_else(run):
    words = run.run([Upset("u_fc0.u_weights.word_q", 1, cycle, 0) for cycle in range(2, 12)])
    assert words.detected[:, 2].any()
    assert words.detected[:, 3].tolist() == words.detected[:, 2].tolist()  # until reset
    data = run.run([Upset("u_fc0.data_q", 1, cycle, 0) for cycle in range(2, 12)])
    assert not data.detected.any()


@pytest.mark.parametrize(
    ("upset", "said"),
    [
        (Upset("u_fc9.acc_q", 0, 0, 0), "the design has no such register"),
        (Upset("u_fc0.acc_q", 999, 0, 0), "bit 999 is outside 0 .. "),
        (Upset("u_fc0.acc_q", 0, 10**6, 0), "cycle 1000000 is outside 0 .. "),
        (Upset("u_fc0.acc_q", 0, 0, 6), "image 6 is outside 0 .. 5"),
    ],
)
def test_an_upset_outside_the_design_or_the_run_is_refused(run, upset, said):
    with pytest.raises(InputError, match=said):
        run.run([upset])


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"patience": 1}, "patience 1: a clean run would hang"),
        ({"window": 9}, "9 images where an upset takes 9 \\+ 1"),
        ({"follow": 0}, "give at least 1 of each"),
        ({"accept": 0}, "accept 0: give a chance of 1 to 256"),
    ],
)
def test_a_run_that_cannot_be_is_refused(made, compiled, setting, said):
    _, directory, x = made
    with pytest.raises(InputError, match=said):
        UpsetRun(directory, x, compiled, **setting)


def test_a_clean_run_that_differs_after_the_upsets_is_a_failed_claim(made, run):
    text, summary = run._simulate([])
    lines = text.splitlines(keepends=True)
    lines[-1] = lines[0][:9] + lines[-2][9:]
    with pytest.raises(ClaimError, match="reset does not undo an upset"):
        run._decode(b"".join(lines), summary, [])
    with pytest.raises(ClaimError, match="a clean run breaks the rules of its stream"):
        run._decode(text, summary | {"extra": [0, 1]}, [])
