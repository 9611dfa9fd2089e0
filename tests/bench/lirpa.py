"""Integer intervals beside auto_LiRPA's on the float twin of the same network, in one run.

    python -m tests.bench.lirpa NETWORK [--images 1000] [--radii 1 4]

The twin has the same weights as floats, and a sum of signs for each staircase, so that both bound
the same function. auto_LiRPA's pins (torch < 2.9) exclude ours, so it is no dependency: put its
source and appdirs and graphviz on PYTHONPATH. Without it the script says so and ends.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flow.certify import Box, input_box, propagate
from flow.engine.kernels import dense
from flow.ingest import lower
from flow.ir import Array, Graph
from flow.ops import MatVec, Threshold
from models.data import load_dataset


class Twin(torch.nn.Module):
    """A chain up to its logits in float32."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.ops = [node.op for node in graph.nodes[:-1]]
        self.layers = torch.nn.ModuleList()
        for op in self.ops:
            if isinstance(op, MatVec):
                scale = 0.5 if op.popcount else 1.0
                layer = torch.nn.Linear(op.weights.shape[1], len(op.weights), bias=op.popcount)
                layer.weight.data = torch.from_numpy(scale * dense(op)).float()
                if op.popcount:
                    layer.bias.data.fill_(scale * op.weights.shape[1])
                self.layers.append(layer)
            elif not isinstance(op, Threshold):
                raise SystemExit(f"the twin has products and staircases, no {type(op).__name__}")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        layers = iter(self.layers)
        for op in self.ops:
            if isinstance(op, MatVec):
                x = next(layers)(x)
                continue
            steps = op.thresholds.shape[1]
            corners = torch.from_numpy(op.thresholds - 0.5).float()
            signs = sum(torch.sign(x - corners[:, step]) for step in range(steps))
            level = op.base + (torch.from_numpy(op.sign) * signs + steps) / 2
            x = 2 * level - 1 if op.output.bipolar else level
        return x


def theirs(graph: Graph, box: Box) -> Callable[[], tuple[Array, Array]]:
    """auto_LiRPA's interval bounds on the logits; raises ImportError without it."""
    from auto_LiRPA import BoundedModule, BoundedTensor
    from auto_LiRPA.perturbations import PerturbationLpNorm

    low, high = (torch.from_numpy(end).float() for end in (box.lo, box.hi))
    module = BoundedModule(Twin(graph), torch.zeros_like(low[:1]), device="cpu")
    ball = PerturbationLpNorm(norm=float("inf"), x_L=low, x_U=high)
    point = BoundedTensor((low + high) / 2, ball)

    def run() -> tuple[Array, Array]:
        with torch.no_grad():
            found = module.compute_bounds(x=(point,), method="IBP")
        return tuple(end.numpy() for end in found)

    return run


def fastest(run: Callable[[], Any], times: int = 5) -> tuple[float, Any]:
    """Seconds of the fastest of some runs, and what it returned."""
    spent = []
    for _ in range(times):
        started = time.perf_counter()
        found = run()
        spent.append(time.perf_counter() - started)
    return min(spent), found


def main() -> None:
    """One line per radius: microseconds per image of both, and how much looser either is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", type=Path)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--radii", type=int, nargs="+", default=[1, 4])
    given = parser.parse_args()
    graph = lower(given.network).graph
    data = load_dataset("mnist", root=Path(os.environ.get("BITPROOF_DATA", "data")))
    x = data.test_x[: given.images].reshape(given.images, *graph.input_edge.shape).astype(np.int64)
    torch.set_num_threads(1)
    print(f"{given.network.name}, {given.images} images at once, load {os.getloadavg()[0]:.1f}")
    for radius in given.radii:
        box = input_box(graph, x, radius=radius)
        try:
            other = theirs(graph, box)
        except ImportError as error:
            print(f"auto_LiRPA cannot be imported ({error}): nothing to compare with")
            return
        their_time, (low, high) = fastest(other)
        our_time, boxes = fastest(lambda box=box: propagate(graph, box))
        own = boxes[graph.logits]
        slack = 1e-3 * (1 + np.abs(high).max())
        looser = int(((own.lo < low - slack) | (own.hi > high + slack)).sum())
        wider = float((high - low).sum() / (own.hi - own.lo).sum())
        print(
            f"radius {radius}: ours {our_time / len(x) * 1e6:.1f} us per image, auto_LiRPA "
            f"{their_time / len(x) * 1e6:.1f}; ours looser in {looser} of {low.size} logits, "
            f"theirs {wider:.3f} times as wide in all"
        )
        assert looser == 0


if __name__ == "__main__":
    main()
