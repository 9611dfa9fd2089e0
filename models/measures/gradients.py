"""Accuracy under gradient attacks on the trained model, counted by the integer graph; and what the
images' distances to the boundary say of it."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy.stats import norm
from torch import Tensor, nn
from torch.nn import functional

from flow.engine import BatchedEngine
from flow.ir import Array
from models.data import Dataset
from models.loop import batches
from models.measures.measure import Measure, Subject
from models.methods.adversarial import attacked
from models.networks import floats
from models.table import Positive

_TRANSFER_EPOCHS, _TRANSFER_SEED = 3, 17


class GradientAttacks(Measure):
    """Accuracy on the first test images moved by up to ``radius`` pixel levels:

    * ``fgsm``: one signed step, straight-through gradient of cross-entropy;
    * ``pgd``: ``steps`` of them from a random point;
    * ``pgd++``: the same with logits divided by the temperature at which a leading logit is worth
      two nats, so that softmax neither saturates nor flattens (after Gupta & Ajanthan, 2020);
    * ``transfer``: what ``pgd`` makes of the images on a float network of other weights;
    * ``model``: no attack; log-normal distances to the boundary, fitted to ``|lead| / |gradient of
      the lead|_1`` of the images classified rightly, say which of them lie beyond the radius.

    Every moved image is of whole pixel levels and is classified by the integer graph.
    """

    kind: Literal["gradient-attacks"]
    radius: list[Positive] = Field(min_length=1)
    steps: Positive = 10
    images: Positive = 1000

    def take(self, subject: Subject) -> dict[str, float]:
        """One column for each attack and radius, and one for the model, in percent."""
        trained = subject.trained
        x = floats(trained.recipe.network, trained.data.test_x[: self.images])
        y = torch.tensor(trained.data.test_y[: self.images])
        model = trained.model.eval()
        stranger = transfer_network(trained.data)
        rivals = lead_temperature(model, x)
        distances = boundary_distances(model, x, y)
        clean = float((distances > 0).mean())
        found: dict[str, float] = {}
        for radius in self.radius:
            moved = {
                "fgsm": self._moved(model, x, y, radius, 1, 1.0, trained.data),
                "pgd": self._moved(model, x, y, radius, self.steps, 1.0, trained.data),
                "pgd++": self._moved(model, x, y, radius, self.steps, rivals, trained.data),
                "transfer": self._moved(stranger, x, y, radius, self.steps, 1.0, trained.data),
            }
            for name, points in moved.items():
                found[f"{name} {radius}"] = 100 * survived(subject, points, y)
            found[f"model {radius}"] = 100 * clean * beyond(distances, radius)
        return found

    @staticmethod
    def _moved(
        model: nn.Module, x: Tensor, y: Tensor, radius: int, steps: int, scale: float, data: Dataset
    ) -> Tensor:
        def loss(network: nn.Module, points: Tensor) -> Tensor:
            return functional.cross_entropy(network(points) / scale, y, reduction="sum")

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(radius)
            ends = {"lo": data.type.lo, "hi": data.type.hi}
            return attacked(model, x, loss, radius=radius, steps=steps, **ends)


def survived(subject: Subject, points: Tensor, y: Tensor) -> float:
    """The share of images of whole levels, as the network takes them, that the graph gets right."""
    shape = subject.graph.input_edge.shape
    whole: Array = points.numpy().astype(np.int64)
    if whole.ndim == 4:
        whole = whole.transpose(0, 2, 3, 1)  # channels first in torch
    classes = BatchedEngine(subject.graph).run(whole.reshape(len(whole), *shape))
    return float((classes == y.numpy()).mean())


def lead_temperature(model: nn.Module, x: Tensor) -> float:
    """The temperature at which the mean lead of the first over the second logit is two nats."""
    with torch.no_grad():
        first, second = model(x).topk(2, dim=1).values.T
    return max(1e-6, float((first - second).mean()) / 2)


def boundary_distances(model: nn.Module, x: Tensor, y: Tensor) -> NDArray[np.float64]:
    """To first order how many pixel levels every pixel must move until the class is another;
    0 for images that are misclassified already."""
    leaf = x.clone().requires_grad_()
    logits = model(leaf)
    own = logits.gather(1, y[:, None])
    nearest = torch.full((len(x),), torch.inf, dtype=torch.float64)
    for rival in range(logits.shape[1]):
        lead = own[:, 0] - logits[:, rival]
        if lead.requires_grad:
            (gradient,) = torch.autograd.grad(lead.sum(), leaf, retain_graph=True)
            slope = gradient.flatten(1).abs().sum(dim=1).double()
            levels = torch.where(slope > 0, lead.detach().double() / slope, torch.inf)
            nearest = torch.where(y == rival, nearest, torch.minimum(nearest, levels))
    found: NDArray[np.float64] = nearest.clamp(min=0).numpy()
    return found


def beyond(distances: NDArray[np.float64], radius: float) -> float:
    """The share of a log-normal distribution, fitted to the positive finite ``distances``, above
    ``radius``."""
    logs = np.log(distances[(distances > 0) & np.isfinite(distances)])
    if len(logs) < 2 or logs.std() == 0:
        return float((distances > radius).mean())
    return float(norm.sf((np.log(radius) - logs.mean()) / logs.std(ddof=1)))


@cache
def transfer_network(data: Dataset) -> nn.Module:
    """A float network with 100 hidden units that saw the same training images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_TRANSFER_SEED)
        random = torch.Generator().manual_seed(_TRANSFER_SEED)
        x, y = torch.tensor(data.train_x, dtype=torch.float32), torch.tensor(data.train_y)
        size = x[0].numel()
        network = nn.Sequential(
            nn.Flatten(), nn.Linear(size, 100), nn.ReLU(), nn.Linear(100, data.classes)
        )
        with torch.no_grad():
            network[1].weight /= data.type.hi  # pixels come as integers
        optimiser = torch.optim.Adam(
            [{"params": network[1].parameters(), "lr": 1e-3 / data.type.hi},
             {"params": network[3].parameters(), "lr": 1e-3}]
        )  # fmt: skip
        for _ in range(_TRANSFER_EPOCHS):
            for batch in batches(len(x), 128, random):
                loss = functional.cross_entropy(network(x[batch]), y[batch])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
    return network.eval()
