"""Training gives the same file twice, and the file decides as Brevitas did."""

import contextlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from flow.errors import ClaimError, InputError
from flow.ir import IntType, integers
from models import export as export_module
from models.data import Dataset, load_dataset
from models.export import train_and_export
from models.loop import Machine
from models.recipe import FullyConnected, Recipe, Training
from models.toml_text import toml
from models.train import train
from tests.models.test_methods import TINY as METHODS

TINY = """
name = "tiny-w{bits}"
dataset = "digits"
[network]
kind = "fully-connected"
hidden = [16, 8]
weight_bits = {bits}
activation_bits = {bits}
[training]
epochs = 2
batch = 64
learning_rate = 0.01
temperature = 4.0
teacher_epochs = 1
seed = 5
"""


def recipe(*, bits=1, **training):
    settings = {"epochs": 2, "batch": 64, "learning_rate": 0.01, "seed": 0} | training
    return Recipe(
        name="tiny",
        dataset="digits",
        network=FullyConnected(
            kind="fully-connected", hidden=[16], weight_bits=bits, activation_bits=bits
        ),
        training=Training(**settings),
    )


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return load_dataset("digits", root=tmp_path_factory.mktemp("empty"))


def weights(trained):
    return b"".join(v.detach().numpy().tobytes() for v in trained.model.state_dict().values())


@pytest.mark.parametrize("bits", [1, 4])
def test_the_same_seed_trains_the_same_bits_and_another_does_not(bits, digits):
    first = train(recipe(bits=bits, teacher_epochs=1), digits)
    torch.rand(3)  # what ran before must not matter
    again = train(recipe(bits=bits, teacher_epochs=1), digits)
    other = train(recipe(bits=bits, teacher_epochs=1, seed=1), digits)

    assert weights(first) == weights(again)
    assert first.history == again.history
    assert weights(first) != weights(other)


def test_training_leaves_the_callers_torch_as_it_was(digits):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        torch.manual_seed(7)
        expected = torch.rand(1).item()
        torch.manual_seed(7)
        train(recipe(epochs=1), digits)

        assert torch.rand(1).item() == expected
        assert torch.get_num_threads() == 2
        assert not torch.are_deterministic_algorithms_enabled()
    finally:
        torch.set_num_threads(threads)


def test_training_learns_and_reports_every_epoch(digits):
    seen = []
    trained = train(recipe(epochs=5), digits, progress=lambda *step: seen.append(step))

    assert seen == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    assert len(trained.history) == 5
    assert trained.history[-1] < trained.history[0]
    assert trained.total == 360
    assert trained.accuracy > 0.5  # chance is 0.1


def test_the_test_images_have_no_say_in_training(digits):
    swapped = Dataset(
        digits.name,
        digits.type,
        digits.classes,
        digits.train_x,
        digits.train_y,
        integers(digits.test_x[:1]),
        integers(digits.test_y[:1]),
    )
    assert weights(train(recipe(epochs=1), digits)) == weights(train(recipe(epochs=1), swapped))


def test_latent_binary_weights_stay_where_their_sign_can_turn(digits):
    model = train(recipe(learning_rate=0.9, epochs=1), digits).model
    matrices = [p for p in model.parameters() if p.ndim == 2]
    assert len(matrices) == 2
    assert max(float(p.detach().abs().max()) for p in matrices) <= 1


def test_a_loss_that_is_no_number_ends_training(digits, monkeypatch):
    loss = lambda logits, target: logits.sum() * math.nan  # noqa: E731
    monkeypatch.setattr("models.train.functional.cross_entropy", loss)
    with pytest.raises(ClaimError) as caught:
        train(recipe(), digits)
    assert str(caught.value) == ("recipe 'tiny': loss nan in epoch 0; lower training.learning_rate")


@pytest.mark.parametrize("bits", [1, 4])
def test_a_killed_run_ends_with_the_bits_it_would_have_ended_with(bits, digits, tmp_path):
    how = recipe(bits=bits, epochs=4, teacher_epochs=1, held_out=200)
    wanted = train(how, digits)

    def kill(done, total):
        if done == 2:
            raise KeyboardInterrupt

    for _ in range(2):  # the second finds the checkpoint of the first and goes on behind it
        with contextlib.suppress(KeyboardInterrupt):
            found = train(how, digits, folder=tmp_path / "t", progress=kill)
    assert weights(found) == weights(wanted)
    assert found.history == wanted.history


@pytest.mark.parametrize("killed", [1, 2])
def test_scales_of_activations_are_still_learned_behind_a_kill(killed, digits, tmp_path):
    """Their first 300 batches collect statistics: a kill before that, and one behind."""
    small = Dataset("digits", digits.type, 10, digits.train_x[:800], digits.train_y[:800],
                    digits.test_x, digits.test_y)  # fmt: skip
    how = recipe(bits=4, epochs=3, batch=4)
    wanted = train(how, small)

    def kill(done, total):
        if done == killed:
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        train(how, small, folder=tmp_path, progress=kill)
    found = train(how, small, folder=tmp_path)
    assert found.history == wanted.history
    assert weights(found) == weights(wanted)


def test_a_weight_that_is_no_number_behind_an_epoch_is_no_checkpoint(digits, tmp_path, monkeypatch):
    """The loss is taken in front of a step, so that of an epoch's last step tells nothing of it."""
    how = recipe(epochs=3)
    with contextlib.suppress(KeyboardInterrupt):
        train(how, digits, folder=tmp_path, progress=_interrupt)
    kept = (tmp_path / "checkpoint.pt").read_bytes()

    def poison(self, model, *, done):
        with torch.no_grad():
            model[1].weight[0, 0] = math.nan

    last = 1 + (-(-1437 // 64) - 1) / -(-1437 // 64)
    monkeypatch.setattr(
        "models.train.Plain.after_step",
        lambda self, model, *, done: poison(self, model, done=done) if 3 * done >= last else None,
    )
    with pytest.raises(ClaimError) as caught:
        train(how, digits, folder=tmp_path)
    assert str(caught.value) == (
        "recipe 'tiny': a weight that is no number in epoch 1; lower training.learning_rate"
    )
    assert (tmp_path / "checkpoint.pt").read_bytes() == kept


def test_kernels_are_deterministic_on_a_processor_and_free_on_an_accelerator(digits, monkeypatch):
    """An accelerator without a deterministic kernel of a layer would refuse to train it."""
    seen, plain = [], Machine.fabric

    def fabric(self, folder):
        seen.append(torch.are_deterministic_algorithms_enabled())
        return plain(Machine(), folder)

    monkeypatch.setattr(Machine, "fabric", fabric)
    for accelerator in ("cpu", "cuda"):
        train(recipe(epochs=1), digits, machine=Machine(accelerator=accelerator))
    assert seen == [True, False]


def test_a_diverged_run_keeps_its_last_checkpoint(digits, tmp_path, monkeypatch):
    with contextlib.suppress(KeyboardInterrupt):
        train(recipe(epochs=3), digits, folder=tmp_path, progress=_interrupt)
    kept = (tmp_path / "checkpoint.pt").read_bytes()
    loss = lambda logits, target: logits.sum() * math.nan  # noqa: E731
    monkeypatch.setattr("models.train.functional.cross_entropy", loss)
    with pytest.raises(ClaimError, match="loss nan in epoch 1"):
        train(recipe(epochs=3), digits, folder=tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == kept


def test_a_checkpoint_of_another_recipe_or_a_damaged_one_is_refused(digits, tmp_path):
    with contextlib.suppress(KeyboardInterrupt):
        train(recipe(epochs=2), digits, folder=tmp_path, progress=_interrupt)
    with pytest.raises(InputError, match="a checkpoint of another recipe; remove it"):
        train(recipe(epochs=2, seed=9), digits, folder=tmp_path)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match="damaged checkpoint"):
        train(recipe(epochs=2), digits, folder=tmp_path)


def test_patience_ends_training_and_keeps_the_best_epoch(digits, monkeypatch):
    scores = iter([0.5, 0.7, 0.6, 0.6, 0.9])
    kept = []

    def score(self, model):
        kept.append({k: v.clone() for k, v in model.state_dict().items()})
        return next(scores)

    monkeypatch.setattr("models.train.Plain.score", score)
    found = train(recipe(bits=4, epochs=9, held_out=100, patience=2), digits)
    assert len(found.history) == 4
    state = found.model.state_dict()
    assert [n for n, value in kept[1].items() if not torch.equal(state[n], value)] == []


def test_held_out_images_have_no_say_in_the_steps(digits):
    turned = Dataset(
        digits.name,
        digits.type,
        digits.classes,
        integers(np.concatenate([digits.train_x[:-50], 16 - digits.train_x[-50:]])),
        digits.train_y,
        digits.test_x,
        digits.test_y,
    )
    for teacher in (0, 1):
        one = recipe(epochs=1, held_out=50, teacher_epochs=teacher)
        assert weights(train(one, digits)) == weights(train(one, turned))
    with pytest.raises(InputError, match=r"'training\.held_out': 1436 of 1437 training images"):
        train(recipe(held_out=1436), digits)


def test_an_accelerator_that_is_not_here_is_refused(digits):
    with pytest.raises(InputError, match="accelerator 'abacus': "):
        train(recipe(), digits, machine=Machine(accelerator="abacus"))
    with pytest.raises(InputError, match=r"^precision '64-true': weights stay float32; choose 32-"):
        train(recipe(), digits, machine=Machine(precision="64-true"))


def _interrupt(done, total):
    raise KeyboardInterrupt


def test_an_odd_image_at_the_end_of_an_epoch_is_left_to_the_next(digits):
    assert len(digits.train_x) % 4 == 1
    assert train(recipe(epochs=1, batch=1436), digits).total == 360


def test_signed_pixels_are_refused():
    x, y = integers([[-1, 2]]), integers([0])
    data = Dataset("mine", IntType(3, signed=True), 1, x, y, x, y)
    with pytest.raises(InputError, match=r"^data set 'mine': pixels of type s3; needs unsigned"):
        train(recipe(), data)


def test_images_without_others_to_train_on_are_refused(tmp_path):
    x, y = np.arange(80).reshape(20, 4), np.arange(20) % 2
    np.savez(tmp_path / "mine.npz", x=x, y=y)
    data = load_dataset(str(tmp_path / "mine.npz"), root=tmp_path)
    with pytest.raises(InputError, match=r"^data set 'mine': the images x are its test; add"):
        train(recipe(), data)
    np.savez(tmp_path / "both.npz", x=x, y=y, train_x=x, train_y=y)
    assert train(recipe(epochs=1), load_dataset(str(tmp_path / "both.npz"), root=tmp_path))


def test_one_class_is_refused():
    x, y = integers(np.arange(8).reshape(2, 4)), integers([0, 0])
    with pytest.raises(InputError, match=r"^data set 'mine': all labels are 0; there is nothing"):
        train(recipe(), Dataset("mine", IntType(3), 1, x, y, x.copy(), y))


def test_pixels_that_float32_cannot_hold_are_refused():
    x, y = integers(np.arange(8).reshape(2, 4) + (1 << 24)), integers([0, 1])
    data = Dataset("mine", IntType(25), 2, x, y, x.copy(), y)
    with pytest.raises(InputError, match=r"^data set 'mine': pixels of type u25; float32 holds 24"):
        train(recipe(), data)


def test_black_and_white_images_train_and_export(tmp_path):
    """One-bit pixels are 0 and 1 to the exporter too, not signs."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 2, (60, 3, 3, 1)), rng.integers(0, 3, 60)
    np.savez(tmp_path / "ink.npz", x=x, y=y, train_x=x, train_y=y)
    path = tmp_path / "tiny.toml"
    path.write_text(TINY.format(bits=4).replace('"digits"', f'"{tmp_path}/ink.npz"'))
    record = train_and_export(path, tmp_path / "model.onnx", data_root=tmp_path)
    assert record["correct_in_training"] == record["correct_in_qonnx"] == record["correct"]
    assert record["images_with_other_logits"] == 0


@pytest.fixture(scope="module", params=[1, 4], ids=["w1a1", "w4a4"])
def exported(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    path = folder / "tiny.toml"
    path.write_text(TINY.format(bits=request.param))
    record = train_and_export(path, folder / "model.onnx", data_root=folder)
    return folder, path, record


def test_the_record_beside_the_file_describes_it(exported):
    folder, _, record = exported
    assert json.loads((folder / "model.json").read_text()) == record
    assert record["images_with_other_logits"] == 0
    assert record["accuracy"] == record["correct"] / record["total"]
    assert (record["total"], record["seed"], record["epochs"]) == (360, 5, 2)
    assert set(record["versions"]) >= {"torch", "brevitas", "qonnx"}
    assert sorted(p.name for p in folder.iterdir()) == [
        "model.json", "model.onnx", "model.onnx.training", "tiny.toml",
    ]  # fmt: skip
    (scalars,) = (folder / "model.onnx.training").iterdir()
    assert scalars.name.startswith("events.out.tfevents")


RUN = "from flow.cli import main\nmain()\n"  # a file: other processes are started by its name


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ra-bnn", "wcat"])
def test_two_processes_train_one_network_and_one_of_them_speaks(kind, tmp_path):
    """Methods with parameters that a loss does not always reach."""
    network = {"kind": "fully-connected", "hidden": [12], **METHODS[kind][1]}
    values = {
        "name": "two", "dataset": "digits", "network": network,
        "training": {"epochs": 2, "batch": 256, "learning_rate": 0.01, "seed": 1},
        "method": [{"kind": kind, **METHODS[kind][0]}],
    }  # fmt: skip
    (tmp_path / "two.toml").write_text(toml(values))
    (tmp_path / "run.py").write_text(RUN)
    line = ["run.py", "train", "two.toml", "-o", "two.onnx", "--devices", "2", "--json"]
    done = subprocess.run(
        [sys.executable, *line], cwd=tmp_path, capture_output=True, text=True, timeout=300,
        check=False, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["correct"] == record["correct_in_training"]
    assert (tmp_path / "two.onnx").is_file()


def test_a_process_that_does_not_lead_writes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY.format(bits=1))
    monkeypatch.setattr("models.export.leading", lambda: False)
    assert train_and_export(path, tmp_path / "model.onnx", data_root=tmp_path) == {}
    assert not (tmp_path / "model.onnx").exists()


def test_the_same_recipe_gives_the_same_bytes(exported, tmp_path):
    folder, path, record = exported
    again = train_and_export(path, tmp_path / "again.onnx", data_root=tmp_path)
    assert again["sha256"] == record["sha256"]
    assert (tmp_path / "again.onnx").read_bytes() == (folder / "model.onnx").read_bytes()


def test_the_file_carries_what_the_flow_must_know_and_nothing_of_this_machine(exported):
    folder, path, record = exported
    raw = (folder / "model.onnx").read_bytes()
    model = onnx.load_from_string(raw)
    metadata = {p.key: p.value for p in model.metadata_props}

    assert metadata == {
        "bitproof.recipe": path.read_text().split('"')[1],
        "bitproof.dataset": "digits",
        "bitproof.input_type": "u5[0..16]",
        "bitproof.seed": "5",
        "bitproof.correct": f"{record['correct']}/360",
        "bitproof.accuracy": str(record["accuracy"]),
    }
    assert not any(node.doc_string or node.metadata_props for node in model.graph.node)
    assert b"site-packages" not in raw
    assert b".py" not in raw


def test_the_file_is_a_chain_of_the_nodes_that_ingestion_knows(exported):
    folder, path, _ = exported
    graph = onnx.load(folder / "model.onnx").graph
    weights = {i.name for i in graph.initializer}
    chain = [n.op_type for n in graph.node if n.input[0] not in weights]

    hidden = ["Gemm", "BatchNormalization"]
    hidden += ["BipolarQuant"] if "w1" in path.read_text() else ["Relu", "Quant"]
    assert chain == ["Quant", *hidden, *hidden, "Gemm"]
    shape = graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_value for d in shape] == [1, 64]


def test_a_file_that_decides_otherwise_is_not_written(exported, tmp_path, monkeypatch):
    folder, path, _ = exported
    model = onnx.load(folder / "model.onnx")
    last = next(n for n in model.graph.node if n.output[0] == model.graph.node[-1].input[1])
    stored = next(i for i in model.graph.initializer if i.name == last.input[0])
    turned = -onnx.numpy_helper.to_array(stored)
    stored.CopyFrom(onnx.numpy_helper.from_array(turned, stored.name))
    monkeypatch.setattr(export_module, "export", lambda trained: model.SerializeToString())

    with pytest.raises(
        ClaimError, match=r"^recipe 'tiny-w[14]': the exported file decides \d+ of 360"
    ):
        train_and_export(path, tmp_path / "model.onnx", data_root=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx.training"]  # nothing is lost


def test_a_tie_is_decided_for_the_smallest_class_in_training_too(digits):
    trained = train(recipe(epochs=1), digits)
    best = trained.logits.max(axis=1, keepdims=True)
    tied = (trained.logits == best).sum(axis=1) > 1
    assert tied.any()
    first = [row.tolist().index(max(row)) for row in trained.logits]
    assert trained.correct == int((np.array(first) == digits.test_y).sum())
