"""Binary networks that grow while they are trained: RA-BNN with Early-Growth.

A. S. Rakin et al., RA-BNN, arXiv 2103.13813. Weights and activations are -1 and +1 in every layer,
the first and the last included; the first takes the pixels as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from flow.ir import IntType
from models.growth import fix, gated, gates, shrunk
from models.hardware_cost import HardwareCost, Layer, layers_of
from models.layers import input_type
from models.objective import Around, Batch, Method, Objective, Task, layers, refuse_patience
from models.table import Positive, Table

Share = Annotated[float, Field(gt=0, lt=1)]
Above0 = Annotated[float, Field(gt=0)]


class RaBnn(Method):
    """Layers start with ``base`` of the channels that the recipe gives them and open others.

    What a channel costs is its share of the widest network's channels, of its cycles or of its
    look-up tables, on hardware that does ``lanes`` x ``lanes`` products at a time in each layer.
    When growth ends, open channels are filled up to a multiple of ``lanes``, which costs nothing.
    """

    kind: Literal["ra-bnn"]
    growth: Share = 0.4  # of all steps
    base: Share = 0.25
    start: Annotated[float, Field(ge=-5, le=0)] = -1.0  # log odds of a channel not yet open
    hot: Above0 = 2.0  # temperature of the gates at the start of growth
    cold: Above0 = 0.5  # and at its end
    cost: Literal["channels", "cycles", "lut"] = "channels"
    price: Annotated[float, Field(ge=0)] = 0.1  # of the whole network, in units of the loss
    lanes: Positive = 8
    restart: bool = True  # new weights when growth has ended

    def check(self, network: Table) -> None:
        """Complete binary networks only."""
        if {*network.widths, network.activation_bits} != {1}:
            raise ValueError(
                f"method 'ra-bnn' trains complete binary networks, not {max(network.widths)}-bit "
                f"weights with {network.activation_bits}-bit activations; set network.weight_bits "
                "and network.activation_bits to 1"
            )

    def around(self, inner: Objective, task: Task) -> Objective:
        """Gates that open and close; refuses patience, which would judge growth."""
        refuse_patience(task, self.kind, "judges no epoch before growth has ended")
        return _Growing(inner, task, self)


@dataclass(frozen=True, eq=False)
class _Growing(Around):
    settings: RaBnn

    def prepare(self, model: nn.Sequential) -> nn.Sequential:
        """With a gate for each channel that may open."""
        settings = self.settings
        model = super().prepare(model)
        return gated(model, base=settings.base, start=settings.start, multiple=settings.lanes)

    def loss(self, model: nn.Module, batch: Batch, *, done: float) -> Tensor:
        """While the network grows, with the price of the channels it expects to have."""
        network, settings = layers(model), self.settings
        found, grown = gates(network), done / settings.growth
        if grown >= 1:
            if not found[0].fixed:
                fix(network, restart=settings.restart)
            return super().loss(model, batch, done=done)
        for gate in found:
            gate.temperature = settings.hot * (settings.cold / settings.hot) ** grown
        task = super().loss(model, batch, done=done)
        return task + settings.price * self.expense(network)

    def score(self, model: nn.Module) -> float | None:
        """No epoch of growth is kept as the best."""
        return super().score(model) if gates(model)[0].fixed else None

    def finish(self, model: nn.Sequential) -> nn.Sequential:
        """The kept channels alone, which compute the same."""
        return super().finish(shrunk(model))

    def expense(self, model: nn.Sequential) -> Tensor:
        """The share of the widest network's cost that is expected; differentiable."""
        found, settings = gates(model), self.settings
        expected = [gate.expected() for gate in found]
        if settings.cost == "channels":
            return torch.stack(expected).sum() / sum(gate.channels for gate in found)
        shape = self.task.shape
        cost = _cost(
            tuple(layers_of(model)),
            tuple(gate.base for gate in found),
            (prod(shape),) if isinstance(model[1], nn.Linear) else shape,
            input_type(model),
            settings.lanes,
        )
        which = ("cycles", "lut").index(settings.cost)
        whole = cost([gate.position.new_tensor(gate.channels) for gate in found])[which]
        return (cost(expected)[which] / whole).float()


@cache
def _cost(
    layers: tuple[Layer, ...],
    least: tuple[int, ...],
    shape: tuple[int, ...],
    pixel: IntType,
    lanes: int,
) -> HardwareCost:
    """Tables of costs take a second to fill, and are the same at every step."""
    return HardwareCost.of(layers, least, shape=shape, pixel=pixel, lanes=lanes)
