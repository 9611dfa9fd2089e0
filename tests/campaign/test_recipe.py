"""Campaign files: what they mean, and one clear line for what they cannot mean."""

from pathlib import Path

import pytest

from flow.campaign import Burst, Engine, Multiple, Rates, Single, Stuck, load_recipe
from flow.campaign.faultmodel import MODELS
from flow.errors import InputError

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
GOOD = {
    "name": '"small"',
    "build": '"build/net"',
    "data": '"digits"',
    "images": "20",
    "faults": "1000",
    "seed": "0",
}


def written(path, **changes):
    lines = {key: value for key, value in (GOOD | changes).items() if value is not None}
    path.write_text("".join(f"{key} = {value}\n" for key, value in lines.items()))
    return path


def test_defaults_are_both_engines_and_the_exact_analysis(tmp_path):
    recipe = load_recipe(written(tmp_path / "c.toml"))
    assert recipe.engines == (Engine.MODEL, Engine.RTL)
    assert (recipe.unit, recipe.workers, recipe.certify) == (64, 1, None)
    assert recipe.faults == Single(count=1000, per_stratum=4)


FILES = sorted([*EXAMPLES.glob("campaign-*.toml"), *EXAMPLES.glob("strikes-*.toml")])


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_the_documented_examples_are_legal(path):
    recipe = load_recipe(path)
    assert recipe.images >= 20
    assert recipe.faults is not None


def test_there_is_an_example_for_each_network():
    assert len(list(EXAMPLES.glob("campaign-*.toml"))) >= 2


def test_there_is_an_example_for_each_fault_model():
    assert {load_recipe(path).faults.model for path in FILES} == set(MODELS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fault": "3"}, "unknown key 'fault'; known are name, graph, build, data, images, faults"),
        ({"images": None}, "key 'images' is missing; add it"),
        ({"images": "0"}, "key 'images': Input should be greater than or equal to 1, not 0"),
        ({"images": '"20"'}, "key 'images': Input should be a valid integer, not '20'"),
        ({"seed": "true"}, "key 'seed': Input should be a valid integer, not True"),
        ({"engines": '["hdl"]'}, "key 'engines.0': Input should be 'model' or 'rtl', not 'hdl'"),
        ({"engines": '["rtl"]'}, "'engines' must be"),
        ({"graph": '"g.json"'}, "give either 'graph' or 'build'"),
        ({"build": None}, "give either 'graph' or 'build'"),
        ({"build": None, "graph": '"g.json"'}, "engine 'rtl' needs 'build', a build directory"),
        ({"faults": None}, "give either 'faults' or 'fault_list'"),
        ({"name": '"a b"'}, "key 'name'"),
        ({"seed": "= 3"}, "not TOML"),
        ({"executor": '"dask"'}, "executor 'dask' and 'scheduler' go together"),
        ({"scheduler": '"tcp://h:1"'}, "executor 'dask' and 'scheduler' go together"),
        ({"executor": '"mail"'}, "key 'executor': Input should be 'processes' or 'dask'"),
        ({"faults": "0"}, "key 'faults.count': Input should be greater than or equal to 1, not 0"),
        ({"faults": '"many"'}, "key 'faults.count'"),
        ({"faults": '{model = "gamma", count = 2}'}, "key 'faults': no fault model 'gamma'"),
        ({"faults": "{count = 2, margin = 0.1}"}, "key 'faults': give either 'count' or 'margin'"),
        ({"faults": "{count = 2, confidence = 0.9}"}, "'confidence' is of 'margin'"),
        ({"faults": "{margin = 1.5}"}, "key 'faults.margin': Input should be less than 1"),
        ({"faults": "{count = 2, flips = 3}"}, "unknown key 'faults.flips'"),
        ({"faults": '{model = "multiple", count = 2}'}, "key 'faults.flips' is missing; add it"),
        ({"faults": '{model = "multiple", count = 2, flips = []}'}, "key 'faults.flips'"),
        ({"faults": '{model = "burst", count = 2, bits = 1}'}, "greater than or equal to 2, not 1"),
        ({"faults": '{model = "stuck", count = 2, value = 2}'}, "key 'faults.value'"),
        ({"faults": '{model = "rate", chips = 2, rates = [0.1, 1.5]}'}, "key 'faults.rates.1'"),
        ({"faults": '{model = "rate", chips = 2, rates = [0.1, 0.1]}'}, "lists a rate twice"),
        ({"faults": '{model = "stuck", count = 2, value = 1}', "certify": "true"}, "only single"),
    ],
)
def test_a_bad_file_is_refused_in_one_line_that_names_the_key(tmp_path, changes, message):
    path = written(tmp_path / "c.toml", **changes)
    with pytest.raises(InputError) as error:
        load_recipe(path)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_recipe(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("faults", "wanted"),
    [
        ("7", Single(count=7)),
        ("{count = 7, per_stratum = 2}", Single(count=7, per_stratum=2)),
        ("{margin = 0.02, confidence = 0.9}", Single(margin=0.02, confidence=0.9)),
        ('{model = "stuck", count = 7, value = 1}', Stuck(count=7, value=1)),
        ('{model = "multiple", count = 7, flips = [2, 5]}', Multiple(count=7, flips=(2, 5))),
        ('{model = "burst", count = 7, bits = 3}', Burst(count=7, bits=3)),
        ('{model = "rate", chips = 3, rates = [0.0, 1.0]}', Rates(chips=3, rates=(0.0, 1.0))),
    ],
)
def test_every_fault_model_has_its_table(tmp_path, faults, wanted):
    assert load_recipe(written(tmp_path / "c.toml", faults=faults)).faults == wanted


def test_a_burst_needs_a_build(tmp_path):
    burst = '{model = "burst", count = 7, bits = 3}'
    changes = {"build": None, "graph": '"g.json"', "engines": '["model"]', "faults": burst}
    with pytest.raises(InputError, match="bursts strike memory words; they need 'build'"):
        load_recipe(written(tmp_path / "c.toml", **changes))
