"""Training that cannot be, or goes wrong: one line, the exit status, and what is kept."""

import math

import numpy as np
import pytest
from torch.nn import functional

from models import study as study_module
from tests.cli.small import one_line_error
from tests.models.test_recipe import GOOD

METHODS = {
    "ra-bnn": 'kind = "ra-bnn"',
    "weight-radius": 'kind = "weight-radius"',
    "clipping": 'kind = "clipping"\nlimit = 0.1',
}
FINE = ("weight_bits = 1", "weight_bits = 8")
RESIDUAL = (
    'kind = "fully-connected"\nhidden = [8]\nweight_bits = 1\nactivation_bits = 1',
    'kind = "resnet"\nweight_bits = 4\nactivation_bits = 4',
)
IMPOSSIBLE = [
    (FINE, METHODS["ra-bnn"], "method 'ra-bnn' trains complete binary networks, not 8-bit weights"),
    (("", ""), METHODS["weight-radius"], "weight-radius has no distance between signs; use 2 bits"),
    (("", ""), METHODS["clipping"], "clipping changes no sign; binary weights need another method"),
    (("", ""), 'kind = "certified"', "'method.0.kind': Input should be one of 'certified-flips', "),
    (("", ""), 'kind = "qa-ibp"\nradius = 0', "'method.0.radius': Input should be "),
    (RESIDUAL, 'kind = "qa-ibp"\nradius = 1.0', "qa-ibp has no intervals of residual sums"),
    (RESIDUAL, METHODS["weight-radius"], "weight-radius has no intervals of residual sums"),
    (("seed = 3", "seed = 3\nsed = 4"), "", "unknown key 'training.sed'; known are epochs, "),
    (
        ("seed = 3", "seed = 3\npatience = 4"),
        "",
        "'training': Value error, patience needs",
    ),
    (("weight_bits = 1", "weight_bits = [1]"), "", "'network': Value error, weight_bits has 1 w"),
]


def said(err):
    """The one line that is no title of a progress bar, without what every error starts with."""
    lines = [line for line in err.splitlines() if not line.endswith(" ...")]
    return one_line_error("\n".join(lines)).removeprefix("bitproof: error: ")


def written(tmp_path, change=("", ""), method=""):
    path = tmp_path / "r.toml"
    path.write_text(GOOD.replace(*change) + (f"[[method]]\n{method}\n" if method else ""))
    return path


@pytest.mark.parametrize(("change", "method", "message"), IMPOSSIBLE, ids=range(len(IMPOSSIBLE)))
def test_a_recipe_that_cannot_be_trained_is_refused(bitproof, tmp_path, change, method, message):
    recipe = written(tmp_path, change, method)
    status, out, err = bitproof("train", recipe, "-o", tmp_path / "m.onnx")
    assert (status, out) == (2, "")
    assert said(err).startswith(f"{recipe}: {message}")
    assert [p.name for p in tmp_path.iterdir()] == ["r.toml"]


DATA = [
    ("mnist", "train-images-idx3-ubyte.gz: missing; data set 'mnist' is read from its published"),
    ("cifar10", "data_batch_1.bin: missing; data set 'cifar10' is read from its published files"),
    ("none.npz", "none.npz: no such file"),
    ("imagenet", "data set 'imagenet': unknown; choose digits, mnist, fashion-mnist, cifar10 or a"),
]


@pytest.mark.parametrize(("name", "message"), DATA, ids=[name for name, _ in DATA])
@pytest.mark.parametrize("verb", ["train", "widths"])
def test_missing_data_are_named(bitproof, tmp_path, monkeypatch, name, message, verb):
    monkeypatch.setenv("BITPROOF_DATA", str(tmp_path / "empty"))
    recipe = written(tmp_path, ('"digits"', f'"{name}"'))
    status, out, err = bitproof(verb, recipe, "-o", tmp_path / "out")
    assert (status, out) == (2, "")
    assert message in said(err)


def test_a_network_that_does_not_take_the_images_is_refused(bitproof, tmp_path):
    recipe = written(tmp_path, ('"fully-connected"\nhidden = [8]', '"cnv"'))
    status, _, err = bitproof("train", recipe, "-o", tmp_path / "m.onnx")
    assert status == 2
    assert said(err) == "network 'cnv': takes 32x32 images, not 64; use other data"


def test_pixels_of_either_sign_are_refused(bitproof, tmp_path):
    np.savez(tmp_path / "mine.npz", x=np.array([[-1, 2], [0, 1]]), y=np.array([0, 1]))
    recipe = written(tmp_path, ('"digits"', f'"{tmp_path / "mine.npz"}"'))
    status, _, err = bitproof("train", recipe, "-o", tmp_path / "m.onnx")
    assert status == 2
    assert "pixels of type s3; needs unsigned ones" in said(err)


def interrupted(bitproof, recipe, output, monkeypatch):
    """Training stopped behind its first epoch, as a kill does."""

    def stop(self, path):
        plain(self, path)
        raise KeyboardInterrupt

    from models.loop import _Run

    plain = _Run.save
    with monkeypatch.context() as patched:
        patched.setattr(_Run, "save", stop)
        status, _, _ = bitproof("train", recipe, "-o", output)
    assert status == 130


def test_a_checkpoint_of_another_recipe_or_a_damaged_one_is_refused(
    bitproof, tmp_path, monkeypatch
):
    output = tmp_path / "m.onnx"
    interrupted(bitproof, written(tmp_path), output, monkeypatch)
    checkpoint = tmp_path / "m.onnx.training" / "checkpoint.pt"
    kept = checkpoint.read_bytes()
    other = written(tmp_path, ("seed = 3", "seed = 4"))
    status, _, err = bitproof("train", other, "-o", output)
    assert (status, said(err)) == (
        2, f"{checkpoint}: a checkpoint of another recipe; remove it to train anew",
    )  # fmt: skip
    assert checkpoint.read_bytes() == kept
    checkpoint.write_bytes(kept[:300])
    status, _, err = bitproof("train", written(tmp_path), "-o", output)
    assert status == 2
    assert said(err).startswith(f"{checkpoint}: damaged checkpoint (")
    assert not output.exists()


def test_a_loss_that_is_no_number_ends_with_1_and_keeps_the_last_good_checkpoint(
    bitproof, tmp_path, monkeypatch
):
    output = tmp_path / "m.onnx"
    interrupted(bitproof, written(tmp_path), output, monkeypatch)
    checkpoint = tmp_path / "m.onnx.training" / "checkpoint.pt"
    kept = checkpoint.read_bytes()
    plain = functional.cross_entropy
    with monkeypatch.context() as patched:
        patched.setattr(functional, "cross_entropy", lambda *a, **k: plain(*a, **k) * math.nan)
        status, out, err = bitproof("train", written(tmp_path), "-o", output)
    assert (status, out) == (1, "")
    assert said(err) == ("recipe 'small': loss nan in epoch 1; lower training.learning_rate")
    assert checkpoint.read_bytes() == kept
    assert not output.exists()
    status, _, _ = bitproof("train", written(tmp_path), "-o", output)  # goes on from there
    assert status == 0
    assert output.exists()


def test_a_loss_becomes_no_number_by_a_recipe_alone(bitproof, tmp_path):
    recipe = written(tmp_path, ("seed = 3", "seed = 3\ntemperature = 1e-40"))
    status, _, err = bitproof("train", recipe, "-o", tmp_path / "m.onnx")
    assert status == 1
    assert "loss nan in epoch 0; lower training.learning_rate" in said(err)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("-o", "m.json"), 2, "m.json: the record goes to .json; give the network another suffix"),
        (("-o", "m.onnx", "--accelerator", "abacus"), 2, "accelerator 'abacus': "),
    ],
    ids=["suffix", "accelerator"],
)
def test_options_that_cannot_be_meant_are_refused(bitproof, tmp_path, arguments, status, message):
    arguments = [tmp_path / a if a.startswith("m.") else a for a in arguments]
    found, _, err = bitproof("train", written(tmp_path), *arguments)
    assert found == status
    assert message in said(err)


def test_places_that_cannot_be_written_are_refused_before_training(bitproof, tmp_path):
    recipe = written(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "m.onnx.training").write_text("")
    (tmp_path / "folder").mkdir()
    for output, message in (
        ("folder", f"{tmp_path / 'folder'}: a folder; name the file to write"),
        ("m.onnx", f"{tmp_path / 'm.onnx.training'}: no folder for checkpoints (File exists); "),
        ("file/m.onnx", f"{tmp_path / 'file' / 'm.onnx.training'}: no folder for checkpoints ("),
    ):
        status, out, err = bitproof("train", recipe, "-o", tmp_path / output)
        assert (status, out) == (2, "")
        assert said(err).startswith(message)
    assert {p.name for p in tmp_path.iterdir()} == {"file", "m.onnx.training", "folder", "r.toml"}


def test_studies_name_what_is_wrong(bitproof, tmp_path, monkeypatch):
    status, _, err = bitproof("study", "weng", "--results", tmp_path)
    assert status == 2
    assert said(err).startswith("study 'weng': unknown; choose from adversarial-mnist, ")
    monkeypatch.setattr(study_module, "FOLDER", tmp_path)
    (tmp_path / "bad.toml").write_text('name = "bad"\n')
    status, _, err = bitproof("study", "bad", "--results", tmp_path)
    assert status == 2
    assert said(err).startswith(f"{tmp_path / 'bad.toml'}: 'title': Field required")
