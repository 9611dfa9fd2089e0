"""A search keeps what it tried, goes on after a kill, and its best is the best of its trials."""

import tomllib

import optuna
import pytest

from flow.errors import ClaimError, InputError
from models import search as module
from models.executed import lowered
from models.export import export
from models.recipe import recipe_of
from models.search import Cost, best_recipe, hardware_cost, load_space, search
from models.toml_text import toml

TEXT = """
name = "tiny"
dataset = "digits"
[network]
kind = "fully-connected"
hidden = [4]
weight_bits = 2
activation_bits = 2
[training]
epochs = 1
batch = 64
learning_rate = 0.02
held_out = 300
seed = 0
[search]
"network.hidden" = [[2], [16]]
"network.weight_bits" = [1, 4]
"""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "s.toml").write_text(TEXT)
    return tmp_path / "s.toml"


class Fake:
    """Instead of training: held-out accuracy by width and bits, one epoch after the other."""

    def __init__(self, kill=None):
        self.tried, self.kill = [], kill

    def __call__(self, recipe, data, *, judge):
        network = recipe.network
        self.tried.append((network.hidden, network.weight_bits))
        if len(self.tried) == self.kill:
            raise KeyboardInterrupt
        if network.weight_bits == 4 and network.hidden == [2]:
            raise ClaimError("diverged")
        for epoch, part in enumerate((0.5, 1.0, 0.9)):
            judge(epoch + 1, part * (network.hidden[0] + network.weight_bits) / 20)


def run(path, trials, **more):
    return search(
        load_space(path), path.with_suffix(".db"), trials=trials, data_root=path.parent, **more
    )


def test_a_killed_search_goes_on_and_tries_the_killed_trial_again(path, monkeypatch):
    first = Fake(kill=3)
    monkeypatch.setattr(module, "train", first)
    with pytest.raises(KeyboardInterrupt):
        run(path, 6)
    second = Fake()
    monkeypatch.setattr(module, "train", second)
    rows = run(path, 6)
    assert second.tried[0] == first.tried[-1]
    kept = optuna.load_study(study_name="search", storage=f"sqlite:///{path.with_suffix('.db')}")
    assert kept.trials[3].system_attrs["fixed_params"] == kept.trials[2].params
    assert len(first.tried) - 1 + len(second.tried) == 6
    assert run(path, 6) == rows
    assert len(second.tried) == 4, "nothing is tried when all trials are there"
    done = [r for r in rows if r["state"] == "complete"]
    scores = [r["held_out"] for r in done]
    assert scores == sorted(scores, reverse=True)
    assert rows[: len(done)] == done
    assert rows[0]["best"]
    recipe = tomllib.loads(best_recipe(load_space(path), rows))
    assert recipe["network"]["hidden"] == rows[0]["network.hidden"]
    assert recipe["network"]["weight_bits"] == rows[0]["network.weight_bits"]
    recipe_of(recipe, where="best")


def test_a_trial_below_the_median_is_stopped_early(path, monkeypatch):
    class Falling(Fake):
        def __call__(self, recipe, data, *, judge):
            self.tried.append(recipe)
            for epoch in range(3):
                judge(epoch + 1, 1 / len(self.tried))

    monkeypatch.setattr(module, "train", Falling())
    states = [row["state"] for row in run(path, 8)]
    assert (states.count("complete"), states.count("pruned")) == (5, 3)


def test_with_a_cost_the_best_are_those_that_none_beats_in_both(path, monkeypatch):
    monkeypatch.setattr(
        module, "train", lambda r, d, judge: judge(1, len(r.network.hidden) / 9) or r
    )
    monkeypatch.setattr(module, "export", lambda recipe: recipe)
    monkeypatch.setattr(module, "lowered", lambda recipe: recipe)
    price = lambda recipe, cost, cycles: sum(recipe.network.hidden)  # noqa: E731
    monkeypatch.setattr(module, "hardware_cost", price)
    rows = run(path, 8, cost=Cost.LUT)
    for row in rows:
        beaten = any(
            other["held_out"] >= row["held_out"] and other["lut"] < row["lut"] for other in rows
        )
        assert row["best"] != beaten
    assert {row["lut"] for row in rows if row["best"]} == {2}
    assert [row["best"] for row in rows] == sorted((r["best"] for r in rows), reverse=True)


def test_a_real_trial_is_judged_by_held_out_images_and_by_its_hardware(path):
    rows = run(path, 1, cost=Cost.LUT, cycles=100)
    space = load_space(path)
    picked = {key: rows[0][key] for key in space.choices}
    scores = []
    data = module.load_dataset("digits", root=path.parent)
    trained = module.train(
        space.recipe(picked), data, judge=lambda epoch, score: scores.append(score)
    )
    graph = lowered(export(trained))
    assert rows[0]["held_out"] == round(100 * max(scores), 2)
    assert rows[0]["lut"] == hardware_cost(graph, Cost.LUT, 100)
    assert hardware_cost(graph, Cost.CYCLES, 100) <= 100
    assert hardware_cost(graph, Cost.LUT, 10) > rows[0]["lut"]


def test_toml_reads_back_what_it_was_given():
    values = {
        "a": 1,
        "b": [1.5, 2],
        "t": {"s": 'x"\\', "u": {"v": True}},
        "m": [{"k": 1}, {"k": 2}],
    }
    values["t"].pop("u")
    assert tomllib.loads(toml(values)) == values


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"network.hidden" = [[2], [16]]', '"network.hidden" = 3', "needs a list of values; got 3"),
        ('"network.hidden"', '"method.0.limit"', "'search.method.0.limit': the recipe has no such"),
        ('"network.hidden"', '"network.heads"', "unknown key 'network.heads'"),
        ("held_out = 300", "held_out = 0", "a search needs images to judge by"),
        ("[search]", "[searches]", "no [search] table"),
    ],
)
def test_what_is_no_search_is_refused_by_key(old, new, said, path):
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(InputError) as caught:
        load_space(path)
    assert said in str(caught.value)


def test_the_study_of_another_search_is_refused(path, monkeypatch):
    monkeypatch.setattr(module, "train", Fake())
    run(path, 1)
    path.write_text(TEXT.replace("seed = 0", "seed = 1"))
    with pytest.raises(InputError, match="of another search"):
        run(path, 1)
    path.with_suffix(".db").write_text("no database")
    with pytest.raises(InputError, match="no Optuna study"):
        run(path, 1)
