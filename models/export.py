"""Brevitas to QONNX: exported, cleaned, stripped of this machine's paths."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import onnx
import torch
from google.protobuf.message import Message
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.cleanup import cleanup_model
from torch import Tensor, nn

from flow.atomic import write_atomic, write_json
from flow.errors import InputError
from flow.ir import IntType
from models.brevitas_api import export_qonnx
from models.data import load_dataset
from models.executed import Decided, Executed, decided, execute_again, lower_bytes
from models.layers import input_type
from models.loop import CHECKPOINT, Machine, leading
from models.networks import floats
from models.recipe import load_recipe
from models.train import Trained, train

Progress = Callable[[int, int], None]
PACKAGES = ("torch", "brevitas", "qonnx", "onnx", "numpy", "scikit-learn")


def train_and_export(
    recipe_path: Path,
    output: Path,
    *,
    data_root: Path,
    note: Mapping[str, Any] | None = None,
    machine: Machine | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train a recipe, write ``output`` and its ``.json`` record, and return the record.

    While it trains, a checkpoint and TensorBoard scalars lie in the folder ``<output>.training``;
    a killed run that is started again goes on there. The scalars stay.

    The record's accuracy is the exported file's: qonnx and the integer graph decide every test
    image alike, but for float32 rounding (``models.executed``). ``note`` is added to it. Of
    processes that train together one writes; the record of the others is empty.

    Raises:
        InputError: recipe or data cannot be used, or nothing can be written there.
        ClaimError: training diverged, or the exported file decides differently from the model.
    """
    started = perf_counter()
    if output.is_dir():
        raise InputError(f"{output}: a folder; name the file to write")
    recipe = load_recipe(recipe_path)
    data = load_dataset(recipe.dataset, root=data_root)
    folder = output.with_name(f"{output.name}.training")
    trained = train(recipe, data, machine=machine, folder=folder, progress=progress)
    if not leading():
        return {}
    blob = export(trained)
    whole = lower_bytes(blob)
    found = decided(whole.graph, trained)
    with _quiet():
        again = execute_again(blob, whole, trained, found)
    seconds = round(perf_counter() - started, 1)
    record = {**_record(trained, found, again, seconds, blob), **(note or {})}
    write_json(output.with_suffix(".json"), record)
    write_atomic(output, blob)  # last: who finds it finds its record
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return record


def _record(
    trained: Trained, found: Decided, again: Executed, seconds: float, blob: bytes
) -> dict[str, Any]:
    """What the file gets right, in qonnx and in integers, and what it was made of."""
    recipe = trained.recipe
    return {
        "name": recipe.name,
        "data": trained.data.name,
        "accuracy": found.correct / trained.total,
        "correct": found.correct,  # by the file: in integers, so exactly
        "total": trained.total,
        "correct_in_training": trained.correct,  # as Brevitas computes it, in floats
        "correct_in_qonnx": again.correct,  # another number only by float32 rounding
        "correct_in_integers": found.correct,
        "images_with_other_logits": found.moved,  # in training, by float32 rounding
        "images_with_other_logits_in_qonnx": again.moved,
        "final_loss": trained.history[-1],
        "methods": [method.model_dump() for method in recipe.method],
        "seed": recipe.training.seed,
        "epochs": len(trained.history),
        "seconds": seconds,
        "sha256": hashlib.sha256(blob).hexdigest(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def export(trained: Trained) -> bytes:
    """The trained network as a cleaned QONNX file with what later stages must know beside it."""
    data, recipe = trained.data, trained.recipe
    properties = {
        "bitproof.recipe": recipe.name,
        "bitproof.dataset": data.name,
        "bitproof.seed": str(recipe.training.seed),
        "bitproof.correct": f"{trained.correct}/{trained.total}",
        "bitproof.accuracy": str(trained.accuracy),
    }
    example = floats(recipe.network, data.test_x[:1])
    return qonnx_file(trained.model, example, input_type(trained.model), properties)


def qonnx_file(
    model: nn.Module, example: Tensor, pixel: IntType, properties: Mapping[str, str]
) -> bytes:
    """A Brevitas model that takes ``example``, a batch of one, as a cleaned QONNX file."""
    with tempfile.TemporaryDirectory() as folder, _quiet():
        raw = Path(folder) / "raw.onnx"
        export_qonnx(model, args=torch.zeros_like(example), export_path=str(raw))
        cleaned = cleanup_model(ModelWrapper(str(raw))).model
    _strip(cleaned)
    onnx.helper.set_model_props(cleaned, {**properties, "bitproof.input_type": str(pixel)})
    return bytes(cleaned.SerializeToString(deterministic=True))


def _strip(message: Message) -> None:
    """Drop what the exporter notes of source files and traces: it differs between machines."""
    for field, value in message.ListFields():
        if field.name in ("metadata_props", "doc_string"):
            message.ClearField(field.name)
        elif field.type == field.TYPE_MESSAGE:
            for child in value if isinstance(value, list) or hasattr(value, "add") else [value]:
                _strip(child)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter talks on every channel about packages we do not use."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
