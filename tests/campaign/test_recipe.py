"""Campaign files: what they mean, and one clear line for what they cannot mean."""

from pathlib import Path

import pytest

from flow.campaign import Engine, load_recipe
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
    assert (recipe.unit, recipe.workers, recipe.per_stratum, recipe.certify) == (64, 1, 4, True)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("campaign-*.toml")), ids=lambda p: p.stem)
def test_the_documented_examples_are_legal(path):
    recipe = load_recipe(path)
    assert recipe.faults >= 1000
    assert recipe.images >= 20


def test_there_is_an_example_for_each_network():
    assert len(list(EXAMPLES.glob("campaign-*.toml"))) >= 2


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
