"""What a build is asked for, and what is said where it cannot be had."""

import json
from dataclasses import astuple, replace

import pytest

from flow.build.boards import load_board
from flow.build.goal import FILLED, Goal, _total, device_of, plan_for, serial_top
from flow.build.netlist import netlist
from flow.build.report import estimates
from flow.errors import InputError
from flow.graphfile import save_graph
from flow.schedule import Folding, MemoryStyle, Resources, interval, save_plan
from tests.schedule.networks import binary_network, four_bit_network

NET = binary_network([64, 32, 32, 10])


def hand(tmp_path, text, name="folding.toml"):
    path = tmp_path / name
    path.write_text(text)
    return path


FOLDING = "[fc0]\npe = 4\nsimd = 8\n[fc1]\npe = 2\nsimd = 4\n[fc2]\npe = 1\nsimd = 2\n"


def test_a_rate_is_met_at_its_clock_and_not_more_is_spent_than_it_needs():
    plan, _ = plan_for(NET, Goal(fps=100_000, clock_mhz=50))
    assert interval(NET, plan.folding) <= 500
    slower, _ = plan_for(NET, Goal(cycles=500))
    assert plan == slower


def test_the_plan_keeps_the_memory_style_and_is_priced_by_it():
    plans = {s: plan_for(NET, Goal(cycles=500, memory_style=s))[0] for s in MemoryStyle}
    assert [plan.memory_style for plan in plans.values()] == list(MemoryStyle)
    nets = {
        style: netlist(
            NET, replace(plan, folding=plans["auto"].folding, fifo_depth=plans["auto"].fifo_depth)
        )
        for style, plan in plans.items()
    }
    blocks = {style: sum(u.bram for u in estimates(net).values()) for style, net in nets.items()}
    assert blocks["rom"] == blocks["distributed"] == 0 < blocks["auto"] < blocks["block"]
    assert (
        plan_for(NET, Goal(board="icebreaker", memory_style=MemoryStyle.ROM))[0].memory_style
        == "rom"
    )


@pytest.mark.parametrize("board", ["icebreaker", "tang-nano-9k"])
def test_distributed_memory_is_refused_where_there_is_none(board):
    message = r"^memory style distributed: (ice40|gowin) has none that holds its first contents; ch"
    with pytest.raises(InputError, match=message):
        plan_for(NET, Goal(board=board, cycles=500, memory_style=MemoryStyle.DISTRIBUTED))


def test_a_rate_out_of_reach_is_refused_with_the_nearest():
    with pytest.raises(InputError) as caught:
        plan_for(NET, Goal(fps=2e8, clock_mhz=50))
    assert str(caught.value) == (
        "--fps 2e+08: at 50 MHz that leaves 0 cycles per image and graph 'net' needs 1 at least; "
        "ask for 5e+07 or less, or for a clock of 200 MHz or more"
    )
    assert interval(NET, plan_for(NET, Goal(fps=5e7, clock_mhz=50))[0].folding) == 1
    assert interval(NET, plan_for(NET, Goal(fps=2e8, clock_mhz=200))[0].folding) == 1


@pytest.mark.parametrize(
    ("goal", "message"),
    [
        (Goal(cycles=9, fps=3), "--cycles and --fps exclude each other; give one of them"),
        (Goal(clock_mhz=9), "--clock is the clock of --fps; give --fps too"),
        (Goal(fps=0), "--fps 0 must be above 0"),
        (Goal(fps=1, clock_mhz=float("nan")), "--clock nan must be above 0"),
        (Goal(board="abacus"), "board 'abacus': unknown; choose one of "),
    ],
)
def test_a_goal_that_means_nothing_is_refused(goal, message):
    with pytest.raises(InputError) as caught:
        plan_for(NET, goal)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("name", ["folding.toml", "folding.json", "plan.json"])
def test_a_folding_by_hand_is_taken_as_it_is(tmp_path, name):
    wanted = {"fc0": Folding(4, 8), "fc1": Folding(2, 4), "fc2": Folding(1, 2)}
    path = hand(tmp_path, FOLDING)
    if name == "folding.json":
        pairs = {node: {"pe": f.pe, "simd": f.simd} for node, f in wanted.items()}
        path = hand(tmp_path, json.dumps(pairs), name)
    if name == "plan.json":
        save_plan(plan_for(NET, Goal(folding=path))[0], tmp_path / name)
        path = tmp_path / name
    plan, _ = plan_for(NET, Goal(folding=path, parity=True))
    assert plan.folding == wanted
    assert plan.parity


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            FOLDING.replace("pe = 4", "pe = 5"),
            "node 'fc0': 32 rows cannot be folded by pe=5",
        ),
        (
            FOLDING.replace("simd = 8", "simd = 7"),
            "node 'fc0': 64 columns cannot be folded by",
        ),
        (FOLDING.replace("pe = 4", "pe = 4.0"), "{path}: node 'fc0': pe=4.0 is not an integer"),
        (FOLDING.replace("pe = 4", "pe = true"), "{path}: node 'fc0': pe=True is not an integer"),
        (FOLDING.replace("pe = 4", "PE = 4"), "{path}: node 'fc0': give pe and simd, and nothing"),
        ("fc0 = 3", "{path}: node 'fc0': give pe and simd, and nothing else"),
        ("[fc0", "{path}: not a folding file ("),
        (FOLDING.replace("fc0", "fc9"), "folding of 'fc9': no such MatVec; the graph has fc0, fc1"),
    ],
)
def test_an_illegal_folding_by_hand_is_refused(tmp_path, text, message):
    path = hand(tmp_path, text)
    with pytest.raises(InputError) as caught:
        plan_for(NET, Goal(folding=path))
    assert str(caught.value).startswith(message.format(path=path))


@pytest.mark.parametrize("text", ["[]", "3", "{", '{"folding": 3}'])
def test_json_that_is_no_folding_is_refused(tmp_path, text):
    path = hand(tmp_path, text, "folding.json")
    with pytest.raises(InputError, match="folding"):
        plan_for(NET, Goal(folding=path))


def test_a_missing_folding_file_says_what_to_write(tmp_path):
    with pytest.raises(InputError, match=r"no such file; write \[node\] tables with pe and simd$"):
        plan_for(NET, Goal(folding=tmp_path / "none.toml"))


@pytest.fixture
def small_board(tmp_path, monkeypatch):
    """The ULX3S with a device of other sizes."""

    def make(**sizes):
        text = (load_board("ulx3s").constraints.parent / "board.toml").read_text()
        head, tail = text.split("[resources]")
        given = "".join(f"{kind} = {count}\n" for kind, count in sizes.items())
        folder = tmp_path / "boards" / "ulx3s"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "board.toml").write_text(
            f"{head}[resources]\n{given}\n[ports]{tail.split('[ports]')[1]}"
        )
        monkeypatch.setattr("flow.build.goal.BOARDS", tmp_path / "boards")
        return Goal(board="ulx3s")

    return make


def test_a_board_gets_the_fastest_accelerator_that_leaves_room(small_board):
    whole = small_board(lut=83_640, ff=83_640, bram=208, dsp=156)
    fast, family = plan_for(NET, whole)
    assert interval(NET, fast.folding) == 1
    half = _total(NET, fast, family)
    goal = small_board(lut=half.lut // 2, ff=half.ff // 2, bram=208, dsp=156)
    plan, family = plan_for(NET, goal)
    assert interval(NET, plan.folding) > 1
    total, capacity = astuple(_total(NET, plan, family)), astuple(device_of(goal).capacity)
    shares = [100 * have / limit for have, limit in zip(total, capacity, strict=True)]
    assert max(shares[:2]) <= FILLED
    assert max(shares[2:]) <= 100


def test_a_board_too_small_is_refused_with_what_is_missing_and_who_takes_most(small_board):
    goal = small_board(lut=1000, ff=83_640, bram=208, dsp=156)
    with pytest.raises(InputError) as caught:
        plan_for(NET, goal)
    words = str(caught.value)
    assert words.startswith("graph 'net': LFE5U-85F-6BG381C leaves ")
    assert "look-up tables" in words
    assert "too many; 'fc0' takes most, " in words


def test_a_target_that_a_board_has_no_room_for_is_refused(small_board):
    goal = small_board(lut=2500, ff=83_640, bram=208, dsp=156)
    plan_for(NET, goal)
    with pytest.raises(InputError, match=r"too many; 'fc\d' takes most, .*; fold more"):
        plan_for(NET, Goal(cycles=10, board=goal.board))


def test_a_board_that_says_nothing_of_its_device_is_refused(small_board, tmp_path):
    small_board()
    path = tmp_path / "boards" / "ulx3s" / "board.toml"
    path.write_text(path.read_text().replace("[resources]", "[other]"))
    with pytest.raises(InputError, match=r"its board.toml has no \[resources\]; add them$"):
        plan_for(NET, Goal(board="ulx3s"))


def test_the_serial_top_is_counted():
    plan, family = plan_for(NET, Goal())
    top = serial_top(NET, netlist(NET, plan), family)
    assert top.lut > 400
    assert _total(NET, plan, family).lut > top.lut


def test_products_stay_in_tables_where_dsp_blocks_are_not_wanted():
    net = four_bit_network([8, 6, 4])
    with_dsp, without = (_total(net, *plan_for(net, Goal(dsp=dsp))) for dsp in (True, False))
    assert with_dsp.dsp > 0 == without.dsp


@pytest.mark.parametrize(
    "options",
    [
        ["--cycles", "2", "--fps", "3"],
        ["--fps", "1e12"],
        ["--folding", "none.toml"],
        ["--board", "abacus"],
    ],
)
def test_a_goal_out_of_reach_leaves_no_directory(tmp_path, options, bitproof):
    save_graph(NET, tmp_path / "g.json")
    status, _, error = bitproof("build", tmp_path / "g.json", "-o", tmp_path / "b", *options)
    assert status == 2
    assert len(error.strip().splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["g.json", "g.safetensors"]


def test_the_table_of_layers_is_printed_and_kept(tmp_path, bitproof):
    save_graph(NET, tmp_path / "g.json")
    status, out, _ = bitproof("build", tmp_path / "g.json", "-o", tmp_path / "b", "--cycles", "64")
    assert status == 0
    slow = [line for line in out.splitlines() if "<" in line]
    report = json.loads((tmp_path / "b" / "report.json").read_text())
    assert len(slow) == sum(row["slowest"] for row in report["layers"])
    assert report["resources"]["total"]["lut"] == sum(row["lut"] for row in report["layers"])
    assert Resources(**report["resources"]["total"]).lut > 0
