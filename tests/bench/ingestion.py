"""Time and memory of lowering and of the batched engine, against references of the same run.

make bench      prints one line of JSON, then a table. One core; medians of several repeats.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flow.agreement.qonnx import agree_qonnx
from flow.engine import BatchedEngine
from flow.ingest import lower
from flow.ingest.lower import Lowered
from flow.ingest.reader import load_model
from flow.ir import Array, IntType
from models.export import qonnx_file
from models.networks import floats, random_network
from models.recipe import Convolutional, FullyConnected, Network

PIXEL = IntType(8)
REPEATS = 5
TFC = FullyConnected(kind="fully-connected", hidden=[64, 64, 64], weight_bits=1, activation_bits=1)
CNV = Convolutional(kind="cnv", weight_bits=1, activation_bits=1)
RESNET = Convolutional(kind="resnet", weight_bits=4, activation_bits=4)
NETWORKS: tuple[tuple[str, Network, tuple[int, ...], int, int], ...] = (
    ("tfc-w1a1", TFC, (28, 28, 1), 10_000, 500),
    ("cnv-w1a1", CNV, (32, 32, 3), 64, 16),
    ("resnet-8-w4a4", RESNET, (32, 32, 3), 64, 16),
)


def median(run: Callable[[], object]) -> float:
    """Seconds of the middle one of several runs, after one that warms up."""
    run()
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


LOWER_ALONE = """
import json, pathlib, statistics, sys, time
from flow.ingest import lower
taken = []
for _ in range(int(sys.argv[2])):
    started = time.perf_counter()
    lower(pathlib.Path(sys.argv[1]))
    taken.append(time.perf_counter() - started)
status = pathlib.Path("/proc/self/status").read_text().splitlines()
peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) // 1024
print(json.dumps({"lower_s": round(statistics.median(taken), 3), "lower_peak_mb": peak}))
"""


def lowering(path: Path) -> dict[str, float]:
    """Seconds, and peak resident MB of a process of its own, from Linux's VmHWM: ru_maxrss would
    start from what this process held when it forked."""
    command = [sys.executable, "-c", LOWER_ALONE, str(path), str(REPEATS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def qonnx_rate(path: Path, lowered: Lowered, x: Array) -> float:
    """Images a second of qonnx, which keeps only its output. One image is the file as it was
    exported, whose batch is 1; for more its shapes are rewritten."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.change_batchsize import ChangeBatchSize
    from qonnx.transformation.infer_shapes import InferShapes

    model = ModelWrapper(load_model(path))
    if len(x) > 1:
        model = model.transform(ChangeBatchSize(len(x)))
    model = model.transform(InferShapes())
    given = x.astype(np.float32).reshape(len(x), -1)[:, lowered.input_view]
    name = model.graph.input[0].name
    return len(x) / median(lambda: execute_onnx(model, {name: given}))


def measure(
    name: str, network: Network, shape: tuple[int, ...], images: int, few: int, folder: Path
) -> dict[str, Any]:
    """One row of the table."""
    model = random_network(network, shape=shape, classes=10, pixel=PIXEL, seed=1)
    x = np.random.default_rng(0).integers(0, 256, (images, *shape))
    path = folder / f"{name}.onnx"
    path.write_bytes(qonnx_file(model, floats(network, x[:1]), PIXEL, {}))
    lowered = lower(path)
    graph_x = x.reshape(images, *lowered.graph.input_edge.shape)
    agreement = agree_qonnx(path, lowered, graph_x[:4])
    engine = BatchedEngine(lowered.graph)
    given = floats(network, x)
    with torch.no_grad():
        brevitas = images / median(lambda: model(given))
    qonnx = qonnx_rate(path, lowered, graph_x[:1])
    rewritten = qonnx_rate(path, lowered, graph_x[:few])
    ours = images / median(lambda: engine.run(graph_x))
    gpu: float | str = "no GPU"
    if torch.cuda.is_available():
        on_gpu = BatchedEngine(lowered.graph, device="cuda")
        gpu = round(images / median(lambda: on_gpu.run(graph_x)))
    return {
        "network": name,
        **lowering(path),
        "elements": agreement.elements,
        "excused": agreement.excused,
        "mismatches": agreement.mismatches,
        "engine_per_s": round(ours),
        "qonnx_per_s": round(qonnx, 1),
        "rewritten_per_s": round(rewritten, 1),
        "brevitas_per_s": round(brevitas),
        "engine_to_qonnx": round(ours / qonnx, 1),
        "engine_to_rewritten": round(ours / rewritten, 1),
        "engine_to_brevitas": round(ours / brevitas, 1),
        "gpu_per_s": gpu,
    }


def main() -> None:
    """Measure every network, everything on one core: qonnx's engine would take all it sees."""
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(*network, Path(folder)) for network in NETWORKS]
    print(json.dumps(rows))
    for key in rows[0]:
        print(f"{key:>20}", *(f"{row[key]!s:>12}" for row in rows))


if __name__ == "__main__":
    main()
