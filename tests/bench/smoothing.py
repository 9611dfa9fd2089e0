"""Integer against float smoothing of the same network: certified accuracy and samples per second.

make bench-smoothing

Each network is trained once. ``integer`` is its graph on the batched engine with rounded noise;
``float`` is the same network in Brevitas, float32, with real noise (Cohen et al. 2019): what
it computes in training. Both use the bounds of ``flow.certify.smoothing_bounds`` on as many votes.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from flow.certify import Smoothing
from flow.certify.smoothing import ESTIMATION, SELECTION, count_votes, noise_stream, noise_table
from flow.certify.smoothing_bounds import squared_reach
from flow.engine import BatchedEngine
from flow.ingest import lower
from models.data import load_dataset
from models.export import export
from models.recipe import Recipe, load_recipe
from models.train import train

MNIST = {
    "name": "tfc-mnist-w4a4",
    "dataset": "mnist",
    "network": {
        "kind": "fully-connected", "hidden": [64, 64, 64], "weight_bits": 4, "activation_bits": 4,
    },
    "training": {"epochs": 3, "batch": 256, "learning_rate": 0.005, "seed": 0},
}  # fmt: skip
DIGITS = Path("models/recipes/tfc-digits-w4a4.toml")
BATCH = 4096


@dataclass(frozen=True, slots=True)
class Task:
    """One network, the noise in pixel codes, and how much of the test set."""

    recipe: Recipe
    sigmas: tuple[Fraction, ...]
    images: int
    samples: int = 1000


def main() -> None:
    """One line per network, sigma and engine."""
    torch.set_num_threads(1)
    tasks = (
        Task(load_recipe(DIGITS), (Fraction(1), Fraction(2), Fraction(4)), 200),
        Task(Recipe.model_validate(MNIST), (Fraction(16), Fraction(32), Fraction(64)), 100),
    )
    print(f"one thread, load average {os.getloadavg()[0]:.1f}")
    print(
        "network, images, samples, sigma, engine, samples/s; % certified at r = 0, s/2, s, 3s/2, 2s"
    )
    for task in tasks:
        run(task)


def run(task: Task) -> None:
    """Train, lower, and smooth both."""
    root = Path(os.environ.get("BITPROOF_DATA", "data"))
    trained = train(task.recipe, load_dataset(task.recipe.dataset, root=root))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(export(trained))
        engine = BatchedEngine(lower(path).graph)
    shape = engine.graph.input_edge.shape
    x = trained.data.test_x[: task.images].reshape(-1, *shape).astype(np.int64)
    y = trained.data.test_y[: task.images]
    for sigma in task.sigmas:
        terms = Smoothing(sigma, task.samples)
        table = noise_table(engine.graph, terms)
        error = table.distance() * engine.graph.input_edge.elements
        random = torch.Generator().manual_seed(0)

        def integers(stream, samples, terms=terms):
            noise = noise_stream(engine.graph, terms, stream)
            return count_votes(engine, x, noise, samples=samples)

        def floats(_, samples, sigma=sigma, random=random):
            return float_votes(trained.model, x, float(sigma), samples, random)

        for name, votes, charge in (("integer", integers, error), ("float", floats, Fraction(0))):
            started = time.perf_counter()
            chosen = votes(SELECTION, terms.selection).argmax(axis=1)
            counted = votes(ESTIMATION, terms.samples)
            seconds = time.perf_counter() - started
            held = counted[np.arange(len(x)), chosen]
            reach = np.array([reached(int(v), terms, charge) for v in held])
            reach[chosen != y] = -1
            shares = [(reach >= radius2(sigma, k)).mean() * 100 for k in range(5)]
            rate = len(x) * (terms.samples + terms.selection) / seconds
            cells = " ".join(f"{share:5.1f}" for share in shares)
            print(
                f"{task.recipe.name}, {len(x)}, {terms.samples}, {sigma}, {name}, {rate:,.0f}; "
                f"{cells}", flush=True,
            )  # fmt: skip


def radius2(sigma: Fraction, halves: int) -> int:
    """The squared distance of grid points within ``halves * sigma / 2``."""
    return int((sigma * halves / 2) ** 2)


def reached(votes: int, terms: Smoothing, error: Fraction) -> int:
    """The certified squared distance; -1 where nothing is."""
    found = squared_reach(
        votes, terms.samples, alpha=terms.alpha, sigma=terms.sigma, error=error, own=False
    )
    return -1 if found is None else found


@torch.inference_mode()
def float_votes(model, x, sigma, samples, random):
    """Votes of the float network under real noise; shared by all images, as in the engine."""
    votes = None
    for start in range(0, samples, BATCH):
        shape = (min(BATCH, samples - start), int(np.prod(x.shape[1:])))
        noise = torch.randn(shape, generator=random) * sigma
        for k, image in enumerate(x.reshape(len(x), -1)):
            logits = model(noise + torch.tensor(image, dtype=torch.float32))
            logits = logits if isinstance(logits, torch.Tensor) else logits.value
            votes = np.zeros((len(x), logits.shape[1]), dtype=np.int64) if votes is None else votes
            votes[k] += np.bincount(logits.argmax(dim=1).numpy(), minlength=logits.shape[1])
    return votes


if __name__ == "__main__":
    main()
