"""What an exported network decides of the test images: in training, in qonnx and in integers.

Float32 rounds long sums, so now and then a hidden activation lies on the other side of a rounding
point than its exact value. The integer graph is the exact function of the file; where floats decide
an image otherwise, qonnx must be explained element by element, and training may in one image of a
thousand.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.change_batchsize import ChangeBatchSize
from qonnx.transformation.infer_shapes import InferShapes
from torch import Tensor

from flow.agreement import agree_qonnx
from flow.agreement.float_error import UNIT, file_integers
from flow.engine import BatchedEngine
from flow.errors import ClaimError
from flow.ingest import Lowered, lower
from flow.ir import Array, Graph
from flow.ops import ArgMax, MatVec
from flow.stages import Images, fitting
from models.networks import floats
from models.train import Trained

Floats = NDArray[np.floating]
_AT_ONCE = 500  # images that qonnx executes together
_MOST_ROUNDED = 1e-3  # share of the images that float32 may decide otherwise in training


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """The integer graph's logits (images, classes), how far float32 may have each of those sums
    when what it sums is right, and which images the graph gets right."""

    logits: Array
    error: Floats
    right: NDArray[np.bool_]
    moved: int  # images of which floats made other logits in training

    @property
    def correct(self) -> int:
        """Test images classified rightly."""
        return int(self.right.sum())


def lowered(blob: bytes) -> Graph:
    """The integer graph of a QONNX file's bytes."""
    return lower_bytes(blob).graph


def lower_bytes(blob: bytes) -> Lowered:
    """A QONNX file's bytes, lowered.

    Raises:
        RefusedError: the file has a node that is not represented exactly.
    """
    with tempfile.TemporaryDirectory() as folder:
        return lower(_written(blob, folder))


def decided(graph: Graph, trained: Trained) -> Decided:
    """The test images on the integer graph, beside what was trained.

    Raises:
        ClaimError: training decides more of them otherwise than float32 rounding explains.
    """
    data = trained.data
    x = fitting(graph, Images(data.name, data.test_x, data.test_y))
    node = graph.producer(graph.logits)
    if node is None or not isinstance(node.op, MatVec):
        raise ClaimError("the exported file does not end in a product of weights; nothing written")
    values = BatchedEngine(graph).run_edges(x, (node.inputs[0], graph.logits))
    logits = file_integers(graph, graph.logits, values)
    classes = ArgMax().evaluate(logits)
    other = int((classes != trained.logits.argmax(axis=1)).sum())
    if other > max(1, int(_MOST_ROUNDED * len(x))):
        raise ClaimError(
            f"recipe {trained.recipe.name!r}: the exported file decides {other} of {len(x)} "
            "test images differently from Brevitas; nothing written"
        )
    moved = int((logits != trained.logits).any(axis=1).sum())
    return Decided(logits, _error(node.op, values[node.inputs[0]]), classes == data.test_y, moved)


def _error(op: MatVec, read: Array) -> Floats:
    """Of each sum (images, classes), in its integers."""
    columns = op.weights.shape[1]
    seen = np.ones((len(read), columns)) if op.popcount else abs(read.reshape(len(read), columns))
    error: Floats = (seen @ abs(op.read).T) * ((columns + 3) * float(UNIT))
    return error


@dataclass(frozen=True, slots=True)
class Executed:
    """The file under qonnx: images whose logits are not the graph's up to the rounding of the last
    sum, and test images classified rightly."""

    moved: int
    correct: int


def execute_again(blob: bytes, whole: Lowered, trained: Trained, graph: Decided) -> Executed:
    """Execute the file with qonnx on every test image.

    Raises:
        ClaimError: an image is decided otherwise, and not by float32 rounding.
    """
    x = floats(trained.recipe.network, trained.data.test_x)
    found = np.concatenate([_execute(blob, part) for part in x.split(_AT_ONCE)])
    scale, offset = (
        np.array([float(value) for value in part])
        for part in zip(*((one.scale, one.offset) for one in whole.logits.affine), strict=True)
    )
    moved = (abs((found - offset) / scale - graph.logits) > graph.error).any(axis=1)
    classes = found.argmax(axis=1)
    other = classes != ArgMax().evaluate(graph.logits)
    if other.any():
        _explained(blob, whole, trained, np.flatnonzero(other))
    return Executed(int(moved.sum()), int((classes == trained.data.test_y).sum()))


def _explained(blob: bytes, whole: Lowered, trained: Trained, images: Array) -> None:
    """Every element in which qonnx differs on these images is one that rounding can move."""
    data = trained.data
    part = Images(data.name, data.test_x[images], data.test_y[images])
    with tempfile.TemporaryDirectory() as folder:
        found = agree_qonnx(_written(blob, folder), whole, fitting(whole.graph, part))
    if found.mismatches or found.logit_mismatches or found.class_mismatches:
        raise ClaimError(
            f"recipe {trained.recipe.name!r}: the file decides {len(images)} test images otherwise "
            f"than the integer graph lowered from it; nothing written: {found.complaint()}"
        )


def _written(blob: bytes, folder: str) -> Path:
    path = Path(folder) / "model.onnx"
    path.write_bytes(blob)
    return path


def _execute(blob: bytes, x: Tensor) -> Floats:
    """qonnx's logits of one batch; it holds every tensor of the batch."""
    model = ModelWrapper(onnx.load_from_string(blob))
    model = model.transform(ChangeBatchSize(len(x))).transform(InferShapes())
    name, output = model.graph.input[0].name, model.graph.output[0].name
    found: Floats = execute_onnx(model, {name: x.numpy()})[output]
    return found
