"""Post-training quantization: fine weights are trained, then rounded to the nearest coarse ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from models.objective import Around, Batch, Method, Objective, Task, layers
from models.table import Table
from models.weight_widths import normalised_anew, set_weight_widths, weight_widths


class Rounding(Method):
    """Weights have ``reference_bits`` until the last step, then the network's own width.

    With ``calibrate`` BatchNorm's statistics are taken anew from the training images behind it.
    """

    kind: Literal["rounding"]
    reference_bits: Annotated[int, Field(ge=2, le=8)] = 8
    calibrate: bool = False

    def check(self, network: Table) -> None:
        """Weights of 2 bits or more in every layer."""
        if 1 in network.widths:
            raise ValueError("rounding has no nearest code among two signs; use 2 bits or more")

    def around(self, inner: Objective, task: Task) -> Objective:
        """Fine weights until the last step."""
        return _Rounded(inner, task, self)


@dataclass(frozen=True, eq=False)
class _Rounded(Around):
    settings: Rounding

    def prepare(self, model: nn.Sequential) -> nn.Sequential:
        """The network's own widths are kept beside it."""
        model = super().prepare(model)
        model.own_widths = weight_widths(model)
        return model

    def loss(self, model: nn.Module, batch: Batch, *, done: float) -> Tensor:
        """Of the fine weights; Brevitas gives a model its own widths again when it is loaded."""
        network = layers(model)
        set_weight_widths(network, [self.settings.reference_bits] * len(network.own_widths))
        return super().loss(model, batch, done=done)

    def finish(self, model: nn.Sequential) -> nn.Sequential:
        """Rounded to the nearest codes of the network's own widths."""
        set_weight_widths(model, model.own_widths)
        del model.own_widths
        if self.settings.calibrate:
            normalised_anew(model, self.task.examples.x, size=self.task.training.batch)
        return super().finish(model)
