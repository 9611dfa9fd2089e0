"""Brevitas to QONNX: exported, cleaned, stripped of this machine's paths, and executed again."""

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
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.change_batchsize import ChangeBatchSize
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.util.cleanup import cleanup_model
from torch import Tensor, nn

from flow.atomic import write_atomic, write_json
from flow.engine import BatchedEngine
from flow.errors import ClaimError
from flow.ingest import lower
from flow.ir import Graph, IntType
from flow.stages import Images, fitting
from models.brevitas_api import export_qonnx
from models.data import load_dataset
from models.layers import input_type
from models.loop import CHECKPOINT, Machine
from models.networks import floats, integer_logits
from models.recipe import load_recipe
from models.train import Trained, train

Progress = Callable[[int, int], None]
_AT_ONCE = 500  # images that qonnx executes together
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

    The record's accuracy is the exported file's, executed by qonnx; it equals Brevitas's. ``note``
    is added to it.

    Raises:
        InputError: recipe or data cannot be used.
        ClaimError: training diverged, or the exported file decides differently from the model.
    """
    started = perf_counter()
    recipe = load_recipe(recipe_path)
    data = load_dataset(recipe.dataset, root=data_root)
    folder = output.with_name(f"{output.name}.training")
    trained = train(recipe, data, machine=machine, folder=folder, progress=progress)
    blob = export(trained)
    correct, moved = _execute_again(blob, trained)
    if (in_integers := lowered_correct(blob, trained)) != correct:
        raise ClaimError(
            f"recipe {recipe.name!r}: the file gets {correct} test images right, the integer graph "
            f"lowered from it {in_integers}; nothing written"
        )
    seconds = round(perf_counter() - started, 1)
    record = {**_record(trained, correct, moved, seconds, blob), **(note or {})}
    write_json(output.with_suffix(".json"), record)
    write_atomic(output, blob)  # last: who finds it finds its record
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return record


def _record(
    trained: Trained, correct: int, moved: int, seconds: float, blob: bytes
) -> dict[str, Any]:
    """What the file gets right, in qonnx and in integers, and what it was made of."""
    recipe = trained.recipe
    return {
        "name": recipe.name,
        "data": trained.data.name,
        "accuracy": correct / trained.total,
        "correct": correct,
        "total": trained.total,
        "correct_in_training": trained.correct,  # as Brevitas computes it, in floats
        "correct_in_integers": correct,
        "images_with_other_logits": moved,
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


def _execute_again(blob: bytes, trained: Trained) -> tuple[int, int]:
    """Test images the written file gets right, and those with a logit that is not Brevitas's.

    Logits are compared as integers. They can differ where float32 sums in another order move a
    hidden activation by one level; the class may not.
    """
    x = floats(trained.recipe.network, trained.data.test_x)
    with _quiet():
        found = torch.cat([_execute(blob, part) for part in x.split(_AT_ONCE)])
    with torch.no_grad():
        logits = integer_logits(trained.model, found)
    classes = logits.argmax(axis=1)
    differing = int((classes != trained.logits.argmax(axis=1)).sum())
    if differing:
        raise ClaimError(
            f"recipe {trained.recipe.name!r}: the exported file decides {differing} of {len(x)} "
            "test images differently from Brevitas; nothing written"
        )
    correct = int((classes == trained.data.test_y).sum())
    return correct, int((logits != trained.logits).any(axis=1).sum())


def lowered_correct(blob: bytes, trained: Trained) -> int:
    """Test images that the integer graph lowered from the file gets right.

    Raises:
        RefusedError: the file has a node that is not represented exactly.
    """
    data = trained.data
    graph = lowered(blob)
    x = fitting(graph, Images(data.name, data.test_x, data.test_y))
    return int((BatchedEngine(graph).run(x) == data.test_y).sum())


def lowered(blob: bytes) -> Graph:
    """The integer graph of a QONNX file's bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(blob)
        return lower(path).graph


def _execute(blob: bytes, x: Tensor) -> Tensor:
    """qonnx's logits of one batch; it holds every tensor of the batch."""
    model = ModelWrapper(onnx.load_from_string(blob))
    model = model.transform(ChangeBatchSize(len(x))).transform(InferShapes())
    name, output = model.graph.input[0].name, model.graph.output[0].name
    return torch.tensor(execute_onnx(model, {name: x.numpy()})[output])


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
