"""The whole flow in one call, on a network small enough for a test."""

from contextlib import contextmanager

import pytest

from flow.pipeline import run_flow

RECIPE = """
name = "tiny"
dataset = "digits"
[network]
kind = "fully-connected"
hidden = [8]
weight_bits = 2
activation_bits = 2
[training]
epochs = 3
batch = 64
learning_rate = 0.01
seed = 1
"""


@contextmanager
def silent(_title):
    yield lambda done, total: None


@pytest.mark.slow
@pytest.mark.rtl
@pytest.mark.train
def test_one_call_leaves_every_result_and_the_report(tmp_path, compiled):
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE)
    report = run_flow(
        recipe,
        out=tmp_path / "out",
        board=None,
        cache=compiled,
        data_root=tmp_path,
        progress=silent,
    )
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert report.name in made
    assert {"model.onnx", "graph.json", "compare.json", "hls.json", "rtl.json"} <= made
    assert {"input.json", "pixel.json", "bits.json", "bfa.json", "random.json"} <= made
