"""Campaigns of register upsets: what is drawn, how it is judged, and what a kill leaves."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from flow.campaign import OtherCampaignError, query
from flow.campaign.outcome import Outcome
from flow.campaign.recipe import read_recipe, recipe_target
from flow.campaign.upsets import UpsetRecipe, UpsetsBy, upset_shares, upset_summary
from flow.campaign.upsets.outcome import outcome_rows
from flow.campaign.upsets.population import Population, draw
from flow.campaign.upsets.show import unit_cycle_shares
from flow.errors import ClaimError, InputError
from flow.report.campaign_page import write_campaign_page
from sim.registers import Register
from sim.upsets import Upset, UpsetResponse
from tests.campaign.upset_campaign import make_build, recipe, rows, run

ROOT = Path(__file__).parents[2]
REGISTERS = (
    Register("u_a.gen_pe[0].sum_q", "a", 3),
    Register("u_a.gen_pe[1].sum_q", "a", 3),
    Register("u_a.valid_q", "a", 1),
)
POPULATION = Population(REGISTERS, cycles=5, starts=2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, compiled):
    """A build, and the folder of a campaign that nobody disturbed."""
    folder = tmp_path_factory.mktemp("registers")
    make_build(folder / "build")
    run(folder / "build", folder / "out", compiled)
    return folder / "build", folder / "out"


def generator():
    return np.random.default_rng(0)


def test_all_upsets_are_every_bit_in_every_cycle_from_every_image_once():
    drawn = draw(POPULATION, "all", rng=generator(), minimum=2)
    struck = {(d.upset.register, d.upset.bit, d.upset.cycle, d.upset.first) for d in drawn}
    assert len(drawn) == len(struck) == len(POPULATION) == 7 * 5 * 2
    assert {bit for register, bit, _, _ in struck if register == "u_a.valid_q"} == {0}
    assert {d.weight for d in drawn} == {1.0}


def test_a_draw_strikes_every_register_and_stands_for_the_whole_population():
    drawn = draw(POPULATION, 30, rng=generator(), minimum=4)
    assert len({d.upset for d in drawn}) == len(drawn) == 30
    counts = Counter(d.group for d in drawn)
    assert counts == {"u_a.gen_pe[].sum_q": 24, "u_a.valid_q": 6}  # 4 each, the rest by size
    assert sum(d.weight for d in drawn) == pytest.approx(len(POPULATION))


def test_more_upsets_than_there_are_are_refused():
    said = "upsets: 71 wanted, but 7 flip-flops in 5 cycles from 2 images are 70"
    with pytest.raises(InputError, match=said):
        draw(POPULATION, 71, rng=generator(), minimum=2)


def test_an_upset_is_judged_by_its_gravest_sign_and_by_what_comes_after_it():
    clean = np.array([[5, 0], [0, 5], [5, 0], [0, 5]])
    same, lower, other = [5, 0], [4, 0], [0, 4]
    cases = {  # logits of the first image and of the one that follows, detected, broken
        "masked": (same, same, False, False),
        "tolerable": (lower, same, False, False),
        "critical": (other, lower, False, False),
        "detected": (other, same, True, False),
        "hang": ([-1, -1], same, True, False),
        "protocol_error": ([-1, -1], [-1, -1], True, True),
    }
    logits = np.array([[a, clean[1], b] for a, b, _, _ in cases.values()])
    classes = np.where((logits < 0).all(axis=2), -1, logits.argmax(axis=2))
    detected = np.array([[False, seen, seen] for _, _, seen, _ in cases.values()])
    found = UpsetResponse(
        clean_logits=clean,
        clean_classes=clean.argmax(axis=1),
        logits=logits,
        classes=classes,
        detected=detected,
        broken=np.array([broken for *_, broken in cases.values()]),
        cycles=0,
    )
    upsets = tuple(Upset("r", 0, cycle, 0) for cycle in range(len(cases)))
    table = outcome_rows(7, upsets, found, np.array([0, 1, 0, 1]), window=2).to_pylist()
    assert [row["outcome"] for row in table] == list(cases)
    assert [row["upset"] for row in table] == list(range(7, 13))
    assert [row["missing"] for row in table] == [0, 0, 0, 0, 1, 2]
    assert [row["changed"] for row in table] == [0, 1, 2, 1, 0, 0]
    assert [row["right_to_wrong"] for row in table] == [0, 0, 1, 1, 0, 0]
    assert [row["persistent"] for row in table] == [False, False, True, False, False, True]
    later = (Upset("r", 0, 0, 1),)
    table = outcome_rows(0, later, shifted(found), np.array([1, 0, 0, 1]), window=2)
    (second,) = table.to_pylist()
    assert (second["first"], second["changed"]) == (1, 1)
    assert (second["wrong_to_right"], second["right_to_wrong"]) == (1, 0)


def test_a_result_that_never_came_is_missed_even_where_its_logits_would_be_minus_one():
    clean = np.array([[5, 0], [-1, -1]])
    found = UpsetResponse(
        clean_logits=clean,
        clean_classes=np.array([0, 0]),
        logits=clean[None],
        classes=np.array([[0, -1]]),
        detected=np.zeros((1, 2), bool),
        broken=np.zeros(1, bool),
        cycles=0,
    )
    upsets = (Upset("r", 0, 0, 0),)
    (row,) = outcome_rows(0, upsets, found, np.array([0, 0]), window=1).to_pylist()
    assert (row["outcome"], row["persistent"], row["missing"]) == ("hang", True, 1)


def shifted(found):
    """One upset that begins with the second image, whose class becomes 0."""
    logits = np.array([[[5, 0], [5, 0], [0, 5]]])
    return UpsetResponse(
        clean_logits=found.clean_logits,
        clean_classes=found.clean_classes,
        logits=logits,
        classes=logits.argmax(axis=2),
        detected=np.zeros((1, 3), bool),
        broken=np.zeros(1, bool),
        cycles=0,
    )


@pytest.mark.rtl
def test_every_group_of_a_table_together_is_the_whole_campaign(finished):
    _, out = finished
    summary = upset_summary(out)
    assert sum(summary["outcomes"].values()) == summary["upsets"] == len(rows(out)) == 300
    for name in ("masked", "tolerable", "critical", "detected", "hang", "protocol_error"):
        assert summary["outcomes"][name] > 0
    assert summary["outcomes"] == Counter(row["outcome"] for row in rows(out))
    for by in UpsetsBy:
        shares = upset_shares(out, by)
        assert sum(share.upsets for share in shares) == 300
        assert sum(share.weight for share in shares) == pytest.approx(summary["population"])
        for outcome in summary["outcomes"]:
            total = sum(share.outcomes[outcome] for share in shares)
            assert total == summary["outcomes"][outcome]
    units = [share.group for share in upset_shares(out, UpsetsBy.UNIT)]
    assert units == ["u_act0", "u_act0_fifo", "u_argmax", "u_fc0", "u_fc1"]
    (total,) = upset_shares(out)
    assert 0 < total.failing.lo < total.failing.value < total.failing.hi < 1
    (row,) = summary["fit"]
    assert row["upsets"] == pytest.approx(summary["flip_flops"] * 8e-6)
    assert row["failing_hi"] == pytest.approx(row["upsets"] * total.failing.hi)
    assert summary["fit_source"] == "made up"
    (first, *_) = upset_shares(out, UpsetsBy.CYCLE)
    assert first.group.startswith("cycles 0")
    assert Outcome.CORRECTED not in first.outcomes


@pytest.mark.rtl
def test_upsets_are_plotted_and_asked_about_by_unit_and_cycle(finished, tmp_path):
    _, out = finished
    cells = unit_cycle_shares(out)
    for place, by in ((0, UpsetsBy.UNIT), (1, UpsetsBy.CYCLE)):
        counted = Counter()
        for cell in cells:
            counted[cell[place]] += cell[2].upsets
        assert counted == {share.group: share.upsets for share in upset_shares(out, by)}
    write_campaign_page(out, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "Vulnerability (AVF): share of upsets that fail" in page
    assert '"u_act0_fifo"' in page
    hung = query(out, "SELECT count(*) AS n FROM results JOIN drawn USING (upset) "
                 "WHERE outcome = 'hang' AND unit = 'u_fc0'")  # fmt: skip
    (fc0,) = (share for share in upset_shares(out, UpsetsBy.UNIT) if share.group == "u_fc0")
    assert hung == [{"n": fc0.outcomes["hang"]}]


@pytest.mark.rtl
def test_a_campaign_killed_again_and_again_ends_as_if_it_had_not_been(finished, compiled, tmp_path):
    build, whole = finished
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "tests.campaign.upset_campaign",
        *map(str, (build, out, compiled)),
    ]
    kills = 0
    for shards in (1, 3):
        process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
        while process.poll() is None and len(list((out / "shards").glob("*.parquet"))) < shards:
            time.sleep(0.05)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills
    assert not (out / "record.json").exists()
    before = len(list((out / "shards").glob("*.parquet")))
    record = run(build, out, compiled, resume=True)
    assert record["units_resumed"] == before > 0
    assert rows(out) == rows(whole)
    own = {"units_resumed": 0, "seconds": 0}
    assert record | own == json.loads((whole / "record.json").read_text()) | own


@pytest.mark.rtl
def test_what_is_no_campaign_of_these_upsets_is_refused(finished, compiled, tmp_path):
    build, out = finished
    with pytest.raises(InputError, match="holds a campaign already; resume it"):
        run(build, out, compiled)
    with pytest.raises(OtherCampaignError, match="its campaign has another streaming"):
        run(build, out, compiled, resume=True, accept=255)
    with pytest.raises(OtherCampaignError, match="its campaign has another upsets"):
        run(build, out, compiled, resume=True, upsets=301)
    with pytest.raises(InputError, match="images: 21 wanted, but 'random' has 20"):
        run(build, tmp_path / "a", compiled, images=21)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.txt").write_text("")
    with pytest.raises(InputError, match="not empty and no campaign"):
        run(build, tmp_path / "b", compiled)
    with pytest.raises(InputError, match="no finished campaign"):
        upset_summary(tmp_path / "b")


@pytest.mark.rtl
def test_a_damaged_shard_is_refused_by_name(finished, compiled):
    build, out = finished
    shard = out / "shards" / "000002.parquet"
    whole = shard.read_bytes()
    other = (out / "shards" / "000001.parquet").read_bytes()
    try:
        for damage in (whole[:-9], other):
            shard.write_bytes(damage)
            with pytest.raises(InputError, match=r"000002.parquet: damaged"):
                run(build, out, compiled, resume=True)
    finally:
        shard.write_bytes(whole)


@pytest.mark.rtl
def test_rtl_that_is_not_the_model_without_any_upset_stops_the_campaign(
    finished, compiled, tmp_path, monkeypatch
):
    build, _ = finished
    from flow.campaign.upsets import run as module

    right = module.reference

    def wrong(graph, x):
        answers = right(graph, x)
        answers.logits[3, 0] += 1
        return answers

    monkeypatch.setattr(module, "reference", wrong)
    with pytest.raises(ClaimError, match="model and RTL do not agree on image"):
        run(build, tmp_path / "out", compiled, upsets=10)
    assert not list((tmp_path / "out" / "shards").iterdir())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("patience = 1", "key 'patience': Input should be greater than or equal to 2, not 1"),
        ("cycle = 3", "unknown key 'cycle'; known are target, name"),
        ("accept = 300", "key 'accept': Input should be less than or equal to 256"),
        ('engines = ["rtl"]', "unknown key 'engines'"),
    ],
)
def test_a_recipe_with_a_bad_key_is_refused_by_name(tmp_path, line, said):
    path = tmp_path / "c.toml"
    text = 'target = "registers"\nname = "a"\nbuild = "b"\ndata = "digits"\nimages = 5\n'
    path.write_text(f'{text}upsets = "all"\nseed = 1\n')
    assert recipe_target(path) == "registers"
    assert read_recipe(path, UpsetRecipe).upsets == "all"
    path.write_text(f"{text}upsets = 9\nseed = 1\n{line}\n")
    with pytest.raises(InputError, match=said):
        read_recipe(path, UpsetRecipe)


def test_a_campaign_file_without_a_target_strikes_memories(tmp_path):
    (tmp_path / "c.toml").write_text('name = "a"\n')
    assert recipe_target(tmp_path / "c.toml") == "memories"
    assert recipe_target(tmp_path / "missing.toml") == "memories"


@pytest.mark.rtl
def test_the_command_line_runs_shows_and_lists(finished, compiled, tmp_path, bitproof):
    build, _ = finished
    status, out, _ = bitproof("campaign", "registers", build, "--json")
    listed = json.loads(out)
    assert status == 0
    assert listed["flip_flops"] == sum(row["flip_flops"] for row in listed["registers"])
    status, out, err = bitproof("campaign", "show", finished[1])
    assert status == 0, err
    assert "u_fc0.gen_pe[].u_dot.parts_q" in out
    assert "protocol_error" in out
    status, out, _ = bitproof("campaign", "show", finished[1], "--json")
    assert status == 0
    assert json.loads(out)["upsets"] == 300
    text = 'target = "registers"\nname = "a"\ndata = "digits"\nimages = 5\nupsets = 9\nseed = 1\n'
    (tmp_path / "c.toml").write_text(f'{text}build = "{tmp_path}/none"\n')
    status, _, err = bitproof("campaign", "run", tmp_path / "c.toml", "-o", tmp_path / "out")
    assert status == 2
    assert "none" in err


def test_the_recipe_of_the_tests_is_as_documented():
    assert recipe(Path("b")).window == 3
    assert recipe(Path("b")).patience == 4
