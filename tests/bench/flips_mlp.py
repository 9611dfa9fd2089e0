"""Input boxes and flipped bits together, on MLPs of the size of BFAVerifier's (arXiv 2502.16286).

python -m tests.bench.flips_mlp FOLDER [--hidden 100 512] [--images 50] [--epochs 6] [--cases]

Three hidden layers, 8-bit weights, 4-bit activations, MNIST. For each width one network trained as
usual and one trained against intervals as well; both are kept in FOLDER. Every stored bit may flip:
weights, thresholds and signs. Per radius (of 255) and number of flips: images certified, images for
which an input and flips were found that change the class, and the seconds of both.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from flow.certify import BitSubset, k_flips
from flow.certify.k_flips import BUDGET, CASES
from flow.graphfile import load_graph, save_graph
from flow.ingest import lower
from flow.ir import Graph
from models.data import Dataset, load_dataset
from models.export import qonnx_file
from models.networks import build, floats
from models.recipe import FullyConnected

TRAINED_FOR = 5.0  # the radius in pixels that training against intervals ends at
HEAD = "network           bits  radius  flips  images  certified  refuted  open  seconds"


def main() -> None:
    """Train what is missing, then one line per network, radius and number of flips."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hidden", type=int, nargs="+", default=[100, 512])
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--radii", type=int, nargs="+", default=[0, 1, 2, 4])
    parser.add_argument("--flips", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--training", nargs="+", default=["intervals", "usual"])
    parser.add_argument("--cases", action="store_true", help="by cases of the channel struck first")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = load_dataset("mnist", root=Path(os.environ.get("BITPROOF_DATA", "data")))
    print(f"one thread, load average {os.getloadavg()[0]:.1f}")
    print(HEAD, flush=True)
    for hidden in given.hidden:
        for training in given.training:
            graph = network(given.folder, data, hidden, given.epochs, training == "intervals")
            for radius in given.radii:
                for flips in given.flips:
                    line = measured(graph, data, given.images, radius, flips, given.cases)
                    print(f"3x{hidden:<4} {training:10} {line}", flush=True)


def measured(graph: Graph, data: Dataset, images: int, radius: int, flips: int, cases: bool) -> str:
    """Certify and attack the first ``images`` test images; the counts are of correct ones."""
    x = data.test_x[:images].reshape(images, -1).astype("int64")
    y = data.test_y[:images].astype("int64")
    started = time.perf_counter()
    method = CASES if cases else BUDGET
    found = k_flips(graph, x, y=y, flips=flips, radius=radius, method=method)
    seconds = time.perf_counter() - started
    certified = int((found.certified >= flips).sum())
    refuted = sum(witness is not None for witness in found.witness)
    correct = int(found.correct.sum())
    return (
        f"{BitSubset().count(graph):8} {radius:5} {flips:6} {correct:7} {certified:9} "
        f"{refuted:8} {correct - certified - refuted:6} {seconds:9.1f}"
    )


def network(folder: Path, data: Dataset, hidden: int, epochs: int, intervals: bool) -> Graph:
    """The trained network as a graph, made if ``folder`` has none."""
    name = f"mlp-3x{hidden}-{'intervals' if intervals else 'usual'}"
    path = folder / f"{name}.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        kind = FullyConnected(
            kind="fully-connected", hidden=[hidden] * 3, weight_bits=8, activation_bits=4
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = train(kind, data, epochs, intervals)
        example = floats(kind, data.test_x[:1])
        model_path = folder / f"{name}.onnx"
        model_path.write_bytes(qonnx_file(model, example, data.type, {}))
        save_graph(lower(model_path, accumulator="fault-safe").graph, path)
    return load_graph(path)


def train(kind: FullyConnected, data: Dataset, epochs: int, intervals: bool) -> nn.Sequential:
    """Adam with a cosine schedule; the radius of the intervals rises to its end half-way."""
    x, y = floats(kind, data.train_x), torch.tensor(data.train_y)
    model = build(kind, shape=data.shape, classes=data.classes, pixel=data.type)
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    batches = [b for _ in range(epochs) for b in torch.randperm(len(x)).split(256)]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, len(batches))
    model.train()
    for step, batch in enumerate(batches):
        radius = TRAINED_FOR * min(1.0, 2 * step / len(batches)) if intervals else 0.0
        logits, worst = bounded(model, x[batch], y[batch], radius)
        loss = functional.cross_entropy(logits, y[batch])
        if intervals:
            loss = (loss + functional.cross_entropy(worst, y[batch])) / 2
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return model.eval()


def bounded(model: nn.Sequential, x: Tensor, y: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Logits, and the worst ones that intervals of floats allow within ``radius`` of ``x``."""
    low, high = (x - radius).clamp(0, 255), (x + radius).clamp(0, 255)
    for layer in model:
        before, x = x, layer(x)
        centre, reach = (high + low) / 2, (high - low) / 2
        if isinstance(layer, nn.BatchNorm1d):
            slope = layer.weight / (before.var(dim=0, unbiased=False) + layer.eps).sqrt()
            centre = (centre - before.mean(dim=0)) * slope + layer.bias
            low, high = centre - reach * slope.abs(), centre + reach * slope.abs()
        elif isinstance(layer, nn.Linear):
            weight = layer.weight
            centre, reach = centre @ weight.T, reach @ weight.abs().T
            low, high = centre - reach, centre + reach
        elif low is not None and "ReLU" in type(layer).__name__:
            low, high = low.relu(), high.relu()
    own = functional.one_hot(y, x.shape[1]).bool()
    return x, torch.where(own, low, high)


if __name__ == "__main__":
    main()
